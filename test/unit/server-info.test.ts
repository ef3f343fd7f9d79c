import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { coinOf } from '../../src/coins/registry.ts'
import { createLogger, silentLogger } from '../../src/log.ts'
import type { ProtocolVersion } from '../../src/rpc/method.ts'
import { featuresOf } from '../../src/rpc/methods/server.ts'
import {
  BannerFiles,
  type BannerFilesOptions,
  type PeerDirectory,
  type ServerInfoOptions,
  serverInfo,
} from '../../src/server-info.ts'
import { FakeClient, FakeDaemon } from '../support/fake-context.ts'

const TOR_PROXY = '127.0.0.1'
const directory = mkdtempSync(join(tmpdir(), 'valence-info-'))
const bannerFile = join(directory, 'banner.txt')
const torBannerFile = join(directory, 'tor.txt')
writeFileSync(bannerFile, 'hello')
writeFileSync(torBannerFile, 'hello, onion')

afterAll(() => rmSync(directory, { recursive: true }))

class Directory implements PeerDirectory {
  readonly asked: unknown[] = []
  list(overTor: boolean) {
    return [['203.0.113.9', overTor ? 'hidden.onion' : 'open.example', ['t1']]] as const
  }
  isOverTor(address: string): boolean {
    return address === TOR_PROXY
  }
  async addPeer(features: unknown, source: string): Promise<boolean> {
    this.asked.push(features, source)
    return true
  }
}

function infoOf(options: Partial<ServerInfoOptions & BannerFilesOptions> = {}, peers?: PeerDirectory) {
  const coin = coinOf('Bitcoin', 'mainnet')
  const files = { dbDirectory: directory, bannerFile, torBannerFile, ...options }
  return serverInfo(
    { coin, reorgLimit: 200, donationAddress: '', reported: [], ...options },
    { daemon: new FakeDaemon(), banners: new BannerFiles(files, { log: silentLogger() }), peers: () => peers },
  )
}

function from(address: string): FakeClient {
  const versions: { protocolMin: ProtocolVersion; protocolMax: ProtocolVersion } = {
    protocolMin: [1, 4, 0],
    protocolMax: [1, 6, 0],
  }
  const client = new FakeClient(versions)
  client.address = address
  return client
}

describe('what the server says of itself and others', () => {
  it('greets clients of the Tor proxy with TOR_BANNER_FILE, with BANNER_FILE where there is none', async () => {
    const info = infoOf({}, new Directory())
    expect(await info.banner(from('203.0.113.5'))).toBe('hello')
    expect(await info.banner(from(TOR_PROXY))).toBe('hello, onion')
    expect(await infoOf({ torBannerFile: undefined }, new Directory()).banner(from(TOR_PROXY))).toBe('hello')
    expect(await infoOf().banner(from(TOR_PROXY))).toBe('hello')
  })

  it('takes a path that is not absolute from DB_DIRECTORY on, as ElectrumX does', async () => {
    expect(await infoOf({ bannerFile: 'banner.txt' }).banner(from('203.0.113.5'))).toBe('hello')
    const overTor = infoOf({ torBannerFile: 'tor.txt' }, new Directory())
    expect(await overTor.banner(from(TOR_PROXY))).toBe('hello, onion')
  })

  it('greets with a plain text where the file cannot be read, and tells the operator at the start, once', async () => {
    const missing = join(directory, 'later.txt')
    const lines: string[] = []
    const log = createLogger('warn', { write: (line) => void lines.push(line) })
    const banners = new BannerFiles({ dbDirectory: '/', bannerFile: missing, torBannerFile: undefined }, { log })
    await banners.look()
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toMatchObject({ file: missing, reason: expect.stringMatching(/^ENOENT/) as string })
    expect(await banners.text(false)).toMatch(/^You are connected to Valence /)
    expect(lines).toHaveLength(1)
    writeFileSync(missing, 'here I am')
    expect(await banners.text(false)).toBe('here I am')
    rmSync(missing)
    await banners.text(false)
    expect(lines).toHaveLength(2)
  })

  it('puts IPv6 addresses into brackets before a port', () => {
    const reported = [{ kind: 'tcp', host: '2001:db8::1', port: 50001 }] as const
    const { hosts, services } = infoOf({ reported }).features()
    expect(hosts).toEqual({ '2001:db8::1': { tcp_port: 50001 } })
    expect(services).toEqual(['tcp://[2001:db8::1]:50001'])
  })

  it('tells clients of the Tor proxy of what is reached over Tor', () => {
    const info = infoOf({}, new Directory())
    expect(info.peers(from('203.0.113.5'))).toEqual([['203.0.113.9', 'open.example', ['t1']]])
    expect(info.peers(from(TOR_PROXY))).toEqual([['203.0.113.9', 'hidden.onion', ['t1']]])
    expect(infoOf().peers(from(TOR_PROXY))).toEqual([])
  })

  it('passes on who wants to be a peer with where it comes from', async () => {
    const peers = new Directory()
    expect(await infoOf({}, peers).addPeer?.({ hosts: {} }, from('198.51.100.7'))).toBe(true)
    expect(peers.asked).toEqual([{ hosts: {} }, '198.51.100.7'])
    expect(await infoOf().addPeer?.({ hosts: {} }, from('198.51.100.7'))).toBe(false)
  })

  it('tells other servers the whole of server.features', () => {
    const reported = [{ kind: 'ssl', host: 'us.example', port: 50002 }] as const
    const { protocol_max, server_version, ...rest } = featuresOf(infoOf({ reported }), [1, 4, 0])
    expect(protocol_max).toMatch(/^1\.\d$/)
    expect(server_version).toMatch(/^Valence /)
    expect(rest).toMatchObject({
      hosts: { 'us.example': { ssl_port: 50002 } },
      genesis_hash: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
      protocol_min: '1.4',
      pruning: null,
      hash_function: 'sha256',
    })
  })
})
