import { writeFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import type { BitcoindOptions } from '../../src/daemon/bitcoind-options.ts'
import { ConfigError, DaemonError, DaemonUnavailableError } from '../../src/errors.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { createLogger } from '../../src/log.ts'
import { FakeBitcoind, GENESIS, type Misbehaviour, RpcFault } from '../support/fake-bitcoind.ts'
import { HandClock } from '../support/hand-clock.ts'

/** Back-off waits pass by themselves; time limits of calls wait until the test turns the hands. */
const BACK_OFF_LIMIT = 4000
const TIMES = { call: 20_000, bulk: 60_000, patience: 60_000, returnAfter: 60_000 }

interface LogLine {
  readonly level: number
  readonly msg: string
  readonly kind?: string
  readonly reason?: string
  readonly address?: string
}

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

async function fakeNode(): Promise<FakeBitcoind> {
  const fake = await FakeBitcoind.listen()
  undo.push(() => fake.close())
  fake.methods.set('getblockcount', () => 123)
  hasWork(fake, 123)
  fake.methods.set('estimatesmartfee', () => ({ feerate: 0.0001, blocks: 2 }))
  return fake
}

function hasWork(node: FakeBitcoind, work: number): void {
  node.methods.set('getblockchaininfo', () => ({ chainwork: work.toString(16).padStart(64, '0') }))
}

interface Setup {
  readonly daemon: Bitcoind
  readonly clock: HandClock
  readonly log: LogLine[]
  readonly logText: () => string
}

function client(nodes: readonly (FakeBitcoind | string)[], options: Partial<BitcoindOptions> = {}): Setup {
  const log: LogLine[] = []
  const logger = createLogger('trace', { write: (line) => log.push(JSON.parse(line) as LogLine) })
  const clock = new HandClock((ms) => ms <= BACK_OFF_LIMIT)
  const urls = nodes.map((node) => (typeof node === 'string' ? node : node.url))
  const daemon = new Bitcoind({ urls, times: TIMES, ...options }, { log: logger, clock })
  undo.push(() => daemon.stop())
  return { daemon, clock, log, logText: () => JSON.stringify(log) }
}

async function started(
  nodes: readonly (FakeBitcoind | string)[],
  options: Partial<BitcoindOptions> = {},
): Promise<Setup> {
  const setup = client(nodes, options)
  await setup.daemon.start(new AbortController().signal)
  return setup
}

/** Calls of JSON-RPC that find out what a node is. */
const PROBE_CALLS = 2

const isPost = (request: string): boolean => request.startsWith('POST')

function backOffs(clock: HandClock): number[] {
  return clock.slept.filter((ms) => ms <= BACK_OFF_LIMIT)
}

const BODY = (error: unknown): string => JSON.stringify({ result: null, error, id: 1 })

describe('one trouble, one more try', () => {
  it.each<[string, Misbehaviour, string]>([
    ['warm-up', { kind: 'answer', status: 500, body: BODY({ code: -28, message: 'Verifying blocks…' }) }, 'warm-up'],
    ['500 without a body', { kind: 'answer', status: 500, body: '' }, 'http'],
    ['503 with a sentence', { kind: 'answer', status: 503, body: 'Work queue depth exceeded\n' }, 'http'],
    ['502 with a page', { kind: 'answer', status: 502, body: '<html>Bad Gateway</html>' }, 'http'],
    ['500 with JSON that is no reply', { kind: 'answer', status: 500, body: '{"error":"down"}' }, 'http'],
    ['200 with an empty body', { kind: 'answer', status: 200, body: '' }, 'half-answer'],
    ['200 with half a reply', { kind: 'cut', bytes: 9 }, 'half-answer'],
    ['an answer that breaks off', { kind: 'truncate', bytes: 9 }, 'half-answer'],
    ['a hang-up', { kind: 'drop' }, 'dropped'],
  ])('survives %s', async (_what, misbehaviour, kind) => {
    const node = await fakeNode()
    const { daemon, clock, log } = await started([node])
    node.misbehave(misbehaviour)
    // A hang-up on a kept connection is tried again at once, so that it takes a second one to be a trouble.
    if (misbehaviour.kind === 'drop') node.misbehave(misbehaviour)
    expect(await daemon.height()).toBe(123)
    expect(backOffs(clock)).toHaveLength(1)
    expect(backOffs(clock)[0]).toBeGreaterThanOrEqual(200)
    expect(backOffs(clock)[0]).toBeLessThanOrEqual(250)
    expect(log.filter((line) => line.level >= 40).map((line) => line.kind)).toEqual([kind])
    expect(log.at(-1)?.msg).toBe('bitcoind answers again')
  })

  it('survives a node that is not there and comes', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    await node.close()
    const height = daemon.height()
    const again = clock.slept.length
    while (clock.slept.length < again + 3) await new Promise((resolve) => setImmediate(resolve))
    await node.open()
    expect(await height).toBe(123)
  })

  it('is no part of the time that a list of the mempool took', async () => {
    const node = await fakeNode()
    node.methods.set('getrawmempool', () => ({ txids: [], mempool_sequence: 1 }))
    const { daemon, clock } = await started([node])
    expect(await daemon.mempoolIds()).toMatchObject({ waited: 0 })
    node.misbehave({ kind: 'answer', status: 503, body: '' })
    const { waited } = await daemon.mempoolIds()
    expect(waited).toBeCloseTo(backOffs(clock)[0] ?? 0, 1)
  })

  it('survives silence, once the time of the call is over', async () => {
    const node = await fakeNode()
    const { daemon, clock, log } = await started([node])
    node.misbehave({ kind: 'stall' })
    const before = node.requests.length
    const height = daemon.height()
    await node.requested(before + 1)
    clock.advance(TIMES.call - 1)
    expect(node.requests).toHaveLength(before + 1)
    clock.advance(1)
    expect(await height).toBe(123)
    expect(log.some(({ kind }) => kind === 'timeout')).toBe(true)
    expect(clock.sleeping).toBe(0)
  })

  it('survives an answer that comes byte by byte: the time is for the whole of it', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    node.misbehave({ kind: 'slow' })
    const height = daemon.height()
    await node.requested(node.requests.length + 1)
    for (let step = 0; step < 19; step += 1) {
      clock.advance(1000)
      node.drip()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(node.requests.filter(isPost)).toHaveLength(PROBE_CALLS + 1)
    clock.advance(1000)
    expect(await height).toBe(123)
    expect(node.requests.filter(isPost)).toHaveLength(PROBE_CALLS + 2)
  })

  it('waits for an answer beyond its time as long as it keeps coming, as over a slow line', async () => {
    const node = await fakeNode()
    const { daemon, clock, log } = await started([node])
    const txids = Array.from({ length: 25_000 }, (_, index) => index.toString(16).padStart(64, '0'))
    node.methods.set('getrawmempool', () => ({ txids, mempool_sequence: 1 }))
    node.misbehave({ kind: 'slow', bytes: 20_000 })
    const state = { done: false }
    const begun = clock.monotonic()
    const ids = daemon.mempoolIds().finally(() => (state.done = true))
    await node.requested(node.requests.length + 1)
    while (!state.done) {
      clock.advance(1000)
      node.drip()
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect((await ids).txids).toHaveLength(txids.length)
    expect(clock.monotonic() - begun).toBeGreaterThan(TIMES.bulk)
    expect(node.requests.filter(isPost)).toHaveLength(PROBE_CALLS + 1)
    expect(log.filter(({ level }) => level >= 40)).toEqual([])
    expect(clock.sleeping).toBe(0)
  })

  it('takes another connection without waiting where the node had closed an idle one', async () => {
    const node = await fakeNode()
    const { daemon, clock, log } = await started([node])
    await Promise.all(Array.from({ length: 5 }, () => daemon.height()))
    // Five connections are kept, and each hangs up on its next request.
    for (let count = 0; count < 5; count += 1) node.misbehave({ kind: 'drop' })
    expect(await daemon.height()).toBe(123)
    expect(backOffs(clock)).toEqual([])
    expect(log.filter(({ level }) => level >= 40)).toEqual([])
  })
})

describe('patience', () => {
  it('waits 0.25 s to 4 s between tries, less up to a fifth, and gives up when it is over', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    node.methods.set('getblockcount', () => {
      throw new RpcFault(-28, 'Loading block index…')
    })
    const failure = await daemon.height().catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(DaemonUnavailableError)
    expect((failure as Error).message).toContain('Loading block index…')
    const waits = backOffs(clock)
    const expected = [250, 500, 1000, 2000, 4000, 4000]
    for (const [index, most] of expected.entries()) {
      expect(waits[index]).toBeLessThanOrEqual(most)
      expect(waits[index]).toBeGreaterThanOrEqual(most * 0.8)
    }
    const total = waits.reduce((sum, wait) => sum + wait, 0)
    expect(total).toBeGreaterThanOrEqual(TIMES.patience)
    expect(total).toBeLessThan(TIMES.patience + 4000)
  })

  it.each<[string, number, string, RegExp]>([
    ['user and password', 401, '', /(does not accept|write) user and password/],
    ['a call that its rpcwhitelist lacks', 403, '', /does not allow us getblockcount.*rpcwhitelist.*-rpcallowip/],
  ])('is not spent on a node that refuses %s', async (_what, status, body, message) => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    node.misbehave({ kind: 'answer', status, body })
    await expect(daemon.height()).rejects.toThrow(message)
    await expect(daemon.height()).resolves.toBe(123)
    expect(backOffs(clock)).toEqual([])
  })

  it('is not spent on a node that refuses our address, or the first call, and says both', async () => {
    const node = await fakeNode()
    node.misbehave({ kind: 'answer', status: 403, body: '' })
    await expect(started([node])).rejects.toThrow(/-rpcallowip.*-rpcwhitelist.*getblockhash/)
  })

  it('is not needed where an rpcwhitelist lacks what only says what a node can do', async () => {
    const node = await fakeNode()
    let posts = 0
    // The second one asks for its indexes.
    node.misbehave({ kind: 'answer', status: 403, body: '' }, (request) => isPost(request) && ++posts === 2)
    const { daemon } = await started([node])
    expect(posts).toBe(2)
    expect(node.heard[1]?.method).toBe('getindexinfo')
    await expect(daemon.height()).resolves.toBe(123)
  })

  it.each<[string, string | undefined, () => unknown, (daemon: Bitcoind) => Promise<unknown>]>([
    ['a height that is text', undefined, () => '123', (daemon) => daemon.height()],
    ['a height below zero', undefined, () => -1, (daemon) => daemon.height()],
    ['a height with a fraction', undefined, () => 1.5, (daemon) => daemon.height()],
    ['null', undefined, () => null, (daemon) => daemon.height()],
    ['a hash that is none', 'sendrawtransaction', () => 'ok', (daemon) => daemon.broadcast('00')],
    ['chain info without a chain', 'getblockchaininfo', () => ({ blocks: 1 }), (daemon) => daemon.chainInfo()],
    [
      'a transaction that is no hex',
      'getrawtransaction',
      () => 'xyz',
      (daemon) => daemon.rawTransaction('ab'.repeat(32)),
    ],
    [
      'another transaction',
      'getrawtransaction',
      () => ({ txid: 'cd'.repeat(32) }),
      (daemon) => daemon.verboseTransaction('ab'.repeat(32)),
    ],
    [
      'ids that are none',
      'getrawmempool',
      () => ({ txids: ['x'], mempool_sequence: 1 }),
      (daemon) => daemon.mempoolIds(),
    ],
    [
      'package results that are none',
      'submitpackage',
      () => ({ package_msg: 'success' }),
      (daemon) => daemon.broadcastPackage(['00']),
    ],
  ])('is not spent on a lie: %s', async (_what, method, result, ask) => {
    const node = await fakeNode()
    const { daemon, clock, log } = await started([node])
    node.methods.set(method ?? 'getblockcount', result)
    await expect(ask(daemon)).rejects.toBeInstanceOf(DaemonUnavailableError)
    expect(backOffs(clock)).toEqual([])
    expect(log.at(-1)).toMatchObject({ level: 50, kind: 'wrong', msg: 'bitcoind cannot be used' })
    expect(log.at(-1)?.reason).toContain(method ?? (ask.toString().includes('height') ? 'getblockcount' : 'bitcoind'))
  })

  it('is not spent on an answer to another question', async () => {
    const node = await fakeNode()
    const { daemon } = await started([node])
    node.misbehave({ kind: 'answer', status: 200, body: '{"result":5,"error":null,"id":777}' })
    await expect(daemon.height()).rejects.toThrow(/another question/)
  })

  it('is not spent on what bitcoind refuses', async () => {
    const node = await fakeNode()
    const { daemon, clock, log } = await started([node])
    node.methods.set('sendrawtransaction', () => {
      throw new RpcFault(-26, 'min relay fee not met, 0 < 10')
    })
    const error = await daemon.broadcast('00').catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(DaemonError)
    expect(error).toMatchObject({ daemonCode: -26, message: 'min relay fee not met, 0 < 10' })
    expect(backOffs(clock)).toEqual([])
    expect(log.filter(({ level }) => level >= 40)).toEqual([])
  })

  it('says the same trouble once, however many calls meet it', async () => {
    const node = await fakeNode()
    const { daemon, log } = await started([node])
    node.methods.set('getblockcount', () => {
      throw new RpcFault(-28, 'Rewinding…')
    })
    await Promise.allSettled([daemon.height(), daemon.height(), daemon.height()])
    expect(log.filter(({ kind }) => kind === 'warm-up')).toHaveLength(1)
  })

  it('says it to whoever asks as soon as a try has failed, and no longer than until one succeeds', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    expect(daemon.trouble).toBeUndefined()
    for (const _try of [1, 2]) node.misbehave({ kind: 'stall' })
    const before = node.requests.length
    const height = daemon.height()
    await node.requested(before + 1)
    expect(daemon.trouble).toBeUndefined()
    clock.advance(TIMES.call)
    await node.requested(before + 2)
    expect(daemon.trouble).toMatch(/did not answer within \d+ ms$/)
    clock.advance(TIMES.call)
    expect(await height).toBe(123)
    expect(daemon.trouble).toBeUndefined()
    // A refusal is an answer as well.
    node.misbehave({ kind: 'answer', status: 503, body: '' })
    node.methods.set('getblockcount', () => {
      throw new RpcFault(-8, 'no')
    })
    await expect(daemon.height()).rejects.toThrow(DaemonError)
    expect(daemon.trouble).toBeUndefined()
  })
})

