import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CookieCredentials, parseEndpoint } from '../../../src/daemon/endpoint.ts'
import { ConfigError } from '../../../src/errors.ts'

const OPTIONS = { label: 'DAEMON_URL', defaultPort: 8332 }

function basic(text: string): string {
  return `Basic ${Buffer.from(text).toString('base64')}`
}

describe('parseEndpoint', () => {
  it.each([
    ['http://u:p@node:18443/', 'http://node:18443/', 'u:p'],
    ['u:p@node:18443', 'http://node:18443/', 'u:p'],
    ['u:p@node', 'http://node:8332/', 'u:p'],
    ['node:1', 'http://node:1/', undefined],
    ['http://node:80', 'http://node:80/', undefined],
    ['https://u:p@node:443/btc', 'https://node:443/btc/', 'u:p'],
    ['https://node', 'https://node:8332/', undefined],
    ['http://u:p%40%3a%25@[::1]:8332', 'http://[::1]:8332/', 'u:p@:%'],
    ['http://u@node', 'http://node:8332/', 'u:'],
  ])('takes %s apart', async (url, address, login) => {
    const endpoint = parseEndpoint(url, OPTIONS)
    expect(endpoint.address).toBe(address)
    expect(await endpoint.credentials.header()).toBe(login === undefined ? undefined : basic(login))
  })

  it('gives the bare host of an IPv6 address, as sockets want it', () => {
    expect(parseEndpoint('http://[::1]:8332', OPTIONS)).toMatchObject({ host: '::1', port: 8332 })
  })

  it.each(['http://u:se cret@no de', 'ftp://u:secret@node', 'http://u:secret@', 'http://u:secret%zz@node', ''])(
    'refuses %s without repeating it',
    (url) => {
      let caught: unknown
      try {
        parseEndpoint(url, OPTIONS)
      } catch (error) {
        caught = error
      }
      expect(caught).toBeInstanceOf(ConfigError)
      expect((caught as Error).message).toContain('DAEMON_URL')
      expect((caught as Error).message).not.toMatch(/se ?cret/)
      expect((caught as Error).cause).toBeUndefined()
    },
  )

  it('prefers user and password of the URL to the cookie file', async () => {
    const cookieFile = join(tmpdir(), 'there-is-no-such-cookie')
    const { credentials } = parseEndpoint('http://u:p@node', { ...OPTIONS, cookieFile })
    expect(await credentials.header()).toBe(basic('u:p'))
    expect(credentials.renewable).toBe(false)
    expect(parseEndpoint('http://node', { ...OPTIONS, cookieFile }).credentials.renewable).toBe(true)
  })
})

describe('CookieCredentials', () => {
  let folder: string
  let file: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cookie-'))
    file = join(folder, '.cookie')
  })

  afterEach(async () => {
    await rm(folder, { recursive: true })
  })

  it('reads the file once until the header is refused', async () => {
    const credentials = new CookieCredentials(file)
    await writeFile(file, '__cookie__:one\n')
    expect(await credentials.header()).toBe(basic('__cookie__:one'))
    await writeFile(file, '__cookie__:two')
    expect(await credentials.header()).toBe(basic('__cookie__:one'))
    credentials.forget(basic('__cookie__:one'))
    expect(await credentials.header()).toBe(basic('__cookie__:two'))
  })

  it('keeps a header that is newer than the refused one', async () => {
    const credentials = new CookieCredentials(file)
    await writeFile(file, '__cookie__:two')
    await credentials.header()
    await rm(file)
    credentials.forget(basic('__cookie__:one'))
    expect(await credentials.header()).toBe(basic('__cookie__:two'))
  })

  it.each([
    ['is not there', undefined],
    ['is empty', ''],
    ['has no colon', 'something'],
    ['is some other file', `a:${'x'.repeat(5000)}`],
    ['has lines', 'a:b\nc:d'],
  ])('fails as kind cookie, without its content, if the file %s', async (_what, content) => {
    if (content !== undefined) await writeFile(file, content)
    const failure = await new CookieCredentials(file).header().catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'DaemonUnavailableError', kind: 'cookie', mayPass: true })
    if (content !== undefined && content !== '') expect((failure as Error).message).not.toContain(content)
  })

  it('says what to do where the path is a folder, as it is where the name of the file was left out', async () => {
    const failure = await new CookieCredentials(folder).header().catch((error: unknown) => error)
    expect((failure as Error).message).toMatch(/\(EISDIR\); it is a folder: name the file \.cookie in it$/)
  })
})
