import { describe, expect, it } from 'vitest'
import type { Tx } from '../../../../src/chain/tx.ts'
import { DaemonError } from '../../../../src/errors.ts'
import { equalBytes, toDisplayHex } from '../../../../src/lib/bytes.ts'
import { unconfirmedParents } from '../../../../src/rpc/methods/atomicals/unconfirmed-parents.ts'
import { type Outpoint, out, spend } from '../../../support/atomicals-chain.ts'
import { FakeDaemon, FakeMoment } from '../../../support/fake-context.ts'

/** A node with a mempool, and blocks that we do not have yet. */
class Node extends FakeDaemon {
  readonly pool: readonly Tx[]
  readonly newest: readonly Tx[]
  readonly asked: string[] = []
  /** What the chain of the node has unspent besides: by `<txid>:<vout>`. */
  readonly unspent = new Set<string>()

  /** Hashes of its chain as displayed, by height. */
  readonly hashes = new Map<number, string>()

  constructor(pool: readonly Tx[], newest: readonly Tx[] = []) {
    super()
    this.pool = pool
    this.newest = newest
  }

  override async mempoolTransactions(txids: readonly string[] = []): Promise<never> {
    this.asked.push(...txids)
    return txids.map((id) => this.pool.find(({ txid }) => toDisplayHex(txid) === id)?.raw) as never
  }

  override async blockHashes(start = 0): Promise<never> {
    return [this.hashes.get(start)].filter((hash) => hash !== undefined) as never
  }

  override async unspentOutputs(outpoints: readonly { txid: string; vout: number }[] = []): Promise<never> {
    return outpoints.map(({ txid, vout }) =>
      this.unspent.has(`${txid}:${vout}`) ? { bestBlock: '', script: new Uint8Array(0), value: 1n } : undefined,
    ) as never
  }

  override async rawTransaction(id: string, block?: string): Promise<Uint8Array<ArrayBuffer>> {
    const found = this.newest.find(({ txid }) => toDisplayHex(txid) === id)
    if (found === undefined || block !== this.bestBlockHash) throw new DaemonError(-5, 'No such transaction')
    return Uint8Array.from(found.raw)
  }
}

function setUp(pool: readonly Tx[], newest: readonly Tx[] = []) {
  const moment = new FakeMoment([1, 2])
  const confirmed: Outpoint = { txid: moment.blocks[1]![1]!, vout: 0 }
  const node = new Node(pool, newest)
  // It is ahead of us.
  node.hashes.set(moment.tip.height, toDisplayHex(moment.tip.hash))
  let cost = 0
  const ctx = {
    moment,
    daemon: node,
    signal: new AbortController().signal,
    charge: (more: number) => {
      cost += more
    },
  }
  return { ctx, node, moment, confirmed, cost: () => cost }
}

const CONFIRMED: Outpoint = { txid: new FakeMoment([1, 2]).blocks[1]![1]!, vout: 0 }

