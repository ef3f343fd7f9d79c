import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { untilAborted } from '../../../src/lib/abort.ts'
import { freePort } from '../../support/free-port.ts'
import { FakePeer, GARBAGE, HANG_UP, headerHex, SILENCE } from './fake-peer.ts'
import { Stage, told, until, viewOf } from './stage.ts'

let stage: Stage

beforeEach(() => {
  stage = new Stage()
})

afterEach(async () => {
  await stage.close()
})

describe('peer discovery', () => {
  it('verifies the first peers and tells of them', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager({ bootstrap: [peer.name] })
    await until(() => told(manager).length > 0)
    expect(manager.list(false)).toEqual([['127.1.0.1', 'a.example', ['v1.4.2', `t${peer.port}`]]])
    expect(peer.asked[0]).toEqual(['server.version', ['Ours 1.0', ['1.4', '1.6']]])
    expect(peer.methods).not.toContain('server.add_peer')
    expect(viewOf(manager, 'a.example')).toMatchObject({ status: 'good', source: 'peer', try_count: 0 })
    await until(() => peer.open === 0)
    expect(stage.counter.total).toBe(0)
  })

  it('learns of further peers from good ones, two from each', async () => {
    const [b, c, d] = [
      await stage.peer('b.example', '127.2.0.1'),
      await stage.peer('c.example', '127.3.0.1'),
      await stage.peer('d.example', '127.4.0.1'),
    ]
    const a = await stage.peer('a.example', '127.1.0.1')
    a.knows = [b, c, d].map(({ host, port }) => ['1.2.3.4', host, ['v1.4', `t${port}`]])
    const manager = await stage.manager({ bootstrap: [a.name] })
    await until(() => told(manager).length === 3)
    expect(manager.adminView().counts).toEqual({ good: 3, stale: 0, never: 0, bad: 0, total: 3 })
  })

  it('takes no peer that is ourselves, hidden in a private network, nonsense or without a door', async () => {
    stage.own = { hosts: { 'us.example': { tcp_port: 1 } } }
    const a = await stage.peer('a.example', '127.1.0.1')
    stage.names.set('127.1.0.1', ['127.1.0.1'])
    const manager = await stage.manager({ permitPrivate: false, bootstrap: [a.name] })
    a.knows = [
      ['', 'US.example', ['t1']],
      ['', '10.0.0.1', ['t1']],
      ['', 'localhost', ['t1']],
      ['', 'a b', ['t1']],
      ['', 'none.example', ['v1.4']],
      ['', 'peer.onion', ['t1']],
    ]
    await until(() => told(manager).length === 1)
    expect(manager.adminView().counts.total).toBe(1)
  })

  it.each([
    [true, /"level":40.*FORCE_PROXY is set and no Tor proxy answers/],
    [false, /"level":30.*no Tor proxy answers .*hidden services are not looked for/],
  ])('says once that there is no proxy, with FORCE_PROXY %s', async (forceProxy, line) => {
    let searched = 0
    stage.network = { isProxy: () => Promise.resolve(++searched < 0) }
    await stage.manager({ forceProxy })
    const fifteenMinutes = (ms: number): boolean => ms === 15 * 60_000
    for (let round = 1; round <= 3; round++) {
      await stage.clock.sleeper(fifteenMinutes)
      expect(searched).toBe(round)
      stage.clock.advance(15 * 60_000)
    }
    expect(stage.log.filter((text) => text.includes('no Tor proxy'))).toEqual([expect.stringMatching(line)])
  })

  it('asks nothing of a second server at the address of a good one: many names make no crowd', async () => {
    const a = await stage.peer('a.example', '127.1.0.1')
    const b = await stage.peer('b.example', '127.1.0.1')
    const manager = await stage.manager({ bootstrap: [a.name, b.name], maxChecks: 1 })
    await until(() => manager.adminView().counts.good + manager.adminView().counts.bad === 2)
    const [good] = told(manager)
    const crowd = [a, b].find(({ host }) => host !== good)
    expect(viewOf(manager, crowd?.host ?? '')?.status).toBe('bad')
    expect(crowd?.asked).toEqual([])
    await until(() => a.open + b.open === 0)
    expect(stage.counter.total).toBe(0)
  })

  it('looks into a good peer again after its time, and into no more at once than it may', async () => {
    const peers: FakePeer[] = []
    for (let n = 1; n <= 5; n++) {
      peers.push(await stage.peer(`p${n}.example`, `127.${n}.0.1`, { 'server.version': () => SILENCE }))
    }
    const manager = await stage.manager({ bootstrap: peers.map(({ name }) => name), maxChecks: 2 })
    const begun = () => peers.filter(({ asked }) => asked.length > 0).length
    await until(() => begun() === 2)
    expect(manager.adminView().checks).toBe(2)
    expect(stage.counter.count('pending', 'outbound')).toBe(2)
    for (const peer of peers) peer.answers['server.version'] = () => ['Fake 1.0', '1.4']
    stage.clock.advance(30_000)
    await until(() => told(manager).length === 3)
    const calls = () => peers.reduce((sum, { asked }) => sum + asked.length, 0)
    const before = calls()
    stage.clock.advance(10_100_000)
    await until(() => told(manager).length === 5)
    const later = calls()
    expect(later).toBeGreaterThan(before)
    stage.clock.advance(10_200_000)
    await until(() => calls() >= later + 3 * 5)
  })

  it('tries the other door when the first is shut', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager({ bootstrap: [`${peer.name} s${await freePort()}`] })
    await until(() => told(manager).length === 1)
  })

  it('tries again with growing waits what it cannot reach, and forgets it after the third time', async () => {
    const manager = await stage.manager({ bootstrap: [`127.1.0.1 t${await freePort()}`] })
    const view = () => viewOf(manager, '127.1.0.1')
    for (const [failures, pause] of [
      [1, 600],
      [2, 1200],
    ] as const) {
      await until(() => view()?.try_count === failures)
      expect(view()?.next_try).toBeCloseTo(stage.clock.now() / 1000 + pause)
      stage.clock.advance(pause * 1000)
    }
    await until(() => view() === undefined)
    expect(manager.adminView().counts.total).toBe(0)
  })

  it('keeps a peer that was good through nine failures, telling of it for a day', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager({ bootstrap: [peer.name] })
    await until(() => told(manager).length === 1)
    await peer.close()
    stage.clock.advance(10_200_000)
    for (let failures = 1; failures <= 9; failures++) {
      await until(() => viewOf(manager, 'a.example')?.try_count === failures)
      if (failures === 1) expect(told(manager)).toEqual(['a.example'])
      stage.clock.advance(300_000 * 2 ** failures)
    }
    expect(told(manager)).toEqual([])
    await until(() => viewOf(manager, 'a.example') === undefined)
  })

  it('begins anew with the first peers when all are forgotten', async () => {
    const port = await freePort()
    const manager = await stage.manager({
      bootstrap: [`127.1.0.1 t${port}`],
    })
    for (const pause of [600, 1200]) {
      await until(
        () => stage.clock.sleeping > 0 && viewOf(manager, '127.1.0.1')?.next_try === stage.clock.now() / 1000 + pause,
      )
      stage.clock.advance(pause * 1000)
    }
    await until(() => manager.adminView().counts.total === 0)
    stage.clock.advance(10_200_000)
    await until(() => manager.adminView().counts.total === 1)
  })

  it('is off or tells of ourselves alone when told so, and connects to nobody', async () => {
    stage.own = { hosts: { 'us.example': { tcp_port: 50_001, ssl_port: 50_002 } }, protocol_max: '1.6', pruning: null }
    const peer = await stage.peer('a.example', '127.1.0.1')
    const off = await stage.manager({ discovery: 'off', bootstrap: [peer.name] })
    const self = await stage.manager({ discovery: 'self', bootstrap: [peer.name] })
    expect(off.list(false)).toEqual([])
    expect(self.list(false)).toEqual([['us.example', 'us.example', ['v1.6', 's50002', 't50001']]])
    expect(await self.addPeer({ hosts: { 'a.example': { tcp_port: 1 } } }, '127.1.0.1')).toBe(false)
    expect(peer.asked).toEqual([])
    expect(stage.counter.total).toBe(0)
  })

  it('ends what it is doing when stopped: dials, questions and rests', async () => {
    const silent = await stage.peer('a.example', '127.1.0.1', { 'server.version': () => SILENCE })
    const halfway = await stage.peer('b.example', '127.2.0.1', { 'server.features': () => SILENCE })
    let dials = 0
    const stopped: unknown[] = []
    const manager = await stage.manager({ bootstrap: [silent.name, halfway.name] })
    stage.network = {
      dial: (_target, signal) => {
        dials++
        signal.addEventListener('abort', () => stopped.push(signal.reason))
        return untilAborted(new Promise(() => {}), signal)
      },
    }
    const dialling = await stage.manager({ bootstrap: [silent.name, halfway.name] })
    await until(() => silent.asked.length === 1 && halfway.methods.includes('server.features') && dials === 2)
    await Promise.all([manager.stop(), dialling.stop()])
    expect(stopped).toHaveLength(2)
    expect([manager, dialling].map((one) => one.adminView().checks)).toEqual([0, 0])
    expect(manager.conversations.size).toBe(0)
    expect(stage.clock.sleeping).toBe(0)
    await until(() => silent.open === 0 && halfway.open === 0)
    expect(stage.counter.total).toBe(0)
  })
})

