import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tx } from '../../src/chain/tx.ts'
import { concat, fromHex, toHex } from '../../src/lib/bytes.ts'
import { HttpCaller, type NodeClient } from '../support/node-contract.ts'
import { call, plainChain, submit } from '../support/node-contract-chain.ts'
import { Bitcoind, BuiltInNode, type NodeUnderTest, RECORDED_AT } from '../support/node-contract-nodes.ts'
import {
  block,
  coinbase,
  type Draft,
  EASIEST_BITS,
  idOf,
  type Outpoint,
  type Place,
  placeOf,
  spending,
  subsidy,
} from '../support/regtest-blocks.ts'

/*
 * Blocks that break one rule each, with the reason that Bitcoin Core gives: asked of the built-in node always, and of a
 * bitcoind where BITCOIN names one, so that the table itself is held against the original.
 */

const LENGTH = 120
const { blocks, places, coins } = plainChain(LENGTH)
const tip = places[LENGTH] ?? failed()
const next = LENGTH + 1
/** Coins of 50 BTC that may be spent in the next block, and one that may not. */
const [coinA, coinB] = [coins[0] ?? failed(), coins[1] ?? failed()]
const immature = coins[LENGTH - 5] ?? failed()
const FIFTY = 5_000_000_000n

function failed(): never {
  throw new Error('the chain is too short')
}

/** A block on the tip with these transactions behind a coinbase that fits. */
function withTxs(txs: readonly Tx[], changes: Partial<Draft> = {}): Uint8Array {
  return block(tip, { txs: [coinbase(next, { others: txs }), ...txs], ...changes })
}

const pay = (from: readonly Outpoint[], ...values: bigint[]): Tx => spending(from, values)
const unknown: Outpoint = { txid: new Uint8Array(32).fill(0xab), index: 0 }
const nowhere: Outpoint = { txid: new Uint8Array(32), index: 0xffff_ffff }
const child = pay([{ txid: pay([coinA], FIFTY - 1000n, 500n).txid, index: 0 }], FIFTY - 2000n, 500n)
const witnessed = spending([coinA], [FIFTY], {
  inputs: [
    {
      prevTxid: coinA.txid,
      prevIndex: 0,
      script: new Uint8Array(0),
      sequence: 0xffff_fffd,
      witness: [Uint8Array.of(1)],
    },
  ],
})

const REFUSALS: readonly (readonly [string, string, () => Uint8Array])[] = [
  ['a hash above the target', 'high-hash', () => withTxs([], { work: false })],
  ['another target', 'bad-diffbits', () => withTxs([], { bits: EASIEST_BITS - 1 })],
  [
    'a parent nobody knows',
    'prev-blk-not-found',
    () => block({ ...tip, hash: unknown.txid }, { txs: [coinbase(next)] }),
  ],
  ['a time not after the median', 'time-too-old', () => withTxs([], { time: (places[LENGTH - 5] ?? tip).time })],
  ['a time far ahead', 'time-too-new', () => withTxs([], { time: RECORDED_AT + 7201 + 60 })],
  ['a version of old', 'bad-version(0x00000003)', () => withTxs([], { version: 3 })],
  ['another merkle root', 'bad-txnmrklroot', () => withTxs([], { merkleRoot: unknown.txid })],
  [
    'a transaction twice at the end',
    'bad-txns-duplicate',
    () => {
      const [a, b] = [pay([coinA], FIFTY, 1n), pay([coinB], FIFTY, 2n)]
      const root = withTxs([a, b]).subarray(36, 68)
      return block(tip, { txs: [coinbase(next, { others: [a, b] }), a, b, b], merkleRoot: root })
    },
  ],
  ['no coinbase', 'bad-cb-missing', () => block(tip, { txs: [pay([coinA], FIFTY, 1n)] })],
  ['two coinbases', 'bad-cb-multiple', () => withTxs([coinbase(next, { extra: Uint8Array.of(1, 9) })])],
  [
    'the height of another block',
    'bad-cb-height',
    () => block(tip, { txs: [coinbase(next + 1, { value: subsidy(next) })] }),
  ],
  ['a long coinbase', 'bad-cb-length', () => block(tip, { txs: [coinbase(next, { extra: new Uint8Array(100) })] })],
  [
    'too much for the miner',
    'bad-cb-amount',
    () => block(tip, { txs: [coinbase(next, { value: subsidy(next) + 1n })] }),
  ],
  ['an output above all money', 'bad-txns-vout-toolarge', () => withTxs([pay([coinA], 2_100_000_000_000_001n)])],
  [
    'outputs above all money together',
    'bad-txns-txouttotal-toolarge',
    () => withTxs([pay([coinA], 2_100_000_000_000_000n, 1n)]),
  ],
  ['an input twice in a transaction', 'bad-txns-inputs-duplicate', () => withTxs([pay([coinA, coinA], FIFTY)])],
  ['an input of nowhere', 'bad-txns-prevout-null', () => withTxs([pay([coinA, nowhere], FIFTY)])],
  ['an input nobody knows', 'bad-txns-inputs-missingorspent', () => withTxs([pay([unknown], FIFTY)])],
  [
    'an input spent before in the block',
    'bad-txns-inputs-missingorspent',
    () => withTxs([pay([coinA], FIFTY, 0n), pay([coinA], FIFTY)]),
  ],
  [
    'a child before its parent',
    'bad-txns-inputs-missingorspent',
    () => withTxs([child, pay([coinA], FIFTY - 1000n, 500n)]),
  ],
  ['a young coinbase spent', 'bad-txns-premature-spend-of-coinbase', () => withTxs([pay([immature], 1000n)])],
  ['more out than in', 'bad-txns-in-belowout', () => withTxs([pay([coinA], FIFTY + 1n)])],
  ['a lock that has not passed', 'bad-txns-nonfinal', () => withTxs([spending([coinA], [FIFTY], { locktime: next })])],
  [
    'a relative lock that has not passed',
    'bad-txns-nonfinal',
    () => {
      const input = { prevTxid: coinA.txid, prevIndex: 0, script: new Uint8Array(0), sequence: next, witness: [] }
      return withTxs([spending([], [FIFTY], { inputs: [input] })])
    },
  ],
  [
    'a relative lock in time that has not passed',
    'bad-txns-nonfinal',
    () => {
      const sequence = 0x0040_0000 | 0xffff
      const input = { prevTxid: coinB.txid, prevIndex: 0, script: new Uint8Array(0), sequence, witness: [] }
      return withTxs([spending([], [FIFTY], { inputs: [input] })])
    },
  ],
  [
    'witnesses without a commitment',
    'unexpected-witness',
    () => block(tip, { txs: [coinbase(next, { commitment: null, witness: [] }), witnessed] }),
  ],
  [
    'another commitment',
    'bad-witness-merkle-match',
    () => block(tip, { txs: [coinbase(next, { commitment: new Uint8Array(32).fill(5) }), witnessed] }),
  ],
  [
    'a reserved value of 31 bytes',
    'bad-witness-nonce-size',
    () => block(tip, { txs: [coinbase(next, { others: [witnessed], witness: [new Uint8Array(31)] }), witnessed] }),
  ],
  [
    'too many signature operations',
    'bad-blk-sigops',
    () => withTxs([spending([coinA], [], { outputs: [{ value: FIFTY, script: new Uint8Array(20_001).fill(0xac) }] })]),
  ],
]

