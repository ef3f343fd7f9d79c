import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineMethod } from '../../../src/rpc/method.ts'
import { type CostMeter, DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { DEFAULT_GROUPS } from '../../../src/session/groups.ts'
import { TURN_MS } from '../../../src/session/transports/turns.ts'
import { KIT_METHOD, type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { LIMITS } from '../../support/transport-kit.ts'

/** No limits, so that nothing has to wait for the clock. */
const FREE = { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 }

describe('requests of a session', () => {
  let kit: SessionKit | undefined

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = await new SessionKit(options).start()
    return kit
  }

  afterEach(async () => {
    await kit?.stop()
    kit = undefined
  })

  it('are answered singly, in batches, and with errors under the codes of the protocol', async () => {
    const { connect } = bind(await start())
    const client = await connect()
    expect(await client.request('server.version', ['me', [1, 6]])).toEqual(['kit', '1.6.0'])
    expect(await client.request('echo', ['hello'])).toBe('hello')
    await expect(client.request('nothing')).rejects.toMatchObject({ code: -32601 })
    await expect(client.request('echo', [])).rejects.toMatchObject({ code: -32602 })
    await expect(client.request('fail')).rejects.toThrow(/^internal server error \(request r\d+\)$/)
    client.send([
      { jsonrpc: '2.0', id: 'a', method: 'echo', params: ['1'] },
      { jsonrpc: '2.0', id: 'b', method: 'nothing' },
      { jsonrpc: '2.0', id: 'c', method: 'echo', params: ['3'] },
    ])
    await client.next((message) => message.id === 'c')
    expect(client.received.at(-1)).toMatchObject([
      { id: 'a', result: '1' },
      { id: 'b', error: { code: -32601 } },
      { id: 'c', result: '3' },
    ])
  })

  it('wait for the version when they come right behind server.version', async () => {
    const { connect } = bind(await start())
    const client = await connect()
    const version = client.request('server.version', ['me', [1, 6]])
    const protocol = client.request('protocol')
    expect(await protocol).toBe('1.6.0')
    expect(await version).toEqual(['kit', '1.6.0'])
  })

  it('wait for the version also when server.version itself has to wait, and they would not', async () => {
    const { connect } = bind(await start())
    const client = await connect()
    await client.request('spend', [5500])
    const version = client.request('server.version', ['me', [1, 5]])
    await kit!.until(() => kit!.clock.sleeping > 1)
    const [session] = kit!.manager.clients()
    // As if what it had used were forgiven meanwhile: nothing of it is to be reached from outside.
    const { meter } = session as unknown as { readonly meter: CostMeter }
    meter.bump(-5500)
    expect(meter.delay).toBe(0)
    const protocol = client.request('protocol')
    await kit!.until(() => session?.unanswered === 2)
    kit!.clock.advance(2500)
    expect(await protocol).toBe('1.5.0')
    expect(await version).toEqual(['kit', '1.5.0'])
  })

  it('are served at 1.4 without server.version, which may still come once for a version below 1.6', async () => {
    const { connect } = bind(await start())
    const client = await connect()
    expect(await client.request('protocol')).toBe('1.4.0')
    expect(await client.request('server.version', ['me', [1, 5]])).toEqual(['kit', '1.5.0'])
    expect(await client.request('protocol')).toBe('1.5.0')
    const again = client.request('server.version', ['me', [1, 4]])
    await expect(again).rejects.toMatchObject({ code: 1, message: 'server.version already sent' })
    expect(await client.request('protocol')).toBe('1.5.0')
  })

  it.each([
    [1, 6],
    [1, 7],
  ])('end with the session when a later server.version would give %i.%i', async (major, minor) => {
    const { connect } = bind(await start())
    const client = await connect()
    expect(await client.request('protocol')).toBe('1.4.0')
    const late = client.request('server.version', ['me', [major, minor]])
    await expect(late).rejects.toMatchObject({ code: 1, message: /^server\.version has to be the first message/ })
    await client.closed
    await kit!.until(() => kit!.manager.counts.closed['protocol breach'] === 1)
  })

  it('end with the session when no version fits, or the client is not wanted', async () => {
    const { connect } = bind(await start({ shared: { dropClient: /^bad/ } }))
    const old = await connect()
    await expect(old.request('server.version', ['me', [1, 2]])).rejects.toMatchObject({ code: 1 })
    await old.closed
    const bad = await connect()
    const refused = bad.request('server.version', ['bad client', [1, 4]])
    await expect(refused).rejects.toMatchObject({ code: 1, message: 'unsupported client: bad client' })
    await bad.closed
    await kit!.until(() => kit!.manager.counts.closed['client refused'] === 1)
    expect(kit!.manager.counts.closed['unsupported version']).toBe(1)
  })

  it('are served to a client without a name, which no pattern is meant for, as ElectrumX does', async () => {
    const { connect } = bind(await start({ shared: { dropClient: /^(?:.*)/ } }))
    const nameless = await connect()
    expect(await nameless.request('server.version', ['', [1, 4]])).toEqual(['kit', '1.4.0'])
    await expect((await connect()).request('server.version', ['x', [1, 4]])).rejects.toMatchObject({ code: 1 })
  })

  /** Answered at once with 100,000 characters. */
  function longAnswer(begun: () => void) {
    return defineMethod({
      ...KIT_METHOD,
      name: 'long',
      handler: () => {
        begun()
        return 'x'.repeat(100_000)
      },
    })
  }

  it('that came in one chunk are not worked out ahead of what the client was sent, beyond a bound', async () => {
    let turn = 0
    const turns: number[] = []
    const long = longAnswer(() => turns.push(turn))
    const { active } = bind(await start({ methods: [long], shared: { costs: { ...FREE, initialConcurrent: 100 } } }))
    const client = await active()
    let counting = true
    const count = (): void => {
      turn++
      if (counting) setImmediate(count)
    }
    count()
    const line = (id: number) => JSON.stringify({ jsonrpc: '2.0', id: `n${id}`, method: 'long' })
    client.sendRaw(Array.from({ length: 30 }, (_, i) => line(i)).join('\n'))
    await client.next((message) => message.id === 'n29')
    counting = false
    const most = Math.max(...turns.map((at) => turns.filter((other) => other === at).length))
    expect(turns).toHaveLength(30)
    // A few more than make up the bound of 256 KiB.
    expect(most).toBeLessThanOrEqual(6)
  })

  it.each([10, 100])(
    'of a batch with much to say are not held back until a tick (%i at once)',
    async (initialConcurrent) => {
      let begun = 0
      const methods = [longAnswer(() => begun++)]
      const { active } = bind(await start({ methods, shared: { costs: { ...FREE, initialConcurrent } } }))
      const client = await active()
      client.send(Array.from({ length: 30 }, (_, i) => ({ jsonrpc: '2.0', id: `b${i}`, method: 'long' })))
      await kit!.until(() => begun > 0)
      // The clock stands still, so there is no tick. More turns than there are requests.
      for (let i = 0; i < 100; i++) await new Promise((resolve) => setImmediate(resolve))
      expect(begun).toBe(30)
      await client.next((message) => message.id === 'b29')
      expect(client.received.at(-1)).toHaveLength(30)
    },
  )

  it('run as many at once as the limit says, the others afterwards', async () => {
    const { active } = bind(await start({ shared: { costs: { ...DEFAULT_COSTS, initialConcurrent: 3 } } }))
    const client = await active()
    const answers = [...Array(5).keys()].map(() => client.request('hold'))
    await kit!.held.begun(3)
    expect(kit!.held.count).toBe(3)
    kit!.held.release()
    await kit!.held.begun(5)
    kit!.held.release()
    expect(await Promise.all(answers)).toEqual(Array(5).fill('released'))
  })

  it('wait longer the more the client has used', async () => {
    const { active } = bind(await start())
    const client = await active()
    await client.request('spend', [5495]) // 5500 with the connection: half way, half of 2,500 ms.
    const answer = client.request('echo', ['late'])
    await kit!.clock.sleeper((ms) => ms !== 1000)
    const delay = kit!.clock.slept.find((ms) => ms !== 1000)!
    expect(delay).toBeGreaterThan(1249)
    expect(delay).toBeLessThan(1252)
    expect(client.unread).toEqual([])
    kit!.clock.advance(2000)
    expect(await answer).toBe('late')
  })

  it('are answered -101 and the session closed at the hard limit', async () => {
    const { active } = bind(await start())
    const client = await active()
    await expect(client.request('spend', [20_000])).rejects.toMatchObject({ code: -101 })
    await client.closed
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })

  it('of clients from exempt subnets are never slowed down or cut off', async () => {
    const { active } = bind(await start({ manager: { groups: { ...DEFAULT_GROUPS, exempt: ['127.0.0.0/8'] } } }))
    const client = await active()
    expect(await client.request('spend', [1_000_000])).toBe('spent')
    expect(await client.request('echo', ['at once'])).toBe('at once')
    expect([...kit!.manager.clients()][0]?.cost).toBeGreaterThan(1_000_000)
  })

  it('cost 1100 each if they are not JSON, so that ten of them close the session', async () => {
    const { active } = bind(await start())
    const client = await active()
    for (let i = 0; i < 9; i++) client.sendRaw('{')
    await kit!.until(() => client.received.length === 10)
    expect(client.received.at(-1)).toMatchObject({ error: { code: -32700 } })
    expect([...kit!.manager.clients()][0]!.cost).toBeGreaterThan(9900)
    client.sendRaw('{')
    const last = client.request('echo', ['x'])
    await expect(last).rejects.toMatchObject({ code: -101 })
    await client.closed
  })

  it.each([
    { what: 'what is no JSON', message: '{', most: 12 },
    { what: 'lines that are too long', message: 'x'.repeat(LIMITS.maxReceive + 1), most: 90 },
    { what: 'what is no request', message: '{"jsonrpc":"2.0","id":1,"method":1}', most: 110 },
  ])('end the session at the hard limit also if nothing comes but $what', async ({ message, most }) => {
    const { active } = bind(await start())
    const client = await active()
    for (let i = 0; i < most; i++) client.sendRaw(message)
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
    await client.closed
  })

  it('are given up after the request time with -102, the handler told by its signal', async () => {
    const { active } = bind(await start())
    const client = await active()
    const answer = client.request('hold')
    await kit!.held.begun(1)
    kit!.clock.advance(29_000)
    await Promise.resolve()
    expect(client.unread).toEqual([])
    await kit!.clock.sleeper((ms) => ms === 1000)
    kit!.clock.advance(1000)
    await expect(answer).rejects.toMatchObject({ code: -102, message: 'server busy - request timed out' })
    expect(kit!.held.signals[0]!.aborted).toBe(true)
  })

  it('are aborted when the client goes, and give back the moment they read from', async () => {
    const { active } = bind(await start())
    const client = await active()
    const answer = client.request('hold')
    await kit!.held.begun(1)
    expect(kit!.moments.outstanding).toBe(1)
    client.destroy()
    await expect(answer).rejects.toThrow('connection closed')
    await kit!.until(() => kit!.held.signals[0]!.aborted)
    kit!.held.release()
    await kit!.until(() => kit!.moments.outstanding === 0)
  })

  it('go on after a line above the limit, which is dropped and charged', async () => {
    const { active } = bind(await start())
    const client = await active()
    const before = [...kit!.manager.clients()][0]!.cost
    client.sendRaw('x'.repeat(200_000))
    expect(await client.request('echo', ['still here'])).toBe('still here')
    // 100 for the error and 40 for the bytes.
    expect([...kit!.manager.clients()][0]!.cost - before).toBeGreaterThan(140)
    expect(client.received).toHaveLength(2)
  })

  it('stop being read while too many of them wait, and all are answered in the end', async () => {
    const options = { maxPipelined: 10, costs: { ...FREE, initialConcurrent: 1 } }
    const { active } = bind(await start({ shared: options }))
    const client = await active()
    const answers = [client.request('hold')]
    await kit!.held.begun(1)
    // Much more than is read at once.
    const text = 'y'.repeat(10_000)
    for (let i = 0; i < 400; i++) answers.push(client.request('echo', [text]))
    await kit!.until(() => kit!.manager.counts.unanswered >= 10)
    expect(kit!.manager.counts.unanswered).toBeLessThan(100)
    kit!.held.release()
    expect(await Promise.all(answers)).toHaveLength(401)
  })

  it.each([
    { over: 'tcp', atOnce: 10 },
    { over: 'tcp', atOnce: 1 },
    { over: 'http', atOnce: 10 },
    { over: 'http', atOnce: 1 },
  ] as const)(
    'of a batch over $over, $atOnce at once, take no more of a turn than there is for one client',
    async ({ over, atOnce }) => {
      const ran: { readonly number: number; readonly turn: number }[] = []
      let turn = 0
      const work = defineMethod({
        ...KIT_METHOD,
        name: 'work',
        params: z.object({ number: z.number() }),
        handler: (_ctx, { number }) => {
          kit!.clock.advance(1)
          ran.push({ number, turn })
          return number
        },
      })
      const { active } = bind(
        await start({
          methods: [work],
          shared: { costs: { ...FREE, initialConcurrent: atOnce } },
          listeners: (['tcp', 'http'] as const).map((kind) => ({ kind, host: '127.0.0.1', port: 0 })),
        }),
      )
      const batch = [...Array(60).keys()].map((id) => ({ jsonrpc: '2.0', id, method: 'work', params: [id] }))
      const asked: Promise<unknown> =
        over === 'tcp'
          ? active().then((client) => {
              client.send(batch)
              return client.next(({ id }) => id === 59).then(() => client.received.at(-1))
            })
          : fetch(`http://127.0.0.1:${kit!.port('http')}/`, { method: 'POST', body: JSON.stringify(batch) }).then(
              (response) => response.json(),
            )
      const counting = { on: true }
      const count = (): void => {
        turn++
        if (counting.on) setImmediate(count)
      }
      count()
      const answer = await asked
      counting.on = false
      expect(answer).toMatchObject(batch.map(({ id }) => ({ id, result: id })))
      expect(ran.map(({ number }) => number)).toEqual(batch.map(({ id }) => id))
      const counts = new Map<number, number>()
      for (const one of ran) counts.set(one.turn, (counts.get(one.turn) ?? 0) + 1)
      // Two turns of the session may be one of ours.
      expect(Math.max(...counts.values())).toBeLessThanOrEqual(2 * TURN_MS)
    },
  )

  it('of which many wait for their turn in a batch are all ended when the client goes', async () => {
    const work = defineMethod({
      ...KIT_METHOD,
      name: 'work',
      handler: () => {
        kit!.clock.advance(1)
        return ++ran
      },
    })
    let ran = 0
    const { active } = bind(await start({ methods: [work], shared: { costs: FREE } }))
    const client = await active()
    const [session] = kit!.manager.clients()
    client.send([...Array(60).keys()].map((id) => ({ jsonrpc: '2.0', id, method: 'work' })))
    await kit!.until(() => ran > 0)
    session!.command({ type: 'close', reason: 'operator' })
    await client.closed
    await kit!.until(() => kit!.manager.counts.active === 0)
    const before = ran
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(ran).toBe(before)
    expect(before).toBeLessThan(60)
    expect(kit!.moments.outstanding).toBe(0)
  })

  it('do not begin while the client does not take its answers', async () => {
    const { active } = bind(await start({ shared: { costs: FREE } }))
    const client = await active()
    client.pause()
    const answers = [...Array(40).keys()].map(() => client.request('big', [1_000_000]))
    await kit!.until(() => [...kit!.manager.clients()][0]!.traffic.sentBytes > 1_000_000)
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
    // What the system takes on both sides, what runs beside each other at first, and not much more.
    expect([...kit!.manager.clients()][0]!.traffic.sentBytes).toBeLessThan(22_000_000)
    client.resume()
    expect(await Promise.all(answers)).toHaveLength(40)
  })
})

function bind(kit: SessionKit) {
  return { connect: kit.connect.bind(kit), active: kit.active.bind(kit) }
}