describe('size', () => {
  it.each<[string, Misbehaviour]>([
    ['announced', { kind: 'announce', bytes: 1001 }],
    ['sent without a length', { kind: 'endless' }],
  ])('of an answer is bounded where it is %s', async (_what, misbehaviour) => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node], { sizes: { call: 1000 } })
    node.misbehave(misbehaviour)
    await expect(daemon.height()).rejects.toThrow(/more than 1000 bytes/)
    expect(backOffs(clock)).toEqual([])
    expect(await daemon.height()).toBe(123)
  })

  it('of a batch is mended by asking for halves', async () => {
    const node = await fakeNode()
    const raw = 'ab'.repeat(150)
    node.methods.set('getrawtransaction', () => raw)
    const { daemon } = await started([node], { sizes: { call: 1000 } })
    const txids = Array.from({ length: 7 }, (_, index) => index.toString(16).padStart(64, '0'))
    const found = await daemon.mempoolTransactions(txids)
    expect(found.map((one) => one?.length)).toEqual(txids.map(() => 150))
  })
})

describe('credentials', () => {
  let folder: string | undefined

  async function cookieFile(): Promise<string> {
    folder = await mkdtemp(join(tmpdir(), 'cookie-'))
    undo.push(() => rm(folder as string, { recursive: true }))
    return join(folder, '.cookie')
  }

  it('are read from the cookie file again when the node has a new one', async () => {
    const node = await fakeNode()
    const file = await cookieFile()
    node.login = '__cookie__:first'
    await writeFile(file, node.login)
    const { daemon, clock, log } = await started([node], { cookieFile: file })
    expect(await daemon.height()).toBe(123)
    node.login = '__cookie__:second'
    await writeFile(file, node.login)
    expect(await daemon.height()).toBe(123)
    expect(backOffs(clock)).toEqual([])
    expect(log.filter(({ level }) => level >= 40)).toEqual([])
  })

  it('that are new mean a node that was started anew, maybe as another version: its abilities are found again', async () => {
    const node = await fakeNode()
    const file = await cookieFile()
    node.login = '__cookie__:first'
    await writeFile(file, node.login)
    const { daemon, log } = await started([node], { cookieFile: file })
    expect(daemon.abilities).toMatchObject({ rest: false })
    node.login = '__cookie__:second'
    await writeFile(file, node.login)
    node.offerRest({ spentTxOuts: true })
    expect(await daemon.height()).toBe(123)
    expect(await daemon.height()).toBe(123)
    expect(daemon.abilities).toMatchObject({ rest: true, spentTxOuts: true })
    expect(log.filter(({ msg }) => msg === 'bitcoind found')).toHaveLength(2)
  })

  it('are waited for while the node that restarts has not written them', async () => {
    const node = await fakeNode()
    const file = await cookieFile()
    node.login = '__cookie__:first'
    await writeFile(file, node.login)
    const { daemon, log, clock } = await started([node], { cookieFile: file })
    node.login = '__cookie__:second'
    const height = daemon.height()
    while (backOffs(clock).length < 2) await new Promise((resolve) => setImmediate(resolve))
    // At once: the clock runs by itself, and the patience would be over before a slow disk has taken it.
    writeFileSync(file, node.login)
    expect(await height).toBe(123)
    expect(log.some(({ kind }) => kind === 'cookie')).toBe(true)
  })

  it('are waited for at the start, too', async () => {
    const node = await fakeNode()
    const file = await cookieFile()
    node.login = '__cookie__:first'
    const { daemon, clock, logText } = client([node], { cookieFile: file })
    const starting = daemon.start(new AbortController().signal)
    while (backOffs(clock).length < 20) await new Promise((resolve) => setImmediate(resolve))
    await writeFile(file, node.login)
    await starting
    expect(await daemon.height()).toBe(123)
    expect(logText()).toContain('still waiting for bitcoind')
    expect(logText()).toContain('ENOENT')
  })

  it('that are refused end the start with an error for the operator', async () => {
    const node = await fakeNode()
    node.login = 'user:hunter1'
    const { daemon } = client([`user:hunter2@127.0.0.1:${node.port}`])
    const error = await daemon.start(new AbortController().signal).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).message).toMatch(/does not accept user and password/)
    expect((error as Error).message).not.toContain('hunter')
  })

  it('that are not configured are asked for by the names of the settings', async () => {
    const node = await fakeNode()
    node.login = 'user:hunter1'
    const { daemon } = client([`127.0.0.1:${node.port}`])
    const error = await daemon.start(new AbortController().signal).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(ConfigError)
    expect((error as Error).message).toMatch(/set DAEMON_COOKIE_FILE, or write user and password into DAEMON_URL/)
  })

  it('are in no log line, no error and no address, whatever happens', async () => {
    const node = await fakeNode()
    const file = await cookieFile()
    node.login = 'alice:hunter2secret'
    await writeFile(file, '__cookie__:cookiesecret')
    const other = await fakeNode()
    other.login = '__cookie__:cookiesecret'
    const { daemon, logText } = await started([`alice:hunter2secret@127.0.0.1:${node.port}`, other], {
      cookieFile: file,
    })
    const errors: unknown[] = []
    const troubles: Misbehaviour[] = [
      { kind: 'drop' },
      { kind: 'answer', status: 401, body: '' },
      { kind: 'answer', status: 403, body: '' },
      { kind: 'answer', status: 200, body: '{' },
      { kind: 'answer', status: 200, body: '{"result":"x","error":null,"id":0}' },
    ]
    for (const trouble of troubles) {
      for (const each of [node, other]) each.misbehave(trouble)
      await daemon.height().catch((error: unknown) => errors.push(error))
    }
    await node.close()
    await other.close()
    await daemon.height().catch((error: unknown) => errors.push(error))
    const chain = (error: unknown): string =>
      error instanceof Error ? `${error.stack} ${JSON.stringify(error)} ${chain(error.cause)}` : ''
    const told = [logText(), daemon.address, ...errors.map(chain)].join('\n')
    expect(errors.length).toBeGreaterThan(0)
    for (const secret of ['hunter2secret', 'cookiesecret', 'alice', '__cookie__']) expect(told).not.toContain(secret)
    for (const secret of ['alice:hunter2secret', '__cookie__:cookiesecret']) {
      expect(told).not.toContain(Buffer.from(secret).toString('base64'))
    }
  })
})

