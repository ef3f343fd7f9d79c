import { describe, expect, it } from 'vitest'
import { AbortedError, InvalidError } from '../../../src/session/outbound/errors.ts'
import { refuseNew, takeLongestSilent, takeOldest } from '../../../src/session/outbound/overflow.ts'
import { Bench, outcome, settle } from './support.ts'

describe('ids of a port', () => {
  it('count up to 65,535 and then from 0 again', () => {
    const { port } = new Bench().remote('a')
    let last = -1
    for (let count = 0; count <= 65_535; count++) {
      const conversation = port.open()
      last = conversation.id
      conversation.end()
    }
    expect(last).toBe(65_535)
    expect(port.open().id).toBe(0)
  })

  it('step over those in use after the wrap-around', () => {
    const { port } = new Bench({ maxId: 3 }).remote('a')
    const open = [port.open(), port.open(), port.open(), port.open()]
    open[1]?.end()
    open[3]?.end()
    expect([port.open().id, port.open().id]).toEqual([1, 3])
    expect(open[0]?.isOpen).toBe(true)
  })

  it('are taken back from the oldest when all are in use, which ends with AbortedError', async () => {
    const { port, foreign, mouth } = new Bench({ maxId: 2, overflow: takeOldest }).remote('a')
    const first = outcome(port.open().request('first'))
    const others = [port.open(), port.open()]
    const newest = port.open()
    await settle()
    expect(first.error).toBeInstanceOf(AbortedError)
    expect(first.error).toMatchObject({ reason: 'id taken back' })
    expect(newest.id).toBe(0)
    expect(others.every(({ isOpen }) => isOpen)).toBe(true)
    expect(port.size).toBe(3)
    const answer = newest.request('newest')
    port.receive({ id: 0, text: 'for the newest' })
    expect((await answer).text).toBe('for the newest')
    expect(foreign).toEqual([])
    expect(mouth.sent.map(({ text }) => text)).toEqual(['first', 'newest'])
  })

  it('are taken back from who was silent longest, if that is the policy', () => {
    const bench = new Bench({ maxId: 1, overflow: takeLongestSilent })
    const { port } = bench.remote('a')
    const [busy, silent] = [port.open(), port.open()]
    bench.clock.advance(10)
    void outcome(busy.request('hello'))
    port.open()
    expect([busy.isOpen, silent.isOpen]).toEqual([true, false])
  })

  it('are kept by who has them, if that is the policy: the new conversation is refused', () => {
    const { port } = new Bench({ maxId: 1, overflow: refuseNew }).remote('a')
    const open = [port.open(), port.open()]
    expect(() => port.open()).toThrow(InvalidError)
    expect(open.every(({ isOpen }) => isOpen)).toBe(true)
    expect(port.size).toBe(2)
  })
})

describe('a port', () => {
  it('has a name space of its own: the same ids at two remotes are not mixed up', async () => {
    const bench = new Bench()
    const [a, b] = [bench.remote('a'), bench.remote('b')]
    const [toA, toB] = [a.port.open(), b.port.open()]
    expect(toA.id).toBe(toB.id)
    const answers = [toA.request('to a'), toB.request('to b')]
    b.port.receive({ id: 0, text: 'from b' })
    a.port.receive({ id: 0, text: 'from a' })
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(['from a', 'from b'])
    expect([a.mouth.sent, b.mouth.sent].map((sent) => sent.map(({ text }) => text))).toEqual([['to a'], ['to b']])
  })

  it('is refused a name that another one has, until that one is gone', () => {
    const bench = new Bench()
    const { port } = bench.remote('a')
    expect(() => bench.remote('a')).toThrow(InvalidError)
    port.destroy()
    expect(bench.remote('a').port.name).toBe('a')
  })

  it('passes on what is no part of a conversation, each message once', () => {
    const { port, foreign } = new Bench().remote('a')
    port.open()
    const messages = [{ text: 'news' }, { id: 7, text: 'to nobody' }, { text: 'nonsense' }]
    for (const message of messages) port.receive(message)
    expect(foreign).toEqual(messages)
  })

  it('ends all its conversations when it is destroyed, and leaves those of others alone', async () => {
    const bench = new Bench()
    const [a, b] = [bench.remote('a'), bench.remote('b')]
    const asked = [1, 2, 3].map((n) => outcome(a.port.open().request(`question ${n}`, { retries: 9 })))
    const idle = a.port.open()
    const other = b.port.open().request('other')
    a.port.destroy()
    await settle()
    for (const { error } of asked) expect(error).toMatchObject({ name: 'AbortedError', reason: 'port destroyed' })
    expect(idle.isOpen).toBe(false)
    expect(() => a.port.open()).toThrow(AbortedError)
    a.port.receive({ id: 0, text: 'late' })
    expect(a.foreign).toEqual([])
    b.port.receive({ id: 0, text: 'fine' })
    expect((await other).text).toBe('fine')
    expect([...bench.manager.ports.keys()]).toEqual(['b'])
  })

  it('queues while the channel is full, in order, without what was given up meanwhile', async () => {
    const { port, mouth } = new Bench().remote('a')
    mouth.isOpen = false
    const conversations = ['1', '2', '3', '4'].map((text) => {
      const conversation = port.open()
      void outcome(conversation.request(text))
      return conversation
    })
    expect(mouth.sent.map(({ text }) => text)).toEqual(['1'])
    conversations[1]?.cancel()
    port.drained()
    expect(mouth.sent.map(({ text }) => text)).toEqual(['1', '3'])
    mouth.isOpen = true
    port.drained()
    expect(mouth.sent.map(({ text }) => text)).toEqual(['1', '3', '4'])
    void outcome(port.open().request('5'))
    expect(mouth.last.text).toBe('5')
    await settle()
  })

  it('has a bound for its queue: who comes later ends with AbortedError', async () => {
    const { port, mouth } = new Bench({ maxQueued: 2 }).remote('a')
    mouth.isOpen = false
    const results = ['sent', 'queued', 'queued', 'too much'].map((text) => outcome(port.open().request(text)))
    await settle()
    expect(results.map(({ error }) => error?.message)).toEqual([
      undefined,
      undefined,
      undefined,
      'conversation ended: queue full',
    ])
    expect(port.queued).toBe(2)
  })
})

