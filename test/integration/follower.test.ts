import { Writable } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { hashXOf } from '../../src/chain/script.ts'
import type { Tx } from '../../src/chain/tx.ts'
import { ChainError, DaemonError, StorageError } from '../../src/errors.ts'
import { toDisplayHex, toLatin1 } from '../../src/lib/bytes.ts'
import { createLogger } from '../../src/log.ts'
import { MomentHub } from '../../src/mempool/hub.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import type { MomentChange } from '../../src/mempool/moment.ts'
import { Follower } from '../../src/sync/follower.ts'
import type { FollowerOptions } from '../../src/sync/follower-options.ts'
import { HandClock } from '../support/hand-clock.ts'
import { ModelIndex } from '../support/model-index.ts'
import { ModelNode, makeTx, scriptNumber } from '../support/model-node.ts'
import { ScriptedDaemon } from '../support/scripted-daemon.ts'

const A = hashXOf(scriptNumber(11))
const COIN = 25_0000_0000n
const hash = '00'.repeat(32)
/** A wait that nothing else has, so that it can be told from being idle. */
const PATIENCE = 7_777

interface Published extends MomentChange {
  readonly height: number
  /** `confirmed/unconfirmed` transactions of script A. */
  readonly history: string
  readonly status: string
  readonly complete: boolean
  readonly regained: boolean
}

/** A follower on a model node; `published` has each publication as a subscriber of script A would see it. */
class World {
  readonly node = new ModelNode()
  readonly daemon = new ScriptedDaemon(this.node)
  readonly clock = new HandClock()
  readonly index: ModelIndex
  readonly mempool: Mempool
  readonly hub: MomentHub
  readonly follower: Follower
  readonly published: Published[] = []
  readonly failures: unknown[] = []
  readonly logged: { readonly level: number; readonly msg: string; readonly reason?: string }[] = []
  readonly #reading: Promise<void>[] = []
  #failed: () => void = () => undefined
  readonly failed = new Promise<void>((resolve) => {
    this.#failed = resolve
  })

  /** `told`: settles once clients have been told of what was published. */
  constructor(options: Partial<FollowerOptions> = {}, batch = 200, told?: () => Promise<void>) {
    for (let i = 0; i < 12; i++) this.node.connect([])
    this.index = new ModelIndex(this.node, this.daemon)
    const lines = new Writable({
      write: (line: Buffer, _encoding, done) => {
        this.logged.push(JSON.parse(line.toString()) as World['logged'][number])
        done()
      },
    })
    const log = createLogger('info', lines)
    this.mempool = new Mempool({ batch, inFlight: 1 }, { log })
    this.hub = new MomentHub({ historyLimit: 1000 }, { mempool: this.mempool })
    this.follower = new Follower(
      { reorgPatienceMs: PATIENCE, ...options },
      {
        chain: this.index,
        mempool: this.mempool,
        hub: this.hub,
        daemon: this.daemon,
        notices: this.daemon,
        clock: this.clock,
        log,
        ...(told === undefined ? {} : { told }),
        fatal: (error) => {
          this.failures.push(error)
          this.#failed()
        },
      },
    )
    this.hub.listen((change) => this.#reading.push(this.#read(change)), new AbortController().signal)
  }

  coin(height: number) {
    return { txid: this.node.blocks[height]!.txs[0]!.txid, vout: 1 }
  }

  /** A new transaction that pays script A from the coinbase of a block. */
  pay(height: number, value = COIN): Tx {
    const tx = makeTx([this.coin(height)], [{ script: 11, value }])
    this.node.accept(tx)
    return tx
  }

  async start(): Promise<void> {
    await this.follower.start(new AbortController().signal)
    await this.idle()
  }

  /** Settles once the follower waits for something to happen. */
  async idle(): Promise<void> {
    await this.clock.sleeper((ms) => ms !== PATIENCE)
    await Promise.all(this.#reading)
  }

  async #read(change: MomentChange): Promise<void> {
    const at =
      this.published.push({ ...change, height: -1, history: '', status: '', complete: false, regained: true }) - 1
    await this.hub.with(async (moment) => {
      const history = await moment.history(A)
      const { status } = await moment.status(A)
      this.published[at] = {
        ...change,
        height: moment.tip.height,
        history: `${history.confirmed.length}/${history.mempool.length}`,
        status: status ?? '',
        complete: moment.mempool.complete,
        regained: moment.mempool.regained,
      }
    })
  }
}

/** A call that gets no answer. */
function untilAborted(signal?: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')), { once: true })
  })
}

