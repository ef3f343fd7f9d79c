import * as fc from 'fast-check'
import type { Tx } from '../../src/chain/tx.ts'
import { toLatin1 } from '../../src/lib/bytes.ts'
import { type ModelBlock, type ModelNode, makeTx, outpointBytes } from './model-node.ts'

/** What may happen to the node; numbers are taken modulo what there is. */
export type Event =
  | {
      readonly kind: 'arrive'
      readonly coins: readonly number[]
      readonly pays: readonly number[]
      readonly fee: number
    }
  | { readonly kind: 'replace'; readonly victim: number; readonly pays: readonly number[] }
  | { readonly kind: 'evict'; readonly victim: number }
  | { readonly kind: 'mine'; readonly take: number }
  | { readonly kind: 'mine-conflict'; readonly victim: number; readonly pays: readonly number[] }
  | { readonly kind: 'reorg'; readonly depth: number; readonly take: number; readonly drop: number }
  | { readonly kind: 'refresh' }
  | { readonly kind: 'update' }
  | { readonly kind: 'keep' }

const scripts = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 3 })
const pick = fc.nat(1000)

export const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('arrive' as const),
      coins: fc.array(pick, { minLength: 1, maxLength: 3 }),
      pays: scripts,
      fee: fc.integer({ min: 0, max: 5000 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('replace' as const), victim: pick, pays: scripts }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('evict' as const), victim: pick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('mine' as const), take: fc.nat(8) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mine-conflict' as const), victim: pick, pays: scripts }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('reorg' as const),
      depth: fc.integer({ min: 1, max: 2 }),
      take: fc.nat(8),
      drop: fc.nat(2),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'refresh' as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: 'update' as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'keep' as const }) },
)

export function spend(
  node: ModelNode,
  coins: readonly { txid: Uint8Array; vout: number; value: bigint }[],
  pays: readonly number[],
  fee: number,
): Tx | undefined {
  const total = coins.reduce((sum, { value }) => sum + value, 0n) - BigInt(fee)
  const each = total / BigInt(pays.length)
  if (coins.length === 0 || each < 0n) return undefined
  return makeTx(
    coins,
    pays.map((script) => ({ script, value: each })),
    fee % 300,
  )
}

/** Makes an event happen to the node; gives the blocks that were connected by it. */
export function happen(node: ModelNode, it: Event): { readonly connected: ModelBlock[]; readonly lost: boolean } {
  const pool = [...node.mempool.values()]
  switch (it.kind) {
    case 'arrive': {
      const spendable = node.spendable()
      const coins = [...new Set(it.coins.map((n) => spendable[n % spendable.length]!))]
      const tx = spend(node, coins, it.pays, it.fee)
      if (tx !== undefined) node.accept(tx)
      return { connected: [], lost: false }
    }
    case 'replace': {
      const tx = conflictOf(node, pool, it)
      if (tx !== undefined) node.accept(tx)
      return { connected: [], lost: false }
    }
    case 'evict':
      if (pool.length > 0) node.evict(pool[it.victim % pool.length]!)
      return { connected: [], lost: false }
    case 'mine':
      return { connected: [node.connect(node.minable().slice(0, it.take))], lost: false }
    case 'mine-conflict': {
      const tx = conflictOf(node, pool, it)
      const confirmed = node.confirmedUnspent()
      const valid = tx?.inputs.every((i) => confirmed.has(toLatin1(outpointBytes(i.prevTxid, i.prevIndex)))) ?? false
      return { connected: [node.connect(tx !== undefined && valid ? [tx] : [])], lost: false }
    }
    case 'reorg': {
      const depth = Math.min(it.depth, node.height)
      for (let i = 0; i < depth; i++) node.disconnect()
      for (const tx of [...node.mempool.values()].slice(0, it.drop)) node.evict(tx)
      const connected = []
      for (let i = 0; i <= depth; i++) connected.push(node.connect(i === 0 ? node.minable().slice(0, it.take) : []))
      return { connected, lost: true }
    }
    default:
      return { connected: [], lost: false }
  }
}

/** A transaction that spends the first confirmed or unconfirmed coin that a mempool transaction spends. */
function conflictOf(
  node: ModelNode,
  pool: readonly Tx[],
  it: { victim: number; pays: readonly number[] },
): Tx | undefined {
  const victim = pool[it.victim % Math.max(pool.length, 1)]
  if (victim === undefined) return undefined
  const input = victim.inputs[0]!
  const parent = pool.find((tx) => toLatin1(tx.txid) === toLatin1(input.prevTxid))
  const value =
    parent?.outputs[input.prevIndex]?.value ??
    node.confirmedUnspent().get(toLatin1(outpointBytes(input.prevTxid, input.prevIndex)))?.value
  if (value === undefined) return undefined
  return spend(node, [{ txid: input.prevTxid, vout: input.prevIndex, value }], it.pays, 0)
}