describe('a peer that', () => {
  it.each<[string, (peer: FakePeer) => void]>([
    ['is of another network', (peer) => (peer.genesis = '00'.repeat(32))],
    ['is far behind', (peer) => (peer.height = 994)],
    ['is far ahead', (peer) => (peer.height = 1006)],
    ['has another header', (peer) => (peer.answers['blockchain.block.header'] = () => headerHex(7))],
    [
      'has a height that is none',
      (peer) => (peer.answers['blockchain.headers.subscribe'] = () => ({ height: '1000' })),
    ],
    ['has no header', (peer) => (peer.answers['blockchain.block.header'] = () => null)],
    [
      'does not list itself',
      (peer) => {
        const genesis_hash = peer.genesis
        peer.answers['server.features'] = () => ({ genesis_hash, hosts: { 'other.example': { tcp_port: 1 } } })
      },
    ],
    ['has no features', (peer) => (peer.answers['server.features'] = () => [])],
    ['has no version', (peer) => (peer.answers['server.version'] = () => 'Fake 1.0')],
    ['has a version that is no pair of texts', (peer) => (peer.answers['server.version'] = () => ['Fake', 1.4])],
    ['has peers that are none', (peer) => (peer.answers['server.peers.subscribe'] = () => [['1.2.3.4', 5, []]])],
    ['has no list of peers', (peer) => (peer.answers['server.peers.subscribe'] = () => ({}))],
    ['does not speak the protocol', (peer) => (peer.answers['server.version'] = () => GARBAGE)],
  ])('%s is bad: told to nobody, forgotten at the third time', async (_what, spoil) => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    spoil(peer)
    peer.knows = [['', 'b.example', ['t1']]]
    const manager = await stage.manager({ bootstrap: [peer.name] })
    await until(() => viewOf(manager, 'a.example')?.status === 'bad')
    expect(manager.list(true)).toEqual([])
    expect(manager.adminView().counts.total).toBe(1)
    stage.clock.advance(600_000)
    await until(() => viewOf(manager, 'a.example')?.try_count === 2)
    stage.clock.advance(1_200_000)
    await until(() => manager.adminView().counts.total === 0)
  })

  it.each<[string, (peer: FakePeer) => void, number]>([
    ['says nothing', (peer) => (peer.answers['server.version'] = () => SILENCE), 30_000],
    ['falls silent', (peer) => (peer.answers['server.features'] = () => SILENCE), 30_000],
    ['hangs up', (peer) => (peer.answers['server.version'] = () => HANG_UP), 0],
    ['refuses', (peer) => (peer.answers['server.features'] = () => new Error('no such method')), 0],
  ])('%s is tried again, not bad', async (_what, spoil, ms) => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    spoil(peer)
    const manager = await stage.manager({ bootstrap: [peer.name] })
    await until(() => peer.asked.length > 0)
    if (ms > 0) {
      await stage.clock.sleeper((slept) => slept <= ms && slept >= 10_000)
      await until(() => peer.methods.length >= (peer.methods.includes('server.features') ? 5 : 1))
      stage.clock.advance(ms)
    }
    await until(() => viewOf(manager, 'a.example')?.try_count === 1)
    expect(viewOf(manager, 'a.example')?.status).toBe('never')
    expect(told(manager)).toEqual([])
  })

  it('is within five blocks of us and shares the header ten below is good, however the tips differ', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    peer.height = 1005
    const manager = await stage.manager({ bootstrap: [peer.name] })
    await until(() => told(manager).length === 1)
    expect(peer.asked).toContainEqual(['blockchain.block.header', [990]])
  })

  it('was bad and has mended its ways is good again', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    peer.height = 900
    const manager = await stage.manager({ bootstrap: [peer.name] })
    await until(() => viewOf(manager, 'a.example')?.status === 'bad')
    peer.height = 1000
    stage.clock.advance(600_000)
    await until(() => told(manager).length === 1)
  })

  it('is one more at the address of a good one is not told of', async () => {
    const [a, b] = [await stage.peer('a.example', '127.1.0.1'), await stage.peer('b.example', '127.1.0.1')]
    const manager = await stage.manager({ bootstrap: [a.name, b.name] })
    await until(() => manager.adminView().counts.good === 1 && manager.adminView().counts.bad === 1)
    expect(told(manager)).toHaveLength(1)
  })
})