describe('several nodes', () => {
  it('are asked one after the other without waiting in between', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    second.methods.set('getblockcount', () => 456)
    const { daemon, clock, log } = await started([first, second])
    expect(daemon.address).toBe(first.url)
    await first.close()
    expect(await daemon.height()).toBe(456)
    expect(daemon.address).toBe(second.url)
    expect(backOffs(clock)).toEqual([])
    expect(log.some(({ msg, address }) => msg === 'asking the next bitcoind' && address === second.url)).toBe(true)
  })

  it('are left for the first again once it is back and some time has passed', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    second.methods.set('getblockcount', () => 456)
    const { daemon, clock, log } = await started([first, second])
    await first.close()
    await daemon.height()
    await first.open()
    clock.advance(TIMES.returnAfter - 1)
    expect(await daemon.height()).toBe(456)
    expect(first.requests.filter(isPost)).toHaveLength(PROBE_CALLS)
    clock.advance(1)
    // The call that finds the time over is still answered by the second: the first is probed beside it.
    expect(await daemon.height()).toBe(456)
    while (daemon.address !== first.url) await new Promise((resolve) => setImmediate(resolve))
    expect(await daemon.height()).toBe(123)
    expect(log.some(({ msg }) => msg === 'back to the first bitcoind')).toBe(true)
  })

  it.each([
    ['lacks blocks that the second has', (first: FakeBitcoind) => hasWork(first, 122)],
    [
      'is still starting',
      (first: FakeBitcoind) =>
        first.methods.set('getblockchaininfo', () => {
          throw new RpcFault(-28, 'Loading block index…')
        }),
    ],
  ])('are not left for the first while it %s', async (_what, away) => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    const { daemon, clock } = await started([first, second])
    await first.close()
    await daemon.height()
    away(first)
    await first.open()
    for (let look = 1; look <= 3; look++) {
      clock.advance(TIMES.returnAfter)
      await daemon.height()
      await daemon.preferBest()
      expect(daemon.address).toBe(second.url)
    }
    hasWork(first, 123)
    expect(await daemon.preferBest()).toBe(true)
    expect(daemon.address).toBe(first.url)
  })

  it('are left for one that has more work, at once if somebody wants the best', async () => {
    const nodes = [await fakeNode(), await fakeNode(), await fakeNode()] as const
    const [first, second, third] = nodes
    const { daemon } = await started(nodes)
    const { turn } = daemon
    expect(await daemon.preferBest()).toBe(false)
    expect(daemon.turn).toBe(turn)
    hasWork(second, 124)
    hasWork(third, 125)
    expect(await daemon.preferBest()).toBe(true)
    expect(daemon.address).toBe(third.url)
    expect(daemon.turn).not.toBe(turn)
    hasWork(second, 125)
    hasWork(first, 125)
    await daemon.preferBest()
    expect(daemon.address).toBe(first.url)
  })

  it('are left in the background only by a node that has not caught up since the last look', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    const { daemon, clock } = await started([first, second])
    const look = async (): Promise<void> => {
      const heard = (): number => second.heard.filter(({ method }) => method === 'getblockchaininfo').length
      const before = heard()
      clock.advance(TIMES.returnAfter)
      await daemon.height()
      while (heard() === before) await new Promise((resolve) => setImmediate(resolve))
      // What it does with the answers.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
    }
    // A block that comes to the second first, and to the first before the next look.
    for (let work = 124; work < 127; work++) {
      hasWork(second, work)
      await look()
      expect(daemon.address).toBe(first.url)
      hasWork(first, work)
    }
    hasWork(second, 127)
    await look()
    expect(daemon.address).toBe(first.url)
    hasWork(second, 128)
    await look()
    await look()
    while (daemon.address !== second.url) await new Promise((resolve) => setImmediate(resolve))
  })

  it('stay with the second where the first is still away', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    second.methods.set('getblockcount', () => 456)
    const { daemon, clock } = await started([first, second])
    await first.close()
    await daemon.height()
    clock.advance(TIMES.returnAfter)
    expect(await daemon.height()).toBe(456)
    expect(await daemon.height()).toBe(456)
    expect(daemon.address).toBe(second.url)
  })

  it('are not asked for what was found missing, nor found anew, while the one that has it is away', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    first.offerRest({ spentTxOuts: true })
    second.offerRest({ spentTxOuts: false })
    const { daemon, log } = await started([first, second])
    await first.close()
    await expect(daemon.spentTxOuts(GENESIS)).rejects.toBeInstanceOf(DaemonUnavailableError)
    const found = log.filter(({ msg, address }) => msg === 'bitcoind found' && address === second.url)
    expect(found).toHaveLength(1)
    // Once by the probe.
    expect(second.requests.filter((request) => request.includes('spenttxouts'))).toHaveLength(1)
    await first.open()
    expect(toHex(await daemon.spentTxOuts(GENESIS))).toBe('0100')
  })

  it('wait only when all of them are away, and go on with the one that comes first', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    const { daemon, clock } = await started([first, second])
    await first.close()
    await second.close()
    const height = daemon.height()
    while (backOffs(clock).length < 2) await new Promise((resolve) => setImmediate(resolve))
    await second.open()
    expect(await height).toBe(123)
    expect(daemon.address).toBe(second.url)
  })

  it('are not used if they are of another chain', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    second.methods.set('getblockhash', () => 'ee'.repeat(32))
    const { daemon, log } = await started([first, second], { times: { ...TIMES, patience: 0 } })
    await first.close()
    await expect(daemon.height()).rejects.toThrow(/cannot be reached/)
    expect(second.heard.map(({ method }) => method)).not.toContain('getblockcount')
    expect(log.some(({ reason }) => reason?.includes('another chain'))).toBe(true)
  })

  it('start if one of them is there', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    await first.close()
    const { daemon } = await started([first, second])
    expect(daemon.address).toBe(second.url)
  })

  it('are not changed because one answer is too large', async () => {
    const [first, second] = [await fakeNode(), await fakeNode()]
    first.methods.set('getblockcount', () => 'x'.repeat(2000))
    const { daemon } = await started([first, second], { sizes: { call: 1000 } })
    await expect(daemon.height()).rejects.toThrow(/more than 1000 bytes/)
    expect(daemon.address).toBe(first.url)
  })
})

