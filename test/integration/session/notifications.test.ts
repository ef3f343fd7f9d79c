import { afterEach, describe, expect, it } from 'vitest'
import { HASHX_SIZE } from '../../../src/chain/script.ts'
import { RpcError } from '../../../src/errors.ts'
import { defineMethod, type RpcMethod } from '../../../src/rpc/method.ts'
import type { Topic } from '../../../src/rpc/topic.ts'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { KIT_METHOD, type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { awaited, LIMITS } from '../../support/transport-kit.ts'
import type { WireClient } from '../../support/wire-client.ts'

/** No limits, so that nothing has to wait for the clock. */
const FREE = { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 }
const SCRIPT = 'aa'.repeat(11)
const OTHER = 'bb'.repeat(11)
const STATUS = 'blockchain.scripthash.subscribe'
const TIP = 'blockchain.headers.subscribe'
const [S1, S2, S3] = ['01', '02', '03'].map((byte) => byte.repeat(32)) as [string, string, string]

/** Something that is found when the status of a script is. */
const TOPIC: Topic = {
  key: 'topic',
  concern: 'topic',
  method: 'topic.subscribe',
  params: [],
  find: async ({ moment }) => {
    await moment.status(new Uint8Array(HASHX_SIZE))
    return { status: '"found"', settledAt: 0 }
  },
}
const TOPIC_METHODS: readonly RpcMethod[] = [
  defineMethod({
    ...KIT_METHOD,
    name: 'topic.subscribe',
    handler: async ({ client, moment, signal }) => {
      const found = await client.subscribeTopic(TOPIC, () => TOPIC.find({ moment, signal, charge: () => {} }))
      return found.status
    },
  }),
  defineMethod({
    ...KIT_METHOD,
    name: 'topic.unsubscribe',
    handler: ({ client }) => client.unsubscribeTopic(TOPIC.key),
  }),
]

describe('notifications', () => {
  let kit: SessionKit | undefined

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = await new SessionKit(options).start()
    return kit
  }

  afterEach(async () => {
    await kit?.stop()
    kit = undefined
  })

  /** What the client was sent unasked up to now: an answer comes behind everything that was written before it. */
  async function told(client: WireClient): Promise<unknown[]> {
    await kit!.notifier.idle()
    await client.request('echo', ['mark'])
    return client.unread.map(({ method, params }) => [method, params])
  }

  it('tell of a new tip once, and only those who asked', async () => {
    const { moments, active } = own(await start())
    const [follower, other] = [await active(), await active()]
    await follower.request(TIP)
    moments.publish({}, true)
    moments.publish({})
    expect(await told(follower)).toEqual([[TIP, [{ height: 1, hex: expect.any(String) as string }]]])
    expect(await told(other)).toEqual([])
  })

  describe('after a batch whose answers do not fit into MAX_SEND', () => {
    const WATCH = 'blockchain.outpoint.subscribe'
    const TXID = 'cd'.repeat(32)
    const call = (id: number, method: string, params: readonly unknown[]) => ({ jsonrpc: '2.0', id, method, params })
    /** An answer that leaves no room for another, and then these. */
    const full = (...calls: readonly (readonly [method: string, params: readonly unknown[]])[]) => [
      call(101, 'big', [930]),
      ...calls.map(([method, params], i) => call(i + 102, method, params)),
    ]

    async function answers(client: WireClient, batch: readonly { id: number }[]): Promise<(number | undefined)[]> {
      client.send(batch)
      const given = await Promise.all(batch.map(({ id }) => client.next((message) => message.id === id)))
      return given.map(({ error }) => error?.code)
    }

    it('follow nothing that was answered with an error', async () => {
      const { moments, active } = own(await start({ maxSend: 1000 }))
      moments.publish({ [SCRIPT]: S1 })
      const client = await active()
      expect(await answers(client, full([STATUS, [SCRIPT]], [TIP, []]))).toEqual([undefined, -32600, -32600])
      expect(kit!.subscriptions).toMatchObject({ total: 0, scripts: 0, tipFollowers: { size: 0 } })
      moments.publish({ [SCRIPT]: S2 }, true)
      expect(await told(client)).toEqual([])
      expect([...kit!.manager.clients()].map(({ subscriptionCount }) => subscriptionCount)).toEqual([0])
      // Asked for alone it is followed.
      expect(await client.request(STATUS, [SCRIPT])).toBe(S2)
      moments.publish({ [SCRIPT]: S3 })
      expect(await told(client)).toEqual([[STATUS, [SCRIPT, S3]]])
    })

    it('follow no outpoint either', async () => {
      const { connect } = own(await start({ maxSend: 1000 }))
      const client = await connect()
      await client.request('server.version', ['wallet', [1, 7]])
      const batch = [...full([WATCH, [TXID, 0]]), call(109, WATCH, [TXID, 1])]
      expect(await answers(client, batch)).toEqual([undefined, -32600, -32600])
      expect(kit!.subscriptions).toMatchObject({ total: 0, scripts: 0, outpoints: { size: 0 } })
    })

    it('go on for what was followed before, and what changed meanwhile is told', async () => {
      const { moments, active } = own(await start({ maxSend: 1000 }))
      moments.publish({ [SCRIPT]: S1 })
      const client = await active()
      await client.request(STATUS, [SCRIPT])
      await client.request(TIP)
      const given = answers(client, [...full([STATUS, [SCRIPT]], [TIP, []]), call(109, 'hold', [])])
      await kit!.held.begun(1)
      moments.publish({ [SCRIPT]: S2 }, true)
      await kit!.notifier.idle()
      kit!.held.release()
      expect(await given).toEqual([undefined, -32600, -32600, -32600])
      const news = await told(client)
      expect(news).toHaveLength(2)
      expect(news).toEqual(
        expect.arrayContaining([
          [TIP, [{ height: 1, hex: expect.any(String) as string }]],
          [STATUS, [SCRIPT, S2]],
        ]),
      )
      expect(kit!.subscriptions.total).toBe(1)
    })

    it('go on for what another entry of the same batch was told', async () => {
      const { moments, active } = own(await start({ maxSend: 1000 }))
      moments.publish({ [SCRIPT]: S1 })
      const client = await active()
      const batch = [call(101, STATUS, [SCRIPT]), call(102, 'big', [820]), call(103, STATUS, [SCRIPT])]
      expect(await answers(client, batch)).toEqual([undefined, undefined, -32600])
      moments.publish({ [SCRIPT]: S2 })
      expect(await told(client)).toEqual([[STATUS, [SCRIPT, S2]]])
    })
  })

  it('of a tip wait for the answer to the subscription, also while one that was taken back is answered', async () => {
    const { moments, active, held } = own(await start({ maxSend: 1000 }))
    const client = await active()
    const call = (id: number, method: string, params: readonly unknown[] = []) => {
      return { jsonrpc: '2.0', id, method, params }
    }
    // No room is left in the answer for the tip, and it stays unanswered for a while.
    client.send([call(101, 'big', [930]), call(102, TIP), call(103, 'hold')])
    await held.begun(1)
    const gate = awaited<void>()
    moments.gate = gate.promise
    client.send([call(104, TIP), call(105, STATUS, [SCRIPT])])
    await kit!.until(() => moments.asked.length === 1)
    held.release()
    await client.next(({ id }) => id === 103)
    moments.publish({}, true)
    await kit!.notifier.idle()
    await client.request('echo', ['mark'])
    expect(client.unread.filter(({ method }) => method === TIP)).toEqual([])
    gate.resolve()
    await client.next(({ id }) => id === 104)
    await client.notification(TIP)
  })

  it('do not tell of a tip again that the client knows, though it is said to be new', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    await client.request(TIP)
    moments.announce([], true)
    expect(await told(client)).toEqual([])
    moments.publish({}, true)
    moments.announce([], true)
    expect(await told(client)).toMatchObject([[TIP, [{ height: 1 }]]])
    moments.announce([], true)
    expect(await told(client)).toHaveLength(1)
  })

  it('tell of a new tip before what was touched is compared with what is followed', async () => {
    const { moments, active } = own(await start())
    const { subscriptions, shared } = kit!
    const client = await active()
    await client.request(TIP)
    await client.request(STATUS, [SCRIPT])
    const told: number[] = []
    const among = subscriptions.among.bind(subscriptions)
    subscriptions.among = (touched) => {
      told.push(shared.tally.notifications.tip)
      return among(touched)
    }
    moments.publish({ [SCRIPT]: S1 }, true)
    expect(await client.notification(STATUS)).toEqual([SCRIPT, S1])
    expect(told).toEqual([1])
  })

  it('tell of the newest tip only when several come at once', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    await client.request(TIP)
    for (let i = 0; i < 3; i++) moments.publish({}, true)
    expect(await told(client)).toMatchObject([[TIP, [{ height: 3 }]]])
  })

  it('tell of a status when it is another than the client was last told, and never twice', async () => {
    const { moments, active } = own(await start())
    moments.publish({ [SCRIPT]: S1 })
    const client = await active()
    expect(await client.request(STATUS, [SCRIPT])).toBe(S1)
    moments.announce([SCRIPT])
    expect(await told(client)).toEqual([])
    moments.publish({ [SCRIPT]: S2 })
    await kit!.notifier.idle()
    moments.publish({ [SCRIPT]: S2 }, true)
    expect(await told(client)).toEqual([[STATUS, [SCRIPT, S2]]])
    moments.publish({ [SCRIPT]: undefined })
    expect(await told(client)).toEqual([
      [STATUS, [SCRIPT, S2]],
      [STATUS, [SCRIPT, null]],
    ])
  })

  it('have each status worked out once however many follow the script, and none that nobody follows', async () => {
    const { moments, active } = own(await start())
    const clients = [await active(), await active(), await active()]
    for (const client of clients) await client.request(STATUS, [SCRIPT])
    moments.asked.length = 0
    moments.publish({ [SCRIPT]: S1, [OTHER]: S2 })
    for (const client of clients) expect(await told(client)).toEqual([[STATUS, [SCRIPT, S1]]])
    expect(moments.askedInHex()).toEqual([SCRIPT])
  })

  it('have what one client follows looked at together, so that it leaves in one write', async () => {
    const { moments, active } = own(await start())
    const script = (client: number, i: number) => `${client}${i}`.repeat(11)
    const clients = [await active(), await active(), await active()]
    for (const [n, client] of clients.entries()) {
      for (let i = 0; i < 4; i++) await client.request(STATUS, [script(n, i)])
    }
    moments.asked.length = 0
    const apart = [0, 1, 3].flatMap((i) => [2, 0, 1].map((n) => script(n, i)))
    moments.publish(Object.fromEntries(apart.map((hashX) => [hashX, S1])))
    await kit!.notifier.idle()
    const asked = moments.askedInHex()
    expect(asked.toSorted()).toEqual(apart.toSorted())
    expect(asked.map((hashX) => hashX[0])).toEqual(['2', '2', '2', '0', '0', '0', '1', '1', '1'])
  })

  it('end with unsubscribing and with the session', async () => {
    const { moments, active } = own(await start())
    const [client, gone] = [await active(), await active()]
    for (const one of [client, gone]) await one.request(STATUS, [SCRIPT])
    expect(await client.request('blockchain.scripthash.unsubscribe', [SCRIPT])).toBe(true)
    expect(await client.request('blockchain.scripthash.unsubscribe', [SCRIPT])).toBe(false)
    await gone.close()
    await kit!.until(() => kit!.subscriptions.total === 0)
    moments.asked.length = 0
    moments.publish({ [SCRIPT]: S1 })
    expect(await told(client)).toEqual([])
    expect(moments.asked).toEqual([])
  })

  describe('of what was subscribed to and unsubscribed from in one go', () => {
    const END = 'blockchain.scripthash.unsubscribe'

    /** Sends these about a script whose status takes until all of them have begun; their results, in order. */
    async function inOneGo(client: WireClient, methods: readonly string[], params: readonly unknown[] = [SCRIPT]) {
      const gate = awaited<void>()
      kit!.moments.gate = gate.promise
      const answers = methods.map((method) => client.request(method, params))
      // Not held up by those before: nothing else is.
      expect(await client.request('echo', ['meanwhile'])).toBe('meanwhile')
      gate.resolve()
      return Promise.all(answers)
    }

    it('do not come if the end was asked for last', async () => {
      const { moments, active } = own(await start())
      const client = await active()
      expect(await inOneGo(client, [STATUS, END])).toEqual([null, true])
      expect(kit!.subscriptions.total).toBe(0)
      moments.publish({ [SCRIPT]: S1 })
      expect(await told(client)).toEqual([])
      expect(await client.request(END, [SCRIPT])).toBe(false)
    })

    it('come if the subscription was asked for last', async () => {
      const { moments, active } = own(await start())
      const client = await active()
      expect(await inOneGo(client, [STATUS, END, STATUS])).toEqual([null, true, null])
      expect(kit!.subscriptions.total).toBe(1)
      moments.publish({ [SCRIPT]: S1 })
      expect(await client.notification(STATUS)).toEqual([SCRIPT, S1])
    })

    it('do not come of a script that was followed before, either', async () => {
      const { active } = own(await start())
      const client = await active()
      await client.request(STATUS, [SCRIPT])
      expect(await inOneGo(client, [STATUS, END, END])).toEqual([null, true, false])
      expect(kit!.subscriptions.total).toBe(0)
    })

    it('come for others whom the end does not concern', async () => {
      const { active } = own(await start())
      const [client, other] = [await active(), await active()]
      const gate = awaited<void>()
      kit!.moments.gate = gate.promise
      const answers = [other.request(STATUS, [SCRIPT]), client.request(STATUS, [OTHER])]
      await kit!.until(() => kit!.moments.asked.length === 2)
      expect(await client.request(END, [SCRIPT])).toBe(false)
      gate.resolve()
      await Promise.all(answers)
      expect(kit!.subscriptions.total).toBe(2)
    })

    it('are as of the last answer, if that is the one of an ended subscription', async () => {
      const { moments, active } = own(await start())
      const client = await active()
      const gate = awaited<void>()
      moments.gate = gate.promise
      const first = client.request(STATUS, [SCRIPT])
      await kit!.until(() => moments.asked.length === 1)
      expect(await client.request(END, [SCRIPT])).toBe(true)
      moments.publish({ [SCRIPT]: S1 })
      moments.gate = Promise.resolve()
      expect(await client.request(STATUS, [SCRIPT])).toBe(S1)
      gate.resolve()
      // An older status than the client has heard; it is put right.
      expect(await first).toBe(null)
      expect(await client.notification(STATUS)).toEqual([SCRIPT, S1])
      expect(kit!.subscriptions.total).toBe(1)
    })

    it('do not come in a batch, either', async () => {
      const { moments, active } = own(await start())
      const client = await active()
      const batch = [STATUS, END, STATUS, END].map((method, id) => ({ jsonrpc: '2.0', id, method, params: [SCRIPT] }))
      client.send(batch)
      expect((await client.next(({ id }) => id === 3)).result).toBe(true)
      expect(kit!.subscriptions.total).toBe(0)
      moments.publish({ [SCRIPT]: S1 })
      await told(client)
      expect(client.unread.filter(({ method }) => method === STATUS)).toEqual([])
    })

    it('do not come of an outpoint whose end was asked for last, and come otherwise', async () => {
      const { connect } = own(await start())
      const client = await connect()
      await client.request('server.version', ['new', [1, 7]])
      const [follow, end] = ['blockchain.outpoint.subscribe', 'blockchain.outpoint.unsubscribe']
      const outpoint = ['ab'.repeat(32), 1]
      expect(await inOneGo(client, [follow, end], outpoint)).toEqual([{}, true])
      expect(kit!.subscriptions.total).toBe(0)
      expect(await inOneGo(client, [follow, end, follow], outpoint)).toEqual([{}, true, {}])
      expect(kit!.subscriptions.total).toBe(1)
    })

    it('do not come of a topic whose end was asked for last, and come otherwise', async () => {
      const { active } = own(await start({ methods: TOPIC_METHODS }))
      const client = await active()
      expect(await inOneGo(client, ['topic.subscribe', 'topic.unsubscribe'], [])).toEqual(['"found"', true])
      expect([kit!.subscriptions.total, kit!.subscriptions.topics.size]).toEqual([0, 0])
      const methods = ['topic.subscribe', 'topic.unsubscribe', 'topic.subscribe']
      expect(await inOneGo(client, methods, [])).toEqual(['"found"', true, '"found"'])
      expect([kit!.subscriptions.total, kit!.subscriptions.topics.size]).toEqual([1, 1])
    })
  })

  it('never come before the answer to the subscription, and then tell what changed meanwhile', async () => {
    const { moments, active, held } = own(await start())
    const client = await active()
    const answer = client.request(STATUS, [SCRIPT, true])
    await held.begun(1)
    moments.publish({ [SCRIPT]: S1 })
    await kit!.notifier.idle()
    expect(client.unread).toEqual([])
    held.release()
    expect(await answer).toBe(null)
    expect(await client.notification(STATUS)).toEqual([SCRIPT, S1])
    expect(client.received.slice(-2)).toMatchObject([{ result: null }, { method: STATUS }])
  })

  it('come after the whole batch that the subscription was a part of', async () => {
    const { moments, active, held } = own(await start())
    const client = await active()
    client.send([
      { jsonrpc: '2.0', id: 'a', method: STATUS, params: [SCRIPT] },
      { jsonrpc: '2.0', id: 'b', method: TIP },
      { jsonrpc: '2.0', id: 'c', method: 'hold' },
    ])
    await held.begun(1)
    moments.publish({ [SCRIPT]: S1 }, true)
    await kit!.notifier.idle()
    expect(client.received).toHaveLength(1)
    held.release()
    await client.notification(STATUS)
    await client.notification(TIP)
    expect(client.received.slice(1)).toMatchObject([
      [{ id: 'a' }, { id: 'b' }, { id: 'c' }],
      { method: TIP },
      { method: STATUS },
    ])
  })

  it('tell of a change that came while the first status was being worked out', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    const gate = awaited<void>()
    moments.gate = gate.promise
    const answer = client.request(STATUS, [SCRIPT])
    await kit!.until(() => moments.asked.length === 1)
    moments.publish({ [SCRIPT]: S1 }) // Nobody follows the script yet.
    gate.resolve()
    expect(await answer).toBe(null)
    expect(await client.notification(STATUS)).toEqual([SCRIPT, S1])
    expect(await told(client)).toEqual([])
  })

  it('do not tell one who subscribed meanwhile the older status that a slow round had found', async () => {
    const { moments, active } = own(await start())
    const [first, second] = [await active(), await active()]
    await first.request(STATUS, [SCRIPT])
    const gate = awaited<void>()
    moments.gate = gate.promise
    moments.asked.length = 0
    moments.publish({ [SCRIPT]: S1 })
    await kit!.until(() => moments.asked.length === 1) // The round reads S1 and waits.
    moments.gate = Promise.resolve()
    moments.publish({ [SCRIPT]: S2 })
    expect(await second.request(STATUS, [SCRIPT])).toBe(S2)
    gate.resolve()
    expect(await told(second)).toEqual([])
    expect((await told(first)).at(-1)).toEqual([STATUS, [SCRIPT, S2]])
  })

  it('do not tell one whose subscription waited for its turn the older status that a slow round had found', async () => {
    const { moments, active, held } = own(await start({ shared: { costs: { ...FREE, initialConcurrent: 1 } } }))
    const [first, second] = [await active(), await active()]
    await first.request(STATUS, [SCRIPT])
    const hold = second.request('hold')
    await held.begun(1)
    const gate = awaited<void>()
    moments.gate = gate.promise
    moments.asked.length = 0
    moments.publish({ [SCRIPT]: S1 })
    await kit!.until(() => moments.asked.length === 1) // The round reads S1 and waits.
    moments.gate = Promise.resolve()
    const answer = second.request(STATUS, [SCRIPT])
    await kit!.until(() => kit!.manager.counts.unanswered === 2)
    moments.publish({ [SCRIPT]: S2 })
    held.release()
    await hold
    expect(await answer).toBe(S2)
    gate.resolve()
    expect(await told(second)).toEqual([])
    expect((await told(first)).at(-1)).toEqual([STATUS, [SCRIPT, S2]])
  })

  it('do not tell one who asked for the tip while all were told of another one that older tip', async () => {
    const { moments, active, held } = own(await start({ shared: { costs: { ...FREE, initialConcurrent: 1 } } }))
    const client = await active()
    const hold = client.request('hold')
    await held.begun(1)
    const answer = client.request(TIP)
    await kit!.until(() => kit!.manager.counts.unanswered === 2)
    let isFirst = true
    const tellTip = (): void => {
      if (!isFirst) return
      isFirst = false
      // In the middle of the round: the client's request is served from the next moment.
      moments.publish({}, true)
      held.release()
    }
    // So many that its turn comes long after its answer.
    for (let id = 1; id <= 3000; id++) {
      kit!.subscriptions.followTip({ id: -id, tellTip, tellStatus: () => {}, cannotFollow: () => {} })
    }
    moments.publish({}, true)
    await hold
    expect(await answer).toEqual({ height: 2 })
    expect(await told(client)).toEqual([])
  })

  it('do not come of a subscription that was answered to have run out of time, and do once it is made again', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    const gate = awaited<void>()
    moments.gate = gate.promise
    const late = client.request(STATUS, [SCRIPT])
    await kit!.until(() => moments.asked.length === 1)
    await kit!.clock.sleeper((ms) => ms === 1000)
    kit!.clock.advance(30_000)
    await expect(late).rejects.toMatchObject({ code: -102 })
    gate.resolve()
    await kit!.until(() => moments.outstanding === 0) // The handler has its status, too late.
    expect(kit!.subscriptions.total).toBe(0)
    expect(await client.request(STATUS, [SCRIPT])).toBe(null)
    moments.publish({ [SCRIPT]: S1 })
    expect(await told(client)).toEqual([[STATUS, [SCRIPT, S1]]])
  })

  it('go on of a script that is followed when a further subscription to it runs out of time', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    await client.request(STATUS, [SCRIPT])
    const gate = awaited<void>()
    moments.gate = gate.promise
    moments.asked.length = 0
    const late = client.request(STATUS, [SCRIPT])
    await kit!.until(() => moments.asked.length === 1)
    await kit!.clock.sleeper((ms) => ms === 1000)
    kit!.clock.advance(30_000)
    await expect(late).rejects.toMatchObject({ code: -102 })
    gate.resolve()
    await kit!.until(() => moments.outstanding === 0)
    moments.publish({ [SCRIPT]: S1 })
    expect(await told(client)).toEqual([[STATUS, [SCRIPT, S1]]])
  })

  it('of thousands of scripts in one block reach everyone once, without standing in the way of requests', async () => {
    const { moments, active } = own(await start({ shared: { costs: FREE } }))
    const client = await active()
    const scripts = [...Array(3000).keys()].map((i) => i.toString(16).padStart(22, '0'))
    await Promise.all(scripts.map((script) => client.request(STATUS, [script])))
    moments.asked.length = 0
    moments.publish(Object.fromEntries(scripts.map((script) => [script, S1])), true)
    await client.request('echo', ['in between'])
    expect(client.unread.length).toBeLessThan(3000)
    await kit!.notifier.idle()
    await kit!.until(() => client.unread.length === 3000)
    expect(new Set(client.unread.map(({ params }) => (params as string[])[0])).size).toBe(3000)
    expect(moments.asked).toHaveLength(3000)
  })

  it('that fail are tried again', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    await client.request(STATUS, [SCRIPT])
    moments.failures.set(String.fromCharCode(...Buffer.from(SCRIPT, 'hex')), new Error('disk on fire'))
    moments.publish({ [SCRIPT]: S1 })
    await kit!.until(() => kit!.clock.slept.filter((ms) => ms === 1000).length > 1)
    moments.failures.clear()
    kit!.clock.advance(1000)
    expect(await client.notification(STATUS)).toEqual([SCRIPT, S1])
  })

  it('that cannot be told because the history grew too long end the session', async () => {
    const { moments, active } = own(await start())
    const client = await active()
    await client.request(STATUS, [SCRIPT])
    moments.failures.set(String.fromCharCode(...Buffer.from(SCRIPT, 'hex')), new RpcError(10001, 'history too long'))
    moments.announce([SCRIPT])
    await client.closed
  })

  it('have the name of the method of protocol 1.7 there', async () => {
    const { moments, connect } = own(await start())
    const client = await connect()
    await client.request('server.version', ['new', [1, 7]])
    await client.request(STATUS, [SCRIPT])
    moments.publish({ [SCRIPT]: S1 })
    expect(await client.notification('blockchain.scriptpubkey.subscribe')).toEqual([SCRIPT, S1])
  })

  it('of a tip are followed by a ping as long as one of a script, from 1.7 on and not before', async () => {
    const { moments, connect, active } = own(await start())
    const [client, older] = [await connect(), await active()]
    await client.request('server.version', ['new', [1, 7]])
    for (const follower of [client, older]) await follower.request(TIP)
    moments.publish({}, true)
    const tip = [TIP, [expect.objectContaining({ height: 1 })]]
    expect(await told(client)).toEqual([tip, ['server.ping', ['0'.repeat(128)]]])
    expect(await told(older)).toEqual([tip])
    moments.publish({ [SCRIPT]: S1 })
    expect(await told(client)).toHaveLength(2)
  })

  it('tell of an outpoint from before it is known, once for each change, and only until unsubscribed', async () => {
    const { moments, connect } = own(await start())
    const client = await connect()
    await client.request('server.version', ['new', [1, 7]])
    const txid = 'ab'.repeat(32)
    const outpoint = 'blockchain.outpoint.subscribe'
    expect(await client.request(outpoint, [txid, 1])).toEqual({})
    moments.publish({}, true)
    expect(await told(client)).toEqual([])
    const hashX = Uint8Array.from(Buffer.from(SCRIPT, 'hex'))
    const height = (of: 0 | -1) => [
      { height: 0 as const, hashX: undefined },
      { height: of, hashX },
    ]
    moments.mempoolOutputs.set(txid, height(-1))
    moments.announce([SCRIPT], false, [txid])
    expect(await told(client)).toEqual([[outpoint, [txid, 1, { funder_height: -1 }]]])
    moments.announce([SCRIPT], false, [txid])
    moments.mempoolOutputs.set(txid, height(0))
    moments.announce([SCRIPT])
    expect((await told(client)).slice(1)).toEqual([[outpoint, [txid, 1, { funder_height: 0 }]]])
    expect(kit!.subscriptions.total).toBe(1)
    expect(await client.request('blockchain.outpoint.unsubscribe', [txid, 1])).toBe(true)
    expect(await client.request('blockchain.outpoint.unsubscribe', [txid, 1])).toBe(false)
    moments.mempoolOutputs.delete(txid)
    moments.announce([SCRIPT], true, [txid])
    expect(await told(client)).toHaveLength(2)
    expect([kit!.subscriptions.total, kit!.subscriptions.outpoints.size]).toEqual([0, 0])
  })

  it('speak the dialect of the session', async () => {
    const { moments, connect } = own(await start())
    const client = await connect()
    client.send({ jsonrpc: '1.0', id: 0, method: STATUS, params: [SCRIPT] })
    await client.next()
    moments.publish({ [SCRIPT]: S1 })
    const notification = await client.next((message) => message.method === STATUS)
    expect(notification).toMatchObject({ id: null, params: [SCRIPT, S1] })
  })

  it('wait for a client that does not read, and then tell the last state once', async () => {
    const { client, clog } = await slow(await start({ shared: { costs: FREE } }))
    const { moments } = kit!
    await clog()
    for (const status of [S1, S2, S3]) {
      moments.publish({ [SCRIPT]: status }, true)
      await kit!.notifier.idle()
    }
    client.resume()
    await client.notification(STATUS)
    await client.notification(TIP)
    await kit!.notifier.idle()
    await client.request('echo', ['mark'])
    const unasked = client.received.filter((message) => (message as { method?: string }).method !== undefined)
    expect(unasked).toHaveLength(2)
    expect(unasked).toContainEqual(expect.objectContaining({ params: [SCRIPT, S3] }))
  })

  it('that wait for 30 seconds close the session as a slow reader', async () => {
    const connection = { ...LIMITS, closeTimeout: 50 }
    const { clog } = await slow(await start({ shared: { costs: FREE }, manager: { connection } }))
    await clog()
    kit!.moments.publish({ [SCRIPT]: S1 })
    await kit!.notifier.idle()
    kit!.clock.advance(29_000)
    await kit!.clock.sleeper((ms) => ms === 1000)
    expect(kit!.manager.counts.active).toBe(1)
    kit!.clock.advance(1000)
    await kit!.until(() => kit!.manager.counts.closed['slow reader'] === 1)
  })

  /** A client that follows a script and the tip, and then does not read until nothing more can be sent to it. */
  async function slow(kit: SessionKit) {
    const client = await kit.active()
    await client.request(STATUS, [SCRIPT])
    await client.request(TIP)
    const clog = async (): Promise<void> => {
      client.pause()
      const before = kit.manager.find(1)!.traffic.sentMessages
      // More than the buffers of the system on both sides.
      for (let i = 0; i < 3; i++) client.request('big', [8_000_000]).catch(() => {})
      await kit.until(() => kit.manager.find(1)!.traffic.sentMessages > before)
    }
    return { client, clog }
  }
})

function own(kit: SessionKit) {
  const { moments, held } = kit
  return { moments, held, connect: kit.connect.bind(kit), active: kit.active.bind(kit) }
}
