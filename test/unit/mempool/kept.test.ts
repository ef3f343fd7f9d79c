import { describe, expect, it } from 'vitest'
import type { Tx } from '../../../src/chain/tx.ts'
import { toDisplayHex, toLatin1 } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import { Mempool, type MempoolOptions } from '../../../src/mempool/mempool.ts'
import { ModelNode, makeTx, outpointBytes, spentBy, txidsOf } from '../../support/model-node.ts'
import { ScriptedDaemon } from '../../support/scripted-daemon.ts'

const signal = new AbortController().signal
const COIN = 25_0000_0000n
/** What marks a transaction here: a witness of so many bytes. */
const MARKED = 77

function world(options: Partial<MempoolOptions> = {}) {
  const node = new ModelNode()
  for (let i = 0; i < 12; i++) node.connect([])
  const daemon = new ScriptedDaemon(node)
  /** Confirmed outputs that matter, and how often each was asked for. */
  const carriers = new Set<string>()
  const asked = new Map<string, number>()
  const interest = {
    marks: (raw: Uint8Array) => toLatin1(raw).includes('\0'.repeat(MARKED)),
    carries: (_view: unknown, outpoint: Uint8Array) => {
      const key = toLatin1(outpoint)
      asked.set(key, (asked.get(key) ?? 0) + 1)
      return carriers.has(key)
    },
  }
  const mempool = new Mempool(options, { log: silentLogger(), interest })
  const coin = (height: number) => ({ txid: node.blocks[height]!.txs[0]!.txid, vout: 1 })
  const carry = ({ txid, vout }: { txid: Uint8Array; vout: number }) =>
    void carriers.add(toLatin1(outpointBytes(txid, vout)))
  const refresh = () => mempool.refresh(node.view(), daemon, signal)
  const kept = () => mempool.snapshot().kept.txs.map(({ txid }) => txid)
  return { node, mempool, coin, carry, carriers, asked, refresh, kept }
}

const idOf = (tx: Tx): string => toDisplayHex(tx.txid)
const on = (tx: Tx) => ({ txid: tx.txid, vout: 0 })
const pay = [{ script: 11, value: COIN }]