describe('announcing ourselves', () => {
  beforeEach(() => {
    stage.own = { hosts: { 'us.example': { tcp_port: 50_001 } }, genesis_hash: 'x' }
  })

  it('is done at peers that do not know us', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager({ bootstrap: [peer.name], announce: true })
    await until(() => told(manager).length === 1)
    expect(peer.asked.at(-1)).toEqual(['server.add_peer', [stage.own]])
  })

  it.each([
    ['the same ports', 't50001', false],
    ['other ports', 't50009', true],
  ])('is done at peers that know us with %s: %s', async (_what, door, announced) => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    peer.knows = [['1.2.3.4', 'US.example', ['v1.4', door]]]
    const manager = await stage.manager({ bootstrap: [peer.name], announce: true })
    await until(() => told(manager).length === 1)
    expect(peer.methods.includes('server.add_peer')).toBe(announced)
  })

  it('does not make a bad peer of who will not hear of us', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1', { 'server.add_peer': () => new Error('go away') })
    const manager = await stage.manager({ bootstrap: [peer.name], announce: true })
    await until(() => told(manager).length === 1)
  })

  it.each([[{ 'us.onion': { tcp_port: 1 } }], [{ '10.0.0.1': { tcp_port: 1 } }], [{}]])(
    'is not done with hosts %j that others cannot reach',
    async (hosts) => {
      stage.own = { hosts }
      const peer = await stage.peer('a.example', '127.1.0.1')
      const manager = await stage.manager({ bootstrap: [peer.name], announce: true, permitPrivate: false })
      await until(() => told(manager).length === 1)
      expect(peer.methods).not.toContain('server.add_peer')
    },
  )
})
