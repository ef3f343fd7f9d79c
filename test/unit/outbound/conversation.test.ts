import { describe, expect, it, vi } from 'vitest'
import { isAbort } from '../../../src/errors.ts'
import { AbortedError, CancelledError, InvalidError, TimeoutError } from '../../../src/session/outbound/errors.ts'
import { Bench, outcome, settle } from './support.ts'

describe('a conversation', () => {
  it('settles each question with its answer, one after the other under one id', async () => {
    const { port, mouth } = new Bench().remote('a')
    const conversation = port.open()
    for (const question of ['how', 'why']) {
      const answer = conversation.request(question)
      expect(mouth.last).toEqual({ id: 0, text: question })
      port.receive({ id: 0, text: `${question} not` })
      expect(await answer).toEqual({ id: 0, text: `${question} not` })
    }
    conversation.end()
    expect(port.size).toBe(0)
  })

  it('gives answers to who asked, in whatever order they come', async () => {
    const { port } = new Bench().remote('a')
    const [one, two] = [port.open(), port.open()]
    const answers = [one.request('1'), two.request('2')]
    port.receive({ id: two.id, text: 'two' })
    port.receive({ id: one.id, text: 'one' })
    expect((await Promise.all(answers)).map(({ text }) => text)).toEqual(['one', 'two'])
  })

  it('refuses a second question while the first is open, and keeps the first', async () => {
    const { port } = new Bench().remote('a')
    const conversation = port.open()
    const first = conversation.request('first')
    await expect(conversation.request('second')).rejects.toBeInstanceOf(InvalidError)
    port.receive({ id: 0, text: 'yes' })
    expect((await first).text).toBe('yes')
  })

  it('gives a call its own time, others the default', async () => {
    const bench = new Bench({ requestTimeout: 1000 })
    const { port } = bench.remote('a')
    const short = outcome(port.open().request('short', { timeout: 100 }))
    const usual = outcome(port.open().request('usual'))
    bench.clock.advance(99)
    await settle()
    expect(short).toEqual({})
    bench.clock.advance(1)
    await settle()
    expect(short.error).toBeInstanceOf(TimeoutError)
    expect(short.error).toMatchObject({ scope: 'request', attempts: 1 })
    bench.clock.advance(899)
    await settle()
    expect(usual).toEqual({})
    bench.clock.advance(1)
    await settle()
    expect(usual.error).toBeInstanceOf(TimeoutError)
  })

  it('asks again as often as it is told, and only then says that time is up', async () => {
    const bench = new Bench()
    const { port, mouth } = bench.remote('a')
    const result = outcome(port.open().request('hello', { timeout: 100, retries: 2, interval: 50 }))
    const sentAfter = [1, 1, 2, 2, 3]
    for (const [step, count] of sentAfter.entries()) {
      expect(mouth.sent).toHaveLength(count)
      expect(result).toEqual({})
      bench.clock.advance(step % 2 === 0 ? 100 : 50)
      await settle()
    }
    expect(result.error).toMatchObject({ name: 'TimeoutError', attempts: 3 })
    expect(mouth.sent).toEqual([0, 0, 0].map((id) => ({ id, text: 'hello' })))
    expect(port.size).toBe(0)
  })

  it('takes an answer that comes between two attempts, and sends nothing more', async () => {
    const bench = new Bench()
    const { port, mouth } = bench.remote('a')
    const answer = port.open().request('hello', { timeout: 100, retries: 5, interval: 50 })
    bench.clock.advance(100)
    await settle()
    port.receive({ id: 0, text: 'late' })
    expect((await answer).text).toBe('late')
    bench.clock.advance(100_000)
    await settle()
    expect(mouth.sent).toHaveLength(1)
  })

  it('does not take the second answer to a repeated question for that to the next', async () => {
    const bench = new Bench()
    const { port, mouth, foreign } = bench.remote('a')
    const conversation = port.open()
    const first = conversation.request('first', { timeout: 100, retries: 1 })
    bench.clock.advance(100)
    await settle()
    port.receive({ id: 0, text: 'first' })
    await first
    const second = conversation.request('second')
    expect(mouth.last).toEqual({ id: 1, text: 'second' })
    port.receive({ id: 0, text: 'first' })
    expect(foreign).toEqual([{ id: 0, text: 'first' }])
    port.receive({ id: 1, text: 'second' })
    expect((await second).text).toBe('second')
  })

  it('is cancelled by the signal of its caller, which is no failure to log', async () => {
    const { port, foreign } = new Bench().remote('a')
    const stop = new AbortController()
    const result = outcome(port.open().request('hello', { signal: stop.signal }))
    const reason = new Error('enough')
    stop.abort(reason)
    await settle()
    expect(result.error).toBeInstanceOf(CancelledError)
    expect(result.error?.cause).toBe(reason)
    expect(isAbort(result.error)).toBe(true)
    port.receive({ id: 0, text: 'too late' })
    expect(foreign).toHaveLength(1)
  })

  it('is not begun under a signal that is aborted already', async () => {
    const { port, mouth } = new Bench().remote('a')
    await expect(port.open().request('hello', { signal: AbortSignal.abort() })).rejects.toBeInstanceOf(CancelledError)
    expect(mouth.sent).toEqual([])
  })

  it('leaves no listener on the signal of its caller and no timer behind', async () => {
    const bench = new Bench()
    const { port } = bench.remote('a')
    const { signal } = new AbortController()
    const [added, removed] = [vi.spyOn(signal, 'addEventListener'), vi.spyOn(signal, 'removeEventListener')]
    const answer = port.open().request('hello', { signal })
    expect(added).toHaveBeenCalledTimes(1)
    port.receive({ id: 0, text: 'yes' })
    await answer
    await settle()
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(added.mock.calls.map(([, listener]) => listener))
    // What still sleeps is the sweeper.
    expect(bench.clock.sleeping).toBe(1)
  })

  it('ends with InvalidError on an answer that is none', async () => {
    const { port } = new Bench().remote('a')
    const result = outcome(port.open().request('hello'))
    port.receive({ id: 0, text: 'nonsense' })
    await settle()
    expect(result.error).toBeInstanceOf(InvalidError)
    expect(port.size).toBe(0)
  })

  it('ends with InvalidError on a question that cannot be put into words', async () => {
    const { port } = new Bench().remote('a')
    await expect(port.open().request('unspeakable')).rejects.toMatchObject({
      name: 'InvalidError',
      cause: expect.any(TypeError) as unknown,
    })
  })

  it('refuses questions after its end and says how it ended', async () => {
    const { port } = new Bench().remote('a')
    const conversation = port.open()
    conversation.abort(new AbortedError('id taken back'))
    await expect(conversation.request('hello')).rejects.toMatchObject({
      name: 'InvalidError',
      cause: expect.objectContaining({ reason: 'id taken back' }) as unknown,
    })
  })

  it('ends with TimeoutError when its life is over, whatever is said in it, within half a request time', async () => {
    const bench = new Bench({ requestTimeout: 1000, leastTimeout: 1000, maxLife: 3000 })
    const { port } = bench.remote('a')
    const conversation = port.open()
    for (let at = 0; at < 2500; at += 500) {
      const answer = conversation.request('more')
      port.receive({ id: 0, text: 'still here' })
      await answer
      bench.clock.advance(500)
      await settle()
    }
    const last = outcome(conversation.request('more'))
    expect(conversation.isOpen).toBe(true)
    bench.clock.advance(500)
    await settle()
    expect(last.error).toMatchObject({ name: 'TimeoutError', scope: 'life' })
    expect(bench.clock.slept.filter((ms) => ms === 500)).toHaveLength(6)
  })

  it('has its sweeper only while there is something to sweep', async () => {
    const bench = new Bench({ requestTimeout: 1000 })
    const { port } = bench.remote('a')
    expect(bench.clock.sleeping).toBe(0)
    port.open().end()
    expect(bench.clock.sleeping).toBe(1)
    bench.clock.advance(500)
    await settle()
    expect(bench.clock.sleeping).toBe(0)
    port.open()
    expect(bench.clock.sleeping).toBe(1)
    await bench.manager.destroy()
  })

  it('tells of its beginning, of what it hears and of its end, itself and through the manager', async () => {
    const bench = new Bench()
    const { port } = bench.remote('a')
    const own: string[] = []
    const conversation = port.open({
      listen: (events) => {
        events.on('created', () => own.push('created'))
        events.on('message', ({ text }) => own.push(`message ${text}`))
        events.on('ended', (error) => own.push(`ended ${error?.name ?? 'well'}`))
      },
    })
    const answer = conversation.request('hello')
    port.receive({ id: 0, text: 'yes' })
    await answer
    port.receive({ id: 0, text: 'and another thing' })
    conversation.end()
    expect(own).toEqual(['created', 'message yes', 'message and another thing', 'ended well'])
    port.open().cancel()
    expect(bench.story).toEqual([
      'created a 0',
      'message a 0 yes',
      'message a 0 and another thing',
      'ended a 0 well',
      'created a 1',
      'ended a 1 CancelledError',
    ])
  })
})
