import { describe, expect, it } from 'vitest'
import { hashXOf } from '../../../src/chain/script.ts'
import { DaemonUnavailableError } from '../../../src/errors.ts'
import { toDisplayHex, toLatin1 } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import { Mempool, type MempoolOptions } from '../../../src/mempool/mempool.ts'
import {
  ModelNode,
  makeTx,
  outpointBytes,
  scriptNumber,
  spentBy,
  touchedBy,
  txidsOf,
} from '../../support/model-node.ts'
import { ScriptedDaemon } from '../../support/scripted-daemon.ts'
import { turnsDuring } from '../../support/turns.ts'

const signal = new AbortController().signal
const A = hashXOf(scriptNumber(11))
const B = hashXOf(scriptNumber(12))
const C = hashXOf(scriptNumber(13))
const COIN = 25_0000_0000n

function world(options: Partial<MempoolOptions> = {}) {
  const node = new ModelNode()
  for (let i = 0; i < 12; i++) node.connect([])
  const daemon = new ScriptedDaemon(node)
  const mempool = new Mempool(options, { log: silentLogger() })
  /** The second output of the coinbase of block `height`: COIN satoshis. */
  const coin = (height: number) => ({ txid: node.blocks[height]!.txs[0]!.txid, vout: 1 })
  const refresh = () => mempool.refresh(node.view(), daemon, signal)
  return { node, daemon, mempool, coin, refresh }
}

const idOf = (tx: { readonly txid: Uint8Array }): string => toDisplayHex(tx.txid)

