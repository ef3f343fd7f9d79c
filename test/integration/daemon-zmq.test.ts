import { EventEmitter, once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { Publisher } from 'zeromq'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import type { DaemonNotice } from '../../src/daemon/daemon.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/log.ts'
import { FakeBitcoind } from '../support/fake-bitcoind.ts'

const A = 'aa'.repeat(32)
const B = 'bb'.repeat(32)

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** Publishes as bitcoind does, and knows when somebody has connected. */
class Feed {
  #socket = new Publisher({ linger: 0 })
  #endpoint = 'tcp://127.0.0.1:*'
  #counter = 0

  async open(): Promise<void> {
    this.#socket = new Publisher({ linger: 0 })
    this.#counter = 0
    await this.#bind()
    this.#endpoint = this.#socket.lastEndpoint ?? this.#endpoint
  }

  /** libzmq gives a port free a moment after the socket was closed. */
  async #bind(): Promise<void> {
    for (;;) {
      try {
        await this.#socket.bind(this.#endpoint)
        return
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }

  close(): void {
    this.#socket.close()
  }

  get endpoint(): string {
    return this.#endpoint
  }

  async say(hash: string, label: string): Promise<void> {
    const counter = Buffer.alloc(4)
    counter.writeUInt32LE(this.#counter)
    this.#counter += 1
    await this.#socket.send(['sequence', Buffer.concat([Buffer.from(hash, 'hex'), Buffer.from(label)]), counter])
  }

  skip(): void {
    this.#counter += 1
  }

  async raw(...frames: (string | Buffer)[]): Promise<void> {
    await this.#socket.send(frames)
  }
}

class Heard {
  readonly notices: DaemonNotice[] = []
  #watchers: (() => void)[] = []

  readonly listener = (notice: DaemonNotice): void => {
    this.notices.push(notice)
    for (const watch of this.#watchers.splice(0)) watch()
  }

  /** Settles once `matches` holds; until then `nudge` is called now and then: subscribing takes a moment. */
  async until(matches: (notices: readonly DaemonNotice[]) => boolean, nudge?: () => Promise<void>): Promise<void> {
    while (!matches(this.notices)) {
      await nudge?.()
      const change = new Promise<void>((resolve) => this.#watchers.push(resolve))
      await Promise.race(nudge === undefined ? [change] : [change, new Promise((resolve) => setTimeout(resolve, 10))])
    }
  }
}

interface Setup {
  readonly daemon: Bitcoind
  readonly feed: Feed
  readonly heard: Heard
  readonly log: { readonly msg: string; readonly level: number }[]
  readonly leave: AbortController
}

async function listening(): Promise<Setup> {
  const node = await FakeBitcoind.listen()
  undo.push(() => node.close())
  const feed = new Feed()
  await feed.open()
  undo.push(() => feed.close())
  node.methods.set('getzmqnotifications', () => [{ type: 'pubsequence', address: feed.endpoint, hwm: 1000 }])
  const log: Setup['log'] = []
  const logger = createLogger('trace', { write: (line) => log.push(JSON.parse(line) as Setup['log'][number]) })
  const daemon = new Bitcoind({ urls: [node.url], zmq: feed.endpoint }, { log: logger, clock: systemClock })
  await daemon.start(new AbortController().signal)
  undo.push(() => daemon.stop())
  const heard = new Heard()
  const leave = new AbortController()
  daemon.notices?.listen(heard.listener, leave.signal)
  return { daemon, feed, heard, log, leave }
}

const blocks = (notices: readonly DaemonNotice[]): string[] =>
  notices.flatMap((notice) => (notice.kind === 'block-connected' ? [notice.hash] : []))
const gaps = (notices: readonly DaemonNotice[]): number => notices.filter(({ kind }) => kind === 'gap').length

describe('notices over ZMQ', () => {
  it('from an endpoint where nobody answers are missed aloud', async () => {
    const node = await FakeBitcoind.listen()
    undo.push(() => node.close())
    node.methods.set('getzmqnotifications', () => [{ type: 'pubsequence', address: 'tcp://127.0.0.1:28332', hwm: 1 }])
    const lines: string[] = []
    const written = new EventEmitter()
    const told = once(written, 'line')
    const log = createLogger('warn', { write: (line) => void written.emit('line', lines.push(line)) })
    const options = { urls: [node.url], zmq: 'tcp://127.0.0.1:1', times: { zmqConnect: 50 } }
    const daemon = new Bitcoind(options, { log, clock: systemClock })
    undo.push(() => daemon.stop())
    await daemon.start(new AbortController().signal)
    daemon.notices?.listen(() => {}, new AbortController().signal)
    await told
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 40,
      endpoint: 'tcp://127.0.0.1:1',
      msg: expect.stringMatching(/^nobody answers at DAEMON_ZMQ.*Relying on polling$/) as string,
    })
  })

  it('begin with a gap, then tell blocks, and tell a gap where messages are missing', async () => {
    const { daemon, feed, heard, log } = await listening()
    expect(daemon.abilities.zmq).toBe(feed.endpoint)
    expect(log.some(({ msg }) => msg === 'listening to bitcoind over ZMQ')).toBe(true)
    await heard.until((notices) => gaps(notices) > 0)
    await heard.until(
      (notices) => blocks(notices).includes(A),
      () => feed.say(A, 'C'),
    )
    const before = gaps(heard.notices)
    await feed.say(B, 'D')
    await heard.until((notices) => notices.at(-1)?.kind === 'block-disconnected')
    expect(gaps(heard.notices)).toBe(before)
    feed.skip()
    await feed.say(B, 'C')
    await heard.until((notices) => blocks(notices).includes(B))
    expect(gaps(heard.notices)).toBe(before + 1)
    expect(heard.notices.at(-2)).toEqual({ kind: 'gap' })
  })

  it('tell that they are silent while the node is away', async () => {
    const { feed, heard } = await listening()
    await heard.until(
      (notices) => blocks(notices).includes(A),
      () => feed.say(A, 'C'),
    )
    feed.close()
    await heard.until((notices) => notices.at(-1)?.kind === 'silence')
  })

  it('go on after the node was away, with a gap', async () => {
    const { feed, heard, log } = await listening()
    await heard.until(
      (notices) => blocks(notices).includes(A),
      () => feed.say(A, 'C'),
    )
    const before = gaps(heard.notices)
    feed.close()
    await feed.open()
    await heard.until((notices) => gaps(notices) > before)
    await heard.until(
      (notices) => blocks(notices).includes(B),
      () => feed.say(B, 'C'),
    )
    expect(log.some(({ msg }) => msg.startsWith('ZMQ connection lost'))).toBe(true)
  })

  it('tell a gap for what is not understood, and go on', async () => {
    const { feed, heard, log } = await listening()
    await heard.until(
      (notices) => blocks(notices).includes(A),
      () => feed.say(A, 'C'),
    )
    const before = gaps(heard.notices)
    // Said until it is heard: publishing drops what the subscriber's connection does not take at that moment.
    await heard.until(
      (notices) => gaps(notices) > before,
      () => feed.raw('sequence', Buffer.from('rubbish'), Buffer.alloc(4)),
    )
    await heard.until(
      (notices) => blocks(notices).includes(B),
      () => feed.say(B, 'C'),
    )
    expect(log.some(({ msg }) => msg === 'ZMQ message not understood')).toBe(true)
  })

  it('end when the listener leaves, and for all when the client stops', async () => {
    const { daemon, feed, heard, leave } = await listening()
    const other = new Heard()
    daemon.notices?.listen(other.listener, new AbortController().signal)
    await heard.until(
      (notices) => blocks(notices).includes(A),
      () => feed.say(A, 'C'),
    )
    await other.until(
      (notices) => blocks(notices).includes(A),
      () => feed.say(A, 'C'),
    )
    leave.abort()
    const count = heard.notices.length
    await other.until(
      (notices) => blocks(notices).includes(B),
      () => feed.say(B, 'C'),
    )
    expect(heard.notices).toHaveLength(count)
    await daemon.stop()
    const after = other.notices.length
    await feed.say(A, 'D')
    daemon.notices?.listen(other.listener, new AbortController().signal)
    expect(other.notices).toHaveLength(after)
  })

  it('survive a listener that throws', async () => {
    const { daemon, feed, heard, log } = await listening()
    daemon.notices?.listen(() => {
      throw new Error('no')
    }, new AbortController().signal)
    await heard.until(
      () => log.some(({ msg }) => msg === 'a listener to ZMQ notices threw'),
      () => feed.say(A, 'C'),
    )
    await heard.until(
      (notices) => blocks(notices).includes(B),
      () => feed.say(B, 'C'),
    )
  })

  it('are announced as missing where bitcoind publishes none', async () => {
    const node = await FakeBitcoind.listen()
    undo.push(() => node.close())
    node.methods.set('getzmqnotifications', () => [])
    const log: Setup['log'] = []
    const logger = createLogger('trace', { write: (line) => log.push(JSON.parse(line) as Setup['log'][number]) })
    const daemon = new Bitcoind({ urls: [node.url], zmq: 'tcp://127.0.0.1:1' }, { log: logger, clock: systemClock })
    undo.push(() => daemon.stop())
    await daemon.start(new AbortController().signal)
    expect(log.at(-1)).toMatchObject({ level: 40, msg: expect.stringContaining('publishes neither') as unknown })
  })
})
