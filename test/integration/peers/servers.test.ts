import { createServer } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { NODE_KINDS, type ReachedNode } from '../../support/e2e-nodes.ts'
import { LoopbackServer } from '../outbound/loopback.ts'
import { FakePeer, SILENCE } from './fake-peer.ts'
import { OwnServer } from './own-server.ts'
import { until } from './stage.ts'

const REGTEST_GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'

let node: ReachedNode
const servers: OwnServer[] = []
const others: { close(): Promise<void> }[] = []

beforeAll(async () => {
  node = await NODE_KINDS[0]!.start()
  await node.rpc('generatetodescriptor', 30, 'raw(51)#8lvh9jxk')
})

afterAll(async () => {
  await node?.stop()
})

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
  for (const other of others.splice(0)) await other.close()
})

async function started(host: string, environment: Readonly<Record<string, string>> = node.environment) {
  const server = await OwnServer.start(host, environment)
  servers.push(server)
  return server
}

async function fakePeer(host: string, answers: FakePeer['answers'] = {}): Promise<FakePeer> {
  const peer = new FakePeer(host, answers)
  await peer.listen(host)
  others.push(peer)
  return peer
}

/** Something at `host` that takes connections, hears all and never says a word. */
async function mute(host: string): Promise<LoopbackServer> {
  const server = await LoopbackServer.listen(
    createServer((socket) => socket.resume()),
    host,
  )
  others.push(server)
  return server
}

describe('two servers of ours', () => {
  it('find each other once one is told of the other, and tell wallets of it', async () => {
    const a = await started('127.1.0.1')
    const b = await started('127.2.0.1')
    expect([await a.told(), await b.told()]).toEqual([[], []])

    expect(await b.admin('add_peer', a.host, `t${a.port}`)).toBe(`peer '${a.name}' added`)
    await b.until(({ msg, peer }) => msg === 'announced ourselves' && peer === a.host)
    await b.until(({ msg, peer }) => msg === 'peer verified' && peer === a.host)
    await a.until(({ msg, peer }) => msg === 'peer verified' && peer === b.host)

    const row = ({ host, port }: OwnServer) => [host, host, [expect.stringMatching(/^v1\.\d$/), `t${port}`]]
    expect(await b.told()).toEqual([row(a)])
    expect(await a.told()).toEqual([row(b)])
    expect(await b.admin('peers')).toMatchObject({
      discovery: 'on',
      counts: { good: 1, total: 1 },
      peers: [{ host: a.host, status: 'good', source: 'peer', features: { genesis_hash: REGTEST_GENESIS } }],
    })
    expect(await b.admin('getinfo')).toMatchObject({ peers: { discovery: 'on', counts: { good: 1, total: 1 } } })
    await expect(b.admin('add_peer', `${a.host} t${a.port}`)).rejects.toThrow('not added: known already')
  })

  it('do not tell of each other when they follow different chains', async () => {
    const a = await started('127.1.0.1')
    const b = await started('127.2.0.1', {})
    await b.admin('add_peer', a.name)
    const verdict = await b.until(({ msg, peer }) => msg === 'bad peer' && peer === a.host)
    expect(verdict['reason']).toMatch(/^height \d+ where ours is|^another header/)
    expect(await b.told()).toEqual([])
    expect(await a.told()).toEqual([])
    expect(await b.admin('peers')).toMatchObject({ counts: { bad: 1, good: 0, total: 1 } })
  })
})

