import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { generate } from 'selfsigned'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { untilAborted } from '../../../src/lib/abort.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { DialError } from '../../../src/session/outbound/dial.ts'
import { dialledNetwork } from '../../../src/session/peers/network.ts'
import { diallerOf, LoopbackServer, SocksServer } from '../outbound/loopback.ts'
import { GENESIS } from './fake-peer.ts'
import { Stage, told, until, viewOf } from './stage.ts'

let stage: Stage
const closing: (() => Promise<void>)[] = []

beforeEach(() => {
  stage = new Stage()
})

afterEach(async () => {
  await stage.close()
  for (const close of closing.splice(0)) await close()
})

function offer(host: string, port = 50_001, more: Record<string, unknown> = {}) {
  return { hosts: { [host]: { tcp_port: port } }, genesis_hash: GENESIS, protocol_max: '1.4', ...more }
}

describe('add_peer', () => {
  it('takes a server whose name resolves to where it comes from, and tells of it once verified', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager()
    expect(await manager.addPeer(offer(peer.host, peer.port), '::ffff:127.1.0.1')).toBe(true)
    await until(() => told(manager).length === 1)
  })

  it.each<[string, unknown, string]>([
    ['comes from elsewhere', offer('a.example'), '127.9.0.1'],
    ['comes from elsewhere than its address', offer('127.1.0.1'), '127.9.0.1'],
    ['does not resolve', offer('nowhere.example'), '127.1.0.1'],
    ['is of another network', offer('a.example', 1, { genesis_hash: '00'.repeat(32) }), '127.1.0.1'],
    ['is us', offer('US.example'), '127.1.0.1'],
    ['has no host', { hosts: {} }, '127.1.0.1'],
    ['has no hosts', {}, '127.1.0.1'],
    ['is nothing', null, '127.1.0.1'],
    ['is an onion while there is no proxy', offer('a.onion'), '127.0.0.1'],
  ])('refuses one that %s', async (_what, features, source) => {
    stage.own = { hosts: { 'us.example': {} } }
    stage.names.set('a.example', ['127.1.0.1'])
    stage.names.set('US.example', ['127.1.0.1'])
    const manager = await stage.manager()
    expect(await manager.addPeer(features, source)).toBe(false)
    expect(manager.adminView().counts.total).toBe(0)
  })

  it('refuses hosts that are not public', async () => {
    stage.names.set('localhost', ['127.0.0.1'])
    const manager = await stage.manager({ permitPrivate: false })
    for (const host of ['127.0.0.1', 'localhost', '192.168.1.1', '::1']) {
      expect(await manager.addPeer(offer(host), host === 'localhost' ? '127.0.0.1' : host)).toBe(false)
    }
  })

  it('takes a domain once in ten minutes', async () => {
    for (const host of ['a.one.example', 'b.one.example']) stage.names.set(host, ['127.1.0.1'])
    const manager = await stage.manager()
    expect(await manager.addPeer(offer('a.one.example', 1), '127.1.0.1')).toBe(true)
    expect(await manager.addPeer(offer('b.one.example', 1), '127.1.0.1')).toBe(false)
    stage.clock.advance(601_000)
    expect(await manager.addPeer(offer('b.one.example', 1), '127.1.0.1')).toBe(true)
  })

  it('tries the new ports that a known server tells of', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager({ bootstrap: ['a.example v1.4 t1'] })
    await until(() => viewOf(manager, 'a.example')?.try_count === 1)
    expect(await manager.addPeer(offer(peer.host, peer.port), '127.1.0.1')).toBe(true)
    await until(() => told(manager).length === 1)
    expect(manager.list(false)[0]?.[2]).toEqual(['v1.4.2', `t${peer.port}`])
  })

  it('resolves no names outside of a proxy that is there to hide us', async () => {
    stage.names.set('a.example', ['127.1.0.1'])
    const manager = await stage.manager({ forceProxy: true })
    expect(await manager.addPeer(offer('a.example'), '127.1.0.1')).toBe(false)
  })

  it('does not wait for a resolver when the server stops', async () => {
    stage.network = { resolve: () => new Promise(() => {}) }
    const manager = await stage.manager()
    const added = manager.addPeer(offer('a.example'), '127.1.0.1')
    await manager.stop()
    expect(await added).toBe(false)
  })

  it('of an administrator takes a name with its ports', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager()
    expect(manager.addByName(peer.name)).toBe(true)
    expect(manager.addByName(peer.name)).toBe(false)
    expect(manager.addByName('')).toBe(false)
    await until(() => told(manager).length === 1)
  })
})