describe('a remote that breaks the protocol', () => {
  it('is dropped once it has owed answers for too long', async () => {
    const bench = new Bench({ requestTimeout: 1000, breachTimeout: 5000 })
    const remote = bench.remote('a')
    for (let at = 0; at < 4; at++) {
      const result = outcome(remote.port.open().request('hello'))
      bench.clock.advance(1000)
      await settle()
      expect(result.error?.name).toBe('TimeoutError')
    }
    expect(remote.breaches).toBe(0)
    const last = outcome(remote.port.open().request('hello', { timeout: 60_000 }))
    bench.clock.advance(1000)
    await settle()
    expect(remote.breaches).toBe(1)
    expect(last.error).toMatchObject({ name: 'AbortedError', reason: 'protocol breach' })
  })

  it.each([
    ['answers another question', 'next'],
    ['answers the one that was given up', 'late'],
  ])('is forgiven when it %s', async (_how, way) => {
    const bench = new Bench({ requestTimeout: 1000, breachTimeout: 5000 })
    const remote = bench.remote('a')
    void outcome(remote.port.open().request('hello'))
    bench.clock.advance(1000)
    await settle()
    const next = remote.port.open().request('still there?', { timeout: 60_000 })
    void outcome(next)
    remote.port.receive({ id: way === 'next' ? 1 : 0, text: 'sorry' })
    await settle()
    for (let at = 0; at < 10; at++) {
      bench.clock.advance(1000)
      await settle()
    }
    expect(remote.breaches).toBe(0)
  })

  it('is dropped at once for too much nonsense in a row', async () => {
    const remote = new Bench({ maxBadMessages: 3 }).remote('a')
    const good = remote.port.open().request('hello')
    remote.port.receivedBad()
    remote.port.receivedBad()
    remote.port.receive({ id: 0, text: 'yes' })
    await good
    const result = outcome(remote.port.open().request('again'))
    remote.port.receivedBad()
    remote.port.receivedBad()
    expect(remote.breaches).toBe(0)
    remote.port.receivedBad()
    await settle()
    expect(remote.breaches).toBe(1)
    expect(result.error).toMatchObject({ reason: 'protocol breach' })
  })
})

describe('deadlines', () => {
  it('follow the measured round trip between their bounds', async () => {
    const bench = new Bench({ requestTimeout: 10_000, leastTimeout: 500 })
    const { port } = bench.remote('a')
    for (let round = 0; round < 20; round++) {
      const conversation = port.open()
      const answer = conversation.request('ping')
      bench.clock.advance(300)
      port.receive({ id: conversation.id, text: 'pong' })
      await answer
      conversation.end()
    }
    expect(port.roundTrip).toBeCloseTo(300)
    bench.clock.slept.length = 0
    void outcome(port.open().request('ping'))
    const [deadline] = bench.clock.slept
    expect(deadline).toBeLessThan(1000)
    expect(deadline).toBeGreaterThanOrEqual(500)
  })

  it('learn nothing from the answer to a question that was sent twice: nobody knows to which it belongs', async () => {
    const bench = new Bench({ requestTimeout: 10_000, leastTimeout: 500 })
    const { port } = bench.remote('a')
    const twice = port.open()
    const answer = twice.request('ping', { timeout: 3000, retries: 1 })
    bench.clock.advance(3000)
    await settle()
    port.receive({ id: twice.id, text: 'pong' })
    await answer
    expect(port.roundTrip).toBeUndefined()
    const once = port.open()
    const other = once.request('ping')
    bench.clock.advance(40)
    port.receive({ id: once.id, text: 'pong' })
    await other
    expect(port.roundTrip).toBe(40)
  })

  it('grow again when they were too short, but not for a call with a time of its own', async () => {
    const bench = new Bench({ requestTimeout: 10_000, leastTimeout: 500 })
    const { port } = bench.remote('a')
    const quick = port.open()
    const answer = quick.request('ping')
    port.receive({ id: quick.id, text: 'pong' })
    await answer
    bench.clock.slept.length = 0
    void outcome(port.open().request('slow', { retries: 3 }))
    for (const ms of [500, 1000, 2000]) {
      bench.clock.advance(ms)
      await settle()
    }
    void outcome(port.open().request('own', { timeout: 123 }))
    expect(bench.clock.slept.filter((ms) => ms !== 5000)).toEqual([500, 1000, 2000, 4000, 123])
  })
})

describe('a manager', () => {
  it('ends everything when destroyed and takes nothing more', async () => {
    const bench = new Bench()
    const remotes = ['a', 'b'].map((name) => bench.remote(name))
    const results = remotes.map(({ port }) => outcome(port.open().request('hello')))
    expect(bench.manager.size).toBe(2)
    await bench.manager.destroy()
    for (const { error } of results) expect(error).toMatchObject({ reason: 'shutdown' })
    await settle()
    expect(bench.clock.sleeping).toBe(0)
    expect(bench.manager.size).toBe(0)
    expect(() => bench.remote('c')).toThrow(AbortedError)
  })
})
