import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashXOf, isUnspendable } from '../../src/chain/script.ts'
import { fromLatin1, toLatin1 } from '../../src/lib/bytes.ts'
import { silentLogger } from '../../src/log.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import type { MempoolView } from '../../src/mempool/moment.ts'
import { NewsDesk } from '../../src/sync/mempool-news.ts'
import { event, happen } from '../support/model-events.ts'
import {
  ModelNode,
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
              touched = new Set([...touched, ...(await mempool.applyBlock(txidsOf(block), spentBy(block)))])
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
          for (const block of connected) await mempool.applyBlock(txidsOf(block), spentBy(block))
          expectSame(mempool.snapshot(), node)
        }
      }),
      { numRuns: 100 },
    )
  })
})