/** Drops repetitions of what comes right after itself. */
function changes<T>(list: readonly T[]): T[] {
  return list.filter((item, i) => i === 0 || item !== list[i - 1])
}

describe('Follower', () => {
  const worlds: World[] = []
  const begin = async (world: World): Promise<World> => {
    worlds.push(world)
    await world.start()
    return world
  }

  afterEach(async () => {
    for (const world of worlds.splice(0)) {
      await world.follower.stop()
      expect(world.index.heldViews()).toEqual([])
      expect(world.daemon.listeners).toBe(0)
      expect(world.clock.sleeping).toBe(0)
    }
  })

  it('serves confirmed data as soon as the tip is reached, then the mempool', async () => {
    const world = new World()
    world.pay(1)
    expect(world.follower.status().state).toBe('starting')
    await begin(world)
    expect(world.published.map(({ height, newTip, history, complete }) => [height, newTip, history, complete])).toEqual(
      [
        [12, true, '0/0', false],
        [12, false, '0/1', true],
      ],
    )
    expect(world.follower.status()).toMatchObject({
      state: 'following',
      height: 12,
      daemonHeight: 12,
      mempoolSize: 1,
      mempoolComplete: true,
      outage: undefined,
      lastRefresh: world.clock.now(),
    })
  })

  it('publishes the last block that is known before the node is asked whether there is another', async () => {
    const world = await begin(new World())
    let asked = (): void => undefined
    const asking = new Promise<void>((resolve) => {
      asked = resolve
    })
    let answer = (): void => undefined
    const answered = new Promise<void>((resolve) => {
      answer = resolve
    })
    world.index.settle = () => {
      asked()
      return answered
    }
    world.node.connect([])
    world.node.connect([])
    world.follower.poke()
    await asking
    expect(world.follower.status().height).toBe(14)
    expect(changes(world.published.filter(({ newTip }) => newTip).map(({ height }) => height)).length).toBe(2)
    answer()
    await world.idle()
    expect(world.published.filter(({ newTip }) => newTip)).toHaveLength(2)
  })

  describe('before it writes a block', () => {
    /** A follower whose clients have not been told of the last block until `end` is called. */
    const tell = async (): Promise<{ world: World; end: () => void; written: () => Promise<number> }> => {
      let end = (): void => undefined
      let telling = Promise.resolve()
      const world = await begin(new World({}, 200, () => telling))
      telling = new Promise((resolve) => (end = resolve))
      const before = world.index.persisted
      world.node.connect([])
      world.follower.poke()
      await world.idle()
      expect(world.published.at(-1)?.height).toBe(13)
      const written = async (): Promise<number> => {
        for (let i = 0; i < 20; i++) await Promise.resolve()
        return world.index.persisted - before
      }
      expect(await written()).toBe(0)
      return { world, end, written }
    }

    it('lets clients be told of it', async () => {
      const { end, written } = await tell()
      end()
      expect(await written()).toBe(1)
    })

    it('waits no longer than a second', async () => {
      const { world, written } = await tell()
      world.clock.advance(999)
      expect(await written()).toBe(0)
      world.clock.advance(1)
      expect(await written()).toBe(1)
    })

    it('waits no longer than for the next one', async () => {
      const { world, written } = await tell()
      world.node.connect([])
      world.daemon.notify({ kind: 'block-connected', hash })
      expect(await written()).toBe(1)
      await world.idle()
      expect(world.published.at(-1)?.height).toBe(14)
    })

    it('waits no longer than until it is stopped', async () => {
      const { world, written } = await tell()
      await world.follower.stop()
      expect(await written()).toBe(1)
    })
  })

  it('names the block that the node announces before it asks for anything, once it is at the tip', async () => {
    const world = new World()
    const before = world.index.catchUp.bind(world.index)
    world.index.catchUp = (listener, signal) => {
      if (world.published.length === 0) world.daemon.notify({ kind: 'block-connected', hash: '11'.repeat(32) })
      return before(listener, signal)
    }
    await begin(world)
    expect(world.index.expected).toEqual([])
    const calls = world.daemon.calls.length
    world.daemon.notify({ kind: 'block-disconnected', hash })
    world.daemon.notify({ kind: 'block-connected', hash })
    expect(world.index.expected).toEqual([hash])
    expect(world.daemon.calls).toHaveLength(calls)
    await world.idle()
  })

  it('tells of a new transaction when the node does, without waiting for a poll', async () => {
    const world = await begin(new World())
    const before = world.published.length
    world.clock.advance(60)
    const tx = world.pay(1)
    world.daemon.notify({ kind: 'tx-added', txid: toDisplayHex(tx.txid), sequence: 1n })
    await world.idle()
    const [change, ...more] = world.published.slice(before)
    expect(more).toEqual([])
    expect(change?.newTip).toBe(false)
    expect(change?.touched.has(toLatin1(A))).toBe(true)
    expect(change?.history).toBe('0/1')
  })

  it('asks once for many notices that come at once', async () => {
    const world = await begin(new World())
    world.clock.advance(60)
    const before = world.daemon.calls.length
    for (let i = 1; i < 10; i++) {
      world.pay(i)
      world.daemon.tell()
    }
    await world.idle()
    expect(world.daemon.calls.slice(before)).toEqual(['mempoolIds', 'chainInfo', 'mempoolTransactions'])
    expect(world.mempool.size).toBe(9)
  })

  it('leaves the node a rest between two refreshes, however many notices it sends', async () => {
    const world = await begin(new World())
    world.pay(1)
    world.daemon.tell()
    await world.idle()
    expect(world.mempool.size).toBe(0)
    world.clock.advance(49)
    await world.idle()
    expect(world.mempool.size).toBe(0)
    world.clock.advance(1)
    await world.idle()
    expect(world.mempool.size).toBe(1)
  })

  describe('once the notices have proved good', () => {
    const proved = async (): Promise<World> => {
      const world = await begin(new World())
      world.clock.advance(60)
      world.pay(1)
      world.daemon.tell()
      await world.idle()
      expect(world.daemon.calls.slice(-3)).toEqual(['mempoolIds', 'chainInfo', 'mempoolTransactions'])
      world.clock.advance(60)
      return world
    }
    const listsOf = ({ daemon }: World): number => daemon.calls.filter((call) => call === 'mempoolIds').length

    it('goes by them and does not ask for the whole list', async () => {
      const world = await proved()
      const [victim] = world.node.mempool.values()
      const lists = listsOf(world)
      world.pay(2)
      world.pay(3)
      world.node.evict(victim!)
      world.daemon.tell()
      await world.idle()
      // Something may take its place: it waits for that a little.
      expect(world.mempool.size).toBe(1)
      world.clock.advance(10)
      await world.idle()
      expect(world.mempool.size).toBe(2)
      expect(world.published.at(-1)?.history).toBe('0/2')
      world.clock.advance(20_000)
      await world.idle()
      expect(listsOf(world)).toBe(lists)
    })

    it('asks for the list from time to time to be sure, and often again if that had something new', async () => {
      const world = await proved()
      const lists = listsOf(world)
      world.pay(2)
      world.clock.advance(30_000)
      await world.idle()
      expect([world.mempool.size, listsOf(world)]).toEqual([2, lists + 1])
      world.clock.advance(1000)
      await world.idle()
      world.clock.advance(1000)
      await world.idle()
      expect(listsOf(world)).toBe(lists + 3)
    })

    it('asks for the list when notices were lost', async () => {
      const world = await proved()
      world.pay(2)
      world.daemon.notify({ kind: 'gap' })
      await world.idle()
      expect(world.mempool.size).toBe(2)
    })

    it('polls while nothing is told at all, until what changed was heard of again', async () => {
      const world = await proved()
      world.daemon.notify({ kind: 'silence' })
      await world.idle()
      for (let height = 2; height < 5; height++) {
        world.pay(height)
        world.clock.advance(1000)
        await world.idle()
        expect(world.mempool.size).toBe(height)
      }
      world.daemon.notify({ kind: 'gap' })
      world.clock.advance(50)
      await world.idle()
      const lists = listsOf(world)
      world.clock.advance(1000)
      await world.idle()
      expect(listsOf(world)).toBe(lists + 1)
    })

    it('asks for the list while a node that was started anew loads what it had', async () => {
      const world = await proved()
      const [had] = world.node.mempool.values()
      world.node.mempool.clear()
      world.daemon.loaded = false
      world.daemon.notify({ kind: 'gap' })
      await world.idle()
      expect(world.mempool.size).toBe(1)
      world.pay(2)
      world.daemon.tell()
      world.clock.advance(50)
      await world.idle()
      expect(world.published.at(-1)?.history).toBe('0/2')
      // It comes without a word that anybody would miss, or never.
      world.daemon.loaded = true
      for (let list = 0; list < 2; list++) {
        world.clock.advance(1000)
        await world.idle()
      }
      expect(world.node.mempool.has(toDisplayHex(had!.txid))).toBe(false)
      expect(world.published.at(-1)?.history).toBe('0/1')
    })

    it('asks for the list again when notices were lost while it was under way', async () => {
      const world = await proved()
      world.daemon.before = (call) => {
        if (call !== 'chainInfo') return
        world.daemon.before = undefined
        world.pay(2)
        world.daemon.notify({ kind: 'gap' })
      }
      world.follower.poke()
      await world.idle()
      world.clock.advance(50)
      await world.idle()
      expect(world.mempool.size).toBe(2)
    })

    it('forgets no notice when the node goes away before it was followed', async () => {
      const world = await proved()
      world.daemon.away = true
      world.pay(2)
      world.daemon.tell()
      await world.idle()
      expect(world.follower.status().outage).toBeDefined()
      world.daemon.away = false
      world.clock.advance(1000)
      await world.idle()
      expect(world.mempool.size).toBe(2)
    })

    it('waits for the block first when the node is ahead', async () => {
      const world = await proved()
      world.node.connect(world.node.minable())
      const child = makeTx([{ txid: world.node.blocks.at(-1)!.txs[1]!.txid, vout: 0 }], [{ script: 11, value: COIN }])
      world.node.accept(child)
      world.daemon.tell()
      await world.idle()
      world.clock.advance(100)
      await world.idle()
      expect(world.published.at(-1)).toMatchObject({ height: 13, history: '1/1' })
      expect(changes(world.published.map(({ history }) => history))).toEqual(['0/0', '0/1', '1/0', '1/1'])
    })
  })

  it('finds transactions and blocks by polling where the node sends no notices', async () => {
    const world = await begin(new World({ blockPollMs: 5000, mempoolPollMs: 1000 }))
    world.pay(1)
    world.clock.advance(1000)
    await world.idle()
    expect(world.published.at(-1)?.history).toBe('0/1')
    world.node.connect(world.node.minable())
    world.clock.advance(1000)
    await world.idle()
    // The mempool poll saw the other tip, so the block is not waited for any longer.
    world.clock.advance(100)
    await world.idle()
    expect(world.published.at(-1)).toMatchObject({ height: 13, history: '1/0' })
  })

  it('tells a subscriber once when its transaction moves from the mempool to a block', async () => {
    const world = await begin(new World())
    const tx = world.pay(1)
    world.daemon.notify({ kind: 'gap' })
    world.clock.advance(60)
    await world.idle()
    const before = world.published.length
    world.node.connect([tx])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    const after = world.published.slice(before)
    expect(after.filter(({ touched }) => touched.has(toLatin1(A)))).toHaveLength(1)
    expect(after[0]).toMatchObject({ newTip: true, height: 13, history: '1/0' })
    expect(changes(world.published.map(({ history }) => history))).toEqual(['0/0', '0/1', '1/0'])
    expect(changes(world.published.map(({ status }) => status))).toHaveLength(3)
  })

  it('never loses sight of a transaction whose block is lost: it is back in the mempool with the new tip', async () => {
    const world = await begin(new World())
    const tx = world.pay(1)
    world.node.connect([tx])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    const before = world.published.length
    world.node.disconnect()
    for (let i = 0; i < 2; i++) world.node.connect([])
    world.daemon.notify({ kind: 'block-disconnected', hash })
    await world.idle()
    const after = world.published.slice(before)
    expect(after[0]).toMatchObject({ newTip: true, height: 14, history: '0/1', regained: true })
    expect(after[0]?.touched.has(toLatin1(A))).toBe(true)
    expect(changes(world.published.map(({ history }) => history))).toEqual(['0/0', '1/0', '0/1'])
  })

  it('publishes nothing between a reorganisation and its tip, although a fee histogram is due', async () => {
    const world = await begin(new World({ histogramMs: 5000, reorgPatienceMs: 600_000 }))
    const tx = world.pay(1)
    world.node.connect([tx])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    // Makes the histogram stale while it is too young to be made anew.
    world.pay(2)
    world.clock.advance(1000)
    await world.idle()
    expect(world.published.at(-1)).toMatchObject({ height: 13, history: '1/1' })
    const before = world.published.length
    world.node.disconnect()
    for (let i = 0; i < 2; i++) world.node.connect([makeTx([world.coin(2 + i)], [{ script: 12, value: COIN }])])
    let moved = false
    world.daemon.before = (call) => {
      if (call !== 'mempoolIds' || moved) return Promise.resolve()
      // The node goes on while the new branch waits for its mempool, so the tip has to wait for one block more.
      moved = true
      world.node.connect([])
      world.clock.advance(4500)
      return Promise.resolve()
    }
    world.daemon.notify({ kind: 'block-disconnected', hash })
    // The waits of the loop; its patience is a longer one.
    const resting = () => world.clock.sleeper((ms) => ms <= 5000)
    await resting()
    while (world.published.at(-1)?.height !== 15) {
      world.clock.advance(100)
      await resting()
    }
    await world.idle()
    expect(moved).toBe(true)
    expect(world.published[before]).toMatchObject({ newTip: true, height: 15, history: '0/1' })
    expect(world.published[before]?.touched.has(toLatin1(A))).toBe(true)
  })

  describe('when the node moves on while a new branch waits for its mempool', () => {
    /** `onMove` is called when the node has moved on, in the middle of the first question for the mempool. */
    async function reorganise(onMove: (world: World) => void) {
      const world = await begin(new World())
      world.node.connect([world.pay(1)])
      world.daemon.notify({ kind: 'block-connected', hash })
      await world.idle()
      world.node.disconnect()
      for (let i = 0; i < 2; i++) world.node.connect([])
      let asked = 0
      world.daemon.before = (call) => {
        if (call !== 'mempoolIds') return
        asked += 1
        if (asked > 1) return
        world.node.connect([])
        onMove(world)
      }
      world.daemon.notify({ kind: 'block-disconnected', hash })
      await world.idle()
      return { world, asked: () => asked }
    }

    it('asks neither for the mempool of the tip before nor for blocks at once again', async () => {
      const { world, asked } = await reorganise(() => undefined)
      expect(asked()).toBe(1)
      expect(world.published.at(-1)?.height).toBe(13)
      world.clock.advance(100)
      // The wait of the loop: what is left of its patience is a longer one.
      await world.clock.sleeper((ms) => ms <= 5000)
      await world.idle()
      expect(world.published.at(-1)).toMatchObject({ height: 15, history: '0/1' })
      // For the branch, and once more after it was published.
      expect(asked()).toBe(3)
    })

    it('looks at once if the node tells of it', async () => {
      const { world } = await reorganise(({ daemon }) => daemon.notify({ kind: 'block-connected', hash }))
      await world.idle()
      expect(world.published.at(-1)).toMatchObject({ height: 15, history: '0/1' })
    })
  })

  it('drops what the other branch made impossible', async () => {
    const world = await begin(new World())
    const tx = world.pay(1)
    world.node.connect([tx])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    world.node.disconnect()
    world.node.connect([makeTx([world.coin(1)], [{ script: 12, value: COIN }])])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    expect(world.published.at(-1)).toMatchObject({ height: 13, history: '0/0', status: '' })
  })

  it('tells of all that came and went while the new branch waited for its mempool', async () => {
    const world = await begin(new World({}, 1))
    const lost = makeTx([world.coin(2)], [{ script: 12, value: COIN }])
    world.node.connect([lost])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    const before = world.published.length
    world.node.disconnect()
    for (let i = 0; i < 2; i++) world.node.connect([])
    for (let i = 3; i < 6; i++) world.pay(i)
    world.daemon.notify({ kind: 'block-disconnected', hash })
    await world.idle()
    expect(world.published[before]).toMatchObject({ newTip: true, height: 14, history: '0/3' })
    expect(world.published[before]?.touched.has(toLatin1(A))).toBe(true)
  })

  it('publishes on the way when a catch-up takes long, each tip with the mempool that goes with it', async () => {
    const world = await begin(new World())
    const tx = world.pay(1)
    world.clock.advance(1000)
    await world.idle()
    world.node.connect([tx])
    for (let i = 0; i < 5; i++) world.node.connect([])
    world.index.before = () => world.clock.advance(4000)
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    const tips = world.published.filter(({ newTip }) => newTip)
    expect(tips.map(({ height, history }) => [height, history])).toEqual([
      [12, '0/0'],
      [15, '1/0'],
      [18, '1/0'],
    ])
  })

  it('publishes the tip after a reorganisation also when the mempool stays silent, once its patience is over', async () => {
    const world = await begin(new World())
    const tx = world.pay(1)
    world.node.connect([tx])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    world.node.disconnect()
    for (let i = 0; i < 2; i++) world.node.connect([])
    const answering = world.daemon.mempoolIds.bind(world.daemon)
    world.daemon.mempoolIds = untilAborted
    world.daemon.notify({ kind: 'block-disconnected', hash })
    await world.clock.sleeper((ms) => ms === PATIENCE)
    expect(world.published.at(-1)?.height).toBe(13)
    world.daemon.mempoolIds = answering
    world.clock.advance(PATIENCE)
    await world.idle()
    expect(world.published.find(({ height }) => height === 14)).toMatchObject({
      newTip: true,
      history: '0/0',
      regained: false,
    })
    expect(world.published.at(-1)).toMatchObject({ height: 14, history: '0/1', regained: true })
  })

  it('does not take a transaction for gone when its block came between two questions', async () => {
    const world = new World()
    const tx = world.pay(1)
    await begin(world)
    world.daemon.before = (call) => {
      if (call !== 'mempoolIds') return
      world.daemon.before = undefined
      world.node.connect([tx])
    }
    world.clock.advance(1000)
    await world.idle()
    world.clock.advance(100)
    await world.idle()
    expect(changes(world.published.map(({ history }) => history))).toEqual(['0/0', '0/1', '1/0'])
  })

  it('asks less and less often for a mempool that goes with another tip than the blocks that are told', async () => {
    const world = await begin(new World())
    const { daemon, clock } = world
    const chainInfo = daemon.chainInfo.bind(daemon)
    // Something between that answers from a cache.
    const old = await chainInfo()
    daemon.chainInfo = () => Promise.resolve(old)
    world.node.connect([])
    daemon.notify({ kind: 'gap' })
    await world.idle()
    const lists = (): number => daemon.calls.filter((call) => call === 'mempoolIds').length
    const waits: number[] = []
    for (let list = 0; list < 8; list++) {
      const [before, begun] = [lists(), clock.monotonic()]
      while (lists() === before) {
        clock.advance(10)
        await world.idle()
      }
      waits.push(clock.monotonic() - begun)
    }
    expect(waits.slice(0, 4)).toEqual([100, 200, 400, 800])
    expect(waits.at(-1)).toBe(5000)
    daemon.chainInfo = chainInfo
    world.pay(1)
    clock.advance(5000)
    await world.idle()
    expect(world.mempool.size).toBe(1)
  })

  it('lets a block go first while a large mempool loads', async () => {
    const world = new World({}, 2)
    for (let i = 1; i < 10; i++) world.pay(i)
    world.daemon.before = (call) => {
      if (call !== 'mempoolTransactions' || world.mempool.size !== 2) return
      world.daemon.before = undefined
      world.node.connect(world.node.minable().slice(0, 1))
      world.daemon.notify({ kind: 'block-connected', hash })
    }
    await begin(world)
    const tip = world.published.findIndex(({ height }) => height === 13)
    expect(world.published[tip]).toMatchObject({ newTip: true, complete: false })
    expect(world.published.slice(0, tip).at(-1)?.history).toMatch(/^0\/[34]$/)
    expect(world.published.at(-1)).toMatchObject({ height: 13, history: '1/8', complete: true })
  })

  it('lives through an outage of the node: says so once, waits longer each time, and catches up after', async () => {
    const world = await begin(new World())
    world.daemon.away = true
    world.clock.advance(1000)
    await world.idle()
    for (let i = 0; i < 6; i++) {
      expect(world.follower.status().outage).toContain('no answer')
      world.clock.advance(10_000)
      await world.idle()
    }
    const waits = world.clock.slept.slice(-7)
    expect(waits.at(-1)).toBeGreaterThan(waits[0]!)
    expect(Math.max(...waits)).toBeLessThanOrEqual(10_000)
    const reasons = world.logged.filter(({ level }) => level >= 40).map(({ reason }) => reason)
    expect(reasons[0]).toContain('no answer')
    expect(new Set(reasons).size).toBe(reasons.length)
    const tx = world.pay(1)
    world.node.connect([tx])
    world.daemon.away = false
    world.clock.advance(10_000)
    await world.idle()
    expect(world.follower.status().outage).toBeUndefined()
    expect(world.published.at(-1)).toMatchObject({ height: 13, history: '1/0' })
    expect(world.logged.at(-1)?.msg).toContain('again')
    expect(world.failures).toEqual([])
  })

  it('begins with short waits again in the next outage', async () => {
    const world = await begin(new World())
    for (const longest of [10_000, 500]) {
      world.daemon.away = true
      const slept = world.clock.slept.length
      world.clock.advance(1000)
      await world.idle()
      expect(world.clock.slept[slept]).toBeLessThanOrEqual(longest)
      for (let i = 0; i < 6; i++) {
        world.clock.advance(10_000)
        await world.idle()
      }
      world.daemon.away = false
      world.clock.advance(10_000)
      await world.idle()
      expect(world.follower.status().outage).toBeUndefined()
    }
  })

  it('publishes nothing of the first catch-up before it is at the tip, however long that takes', async () => {
    const world = new World()
    world.index.before = () => world.clock.advance(6_000)
    await begin(world)
    expect(world.published.filter(({ newTip }) => newTip).map(({ height }) => height)).toEqual([12])
  })

  it('goes on with a mempool that it left for a block that was not there', async () => {
    const world = new World({}, 1)
    for (const height of [1, 2, 3]) world.pay(height)
    let fetched = 0
    world.daemon.before = (call) => {
      if (call !== 'mempoolTransactions' || ++fetched > 1) return
      world.daemon.notify({ kind: 'block-disconnected', hash })
    }
    await begin(world)
    for (let i = 0; i < 3; i++) {
      world.clock.advance(100)
      await world.idle()
    }
    expect(world.published.at(-1)).toMatchObject({ history: '0/3', complete: true })
  })

  it('tells of a trouble of the node while it still waits for an answer', async () => {
    const world = await begin(new World())
    world.daemon.trouble = 'did not answer'
    expect(world.follower.status().outage).toBe('did not answer')
    world.daemon.trouble = undefined
    expect(world.follower.status().outage).toBeUndefined()
  })

  it('takes an error that the node answers for passing, not for fatal', async () => {
    const world = await begin(new World())
    world.daemon.before = (call) => {
      if (call === 'mempoolIds') throw new DaemonError(-8, 'Block not found')
    }
    world.clock.advance(1000)
    await world.idle()
    expect(world.follower.status().outage).toBe('Block not found')
    world.daemon.before = undefined
    world.clock.advance(1000)
    await world.idle()
    expect(world.follower.status().outage).toBeUndefined()
  })

  it('forgets nothing of a catch-up that breaks off half-way', async () => {
    const world = await begin(new World())
    const tx = world.pay(1)
    world.clock.advance(1000)
    await world.idle()
    const before = world.published.length
    world.node.connect([tx])
    world.node.connect([])
    world.index.before = (height) => {
      if (height === 14) throw new DaemonError(-1, 'gone for a moment')
    }
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    expect(world.index.height).toBe(13)
    expect(world.published).toHaveLength(before)
    // Who asks meanwhile has the old tip, and the transaction in the mempool that goes with it.
    expect(await world.hub.with(async (moment) => (await moment.history(A)).mempool.length)).toBe(1)
    world.index.before = undefined
    world.clock.advance(1000)
    await world.idle()
    expect(world.published[before]).toMatchObject({ newTip: true, height: 14, history: '1/0' })
    expect(world.published[before]?.touched.has(toLatin1(A))).toBe(true)
  })

  it('publishes the same tip in another view once the index was put in order, and not while the next one is under way', async () => {
    const world = await begin(new World())
    let reordered = (): void => undefined
    world.index.persist = (told) => {
      reordered = told
      return Promise.resolve()
    }
    world.node.connect([])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    const [count, held] = [world.published.length, world.index.heldViews()]
    const current = world.index.views.findLast(({ released }) => released === 0)!
    reordered()
    await world.idle()
    expect(world.published.slice(count)).toMatchObject([{ newTip: false, height: 13 }])
    expect(world.published[count]?.touched.size).toBe(0)
    expect(current.released).toBe(1)
    expect(world.index.heldViews()).toEqual(held)
    // The other branch is applied, and not published before its mempool is known.
    const during: number[] = []
    world.index.settle = () => {
      if (world.index.height === 14) {
        const before = world.published.length
        reordered()
        during.push(world.published.length - before)
      }
      return Promise.resolve()
    }
    world.node.disconnect()
    world.node.connect([])
    world.node.connect([])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    expect(during[0]).toBe(0)
    expect(world.published.at(-1)).toMatchObject({ height: 14 })
    await world.follower.stop()
    reordered()
    expect(world.index.heldViews()).toEqual([])
  })

  it('publishes a block before the disk has it, and stops when the disk will not take it', async () => {
    const world = await begin(new World())
    const error = new StorageError('full', 'the disk is full')
    let refuse = (_reason: Error): void => undefined
    world.index.persist = () =>
      new Promise((_resolve, reject) => {
        refuse = reject
      })
    world.node.connect([])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    expect(world.published.at(-1)).toMatchObject({ height: 13 })
    expect(world.failures).toEqual([])
    refuse(error)
    await world.failed
    expect(world.failures).toEqual([error])
    await world.follower.stop()
  })

  it('reports a chain that cannot be followed once, stops asking, and leaves what is served', async () => {
    const world = await begin(new World())
    const error = new ChainError('a reorganisation beyond the limit')
    world.index.before = () => {
      throw error
    }
    world.node.connect([])
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.failed
    expect(world.failures).toEqual([error])
    const calls = world.daemon.calls.length
    world.daemon.notify({ kind: 'gap' })
    world.clock.advance(60_000)
    expect(world.clock.sleeping).toBe(0)
    expect(world.daemon.calls).toHaveLength(calls)
    expect(world.hub.ready).toBe(true)
  })

  it('stops at once in the middle of a call, and serves nothing after', async () => {
    const world = new World()
    worlds.push(world)
    const called = new Promise<void>((resolve) => {
      world.daemon.mempoolIds = (aborts) => {
        resolve()
        return untilAborted(aborts)
      }
    })
    const server = new AbortController()
    await world.follower.start(server.signal)
    await called
    server.abort()
    await world.follower.stop()
    expect(world.hub.ready).toBe(false)
    expect(world.failures).toEqual([])
    expect(world.logged.filter(({ level }) => level >= 40)).toEqual([])
  })

  it('renews the fee histogram with a block and at its age, not with each transaction', async () => {
    const world = new World({ histogramMs: 120_000 })
    const bulky = (height: number) =>
      world.node.accept(makeTx([world.coin(height)], [{ script: 12, value: COIN - 200_000n }], 160_000))
    bulky(1)
    await begin(world)
    const bins = (): Promise<number> =>
      world.hub.with((moment) => Promise.resolve(moment.mempool.feeHistogram().length))
    expect(await bins()).toBe(1)
    bulky(2)
    world.clock.advance(1000)
    await world.idle()
    expect([world.mempool.size, await bins()]).toEqual([2, 1])
    world.clock.advance(119_000)
    await world.idle()
    expect(await bins()).toBe(1)
    const sizes = await world.hub.with((moment) =>
      Promise.resolve(moment.mempool.feeHistogram().map(([, size]) => size)),
    )
    expect(sizes[0]).toBeGreaterThan(80_000)
    world.node.connect(world.node.minable().slice(0, 2))
    world.daemon.notify({ kind: 'block-connected', hash })
    await world.idle()
    expect(await bins()).toBe(0)
  })
})