describe('abort', () => {
  const ABORT = { name: 'AbortError' }

  it('ends a call that waits for an answer, and its connection', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    node.misbehave({ kind: 'stall' })
    const controller = new AbortController()
    const before = node.requests.length
    const height = daemon.height(controller.signal)
    await node.requested(before + 1)
    controller.abort()
    await expect(height).rejects.toMatchObject(ABORT)
    expect(clock.sleeping).toBe(0)
    expect(await daemon.height()).toBe(123)
  })

  it('ends a call that waits to try again', async () => {
    const node = await fakeNode()
    const lines: string[] = []
    const clock = new HandClock()
    const log = createLogger('trace', { write: (line) => lines.push(line) })
    const daemon = new Bitcoind({ urls: [node.url], times: TIMES }, { log, clock })
    undo.push(() => daemon.stop())
    await daemon.start(new AbortController().signal)
    await node.close()
    const controller = new AbortController()
    const height = daemon.height(controller.signal)
    await clock.sleeper((ms) => ms <= 250)
    controller.abort(new Error('client left'))
    await expect(height).rejects.toMatchObject(ABORT)
    expect(clock.sleeping).toBe(0)
  })

  it('ends a call that waits for a connection', async () => {
    const node = await fakeNode()
    const { daemon } = await started([node], { connections: 1 })
    node.misbehave({ kind: 'stall' })
    const before = node.requests.length
    const [one, two] = [new AbortController(), new AbortController()]
    const first = daemon.height(one.signal)
    await node.requested(before + 1)
    const second = daemon.height(two.signal)
    two.abort()
    await expect(second).rejects.toMatchObject(ABORT)
    one.abort()
    await expect(first).rejects.toMatchObject(ABORT)
    expect(await daemon.height()).toBe(123)
  })

  it('is heeded before anything is asked', async () => {
    const node = await fakeNode()
    const { daemon } = await started([node])
    const before = node.requests.length
    await expect(daemon.height(AbortSignal.abort())).rejects.toMatchObject(ABORT)
    await expect(daemon.mempoolTransactions(['00'.repeat(32)], AbortSignal.abort())).rejects.toMatchObject(ABORT)
    expect(node.requests).toHaveLength(before)
  })

  it('ends a start that waits for a node, while the probe runs or between probes', async () => {
    const node = await fakeNode()
    const { daemon } = client([node])
    node.misbehave({ kind: 'stall' })
    const controller = new AbortController()
    const starting = daemon.start(controller.signal)
    await node.requested(1)
    controller.abort()
    await expect(starting).rejects.toMatchObject(ABORT)
  })

  it('comes with stop() for every call under way', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    for (let count = 0; count < 3; count += 1) node.misbehave({ kind: 'stall' })
    const before = node.requests.length
    const calls = [daemon.height(), daemon.height(), daemon.estimateFee(2)]
    await node.requested(before + 3)
    const settled = Promise.allSettled(calls)
    await daemon.stop()
    expect((await settled).map((one) => one.status === 'rejected' && (one.reason as Error).name)).toEqual([
      'AbortError',
      'AbortError',
      'AbortError',
    ])
    await expect(daemon.height()).rejects.toMatchObject(ABORT)
    expect(clock.sleeping).toBe(0)
  })
})