describe('Mempool', () => {
  it('knows fee, height, delta and unspent outputs of a chain of two', async () => {
    const { node, mempool, coin, refresh } = world()
    const parent = makeTx(
      [coin(1)],
      [
        { script: 11, value: COIN - 700n },
        { script: 12, value: 300n },
      ],
    )
    const child = makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 13, value: COIN - 1000n }], 100)
    node.accept(parent)
    node.accept(child)
    await refresh()
    const snapshot = mempool.snapshot()
    expect(snapshot.items(A)).toEqual([
      { txid: idOf(parent), height: 0, fee: 400n },
      { txid: idOf(child), height: -1, fee: 300n },
    ])
    expect(snapshot.balanceDelta(A)).toBe(0n)
    expect(snapshot.utxos(A)).toEqual([])
    expect(snapshot.utxos(B)).toEqual([{ txid: idOf(parent), vout: 1, value: 300n }])
    expect(snapshot.balanceDelta(hashXOf(scriptNumber(4)))).toBe(-COIN)
    expect(snapshot.isSpent(outpointBytes(coin(1).txid, 1))).toBe(true)
    expect(snapshot.recent(10)).toContainEqual({ txid: idOf(child), fee: 300n, vsize: child.vsize })
    expect(child.vsize).toBeLessThan(child.raw.length)
  })

  it('lists items with height 0 before -1, each by txid as displayed', async () => {
    const { node, mempool, coin, refresh } = world()
    for (let i = 1; i < 6; i++) {
      const parent = makeTx([coin(i)], [{ script: 11, value: COIN }])
      node.accept(parent)
      node.accept(makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 11, value: COIN }]))
    }
    await refresh()
    const items = mempool.snapshot().items(A)
    expect(items.map(({ height }) => height)).toEqual([0, 0, 0, 0, 0, -1, -1, -1, -1, -1])
    const txids = items.map(({ txid }) => txid)
    expect(txids.slice(0, 5)).toEqual(txids.slice(0, 5).toSorted())
    expect(txids.slice(5)).toEqual(txids.slice(5).toSorted())
  })

  it('raises a child to height 0 when a block confirms its parent, and touches its scripts', async () => {
    const { node, mempool, coin, refresh } = world()
    const parent = makeTx([coin(1)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 13, value: COIN }])
    node.accept(parent)
    node.accept(child)
    await refresh()
    expect(mempool.snapshot().items(C)[0]?.height).toBe(-1)
    const block = node.connect([parent])
    const touched = await mempool.applyBlock(txidsOf(block), spentBy(block))
    expect(mempool.snapshot().items(C)).toEqual([{ txid: idOf(child), height: 0, fee: 0n }])
    expect(touched.has(toLatin1(C))).toBe(true)
  })

  it('takes out what conflicts with a block, with all that depends on it', async () => {
    const { node, mempool, coin, refresh } = world()
    const loser = makeTx([coin(1), coin(2)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: loser.txid, vout: 0 }], [{ script: 12, value: COIN }])
    const grandchild = makeTx([{ txid: child.txid, vout: 0 }, coin(3)], [{ script: 13, value: COIN }])
    const bystander = makeTx([coin(4)], [{ script: 13, value: COIN }])
    for (const tx of [loser, child, grandchild, bystander]) node.accept(tx)
    await refresh()
    const block = node.connect([makeTx([coin(2)], [{ script: 20, value: COIN }])])
    const touched = await mempool.applyBlock(txidsOf(block), spentBy(block))
    const snapshot = mempool.snapshot()
    expect(snapshot.size).toBe(1)
    expect(snapshot.items(C).map(({ txid }) => txid)).toEqual([idOf(bystander)])
    for (const n of [1, 3]) expect(snapshot.isSpent(outpointBytes(coin(n).txid, 1))).toBe(false)
    for (const hashX of [A, B, C]) expect(touched.has(toLatin1(hashX))).toBe(true)
  })

  it('shows a replacement in one step: the old one until the new one is there', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const old = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(old)
    await refresh()
    const replacement = makeTx([coin(1)], [{ script: 12, value: COIN - 5n }])
    node.accept(replacement)
    const during: number[] = []
    daemon.before = (call) => {
      if (call === 'mempoolTransactions') during.push(mempool.snapshot().items(A).length)
    }
    const { touched } = await refresh()
    expect(during).toEqual([1])
    expect(mempool.snapshot().items(A)).toEqual([])
    expect(mempool.snapshot().items(B)).toEqual([{ txid: idOf(replacement), height: 0, fee: 5n }])
    expect(touched).toEqual(new Set([4, 11, 12].map((n) => toLatin1(hashXOf(scriptNumber(n))))))
  })

  it('changes nothing while the node stands on another tip than the view', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const tx = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(tx)
    await refresh()
    const view = node.view()
    node.connect([tx])
    const result = await mempool.refresh(view, daemon, signal)
    expect(result.outcome).toBe('behind')
    expect(result.node.blocks).toBe(node.height)
    expect(mempool.snapshot().has(idOf(tx))).toBe(true)
  })

  it('asks for what it was told of while the node still says on which tip it is', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    await refresh()
    const tx = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(tx)
    let fetching: () => void = () => undefined
    const fetched = new Promise<void>((resolve) => {
      fetching = resolve
    })
    daemon.before = (call) => {
      if (call === 'mempoolTransactions') fetching()
      return call === 'chainInfo' ? fetched : undefined
    }
    const news = { added: [idOf(tx)], removed: [] }
    expect(await mempool.update(news, node.view(), daemon, signal)).toMatchObject({ outcome: 'current' })
    expect(mempool.snapshot().items(A)).toEqual([{ txid: idOf(tx), height: 0, fee: 0n }])
  })

  it('takes nothing that it was told of, and says why, while the node stands on another tip', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const [kept, replaced, fresh] = [1, 2, 3].map((n) => makeTx([coin(n)], [{ script: 10 + n, value: COIN }]))
    node.accept(kept!)
    node.accept(replaced!)
    await refresh()
    node.accept(fresh!)
    const view = node.view()
    node.connect([])
    const news = { added: [idOf(fresh!)], removed: [idOf(replaced!)] }
    expect(await mempool.update(news, view, daemon, signal)).toMatchObject({ outcome: 'behind', changed: [] })
    expect([kept, replaced, fresh].map((tx) => mempool.snapshot().has(idOf(tx!)))).toEqual([true, true, false])
    // The same where what is new cannot be had.
    daemon.before = (call) => {
      if (call === 'mempoolTransactions') throw new DaemonUnavailableError('gone')
    }
    expect(await mempool.update(news, view, daemon, signal)).toMatchObject({ outcome: 'behind' })
    await expect(mempool.update(news, node.view(), daemon, signal)).rejects.toThrow('gone')
    expect(mempool.size).toBe(2)
  })

  it('takes nothing for gone because of the answers of two nodes', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const tx = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(tx)
    await refresh()
    // The list of one that had not heard of it; then another one says on which tip it is.
    daemon.mempoolIds = () => Promise.resolve({ txids: [], sequence: undefined, waited: 0 })
    daemon.before = (call) => {
      if (call === 'chainInfo') daemon.turn += 1
    }
    expect(await refresh()).toMatchObject({ outcome: 'behind', changed: [] })
    expect(mempool.size).toBe(1)
    daemon.before = undefined
    await refresh()
    expect(mempool.size).toBe(0)
  })

  it('keeps what a node that was started anew has not loaded yet, and drops what it never has again', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const [back, lost, fresh] = [1, 2, 3].map((height) => makeTx([coin(height)], [{ script: 11, value: COIN }]))
    for (const tx of [back!, lost!]) node.accept(tx)
    await refresh()
    node.mempool.clear()
    daemon.loaded = false
    expect(await refresh()).toMatchObject({ outcome: 'current', loading: true, changed: [] })
    node.accept(fresh!)
    expect(await refresh()).toMatchObject({ loading: true, changed: [idOf(fresh!)] })
    expect(mempool.size).toBe(3)
    // It comes to the end between the list and the question whether it has: the list was from before.
    daemon.before = (call) => {
      if (call !== 'mempoolInfo' || daemon.loaded) return
      daemon.loaded = true
      node.accept(back!)
    }
    expect(await refresh()).toMatchObject({ loading: true })
    expect(mempool.size).toBe(3)
    expect(await refresh()).toMatchObject({ loading: false, changed: [idOf(lost!)] })
    expect(
      mempool
        .snapshot()
        .items(A)
        .map(({ txid }) => txid)
        .toSorted(),
    ).toEqual([idOf(back!), idOf(fresh!)].toSorted())
    daemon.calls.length = 0
    await refresh()
    expect(daemon.calls).not.toContain('mempoolInfo')
  })

  it('is whole only when everything is here that the node has', async () => {
    const { node, daemon, mempool, coin, refresh } = world({ batch: 1, inFlight: 1 })
    const isWhole = () => mempool.snapshot().whole
    const steps: boolean[] = []
    const step = (): 'continue' => {
      steps.push(isWhole())
      return 'continue'
    }
    const accept = (...heights: readonly number[]): string[] =>
      heights.map((height) => {
        const tx = makeTx([coin(height)], [{ script: 11, value: COIN }])
        node.accept(tx)
        return idOf(tx)
      })
    expect(isWhole()).toBe(false)
    // A node that was started with a mempool of its own, and has not loaded all of it.
    accept(1, 2)
    daemon.loaded = false
    expect(await refresh()).toMatchObject({ outcome: 'current', loading: true })
    expect([mempool.size, mempool.complete, isWhole()]).toEqual([2, false, false])
    daemon.loaded = true
    await refresh()
    expect(await refresh()).toMatchObject({ loading: false })
    expect([mempool.complete, isWhole()]).toEqual([true, true])
    // Many at once, by its list and by its notices.
    accept(3, 4)
    await mempool.refresh(node.view(), daemon, signal, step)
    expect(isWhole()).toBe(true)
    await mempool.update({ added: accept(5, 6), removed: [] }, node.view(), daemon, signal, step)
    expect(isWhole()).toBe(true)
    expect(steps).toEqual([false, false])
    // What was interrupted is so until the next list has been taken over, whatever notices tell meanwhile.
    accept(7, 8)
    await mempool.refresh(node.view(), daemon, signal, () => 'pause')
    await mempool.update({ added: accept(9), removed: [] }, node.view(), daemon, signal)
    expect([mempool.size, isWhole()]).toEqual([8, false])
    await refresh()
    expect([mempool.size, isWhole()]).toEqual([9, true])
    // A node that is started anew later has told before what it has.
    daemon.loaded = false
    node.mempool.clear()
    expect(await refresh()).toMatchObject({ loading: true })
    expect(isWhole()).toBe(true)
  })

  it('holds a transaction back until its parent is known, and fetches it only once', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const parent = makeTx([coin(1)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 12, value: COIN }])
    node.accept(parent)
    node.accept(child)
    const fetch = daemon.mempoolTransactions.bind(daemon)
    const asked: string[] = []
    let hide = true
    daemon.mempoolTransactions = async (txids) => {
      const raws = await fetch(txids)
      asked.push(...txids)
      return raws.map((raw, i) => (hide && txids[i] === idOf(parent) ? undefined : raw))
    }
    await refresh()
    expect(mempool.snapshot().size).toBe(0)
    expect(mempool.waiting).toBe(1)
    daemon.before = (call) => {
      daemon.away = call === 'mempoolTransactions'
    }
    await expect(refresh()).rejects.toBeInstanceOf(DaemonUnavailableError)
    expect(mempool.waiting).toBe(1)
    daemon.before = undefined
    daemon.away = false
    hide = false
    await refresh()
    expect(mempool.snapshot().items(B)).toEqual([{ txid: idOf(child), height: -1, fee: 0n }])
    expect(mempool.waiting).toBe(0)
    expect(asked.filter((txid) => txid === idOf(child))).toHaveLength(1)
  })

  it('takes in a held back transaction once a block has its parent', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const parent = makeTx([coin(1)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 12, value: COIN }])
    node.accept(parent)
    node.accept(child)
    const fetch = daemon.mempoolTransactions.bind(daemon)
    daemon.mempoolTransactions = async (txids) => {
      const raws = await fetch(txids)
      return raws.map((raw, i) => (txids[i] === idOf(parent) ? undefined : raw))
    }
    await refresh()
    const block = node.connect([parent])
    await mempool.applyBlock(txidsOf(block), spentBy(block))
    await refresh()
    expect(mempool.snapshot().items(B)).toEqual([{ txid: idOf(child), height: 0, fee: 0n }])
  })

  it('keeps no more held back transactions than it may, and fetches the others again', async () => {
    const { node, daemon, mempool, coin, refresh } = world({ orphans: 2 })
    const parent = makeTx(
      [coin(1)],
      [1, 2, 3, 4].map(() => ({ script: 11, value: COIN / 4n })),
    )
    node.accept(parent)
    for (let vout = 0; vout < 4; vout++) {
      node.accept(makeTx([{ txid: parent.txid, vout }], [{ script: 12, value: COIN / 4n }]))
    }
    const fetch = daemon.mempoolTransactions.bind(daemon)
    let hide = true
    daemon.mempoolTransactions = async (txids) => {
      const raws = await fetch(txids)
      return raws.map((raw, i) => (hide && txids[i] === idOf(parent) ? undefined : raw))
    }
    await refresh()
    expect([mempool.size, mempool.waiting]).toEqual([0, 2])
    hide = false
    await refresh()
    expect([mempool.size, mempool.waiting]).toEqual([5, 0])
  })

  it('forgets held back transactions that leave the node', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const parent = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(parent)
    node.accept(makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 12, value: COIN }]))
    const fetch = daemon.mempoolTransactions.bind(daemon)
    daemon.mempoolTransactions = async (txids) => {
      const raws = await fetch(txids)
      return raws.map((raw, i) => (txids[i] === idOf(parent) ? undefined : raw))
    }
    await refresh()
    expect(mempool.waiting).toBe(1)
    node.evict(parent)
    await refresh()
    expect(mempool.waiting).toBe(0)
  })

  it('passes over a transaction that cannot be read, asks for it once, and serves the others', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const good = makeTx([coin(1)], [{ script: 11, value: COIN }])
    const bad = makeTx([coin(2)], [{ script: 12, value: COIN }])
    node.accept(good)
    node.accept(bad)
    const fetch = daemon.mempoolTransactions.bind(daemon)
    const asked: string[] = []
    daemon.mempoolTransactions = async (txids) => {
      asked.push(...txids)
      const raws = await fetch(txids)
      return raws.map((raw, i) => (txids[i] === idOf(bad) ? raw?.subarray(0, 20) : raw))
    }
    await refresh()
    await refresh()
    expect(mempool.snapshot().size).toBe(1)
    expect(asked.filter((txid) => txid === idOf(bad))).toHaveLength(1)
    expect((await refresh()).outcome).toBe('current')
  })

  it('takes a large mempool in by steps and stops between them when asked to, without losing any', async () => {
    const { node, daemon, mempool, coin } = world({ batch: 2, inFlight: 2 })
    for (let i = 1; i < 11; i++) node.accept(makeTx([coin(i)], [{ script: 11, value: COIN }]))
    const sizes: number[] = []
    const paused = await mempool.refresh(node.view(), daemon, signal, (touched) => {
      sizes.push(mempool.size)
      expect(touched.has(toLatin1(A))).toBe(true)
      return 'pause'
    })
    expect(paused.outcome).toBe('paused')
    expect(sizes).toEqual([4])
    expect(mempool.snapshot().complete).toBe(false)
    const rest = await mempool.refresh(node.view(), daemon, signal, () => {
      sizes.push(mempool.size)
      return 'continue'
    })
    expect(rest.outcome).toBe('current')
    expect(sizes).toEqual([4, 8])
    expect(mempool.snapshot().items(A)).toHaveLength(10)
    expect(mempool.snapshot().complete).toBe(true)
  })

  it('lets others have turns while it drops what left the node at once', async () => {
    const { node, mempool, coin, refresh } = world()
    const count = 800
    const fan = makeTx(
      [coin(1)],
      Array.from({ length: count }, () => ({ script: 11, value: 5_000n })),
    )
    node.accept(fan)
    for (let vout = 0; vout < count; vout++) {
      node.accept(makeTx([{ txid: fan.txid, vout }], [{ script: 12, value: 4_000n }]))
    }
    await refresh()
    expect(mempool.size).toBe(count + 1)
    node.evict(fan)
    let turns = 0
    let isOver = false
    const turn = (): void => {
      turns += 1
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    const { touched } = await refresh()
    isOver = true
    expect(mempool.size).toBe(0)
    expect(touched.has(toLatin1(B))).toBe(true)
    expect(turns).toBeGreaterThanOrEqual(3)
  })

  it('lets others have turns while it looks for the one of very many that has gone', async () => {
    const { node, mempool, coin, refresh } = world()
    const count = 30_000
    const fan = makeTx(
      [coin(1)],
      Array.from({ length: count }, () => ({ script: 11, value: 5_000n })),
    )
    const last = makeTx([coin(2)], [{ script: 12, value: 4_000n }])
    // Not by accept(), which looks for what each is in conflict with.
    for (const tx of [fan, last]) node.mempool.set(idOf(tx), tx)
    for (let vout = 1; vout < count; vout++) {
      const tx = makeTx([{ txid: fan.txid, vout }], [{ script: 0, value: 4_000n }])
      node.mempool.set(idOf(tx), tx)
    }
    await refresh()
    expect(mempool.size).toBe(count + 1)
    node.mempool.delete(idOf(last))
    const gone = await turnsDuring(refresh)
    expect([...gone.result.touched]).toContain(toLatin1(B))
    expect(mempool.size).toBe(count)
    // All ids are gone through once where none is gone, and then twice more.
    const { turns } = await turnsDuring(refresh)
    expect(turns).toBeGreaterThanOrEqual(3)
    expect(gone.turns).toBeGreaterThanOrEqual(2 * turns)
  })

  it('lets others have turns while a block takes thousands of transactions out', async () => {
    const { node, mempool, coin, refresh } = world()
    const count = 3000
    const fan = makeTx(
      [coin(1)],
      Array.from({ length: count }, () => ({ script: 11, value: 5_000n })),
    )
    node.connect([fan])
    const spends = Array.from({ length: count }, (_, vout) =>
      makeTx([{ txid: fan.txid, vout }], [{ script: 12, value: 4_000n }]),
    )
    for (const tx of spends) node.mempool.set(idOf(tx), tx)
    await refresh()
    expect(mempool.size).toBe(count)
    const before = mempool.snapshot()
    const block = node.connect(spends.slice(0, count - 1))
    const { result, turns } = await turnsDuring(async () => mempool.applyBlock(txidsOf(block), spentBy(block)))
    expect(turns).toBeGreaterThanOrEqual(10)
    expect([...result]).toContain(toLatin1(B))
    expect([before.size, mempool.size]).toEqual([count, 1])
  })

  it('is not misled by an id that the node lists twice', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const tx = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(tx)
    daemon.mempoolIds = () => Promise.resolve({ txids: [idOf(tx), idOf(tx)], sequence: undefined, waited: 0 })
    await refresh()
    expect(mempool.snapshot().items(A)).toHaveLength(1)
  })

  it('keeps what it has when the node goes away in the middle, and goes on when it is back', async () => {
    const { node, daemon, mempool, coin, refresh } = world({ batch: 1, inFlight: 1 })
    for (let i = 1; i < 6; i++) node.accept(makeTx([coin(i)], [{ script: 11, value: COIN }]))
    daemon.before = () => {
      daemon.away = daemon.calls.filter((call) => call === 'mempoolTransactions').length > 2
    }
    await expect(refresh()).rejects.toBeInstanceOf(DaemonUnavailableError)
    expect(mempool.size).toBe(2)
    daemon.before = undefined
    daemon.away = false
    await refresh()
    expect(mempool.size).toBe(5)
  })

  it('rejects with the abort when the signal aborts between two answers', async () => {
    const { node, daemon, mempool, coin } = world()
    node.accept(makeTx([coin(1)], [{ script: 11, value: COIN }]))
    const stop = new AbortController()
    daemon.before = (call) => {
      if (call === 'mempoolTransactions') stop.abort()
    }
    await expect(mempool.refresh(node.view(), daemon, stop.signal)).rejects.toMatchObject({ name: 'AbortError' })
    expect(mempool.size).toBe(0)
  })

  it('follows what the node tells of changes as it follows the list', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const old = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(old)
    await refresh()
    const better = makeTx([coin(1)], [{ script: 12, value: COIN - 5n }])
    const child = makeTx([{ txid: better.txid, vout: 0 }], [{ script: 13, value: COIN - 9n }])
    node.accept(better)
    node.accept(child)
    const news = { added: [child, better].map(idOf), removed: [idOf(old)] }
    const result = await mempool.update(news, node.view(), daemon, signal)
    expect(result).toMatchObject({ outcome: 'current', changed: [idOf(old), idOf(child), idOf(better)] })
    expect(mempool.snapshot().items(A)).toEqual([])
    expect(mempool.snapshot().items(C)).toEqual([{ txid: idOf(child), height: -1, fee: 4n }])
    // Said once more, or of what is not there: nothing happens.
    const again = { added: [...news.added, idOf(old)], removed: [idOf(old), '00'.repeat(32)] }
    expect((await mempool.update(again, node.view(), daemon, signal)).touched.size).toBe(0)
    expect(mempool.size).toBe(2)
  })

  it('takes in a replacement also before it is told that the old one is gone', async () => {
    const { node, daemon, mempool, coin, refresh } = world()
    const old = makeTx([coin(1)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: old.txid, vout: 0 }], [{ script: 12, value: COIN }])
    node.accept(old)
    node.accept(child)
    await refresh()
    const better = makeTx([coin(1)], [{ script: 13, value: COIN - 5n }])
    node.accept(better)
    const { touched } = await mempool.update({ added: [idOf(better)], removed: [] }, node.view(), daemon, signal)
    expect(mempool.size).toBe(1)
    for (const hashX of [A, B, C]) expect(touched.has(toLatin1(hashX))).toBe(true)
  })

  it('names the last ten arrivals, newest first, without those that are gone', async () => {
    const { node, mempool, coin, refresh } = world()
    const txs = Array.from({ length: 11 }, (_, i) => makeTx([coin(i + 1)], [{ script: 11, value: COIN - BigInt(i) }]))
    for (const tx of txs) {
      node.accept(tx)
      await refresh()
    }
    const newest = txs.map(idOf).toReversed()
    expect(
      mempool
        .snapshot()
        .recent(10)
        .map(({ txid }) => txid),
    ).toEqual(newest.slice(0, 10))
    node.evict(txs[10]!)
    await refresh()
    expect(
      mempool
        .snapshot()
        .recent(3)
        .map(({ txid }) => txid),
    ).toEqual(newest.slice(1, 4))
    expect(mempool.snapshot().recent(10)).toHaveLength(10)
  })

  it('has a parent back after a reorganisation and lowers its child to -1', async () => {
    const { node, mempool, coin, refresh } = world()
    const parent = makeTx([coin(1)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: parent.txid, vout: 0 }], [{ script: 12, value: COIN }])
    const block = node.connect([parent])
    node.accept(child)
    await refresh()
    expect(mempool.snapshot().items(B)[0]?.height).toBe(0)
    expect(touchedBy(node.blocks, block).has(toLatin1(B))).toBe(false)
    node.disconnect()
    node.connect([])
    const { touched } = await refresh()
    expect(mempool.snapshot().items(B)[0]?.height).toBe(-1)
    expect(touched.has(toLatin1(B))).toBe(true)
  })

  it('renews the fee histogram when told to and not before', async () => {
    const { node, mempool, coin, refresh } = world()
    node.accept(makeTx([coin(1)], [{ script: 11, value: COIN - 90_000n }], 160_000))
    await refresh()
    expect(mempool.snapshot().feeHistogram()).toEqual([])
    mempool.renewHistogram()
    const [bin] = mempool.snapshot().feeHistogram()
    expect(bin?.[1]).toBeGreaterThan(40_000)
    expect(bin?.[0]).toBe(Math.floor((10 * 90_000) / (bin?.[1] ?? 1)) / 10)
  })
})
