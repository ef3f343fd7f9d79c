import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES } from '../../src/chain/address.ts'
import { hashXOf } from '../../src/chain/script.ts'
import { parseWholeTx, serializeTx, type Tx } from '../../src/chain/tx.ts'
import { bitcoinRegtest } from '../../src/coins/bitcoin.ts'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import { concat, fromDisplayHex, fromHex, toDisplayHex, toLatin1 } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { sha256 } from '../../src/lib/hash.ts'
import { silentLogger } from '../../src/log.ts'
import { MomentHub } from '../../src/mempool/hub.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import type { Moment } from '../../src/mempool/moment.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { BlockProcessor } from '../../src/sync/block-processor.ts'
import { Follower } from '../../src/sync/follower.ts'

/** The follower with the real index and daemon client, on the built-in node. */

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

interface Wallet {
  readonly script: Uint8Array
  readonly hashX: Uint8Array
  readonly key: string
  readonly address: string
}

function wallet(name: string): Wallet {
  const script = concat(fromHex('0014'), sha256(Buffer.from(name)).subarray(0, 20))
  const address = addressOf(script, BITCOIN_ADDRESSES.regtest)
  if (address === undefined) throw new Error('the script has an address')
  const hashX = hashXOf(script)
  return { script, hashX, key: toLatin1(hashX), address }
}

/** Spends one output to one script; nobody checks who may. */
function spend(txid: string, vout: number, to: Wallet, value: bigint): Tx {
  const input = { prevTxid: fromDisplayHex(txid), prevIndex: vout, script: new Uint8Array(0), sequence: 0xffff_fffd }
  const fields = {
    version: 2,
    inputs: [{ ...input, witness: [] }],
    outputs: [{ script: to.script, value }],
    locktime: 0,
  }
  return parseWholeTx(serializeTx(fields))
}

interface Seen {
  readonly height: number
  readonly newTip: boolean
  readonly touched: ReadonlySet<string>
  /** `txid:height` of all transactions of the watched scripts. */
  readonly items: ReadonlyMap<string, readonly string[]>
  readonly status: ReadonlyMap<string, string>
}

/** A server's inner half; `seen` has what each publication showed of the watched wallets. */
class Station {
  readonly node: RegtestNode
  readonly hub: MomentHub
  readonly mempool: Mempool
  readonly follower: Follower
  readonly db: IndexDatabase
  readonly seen: Seen[] = []
  readonly failures: unknown[] = []
  readonly #watched: readonly Wallet[]
  #reading: Promise<void> = Promise.resolve()
  #watchers: (() => void)[] = []

