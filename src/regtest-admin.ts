import { z } from 'zod'
import { ERROR_CODES, ParseError, RpcError } from './errors.ts'
import type { RegtestNode } from './regtest/node.ts'
import { type AdminMethod, defineAdminMethod } from './session/admin.ts'

const SATOSHIS_PER_COIN = 100_000_000n
const MOST_BLOCKS = 1000

/** The miner and the faucet of the built-in node, as commands of the admin port. */
export function regtestAdminMethods(node: RegtestNode): readonly AdminMethod[] {
  return [
    defineAdminMethod({
      name: 'regtest.mine',
      acts: true,
      summary: 'Mines blocks with what the mempool has; their hashes. Without an address the faucet gets the coins.',
      params: z.object({ count: z.coerce.number().int().min(1).max(MOST_BLOCKS), address: z.string().optional() }),
      example: { params: [1], result: ['0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'] },
      handler: ({ count, address }) => told(() => node.mine(count, address)),
    }),
    defineAdminMethod({
      name: 'regtest.send',
      acts: true,
      summary: 'Pays an amount in BTC from the faucet to an address; the txid.',
      params: z.object({ address: z.string(), amount: z.union([z.string(), z.number()]) }),
      example: {
        params: ['bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080', '1.5'],
        result: '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b',
      },
      handler: ({ address, amount }) => told(() => node.send(address, toSatoshis(String(amount)))),
    }),
    defineAdminMethod({
      name: 'regtest.reorg',
      acts: true,
      summary: 'Replaces the last blocks by a longer branch; what was in them is mined again. The new hashes.',
      params: z.object({ depth: z.coerce.number().int().min(1).max(MOST_BLOCKS) }),
      example: { params: [1], result: ['0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'] },
      handler: ({ depth }) => told(() => [...node.reorganize(depth), ...(node.mempool.length > 0 ? node.mine(1) : [])]),
    }),
  ]
}

/** What the node refuses is the caller's to know, in the node's words. */
function told<T>(work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof RangeError || cause instanceof ParseError) {
      throw new RpcError(ERROR_CODES.badRequest.code, cause.message, { cause })
    }
    throw cause
  }
}

/** `1.5` BTC as 150000000n. Throws RangeError for anything that is no amount above zero. */
export function toSatoshis(amount: string): bigint {
  const match = /^(\d{1,8})(?:\.(\d{1,8}))?$/.exec(amount.trim())
  const satoshis =
    match === null ? 0n : BigInt(match[1] ?? '0') * SATOSHIS_PER_COIN + BigInt((match[2] ?? '').padEnd(8, '0'))
  if (satoshis === 0n) throw new RangeError(`${amount} is no amount in BTC`)
  return satoshis
}
