import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashXOf, isUnspendable } from '../../src/chain/script.ts'
import type { Tx } from '../../src/chain/tx.ts'
import { fromLatin1, toLatin1 } from '../../src/lib/bytes.ts'
import { silentLogger } from '../../src/log.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import type { MempoolView } from '../../src/mempool/moment.ts'
import { NewsDesk } from '../../src/sync/mempool-news.ts'
import {
  type ModelBlock,
  ModelNode,
  makeTx,
  outpointBytes,
  type ScriptAnswers,
  scriptNumber,
  spentBy,
  touchedBy,
  txidsOf,
} from '../support/model-node.ts'
import { ScriptedDaemon } from '../support/scripted-daemon.ts'

const SCRIPTS = [1, 2, 3, 4, 5, 6]
const HASHXS = SCRIPTS.map((n) => hashXOf(scriptNumber(n)))

/** What may happen to the node; numbers are taken modulo what there is. */
type Event =
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

const event: fc.Arbitrary<Event> = fc.oneof(
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

function spend(
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
function happen(node: ModelNode, it: Event): { readonly connected: ModelBlock[]; readonly lost: boolean } {
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

function answersOf(mempool: MempoolView, hashX: Uint8Array): ScriptAnswers {
  return { items: mempool.items(hashX), utxos: mempool.utxos(hashX), delta: mempool.balanceDelta(hashX) }
}

/** Everything a client could see of a script, as one text. */
async function seen(node: ModelNode, mempool: MempoolView, hashX: Uint8Array): Promise<string> {
  const view = node.view()
  const confirmed = await view.history(hashX, 10_000)
  const utxos = (await view.utxos(hashX)).filter(({ txid, vout }) => !mempool.isSpent(outpointBytes(txid, vout)))
  return JSON.stringify([confirmed, utxos, answersOf(mempool, hashX)], (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? toLatin1(value) : value,
  )
}

function expectSame(mempool: MempoolView, node: ModelNode): void {
  expect(mempool.size).toBe(node.mempool.size)
  for (const hashX of HASHXS) expect(answersOf(mempool, hashX)).toEqual(node.unconfirmed(toLatin1(hashX)))
  const spent = new Set<string>()
  for (const [txid, tx] of node.mempool) {
    expect(mempool.has(txid)).toBe(true)
    for (const { prevTxid, prevIndex } of tx.inputs) spent.add(toLatin1(outpointBytes(prevTxid, prevIndex)))
  }
  for (const outpoint of spent) expect(mempool.isSpent(fromLatin1(outpoint))).toBe(true)
  for (const { txid, vout } of node.spendable()) expect(mempool.isSpent(outpointBytes(txid, vout))).toBe(false)
  // An output that no index keeps has no utxo in the mempool either.
  for (const tx of node.mempool.values()) {
    for (const { script } of tx.outputs) if (isUnspendable(script)) expect(mempool.utxos(hashXOf(script))).toEqual([])
  }
}

describe('Mempool, against a recomputation from scratch', () => {
  it('answers as the model after any events, tells of every script that changed, and its snapshots never change', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(event, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        async (events, batch) => {
          const node = new ModelNode()
          for (let i = 0; i < 3; i++) node.connect([])
          const daemon = new ScriptedDaemon(node)
          const mempool = new Mempool({ batch, inFlight: 2 }, { log: silentLogger() })
          const signal = new AbortController().signal
          const kept: { readonly snapshot: MempoolView; readonly answers: readonly ScriptAnswers[] }[] = []
          let touched = new Set<string>()
          let last = await Promise.all(HASHXS.map((hashX) => seen(node, mempool.snapshot(), hashX)))

          const desk = new NewsDesk()
          let told = 0
          const hear = (): void => {
            for (const notice of node.notices.slice(told)) desk.hear(notice)
            told = node.notices.length
          }
          const step = (stepTouched: Set<string>): 'continue' => {
            touched = new Set([...touched, ...stepTouched])
            return 'continue'
          }
          // By the node's list, or by its notices since the last time.
          const refresh = async (byList: boolean): Promise<void> => {
            if (byList) desk.beginList()
            hear()
            const result = byList
              ? await mempool.refresh(node.view(), daemon, signal, step)
              : await mempool.update(desk.take(), node.view(), daemon, signal, step)
            if (byList) desk.endList(result.sequence, result.changed)
            touched = new Set([...touched, ...result.touched])
            expect(result.outcome).toBe('current')
            expectSame(mempool.snapshot(), node)
            const now = await Promise.all(HASHXS.map((hashX) => seen(node, mempool.snapshot(), hashX)))
            for (const [i, hashX] of HASHXS.entries()) {
              if (now[i] !== last[i]) expect(touched.has(toLatin1(hashX)), `script ${i + 1} changed untold`).toBe(true)
            }
            last = now
            touched = new Set()
          }

          await refresh(true)
          for (const it of [...events, { kind: 'update' as const }, { kind: 'refresh' as const }]) {
            const before = [...node.blocks]
            const { connected, lost } = happen(node, it)
            if (lost) for (const block of before) touched = new Set([...touched, ...touchedBy(before, block)])
            for (const block of connected) {
              touched = new Set([...touched, ...touchedBy(node.blocks, block)])
              touched = new Set([...touched, ...mempool.applyBlock(txidsOf(block), spentBy(block))])
            }
            if (it.kind === 'refresh' || it.kind === 'update') await refresh(it.kind === 'refresh')
            if (it.kind === 'keep') {
              const snapshot = mempool.snapshot()
              kept.push({ snapshot, answers: HASHXS.map((hashX) => answersOf(snapshot, hashX)) })
            }
          }
          for (const { snapshot, answers } of kept) {
            expect(HASHXS.map((hashX) => answersOf(snapshot, hashX))).toEqual(answers)
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  it('has nothing that a block confirmed or made impossible, before the node is asked again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 4, maxLength: 20 }), async (events) => {
        const node = new ModelNode()
        for (let i = 0; i < 3; i++) node.connect([])
        const mempool = new Mempool({}, { log: silentLogger() })
        const daemon = new ScriptedDaemon(node)
        for (const it of events) {
          if (it.kind === 'reorg') continue
          const { connected } = happen(node, it)
          if (connected.length === 0) await mempool.refresh(node.view(), daemon, new AbortController().signal)
          for (const block of connected) mempool.applyBlock(txidsOf(block), spentBy(block))
          expectSame(mempool.snapshot(), node)
        }
      }),
      { numRuns: 100 },
    )
  })
})