describe('a server of ours', () => {
  it('does not tell of a server that says it has another genesis block', async () => {
    const server = await started('127.1.0.1')
    const stranger = await fakePeer('127.3.0.1')
    await server.admin('add_peer', `127.3.0.1 t${stranger.port}`)
    expect(await server.until(({ msg }) => msg === 'bad peer')).toMatchObject({
      peer: '127.3.0.1',
      reason: 'another genesis block',
    })
    expect(await server.told()).toEqual([])
  })

  it('looks into who asks for it from the address that it names, once per connection', async () => {
    const server = await started('127.1.0.1')
    const honest = await fakePeer('127.0.0.1')
    const offer = { hosts: { '127.0.0.1': { tcp_port: honest.port } }, genesis_hash: REGTEST_GENESIS }
    const elsewhere = { ...offer, hosts: { '127.4.0.1': { tcp_port: honest.port } } }
    const client = await server.client()
    expect(await client.request('server.add_peer', [elsewhere])).toBe(false)
    expect(await client.request('server.add_peer', [offer])).toBe(false)
    expect(await server.admin('sessions')).toMatchObject([{ peer: true }])
    await client.close()
    expect(honest.asked).toEqual([])
  })

  it('believes an offer and goes to see for itself', async () => {
    const server = await started('127.1.0.1')
    const stranger = await fakePeer('127.0.0.1')
    const client = await server.client()
    expect(await client.request('server.add_peer', [{ hosts: { '127.0.0.1': { tcp_port: stranger.port } } }])).toBe(
      true,
    )
    await server.until(({ msg, peer }) => msg === 'bad peer' && peer === '127.0.0.1')
    expect(stranger.asked[0]).toEqual(['server.version', [expect.stringContaining('Valence'), ['1.4', '1.7']]])
    await client.close()
  })

  it('keeps to itself on regtest unless PEER_DISCOVERY says otherwise', async () => {
    const server = await started('127.1.0.1', { ...node.environment, PEER_DISCOVERY: 'off' })
    const self = await started('127.2.0.1', { ...node.environment, PEER_DISCOVERY: 'self' })
    await expect(server.admin('add_peer', self.name)).rejects.toThrow(/PEER_DISCOVERY/)
    expect(await server.told()).toEqual([])
    expect(await self.told()).toEqual([['127.2.0.1', '127.2.0.1', [expect.stringMatching(/^v1/), `t${self.port}`]]])
    const client = await server.client()
    expect(await client.request('server.add_peer', [{ hosts: { '127.0.0.1': { tcp_port: 1 } } }])).toBe(false)
    await client.close()
  })

  it('counts sessions in the making and active ones, and ends both within 5 s when it stops', async () => {
    const server = await started('127.1.0.1')
    const [secure, plain] = [await mute('127.3.0.1'), await halfway('127.4.0.1')]
    await server.admin('add_peer', `127.3.0.1 s${secure.port}`)
    await server.admin('add_peer', plain.name)
    await outbound(server, { handshaking: 1, active: 1 })
    const begun = performance.now()
    expect(await server.stop()).toBeUndefined()
    await until(() => secure.sockets.size + plain.open === 0)
    expect(performance.now() - begun).toBeLessThan(5000)
    expect(server.log.filter(({ level }) => Number(level) >= 50)).toEqual([])
  })

  it('shows the administrator who it has dialled beside its clients, and cuts either when told to', async () => {
    const server = await started('127.1.0.1')
    const [secure, plain] = [await mute('127.3.0.1'), await halfway('127.4.0.1')]
    const client = await server.client()
    await server.admin('add_peer', `127.3.0.1 s${secure.port}`)
    await server.admin('add_peer', plain.name)
    await outbound(server, { handshaking: 1, active: 1 })
    const sessions = await server.admin<{ id: number; host?: string }[]>('sessions')
    expect(sessions).toMatchObject([
      { direction: 'inbound', state: 'active', peer: false, features: null },
      { direction: 'outbound', state: 'handshaking', kind: 'ssl', host: '127.3.0.1', protocol: null, software: null },
      {
        direction: 'outbound',
        state: 'active',
        kind: 'tcp',
        host: '127.4.0.1',
        remote: `127.4.0.1:${plain.port}`,
        software: 'Fake 1.0',
        protocol: '1.4.0',
        unanswered: 3,
        received_messages: 1,
        round_trip_ms: expect.any(Number) as number,
      },
    ])
    expect(await server.admin('inspect_session', String(sessions[2]?.id))).toMatchObject({ host: '127.4.0.1' })
    expect(await server.admin('disconnect', 'pending')).toEqual([`disconnected ${sessions[1]?.id}`])
    await until(() => secure.sockets.size === 0)
    expect(await server.admin('disconnect', String(sessions[2]?.id))).toEqual([`disconnected ${sessions[2]?.id}`])
    await until(() => plain.open === 0)
    await server.until(({ msg, host, reason }) => {
      return msg === 'session with a server closed' && host === '127.4.0.1' && reason === 'operator'
    })
    expect(await client.request('server.ping')).toBe(null)
    await client.close()
  })
})

/** One that says which version it speaks, and nothing else. */
function halfway(host: string): Promise<FakePeer> {
  return fakePeer(host, {
    'server.features': () => SILENCE,
    'server.peers.subscribe': () => SILENCE,
    'blockchain.headers.subscribe': () => SILENCE,
  })
}

async function outbound(server: OwnServer, wanted: { handshaking: number; active: number }): Promise<void> {
  for (;;) {
    const { sessions } = await server.admin<{ sessions: { outbound: { handshaking: number; active: number } } }>(
      'getinfo',
    )
    const { handshaking, active } = sessions.outbound
    if (handshaking === wanted.handshaking && active === wanted.active) return
  }
}