describe('unconfirmed parents', () => {
  it('come before their children, each once, whichever way they are reached', async () => {
    const a = spend({ from: [CONFIRMED], to: [1, 2, 3] })
    const b = spend({ from: [out(a, 0)], to: [4] })
    const c = spend({ from: [out(b), out(a, 1)], to: [5] })
    const tx = spend({ from: [out(a, 2), out(c), out(b, 1)], to: [6] })
    const { ctx, node } = setUp([c, a, b])
    const found = await unconfirmedParents(ctx, [tx])
    expect(found.map(({ txid }) => toDisplayHex(txid))).toEqual([a, b, c].map(({ txid }) => toDisplayHex(txid)))
    expect(new Set(node.asked).size).toBe(node.asked.length)
  })

  it('of several transactions are those of all, without these themselves, for which nobody is asked', async () => {
    const a = spend({ from: [CONFIRMED], to: [1, 2] })
    const b = spend({ from: [out(a)], to: [3] })
    const parent = spend({ from: [out(b)], to: [4] })
    const child = spend({ from: [out(parent), out(a, 1)], to: [5] })
    const { ctx, node } = setUp([a, b])
    const found = await unconfirmedParents(ctx, [parent, child])
    expect(found.map(({ txid }) => toDisplayHex(txid))).toEqual([a, b].map(({ txid }) => toDisplayHex(txid)))
    expect(node.asked).not.toContain(toDisplayHex(parent.txid))
  })

  it('are none, and the node is not asked, where all is confirmed', async () => {
    const { ctx, node, cost } = setUp([])
    expect(await unconfirmedParents(ctx, [spend({ from: [CONFIRMED], to: [1] })])).toEqual([])
    expect(node.asked).toEqual([])
    expect(cost()).toBeGreaterThan(0)
  })

  it('are found in the block that the node has and we have not', async () => {
    const a = spend({ from: [CONFIRMED], to: [1] })
    const { ctx } = setUp([], [a])
    const [found] = await unconfirmedParents(ctx, [spend({ from: [out(a)], to: [1] })])
    expect(found !== undefined && equalBytes(found.txid, a.txid)).toBe(true)
  })

  it('that nobody knows are left out', async () => {
    const { ctx, node, moment } = setUp([])
    const unknown = spend({ from: [{ txid: new Uint8Array(32).fill(3), vout: 0 }], to: [1] })
    expect(await unconfirmedParents(ctx, [unknown])).toEqual([])
    node.bestBlockHash = toDisplayHex(moment.tip.hash)
    expect(await unconfirmedParents(ctx, [unknown])).toEqual([])
  })

  it('are refused as not known yet where the node has them in a block before its best', async () => {
    const hidden = spend({ from: [CONFIRMED], to: [1, 2] })
    const tx = spend({ from: [out(hidden, 1)], to: [1] })
    const busy = { code: -102, message: expect.stringContaining('index is behind') as string }
    const { ctx, node, moment } = setUp([])
    node.unspent.add(`${toDisplayHex(hidden.txid)}:1`)
    await expect(unconfirmedParents(ctx, [tx])).rejects.toMatchObject(busy)
    // Of an output that was never there, or is spent, the node has its own words.
    expect(await unconfirmedParents(ctx, [spend({ from: [out(hidden, 0)], to: [1] })])).toEqual([])
    // At the node's tip there is nothing that the index has not seen.
    node.bestBlockHash = toDisplayHex(moment.tip.hash)
    expect(await unconfirmedParents(ctx, [tx])).toEqual([])
  })

  it('are refused so too behind one in the mempool, and behind one in the best block', async () => {
    const hidden = spend({ from: [CONFIRMED], to: [1, 2] })
    const busy = { code: -102 }
    const parent = spend({ from: [out(hidden)], to: [1] })
    const tx = spend({ from: [out(parent)], to: [1] })
    const pooled = setUp([parent])
    pooled.node.unspent.add(`${toDisplayHex(hidden.txid)}:0`)
    await expect(unconfirmedParents(pooled.ctx, [tx])).rejects.toMatchObject(busy)
    // What the best block spends is not among what is unspent any more.
    const mined = setUp([], [parent])
    await expect(unconfirmedParents(mined.ctx, [tx])).rejects.toMatchObject(busy)
  })

  it('are refused where the last blocks of the index, which made what is spent, are none of the node any more', async () => {
    const tx = spend({ from: [CONFIRMED], to: [1] })
    const busy = { code: -102, message: expect.stringContaining('has left the last blocks') as string }
    const { ctx, node, moment } = setUp([])
    const { height } = moment.tip
    node.hashes.set(height, 'ab'.repeat(32))
    await expect(unconfirmedParents(ctx, [tx])).rejects.toMatchObject(busy)
    // Shorter than ours, as between two branches.
    node.hashes.delete(height)
    await expect(unconfirmedParents(ctx, [tx])).rejects.toMatchObject(busy)
    const pooled = setUp([tx])
    pooled.node.hashes.clear()
    await expect(unconfirmedParents(pooled.ctx, [spend({ from: [out(tx)], to: [1] })])).rejects.toMatchObject(busy)
    node.bestBlockHash = toDisplayHex(moment.tip.hash)
    expect(await unconfirmedParents(ctx, [tx])).toEqual([])
  })

  it('are not asked of the node for blocks that it no longer has, where what is spent is long confirmed', async () => {
    const moment = new FakeMoment([1, 2, ...Array.from({ length: 11 }, () => 1)])
    const { ctx, node } = setUp([])
    node.hashes.clear()
    expect(await unconfirmedParents({ ...ctx, moment }, [spend({ from: [CONFIRMED], to: [1] })])).toEqual([])
    expect(node.calls).toEqual([])
  })

  it('are refused beyond a hundred, in a line and side by side', async () => {
    const line: Tx[] = []
    for (let last = CONFIRMED; line.length < 101; last = out(line.at(-1)!)) line.push(spend({ from: [last], to: [1] }))
    const { ctx } = setUp(line)
    expect(await unconfirmedParents(ctx, [line[100]!])).toHaveLength(100)
    const tooLong = spend({ from: [out(line[100]!)], to: [1] })
    await expect(unconfirmedParents(ctx, [tooLong])).rejects.toMatchObject({ code: 1 })

    const many = Array.from({ length: 5_000 }, (_, i) => ({
      txid: new Uint8Array(32).fill(i >> 8).fill(i, 16),
      vout: 0,
    }))
    const { ctx: other, node, cost } = setUp([])
    await expect(unconfirmedParents(other, [spend({ from: many, to: [1] })])).rejects.toMatchObject({ code: 1 })
    expect(node.asked).toEqual([])
    expect(cost()).toBeLessThan(1)
  })
})