  constructor(
    parts: { readonly node: RegtestNode; readonly daemon: Bitcoind; readonly db: IndexDatabase },
    watched: readonly Wallet[],
    mempoolPollMs: number,
  ) {
    this.node = parts.node
    this.db = parts.db
    this.#watched = watched
    const log = silentLogger()
    this.mempool = new Mempool({}, { log })
    this.hub = new MomentHub({ historyLimit: 10_000 }, { mempool: this.mempool })
    const chain = new BlockProcessor({}, { db: parts.db, daemon: parts.daemon, clock: systemClock, log })
    this.follower = new Follower(
      { mempoolPollMs },
      {
        chain,
        mempool: this.mempool,
        hub: this.hub,
        daemon: parts.daemon,
        notices: parts.daemon.notices,
        clock: systemClock,
        log,
        fatal: (error) => void this.failures.push(error),
      },
    )
    // Each publication is read in its turn, from the moment that it made current.
    this.hub.listen(({ newTip, touched }) => {
      const reading = this.hub.with((moment) => this.#read(moment, newTip, touched))
      this.#reading = this.#note(this.#reading, reading)
    }, new AbortController().signal)
  }

  /** Settles once every publication so far was read, and its moment given back. */
  async readings(): Promise<void> {
    await this.#reading
  }

  get last(): Seen | undefined {
    return this.seen.at(-1)
  }

  /** Settles once a publication showed what is waited for. */
  async until(matches: (seen: Seen) => boolean): Promise<void> {
    while (this.last === undefined || !matches(this.last)) {
      await new Promise<void>((resolve) => this.#watchers.push(resolve))
    }
    expect(this.failures).toEqual([])
  }

  /** Settles once the node's blocks and mempool are what is served. */
  async settled(): Promise<void> {
    const { node } = this
    await this.until(({ height }) => {
      if (height !== node.height || this.mempool.size !== node.mempool.length) return false
      return toDisplayHex(this.db.tip.hash) === node.bestBlockHash && this.mempool.complete
    })
  }

  itemsOf({ key }: Wallet): readonly string[] {
    return this.last?.items.get(key) ?? []
  }

  /** Every status that a subscriber of the script would have been sent. */
  statusesOf({ key }: Wallet): string[] {
    const all = this.seen.map(({ status }) => status.get(key) ?? '')
    return all.filter((status, i) => status !== all[i - 1])
  }

  async #note(before: Promise<void>, reading: Promise<Seen>): Promise<void> {
    await before
    this.seen.push(await reading)
    for (const watch of this.#watchers.splice(0)) watch()
  }

  async #read(moment: Moment, newTip: boolean, touched: ReadonlySet<string>): Promise<Seen> {
    const items = new Map<string, string[]>()
    const status = new Map<string, string>()
    for (const { hashX, key } of this.#watched) {
      const { confirmed, mempool } = await moment.history(hashX)
      items.set(key, [
        ...confirmed.map(({ txid, height }) => `${toDisplayHex(txid)}:${height}`),
        ...mempool.map(({ txid, height }) => `${txid}:${height}`),
      ])
      status.set(key, (await moment.status(hashX)).status ?? '')
    }
    return { height: moment.tip.height, newTip, touched, items, status }
  }
}

/** Mines a block with the transactions named and no others. */
async function generateBlock(node: RegtestNode, address: string, txids: readonly string[]): Promise<void> {
  const authorization = `Basic ${Buffer.from(await readFile(node.cookieFile)).toString('base64')}`
  const body = JSON.stringify({ id: 1, method: 'generateblock', params: [address, txids] })
  const answer = await fetch(node.url, { method: 'POST', headers: { authorization }, body })
  expect(answer.status).toBe(200)
}

interface Choices {
  readonly zmq?: boolean
  readonly mempoolPollMs?: number
}

async function station(
  watched: readonly Wallet[],
  { zmq = true, mempoolPollMs = 60_000 }: Choices = {},
): Promise<Station> {
  const never = new AbortController().signal
  const directory = await mkdtemp(join(tmpdir(), 'follower-'))
  undo.push(() => rm(directory, { recursive: true }))
  const node = new RegtestNode({ directory: join(directory, 'node'), initialBlocks: 110 })
  await node.start(never)
  undo.push(() => node.stop())
  const daemon = new Bitcoind(
    { urls: [node.url], cookieFile: node.cookieFile, ...(zmq ? { zmq: node.zmqEndpoint } : {}) },
    { log: silentLogger(), clock: systemClock },
  )
  undo.push(() => daemon.stop())
  await daemon.start(never)
  const db = await IndexDatabase.open({
    directory: join(directory, 'index'),
    coin: bitcoinRegtest.name,
    net: bitcoinRegtest.net,
    genesisHash: fromDisplayHex(bitcoinRegtest.genesisHash),
    reorgLimit: bitcoinRegtest.reorgLimit,
    cacheBytes: 8 << 20,
    pendingBytes: 64 << 20,
  })
  undo.push(() => db.close())
  const made = new Station({ node, daemon, db }, watched, mempoolPollMs)
  undo.push(async () => {
    await made.follower.stop()
    await made.readings()
    expect(db.outstandingViews).toBe(0)
    expect(made.failures).toEqual([])
  })
  await made.follower.start(never)
  await made.settled()
  return made
}

describe('a follower on the built-in node', () => {
  const [a, b, c] = [wallet('a'), wallet('b'), wallet('c')]

  it('reaches the tip of the node and serves it', async () => {
    const { hub, node, follower } = await station([a])
    expect(await hub.with((moment) => Promise.resolve(toDisplayHex(moment.tip.hash)))).toBe(node.bestBlockHash)
    expect(follower.status()).toMatchObject({
      state: 'following',
      height: 110,
      daemonHeight: 110,
      mempoolComplete: true,
    })
  })

  it('shows a payment in the mempool, then in a block, with one change of status each', async () => {
    const world = await station([a])
    const txid = world.node.send(a.address, 70_000n)
    await world.until(({ items }) => items.get(a.key)?.length === 1)
    expect(world.itemsOf(a)).toEqual([`${txid}:0`])
    expect(await world.hub.with((moment) => moment.balance(a.hashX))).toMatchObject({
      confirmed: 0n,
      unconfirmed: 70_000n,
    })
    world.node.mine(1)
    await world.settled()
    expect(world.itemsOf(a)).toEqual([`${txid}:111`])
    expect(await world.hub.with((moment) => moment.balance(a.hashX))).toMatchObject({
      confirmed: 70_000n,
      unconfirmed: 0n,
    })
    expect(world.statusesOf(a)).toHaveLength(3)
  })

  it('finds payments and blocks by polling where there is no ZMQ', async () => {
    const world = await station([a], { zmq: false, mempoolPollMs: 20 })
    const txid = world.node.send(a.address, 70_000n)
    await world.until(({ items }) => items.get(a.key)?.length === 1)
    world.node.mine(1)
    await world.until(({ height }) => height === 111)
    expect(world.itemsOf(a)).toEqual([`${txid}:111`])
    expect(world.statusesOf(a)).toHaveLength(3)
  })

  it('gives a chain of unconfirmed payments the heights 0 and -1, and lifts the child with the block of its parent', async () => {
    const world = await station([a, b])
    const parent = world.node.send(a.address, 70_000n)
    const { vout } = await world
      .until(({ items }) => items.get(a.key)?.length === 1)
      .then(() => world.hub.with(async (moment) => (await moment.unspent(a.hashX)).mempool[0]!))
    const child = spend(parent, vout, b, 69_000n)
    expect(world.node.submitTx(child.raw)).toMatchObject({ kind: 'accepted' })
    await world.until(({ items }) => items.get(b.key)?.length === 1)
    expect(world.itemsOf(a)).toEqual([`${parent}:0`, `${toDisplayHex(child.txid)}:-1`])
    expect(await world.hub.with((moment) => moment.balance(a.hashX))).toMatchObject({ confirmed: 0n, unconfirmed: 0n })
    // A block with the parent alone.
    await generateBlock(world.node, c.address, [parent])
    await world.settled()
    expect(world.itemsOf(a)).toEqual([`${parent}:111`, `${toDisplayHex(child.txid)}:0`])
    expect(world.itemsOf(b)).toEqual([`${toDisplayHex(child.txid)}:0`])
    expect(world.statusesOf(b)).toHaveLength(3)
  })

  it('replaces a payment by the one that pays more', async () => {
    const world = await station([a, b, c])
    const coin = world.node.send(a.address, 70_000n)
    world.node.mine(1)
    await world.settled()
    const { vout } = await world.hub.with(async (moment) => (await moment.unspent(a.hashX)).confirmed.at(0))
    expect(world.node.submitTx(spend(coin, vout, b, 69_000n).raw)).toMatchObject({ kind: 'accepted' })
    await world.until(({ items }) => items.get(b.key)?.length === 1)
    const better = spend(coin, vout, c, 60_000n)
    expect(world.node.submitTx(better.raw)).toMatchObject({ kind: 'accepted' })
    await world.until(({ items }) => items.get(c.key)?.length === 1)
    expect(world.itemsOf(b)).toEqual([])
    expect(world.itemsOf(a)).toEqual([`${coin}:111`, `${toDisplayHex(better.txid)}:0`])
    expect(world.statusesOf(b)).toHaveLength(3)
  })

  it('keeps a payment in sight through reorganisations that take its block away', async () => {
    const world = await station([a])
    const txid = world.node.send(a.address, 70_000n)
    world.node.mine(2)
    await world.settled()
    const before = world.seen.length
    world.node.reorganize(2)
    await world.settled()
    expect(world.itemsOf(a)).toEqual([`${txid}:0`])
    world.node.mine(1)
    await world.settled()
    expect(world.itemsOf(a)).toEqual([`${txid}:${world.node.height}`])
    for (const { items } of world.seen.slice(before)) expect(items.get(a.key)).toHaveLength(1)
  })

  it('comes back after the node was away', async () => {
    const world = await station([a], { mempoolPollMs: 50 })
    const port = Number(new URL(world.node.url).port)
    await world.node.stop()
    const restarted = new RegtestNode({ directory: join(world.node.cookieFile, '..'), port })
    await restarted.start(new AbortController().signal)
    undo.push(() => restarted.stop())
    const txid = restarted.send(a.address, 70_000n)
    restarted.mine(1)
    await world.until(({ height }) => height === 111)
    expect(world.itemsOf(a)).toEqual([`${txid}:111`])
    expect(world.hub.ready).toBe(true)
  })

  it('never loses and never doubles a transaction while payments, blocks and reorganisations follow each other', async () => {
    const wallets = [a, b, c]
    const world = await station(wallets)
    const sent = new Map<string, { readonly to: Wallet; readonly at: number }>()
    let state = 42
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
      return (state >>> 8) % below
    }
    for (let step = 0; step < 120; step++) {
      const dice = random(10)
      if (dice < 6) {
        const to = wallets[random(3)]!
        const txid = world.node.send(to.address, BigInt(1000 + step))
        await world.until(({ items }) => items.get(to.key)?.some((item) => item.startsWith(txid)) === true)
        sent.set(txid, { to, at: world.seen.length - 1 })
      } else if (dice < 9) world.node.mine(1 + random(2))
      else world.node.reorganize(1 + random(3))
      // Sometimes the next thing happens while the last one is still being read.
      if (random(2) === 0) await world.settled()
    }
    await world.settled()
    for (const [txid, { to, at }] of sent) {
      for (const [i, { items }] of world.seen.entries()) {
        if (i < at) continue
        const found = items.get(to.key)?.filter((item) => item.startsWith(txid))
        expect(found, `publication ${i} after ${at}, ${txid}`).toHaveLength(1)
      }
    }
    // Whatever changed was told of.
    for (const [i, { items, touched }] of world.seen.entries()) {
      const before = world.seen[i - 1]
      if (before === undefined) continue
      for (const { key } of wallets) {
        if (String(items.get(key)) !== String(before.items.get(key))) expect(touched.has(key)).toBe(true)
      }
    }
    expect(sent.size).toBeGreaterThan(40)
  })
})