describe('the blacklist', () => {
  it('is fetched now and again; who comes onto it is bad at once and not connected to', async () => {
    let list = '["other.example"]'
    const fetched: string[] = []
    stage.network = {
      fetchText: (url) => {
        fetched.push(url)
        return Promise.resolve(list)
      },
    }
    const peer = await stage.peer('a.evil.example', '127.1.0.1')
    const blacklistUrl = 'https://lists.example/black.json'
    const manager = await stage.manager({ bootstrap: [peer.name], blacklistUrl })
    await until(() => told(manager).length === 1)
    const asked = peer.asked.length
    list = '["*.evil.example"]'
    stage.clock.advance(600_000)
    await until(() => viewOf(manager, 'a.evil.example')?.status === 'bad')
    expect(told(manager)).toEqual([])
    expect(peer.asked).toHaveLength(asked)
    expect(fetched).toEqual([blacklistUrl, blacklistUrl])
    expect(manager.adminView().blacklisted).toBe(1)
  })

  it('stays as it was when it cannot be had or is none', async () => {
    const answers = [Promise.resolve('["a.example"]'), Promise.reject(new Error('gone')), Promise.resolve('<html>')]
    answers[1]?.catch(() => {})
    let fetched = 0
    stage.network = {
      fetchText: () => {
        const answer = answers[fetched++]
        return answer ?? Promise.resolve('["a.example","b.example"]')
      },
    }
    const manager = await stage.manager({ blacklistUrl: 'https://lists.example/black.json' })
    for (const [times, entries] of [
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 2],
    ]) {
      await until(() => fetched === times)
      await until(() => manager.adminView().blacklisted === entries)
      await stage.clock.sleeper((ms) => ms === 600_000)
      stage.clock.advance(600_000)
    }
  })

  it.each([
    ['a list', '/list', '["a.example"]'],
    ['a list elsewhere', '/moved', '["a.example"]'],
  ])('comes over HTTP: %s', async (_what, path, text) => {
    const { network, port } = await webServer()
    expect(await network.fetchText(`http://localhost:${port}${path}`, undefined, never)).toBe(text)
  })

  it.each([
    ['nothing there', '/missing', 'answered with status 404'],
    ['more than a list can be', '/endless', 'more than 4000000 bytes'],
    ['a circle', '/circle', 'more than 3 redirections'],
    ['a way to a file', '/file', 'no way to fetch file:'],
    ['half an answer', '/half', 'aborted'],
  ])('is not taken from %s', async (_what, path, message) => {
    const { network, port } = await webServer()
    await expect(network.fetchText(`http://localhost:${port}${path}`, undefined, never)).rejects.toThrow(message)
  })

  it('comes over HTTPS, from a server with a certificate that holds', async () => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }])
    const web = await LoopbackServer.listen(
      createTlsServer({ cert, key }, (_request, response) => response.end('["b"]')),
    )
    closing.push(() => web.close())
    const url = `https://localhost:${web.port}/list`
    await expect(dialledNetwork(diallerOf(), systemClock).fetchText(url, undefined, never)).rejects.toMatchObject({
      stage: 'tls',
    })
    const trusting = diallerOf()
    const open = trusting.open.bind(trusting)
    const verified: string[] = []
    trusting.open = (target, signal) => {
      verified.push(target.tls)
      return open({ ...target, tls: 'any' }, signal)
    }
    expect(await dialledNetwork(trusting, systemClock).fetchText(url, undefined, never)).toBe('["b"]')
    expect(verified).toEqual(['verified'])
  })

  it('is fetched through the proxy if there has to be one', async () => {
    const { network, port } = await webServer()
    const socks = new SocksServer('connects', () => port)
    closing.push(() => socks.close())
    const proxy = { host: '127.0.0.1', port: await socks.start() }
    expect(await network.fetchText('http://lists.example/list', proxy, never)).toBe('["a.example"]')
    expect(socks.asked).toEqual([{ host: 'lists.example', port: 80 }])
  })

  it('is waited for until the server stops, no longer', async () => {
    const { network, port } = await webServer()
    const stop = new AbortController()
    const fetched = network.fetchText(`http://localhost:${port}/silent`, undefined, stop.signal)
    stop.abort()
    await expect(fetched).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('Tor', () => {
  async function overTor(options: { forceProxy?: boolean } = {}) {
    const onion = await stage.peer('abc.onion', '127.0.0.1')
    const socks = new SocksServer('connects', () => onion.port)
    closing.push(() => socks.close())
    const port = await socks.start()
    stage.names.set('localhost', ['127.0.0.1', '::1'])
    stage.network = { isProxy: (address) => Promise.resolve(address.port === port) }
    const manager = await stage.manager({ ...options, bootstrap: [onion.name], proxy: { host: 'localhost', port } })
    return { manager, onion, socks, port }
  }

  it('leads to onions once there is a proxy, by their name alone', async () => {
    const { manager, onion, socks, port } = await overTor()
    await until(() => told(manager, true).length === 1)
    expect(socks.asked).toEqual([{ host: 'abc.onion', port: onion.port }])
    expect(manager.list(true)).toEqual([['abc.onion', 'abc.onion', ['v1.4.2', `t${onion.port}`]]])
    expect(manager.adminView().proxy).toBe(`localhost:${port}`)
    expect(['127.0.0.1', '::1', '203.0.113.7'].map((address) => manager.isOverTor(address))).toEqual([
      true,
      true,
      false,
    ])
  })

  it('is looked for at the usual ports, and again after a quarter of an hour', async () => {
    const tried: number[] = []
    let there = false
    stage.network = {
      isProxy: ({ port }) => {
        tried.push(port)
        return Promise.resolve(there && port === 9150)
      },
      dial: (_target, signal) => untilAborted(new Promise(() => {}), signal),
    }
    const manager = await stage.manager({ proxy: { host: '127.0.0.1' }, bootstrap: ['abc.onion v1.4 t1'] })
    await stage.clock.sleeper((ms) => ms === 900_000)
    expect(tried).toEqual([9050, 9150, 1080])
    expect(manager.adminView()).toMatchObject({ proxy: null, counts: { total: 0 } })
    expect(manager.isOverTor('127.0.0.1')).toBe(false)
    there = true
    stage.clock.advance(900_000)
    await until(() => manager.adminView().proxy === '127.0.0.1:9150')
    expect(manager.adminView().counts.total).toBe(1)
  })

  it('carries everything if it has to: without a proxy nobody is connected to', async () => {
    const peer = await stage.peer('a.example', '127.1.0.1')
    const manager = await stage.manager({ forceProxy: true, bootstrap: [peer.name] })
    await stage.clock.sleeper((ms) => ms === 900_000)
    expect(manager.addByName(peer.name)).toBe(false)
    expect(peer.asked).toEqual([])
  })

  it('that went away is looked for again, without blame for peers', async () => {
    const { manager, socks } = await overTor()
    await until(() => told(manager, true).length === 1)
    await socks.close()
    stage.clock.advance(10_200_000)
    await until(
      () => manager.adminView().checks === 0 && viewOf(manager, 'abc.onion')?.last_try === stage.clock.now() / 1000,
    )
    expect(viewOf(manager, 'abc.onion')).toMatchObject({ try_count: 0, status: 'good' })
    expect(manager.isOverTor('127.0.0.1')).toBe(false)
  })

  it('takes onions through add_peer, at a pace that chance gives', async () => {
    const { manager } = await overTor()
    await until(() => told(manager, true).length === 1)
    expect(await manager.addPeer(offer('other.onion'), '127.0.0.1')).toBe(true)
    await until(() => viewOf(manager, 'other.onion') !== undefined)
  })
})

describe('limits of outbound connections', () => {
  it('delay a peer and are not held against it', async () => {
    stage.network = { dial: () => Promise.reject(new DialError('limit', 'full')) }
    const manager = await stage.manager({ bootstrap: ['a.example t1'] })
    const view = () => viewOf(manager, 'a.example')
    await until(() => (view()?.next_try ?? 0) > 0)
    expect(view()).toMatchObject({ try_count: 0, status: 'never', next_try: stage.clock.now() / 1000 + 300 })
  })
})

const never = new AbortController().signal

async function webServer() {
  const web = createServer((request, response) => {
    const { url } = request
    if (url === '/list') response.end('["a.example"]')
    else if (url === '/moved') response.writeHead(302, { location: '/list' }).end()
    else if (url === '/circle') response.writeHead(302, { location: '/circle' }).end()
    else if (url === '/file') response.writeHead(302, { location: 'file:///etc/passwd' }).end()
    else if (url === '/endless') response.end(Buffer.alloc(4_000_001))
    else if (url === '/half') {
      response.writeHead(200, { 'content-length': 100 })
      response.write('[', () => response.destroy())
    } else if (url !== '/silent') response.writeHead(404).end()
  })
  const server = await LoopbackServer.listen(web)
  closing.push(() => server.close())
  return { network: dialledNetwork(diallerOf(), systemClock), port: server.port }
}
