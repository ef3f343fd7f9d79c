import { fromDisplayHex, toHex } from '../../src/lib/bytes.ts'
import type { HttpCaller, NodeClient } from './node-contract.ts'
import { block, coinbase, type Outpoint, type Place, placeOf } from './regtest-blocks.ts'

export const GENESIS: Place = {
  hash: fromDisplayHex('0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'),
  height: 0,
  time: 1_700_000_000,
}

/** What a call answered: its result, or code and message of its error as one text. */
export async function call(
  caller: HttpCaller,
  node: NodeClient,
  method: string,
  ...params: unknown[]
): Promise<unknown> {
  const reply = await caller.rpc(node, method, params)
  const { result, error } = JSON.parse(reply.body.toString('utf8')) as {
    result: unknown
    error: { code: number; message: string } | null
  }
  return error === null ? result : `${error.code} ${error.message}`
}

/** The same blocks for everybody: coinbases of OP_TRUE, ten minutes between them. Returns places by height, coins in order. */
export function plainChain(length: number): {
  readonly blocks: Uint8Array[]
  readonly places: Place[]
  readonly coins: Outpoint[]
} {
  const places = [GENESIS]
  const blocks: Uint8Array[] = []
  const coins: Outpoint[] = []
  let at = GENESIS
  for (let height = 1; height <= length; height++) {
    const first = coinbase(height)
    const raw = block(at, { txs: [first] })
    at = placeOf(raw, at)
    blocks.push(raw)
    places.push(at)
    coins.push({ txid: first.txid, index: 0 })
  }
  return { blocks, places, coins }
}

export async function submit(caller: HttpCaller, node: NodeClient, raw: Uint8Array): Promise<unknown> {
  return call(caller, node, 'submitblock', toHex(raw))
}