const program = process.env['BITCOIN']
const implementations: readonly { readonly name: string; readonly make: () => NodeUnderTest }[] = [
  { name: 'the built-in node', make: () => new BuiltInNode() },
  ...(program === undefined ? [] : [{ name: 'a real bitcoind', make: () => new Bitcoind(program) }]),
]

describe.each(implementations)('$name refuses blocks with the reason of Bitcoin Core', ({ make }) => {
  const caller = new HttpCaller()
  let node: NodeUnderTest
  let client: NodeClient

  beforeAll(async () => {
    node = make()
    client = await node.start({ policy: 'loose', txindex: false })
    for (const raw of blocks) expect(await submit(caller, client, raw)).toBeNull()
  })
  afterAll(async () => {
    caller.close()
    await node.remove()
  })

  it.each(REFUSALS)('%s: %s', async (_what, reason, make) => {
    expect(await submit(caller, client, make())).toBe(reason)
    expect(await call(caller, client, 'getbestblockhash')).toBe(idOf(tip))
  })

  it('a block on top of one that was refused, and that one again', async () => {
    const bad = block(tip, { txs: [coinbase(next, { value: subsidy(next) + 2n })] })
    expect(await submit(caller, client, bad)).toBe('bad-cb-amount')
    expect(await submit(caller, client, bad)).toBe('duplicate-invalid')
    const on: Place = placeOf(bad, tip)
    expect(await submit(caller, client, block(on, { txs: [coinbase(next + 1)] }))).toBe('bad-prevblk')
  })

  it('bytes that are no block', async () => {
    const whole = withTxs([])
    for (const raw of [whole.subarray(0, -1), whole.subarray(0, 80), new Uint8Array(0)]) {
      expect(await call(caller, client, 'submitblock', toHex(raw))).toBe('-22 Block decode failed')
    }
  })

  it('takes a block whose transactions spend each other, then a longer branch without it, and gives them back', async () => {
    const parent = pay([coinA], FIFTY - 1000n, 500n)
    const raw = withTxs([parent, child])
    // Core does not look at bytes behind a block.
    expect(await submit(caller, client, concat(raw, fromHex('00')))).toBeNull()
    expect(await submit(caller, client, raw)).toBe('duplicate')
    const rival = block(tip, { txs: [coinbase(next, { extra: Uint8Array.of(1, 3) })] })
    expect(await submit(caller, client, rival)).toBe('inconclusive')
    const longer = block(placeOf(rival, tip), { txs: [coinbase(next + 1)] })
    expect(await submit(caller, client, longer)).toBeNull()
    const mempool = (await call(caller, client, 'getrawmempool')) as string[]
    expect(mempool.sort()).toEqual([idOf({ ...tip, hash: parent.txid }), idOf({ ...tip, hash: child.txid })].sort())
    const tips = (await call(caller, client, 'getchaintips')) as { status: string; height: number }[]
    // Core knows the headers of blocks that it refused before it kept them; here nothing is known of them.
    const valid = tips.filter(({ status }) => !['invalid', 'headers-only'].includes(status))
    expect(valid.map(({ status, height }) => `${status} ${height}`)).toEqual([
      `active ${next + 1}`,
      `valid-fork ${next}`,
    ])
  })
})