describe('connections', () => {
  it('are never more than eight', async () => {
    const node = await fakeNode()
    const { daemon } = await started([node])
    const before = node.requests.length
    const release = node.hold()
    const calls = Promise.all(Array.from({ length: 60 }, () => daemon.height()))
    await node.requested(before + 8)
    release()
    await calls
    expect(node.mostAtOnce).toBe(8)
  })

  it('that all stall make later calls fail as busy instead of piling up without end', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node], { connections: 1, times: { ...TIMES, patience: 0 } })
    node.misbehave({ kind: 'stall' })
    const before = node.requests.length
    const calls = Array.from({ length: 1100 }, () => daemon.height())
    const settled = Promise.allSettled(calls)
    await node.requested(before + 1)
    clock.advance(TIMES.call)
    const results = await settled
    const busy = results.filter((one) => one.status === 'rejected' && String(one.reason).includes('calls wait'))
    expect(busy.length).toBeGreaterThan(50)
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(900)
  })
})

describe('start', () => {
  it('tells what the node says while it warms up, each sentence once', async () => {
    const node = await fakeNode()
    const sentences = ['Loading block index…', 'Loading block index…', 'Verifying blocks…', 'Verifying blocks…']
    node.methods.set('getblockhash', () => {
      const sentence = sentences.shift()
      if (sentence !== undefined) throw new RpcFault(-28, sentence)
      return '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'
    })
    const { log } = await started([node])
    const said = log.filter(({ msg }) => msg === 'bitcoind is starting').map(({ reason }) => reason)
    expect(said).toHaveLength(2)
    expect(said[0]).toContain('Loading block index…')
    expect(said[1]).toContain('Verifying blocks…')
  })

  it('finds its abilities again after the node was away', async () => {
    const node = await fakeNode()
    const { daemon, clock } = await started([node])
    expect(daemon.abilities).toEqual({ rest: false, spentTxOuts: false, zmq: undefined })
    await node.close()
    node.offerRest({ spentTxOuts: true })
    const height = daemon.height()
    while (backOffs(clock).length < 1) await new Promise((resolve) => setImmediate(resolve))
    await node.open()
    await height
    expect(daemon.abilities).toEqual({ rest: true, spentTxOuts: true, zmq: undefined })
  })
})
