import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type Environment, readSettings } from '../../../src/config/settings.ts'
import { FOREIGN_SETTINGS, SETTINGS } from '../../../src/config/table.ts'
import { ConfigError } from '../../../src/errors.ts'

const CONFIG_FOLDER = resolve(import.meta.dirname, '../../../config')

function problemsOf(environment: Environment): readonly string[] {
  try {
    readSettings(environment)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

describe('settings', () => {
  it('unset: a regtest node of its own, everything on loopback at the usual ports', () => {
    const settings = readSettings({})
    expect(settings).toMatchObject({ coin: 'Bitcoin', net: 'regtest', dbDirectory: 'valence-data', maxSessions: 1000 })
    expect(settings.daemonUrls).toBeUndefined()
    expect(settings.services.map(({ kind, host, port }) => `${kind}://${host}:${port}`)).toEqual([
      'tcp://127.0.0.1:50001',
      'ssl://127.0.0.1:50002',
      'ws://127.0.0.1:50003',
      'wss://127.0.0.1:50004',
      'http://127.0.0.1:8080',
      'rpc://127.0.0.1:8000',
    ])
  })

  it('with DAEMON_URL: mainnet, public services on all interfaces, administration on loopback', () => {
    const settings = readSettings({ DAEMON_URL: 'user:secret@10.0.0.1:8332, http://10.0.0.2:8332' })
    expect(settings.net).toBe('mainnet')
    expect(settings.daemonUrls).toEqual(['http://user:secret@10.0.0.1:8332', 'http://10.0.0.2:8332'])
    const hosts = new Map(settings.services.map(({ kind, host }) => [kind, host]))
    expect(hosts.get('tcp')).toBe('')
    expect(hosts.get('http')).toBe('')
    expect(hosts.get('rpc')).toBe('127.0.0.1')
  })

  it.each([
    ['old|bad', ['old', 'bad one', 'older'], ['a bad one', 'very old', 'Old', '']],
    ['^bad$', ['bad'], ['badger', 'a bad']],
    ['(?i)evil', ['EVIL 1.0', 'evil'], ['an evil']],
    ['.*Bot', ['myBot', 'Bot'], ['robot']],
    ['', ['', 'whoever'], []],
  ])('DROP_CLIENT=%s matches from the beginning of a name, as in ElectrumX', (pattern, refused, served) => {
    const { dropClient } = readSettings({ DROP_CLIENT: pattern })
    const matches = (name: string) => dropClient?.test(name) ?? false
    expect([...refused, ...served].filter(matches)).toEqual(pattern === '' ? [] : refused)
  })

  it('take service URLs as ElectrumX does: host and port may be left out', () => {
    const { services } = readSettings({ SERVICES: 'tcp://:50001,ssl://,wss://[::1]:443,rpc://localhost:9000' })
    expect(services).toEqual([
      { kind: 'tcp', host: '', port: 50001 },
      { kind: 'ssl', host: '', port: 50002 },
      { kind: 'wss', host: '::1', port: 443 },
      { kind: 'rpc', host: '127.0.0.1', port: 9000 },
    ])
  })

  it.each<[string, Environment, RegExp]>([
    ['an unknown coin is named with the known ones', { COIN: 'Doge' }, /^COIN is "Doge": it must be one of .*Bitcoin/],
    ['an unknown network likewise', { DAEMON_URL: 'h', NET: 'moon' }, /^NET is "moon": it must be one of mainnet/],
    ['a port above 65535', { SERVICES: 'tcp://:70000' }, /^SERVICES is /],
    ['an unknown kind of service', { SERVICES: 'gopher://:70' }, /tcp, ssl, ws, wss, http, https, rpc/],
    ['an admin port for the world', { SERVICES: 'rpc://0.0.0.0:8000' }, /rpc on loopback only/],
    ['one place for two services', { SERVICES: 'tcp://:1,ssl://:1' }, /names :1 for both tcp and ssl/],
    ['a number below its range', { MAX_SEND: '10' }, /whole number from 350000/],
    ['a number that is none', { CACHE_MB: '1e3' }, /^CACHE_MB is "1e3"/],
    ['room for unsent bytes below one answer', { MAX_UNSENT: '1000000', MAX_SEND: '2000000' }, /MAX_UNSENT/],
    [
      'limits the wrong way round',
      { COST_SOFT_LIMIT: '9', COST_HARD_LIMIT: '8' },
      /^COST_SOFT_LIMIT \(9\) is not below COST_HARD_LIMIT \(8\), .*COST_HARD_LIMIT=0 switches the limiter off$/,
    ],
    [
      'limits without room between them, which would be none at all',
      { COST_SOFT_LIMIT: '10000' },
      /^COST_SOFT_LIMIT \(10000\) is not below COST_HARD_LIMIT \(10000\)/,
    ],
    [
      'notices of a bitcoind that is not named',
      { DAEMON_ZMQ: 'tcp://127.0.0.1:28332' },
      /^DAEMON_ZMQ is set without DAEMON_URL: name the bitcoind/,
    ],
    [
      'two admin ports',
      { SERVICES: 'rpc://,tcp://,rpc://127.0.0.1:8001' },
      /^SERVICES names rpc more than once: there is one admin port$/,
    ],
    ['a certificate without a key', { SSL_CERTFILE: 'a.pem' }, /go together/],
    ['a subnet that is none', { LIMIT_EXEMPT_SUBNETS: '10.0.0.0/33' }, /^LIMIT_EXEMPT_SUBNETS/],
    ['a pattern that is none', { DROP_CLIENT: '(' }, /regular expression/],
    ['a pattern with one bracket too many', { DROP_CLIENT: 'a)|(b' }, /regular expression/],
    ['a mode of discovery that is none', { PEER_DISCOVERY: 'maybe' }, /^PEER_DISCOVERY is "maybe": .*on, self or off/],
    ['a switch that is neither', { FORCE_PROXY: 'perhaps' }, /^FORCE_PROXY is "perhaps": it must be on or off/],
    ['port 0 of a proxy', { TOR_PROXY_PORT: '0' }, /^TOR_PROXY_PORT/],
    ['a blacklist that cannot be fetched', { BLACKLIST_URL: 'file:///etc/passwd' }, /^BLACKLIST_URL/],
    [
      'telling the world of the admin port',
      { REPORT_SERVICES: 'rpc://example.org:8000' },
      /^REPORT_SERVICES names rpc/,
    ],
    [
      'telling the world of no host',
      { REPORT_SERVICES: 'tcp://:50001' },
      /^REPORT_SERVICES names rpc, metrics or no host/,
    ],
    ['mainnet without a bitcoind', { NET: 'mainnet' }, /without DAEMON_URL/],
    ['an activation height off regtest', { DAEMON_URL: 'h', ATOMICALS_ACTIVATION_HEIGHT: '5' }, /for regtest only/],
  ])('refuse %s', (_what, environment, message) => {
    expect(problemsOf(environment)).toEqual([expect.stringMatching(message)])
  })

  it('name all problems at once', () => {
    expect(problemsOf({ COIN: 'x', MAX_RECV: 'y', LOG_LEVEL: 'z' })).toHaveLength(3)
  })

  it('never repeat a password', () => {
    const problems = problemsOf({ DAEMON_URL: 'ftp://user:hunter2@host' }).join()
    expect(problems).toMatch(/^DAEMON_URL/)
    expect(problems).not.toContain('hunter2')
  })

  it.each([
    ['a / in it', 'http://user:123/hunter2@host:8332/'],
    ['a # in it', 'http://user:1#hunter2@host'],
    ['a ? in it', 'user:12?hunter2@host'],
    ['a comma in it', 'http://user:1,hunter2/@host'],
  ])(
    'refuse a password with %s that is not written as an escape, instead of calling half of it a host',
    (_what, url) => {
      expect(problemsOf({ DAEMON_URL: url })).toEqual([
        'DAEMON_URL is not understood: it must be a comma-separated list of http(s)://[user:password@]host[:port]/, ' +
          'with , / # ? % of a password as %2C %2F %23 %3F %25',
      ])
    },
  )

  it('never repeat a password in another URL either', () => {
    const problems = problemsOf({ BLACKLIST_URL: 'ftp://user:hun/ter2@host/list' })
    expect(problems).toEqual([expect.stringMatching(/^BLACKLIST_URL is "ftp:\/\/…@host\/list"/)])
  })

  it.each([
    ['INFO', 'info'],
    ['Warning', 'warn'],
    ['critical', 'fatal'],
    [' debug', 'debug'],
  ])('read LOG_LEVEL=%s of an ElectrumX file as %s', (written, level) => {
    expect(readSettings({ LOG_LEVEL: written }).logLevel).toBe(level)
  })

  it('take COST_HARD_LIMIT=0 alone for no limit, as ElectrumX does', () => {
    expect(readSettings({ COST_HARD_LIMIT: '0' })).toMatchObject({ costSoftLimit: 1000, costHardLimit: 0 })
  })

  it('say which settings of an ElectrumX file have no effect here', () => {
    expect(readSettings({ DB_ENGINE: 'rocksdb', ALLOW_ROOT: 'yes' }).notes).toEqual([
      expect.stringMatching(/^DB_ENGINE has no effect/),
      expect.stringMatching(/^ALLOW_ROOT has no effect/),
    ])
  })

  it('say what stands in for settings of atomicals-electrumx, and for those of old files', () => {
    const given = { ENABLE_RATE_LIMIT: 'no', RPC_PORT: '8001', MAX_SESSION_SUBS: '50000', TCP_PORT: '' }
    expect(readSettings(given).notes).toEqual([
      expect.stringMatching(/^ENABLE_RATE_LIMIT has no effect: COST_SOFT_LIMIT and COST_HARD_LIMIT/),
      'RPC_PORT has no effect: SERVICES says where to listen',
      expect.stringMatching(/^MAX_SESSION_SUBS has no effect: MAX_SUBSCRIPTIONS_PER_SESSION/),
    ])
  })

  it('say of heights of Atomicals rules that they have no effect where Atomicals are off', () => {
    const heights = { ATOMICALS_ACTIVATION_HEIGHT: '5', ATOMICALS_ACTIVATION_HEIGHT_DMINT: '6' }
    expect(readSettings({ ...heights, ATOMICALS: 'off' }).notes).toEqual([
      'ATOMICALS_ACTIVATION_HEIGHT has no effect: ATOMICALS is off',
      'ATOMICALS_ACTIVATION_HEIGHT_DMINT has no effect: ATOMICALS is off',
    ])
    expect(readSettings(heights).notes).toEqual([])
  })

  it('look for other servers on public networks, and on regtest only when told to', () => {
    const defaults = { peerAnnounce: true, forceProxy: false, torProxyHost: 'localhost' }
    expect(readSettings({ DAEMON_URL: 'h' })).toMatchObject({ peerDiscovery: 'on', ...defaults })
    expect(readSettings({ DAEMON_URL: 'h' }).torProxyPort).toBeUndefined()
    expect(readSettings({ DAEMON_URL: 'h', NET: 'signet' }).peerDiscovery).toBe('on')
    expect(readSettings({}).peerDiscovery).toBe('off')
    expect(readSettings({ DAEMON_URL: 'h', NET: 'regtest' }).peerDiscovery).toBe('off')
    expect(readSettings({ PEER_DISCOVERY: 'on' }).peerDiscovery).toBe('on')
    expect(readSettings({ DAEMON_URL: 'h', PEER_DISCOVERY: ' Self' }).peerDiscovery).toBe('self')
    expect(readSettings({ DAEMON_URL: 'h', PEER_DISCOVERY: 'on' }).notes).toEqual([])
  })

  it('take an empty text for off where ElectrumX does, so that nobody is announced against his will', () => {
    const settings = readSettings({ DAEMON_URL: 'h', PEER_ANNOUNCE: '', PEER_DISCOVERY: '', FORCE_PROXY: '' })
    expect(settings).toMatchObject({ peerAnnounce: false, peerDiscovery: 'off', forceProxy: false })
  })

  it.each([
    ['1', true],
    ['Yes', true],
    ['on', true],
    ['true', true],
    ['0', false],
    ['no', false],
    ['OFF', false],
    ['false', false],
  ])('read %j as a switch that is %j', (word, value) => {
    expect(readSettings({ FORCE_PROXY: word, PEER_ANNOUNCE: word, ATOMICALS: word })).toMatchObject({
      forceProxy: value,
      peerAnnounce: value,
      atomicals: value,
    })
  })

  it('say where the Tor proxy, its banner and the blacklist are', () => {
    const given = {
      TOR_PROXY_HOST: 'tor.example.org',
      TOR_PROXY_PORT: '9051',
      TOR_BANNER_FILE: '/etc/tor.txt',
      BLACKLIST_URL: 'https://example.org/blacklist.json',
    }
    expect(readSettings(given)).toMatchObject({
      torProxyHost: 'tor.example.org',
      torProxyPort: 9051,
      torBannerFile: '/etc/tor.txt',
      blacklistUrl: 'https://example.org/blacklist.json',
    })
  })

  it.each(readdirSync(CONFIG_FOLDER).filter((name) => /\.env(\.example)?$/.test(name)))(
    'accept config/%s, and know every name in it',
    (name) => {
      const lines = readFileSync(resolve(CONFIG_FOLDER, name), 'utf8').split('\n')
      const pairs = lines.flatMap((line) => {
        const match = /^#?([A-Z][A-Z0-9_]+)=(.*)$/.exec(line)
        return match === null ? [] : [[match[1]!, match[2]!] as const]
      })
      expect(pairs.length).toBeGreaterThan(3)
      const asWritten = Object.fromEntries(pairs.filter(([env]) => lines.some((line) => line.startsWith(`${env}=`))))
      expect(() => readSettings(asWritten)).not.toThrow()
      const known = new Set<string>([
        ...Object.values(SETTINGS).map(({ env }) => env),
        ...Object.keys(FOREIGN_SETTINGS),
      ])
      expect(pairs.map(([env]) => env).filter((env) => !known.has(env))).toEqual([])
    },
  )
})

describe('config/compose.yml', () => {
  const text = readFileSync(resolve(CONFIG_FOLDER, 'compose.yml'), 'utf8')
  const [bitcoind = '', valence = ''] = text.split(/^ {2}valence:$/m)

  it('sets what the server knows, to what it takes', () => {
    const set = [...valence.matchAll(/^ {6}([A-Z_]+): '?([^'\n]*)'?$/gm)].map(
      ([, env, value]) => [env!, value!] as const,
    )
    expect(set.length).toBeGreaterThan(4)
    const known = new Set<string>(Object.values(SETTINGS).map(({ env }) => env))
    expect(set.map(([env]) => env).filter((env) => !known.has(env))).toEqual([])
    expect(readSettings(Object.fromEntries(set))).toMatchObject({ net: 'mainnet', dbDirectory: 'valence-data' })
  })

  it('has bitcoind write its cookie as the user who reads it: its image makes the folder as 0700', () => {
    expect(readFileSync(resolve(CONFIG_FOLDER, '../Dockerfile'), 'utf8')).toMatch(
      /^FROM node:24-slim\n[\s\S]*^USER node$/m,
    )
    // The number of the user node in Node's images.
    expect(bitcoind).toMatch(/^ {6}UID: '1000'\n {6}GID: '1000'$/m)
  })
})

describe('config/valence.service', () => {
  const text = readFileSync(resolve(CONFIG_FOLDER, 'valence.service'), 'utf8')

  it('starts the server as `npm start` does', () => {
    const { scripts } = JSON.parse(readFileSync(resolve(CONFIG_FOLDER, '../package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const [, variable, words] = /^exec env (\S+) node (.*) dist\/main\.js$/.exec(scripts['start'] ?? '') ?? []
    expect(text).toContain(`\nEnvironment=${variable}\n`)
    expect(text).toContain(`\nExecStart=/usr/bin/env node ${words} /opt/valence/dist/main.js\n`)
  })

  it('makes the directory that bitcoin.env names, and gives up where settings are wrong', () => {
    const { DB_DIRECTORY } = Object.fromEntries(
      readFileSync(resolve(CONFIG_FOLDER, 'bitcoin.env'), 'utf8')
        .split('\n')
        .map((line) => line.split('=')),
    ) as Record<string, string>
    expect(DB_DIRECTORY).toBe(`/var/lib/${/^StateDirectory=(.*)$/m.exec(text)?.[1]}`)
    expect(text).toMatch(/^RestartPreventExitStatus=2$/m)
  })
})