describe('transactions that are kept whole', () => {
  it('are those with a mark, those that spend what carries something, and all that spend outputs of such', async () => {
    const { node, mempool, coin, carry, refresh, kept } = world()
    carry(coin(2))
    const marked = makeTx([coin(1)], pay, MARKED)
    const spender = makeTx([coin(2)], pay)
    const child = makeTx([on(spender), coin(3)], pay)
    const grandchild = makeTx([on(child)], pay)
    const plain = makeTx([coin(4)], pay)
    const ofPlain = makeTx([on(plain)], pay)
    for (const tx of [marked, plain, spender, child, ofPlain, grandchild]) node.accept(tx)
    await refresh()
    expect(kept().toSorted()).toEqual([marked, spender, child, grandchild].map(idOf).toSorted())
    const { txs } = mempool.snapshot().kept
    expect(txs.find(({ txid }) => txid === idOf(child))?.raw).toEqual(Uint8Array.from(child.raw))
    expect(txs.map(({ order }) => order)).toEqual(txs.map(({ order }) => order).toSorted((a, b) => a - b))
    expect(mempool.snapshot().orderOf(idOf(plain))).toBeDefined()
    expect(mempool.snapshot().orderOf('ab'.repeat(32))).toBeUndefined()
  })

  it('are forgotten when they go, while snapshots keep what they had and unchanged ones share a list', async () => {
    const { node, mempool, coin, carry, refresh, kept } = world()
    carry(coin(2))
    const parent = makeTx([coin(2)], pay)
    const child = makeTx([on(parent)], pay)
    for (const tx of [parent, child]) node.accept(tx)
    await refresh()
    const before = mempool.snapshot().kept
    node.accept(makeTx([coin(5)], pay))
    await refresh()
    expect(mempool.snapshot().kept).toBe(before)
    const block = node.connect([parent])
    await mempool.applyBlock(txidsOf(block), spentBy(block))
    expect(kept()).toEqual([idOf(child)])
    expect([before.has(idOf(parent)), mempool.snapshot().kept.has(idOf(parent))]).toEqual([true, false])
    const rival = node.connect([makeTx([on(parent)], pay)])
    await mempool.applyBlock(txidsOf(rival), spentBy(rival))
    expect(kept()).toEqual([])
  })

  it('have their bytes up to a limit, and are named without beyond it', async () => {
    const { node, mempool, coin, carry, refresh } = world({ keptBytes: 250 })
    for (const n of [1, 2, 3, 4]) carry(coin(n))
    for (const n of [1, 2, 3, 4]) node.accept(makeTx([coin(n)], pay))
    await refresh()
    const { txs } = mempool.snapshot().kept
    const held = txs.filter(({ raw }) => raw !== undefined)
    expect(txs).toHaveLength(4)
    expect(held.length).toBeGreaterThan(0)
    expect(held.length).toBeLessThan(4)
    expect(mempool.keptTransactions).toBe(4)
    expect(mempool.keptBytes).toBe(held.reduce((sum, { raw }) => sum + raw!.length, 0))
    expect(mempool.keptBytes).toBeLessThanOrEqual(250)
  })

  it('are looked for again after a reorganisation', async () => {
    const { node, mempool, coin, carry, refresh, kept } = world()
    const spender = makeTx([coin(2)], pay)
    const child = makeTx([on(spender)], pay)
    for (const tx of [spender, child]) node.accept(tx)
    await refresh()
    expect(kept()).toEqual([])
    carry(coin(2))
    await refresh()
    expect(kept()).toEqual([])
    mempool.rolledBack()
    await refresh()
    expect(kept()).toEqual([spender, child].map(idOf))
    expect(mempool.snapshot().kept.txs.map(({ raw }) => raw)).toEqual([undefined, undefined])
  })

  it('are looked for again among those that waited for a parent during a reorganisation too', async () => {
    const { node, mempool, coin, carry, refresh, kept } = world()
    const parent = makeTx([coin(3)], pay)
    const waiting = makeTx([coin(2), on(parent)], pay)
    for (const tx of [parent, waiting]) node.accept(tx)
    node.mempool.delete(idOf(parent))
    await refresh()
    expect(mempool.waiting).toBe(1)
    carry(coin(2))
    mempool.rolledBack()
    node.mempool.set(idOf(parent), parent)
    await refresh()
    expect(mempool.waiting).toBe(0)
    expect(kept()).toEqual([idOf(waiting)])
  })

  it('are those too that waited for one parent while a block confirmed the other, which carries something', async () => {
    const { node, mempool, coin, carry, refresh, kept } = world()
    carry(coin(2))
    const carrier = makeTx([coin(2)], pay)
    const late = makeTx([coin(3)], pay)
    const waiting = makeTx([on(carrier), on(late)], pay)
    const child = makeTx([on(waiting)], pay)
    for (const tx of [carrier, late, waiting, child]) node.accept(tx)
    node.mempool.delete(idOf(late))
    await refresh()
    expect([mempool.waiting, kept()]).toEqual([2, [idOf(carrier)]])
    const block = node.connect([carrier])
    await mempool.applyBlock(txidsOf(block), spentBy(block))
    carry(on(carrier))
    node.mempool.set(idOf(late), late)
    await refresh()
    expect(mempool.waiting).toBe(0)
    expect(kept()).toEqual([waiting, child].map(idOf))
  })

  it('cost the others one question for each confirmed input, once', async () => {
    const { node, asked, coin, refresh, kept } = world()
    const parent = makeTx([coin(2), coin(3)], pay)
    for (const tx of [parent, makeTx([on(parent)], pay)]) node.accept(tx)
    await refresh()
    await refresh()
    node.accept(makeTx([coin(4)], pay))
    await refresh()
    expect(kept()).toEqual([])
    expect([...asked.values()]).toEqual([1, 1, 1])
  })
})
