import { createPrivateKey } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type TLSSocket } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../../../src/log.ts'
import { CertificateFiles } from '../../../src/session/certificate-files.ts'
import { readCertificate, selfSignedCertificate } from '../../../src/session/transports/certificate.ts'
import { SessionKit } from '../../support/session-kit.ts'

const INTERVAL = 60_000

describe("the operator's certificate", () => {
  let directory = ''
  let kit: SessionKit
  let files: CertificateFiles
  const written: string[] = []
  const sockets: TLSSocket[] = []
  const path = (name: string) => join(directory, name)

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-cert-'))
    await selfSignedCertificate(path('one'), ['one.example'])
    await selfSignedCertificate(path('two'), ['two.example'])
    await copyFile(path('one/selfsigned.crt'), path('crt'))
    await copyFile(path('one/selfsigned.key'), path('key'))
    const tls = await readCertificate(path('crt'), path('key'))
    const kinds = ['ssl', 'wss', 'https'] as const
    kit = await new SessionKit({ listeners: kinds.map((kind) => ({ kind, host: '127.0.0.1', port: 0, tls })) }).start()
    written.length = 0
    const log = createLogger('info', { write: (line: string) => written.push(line) })
    files = new CertificateFiles(
      { certFile: path('crt'), keyFile: path('key'), interval: INTERVAL },
      { clock: kit.clock, log, inUse: tls, use: (material) => kit.manager.secureWith(material) },
    )
    await files.start()
  })

  afterEach(async () => {
    await files.stop()
    for (const socket of sockets.splice(0)) socket.destroy()
    await kit.stop()
    await rm(directory, { recursive: true })
  })

  /** What the server at `kind` says its name is. */
  async function nameAt(kind: 'ssl' | 'wss' | 'https'): Promise<string> {
    const socket = connect({ host: '127.0.0.1', port: kit.port(kind), rejectUnauthorized: false })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    return String(socket.getPeerCertificate().subject.CN)
  }

  async function encrypt(): Promise<void> {
    const key = createPrivateKey(await readFile(path('key')))
    await writeFile(
      path('key'),
      key.export({ type: 'pkcs8', format: 'pem', cipher: 'aes-128-cbc', passphrase: 'abcd' }),
    )
  }

  const logged = (message: string) => written.filter((line) => line.includes(message)).length

  async function looked(): Promise<void> {
    await kit.clock.sleeper((ms) => ms === INTERVAL)
    kit.clock.advance(INTERVAL)
    await kit.clock.sleeper((ms) => ms === INTERVAL)
  }

  it('is taken into use by every secure listener when its files change, and connections live on', async () => {
    const old = await kit.active('ssl')
    expect(await nameAt('ssl')).toBe('one.example')
    await rename(path('two/selfsigned.key'), path('key'))
    await rename(path('two/selfsigned.crt'), path('crt'))
    expect(await nameAt('ssl')).toBe('one.example')
    await looked()
    expect(logged('certificate read again')).toBe(1)
    for (const kind of ['ssl', 'wss', 'https'] as const) expect(await nameAt(kind)).toBe('two.example')
    expect(await old.request('echo', ['still here'])).toBe('still here')
    await looked()
    expect(logged('certificate read again')).toBe(1)
  })

  it('stays in use with a warning while certificate and key do not fit, and changes when they do', async () => {
    await copyFile(path('two/selfsigned.crt'), path('crt'))
    await looked()
    expect(logged('the old ones stay in use')).toBe(1)
    expect(logged('the key does not belong to the certificate')).toBe(1)
    expect(await nameAt('ssl')).toBe('one.example')
    await looked()
    expect(logged('the old ones stay in use')).toBe(1)
    await copyFile(path('two/selfsigned.key'), path('key'))
    await looked()
    expect(await nameAt('ssl')).toBe('two.example')
  })

  it.each([
    { what: 'missing', change: async () => rm(path('key')), words: '/key' },
    { what: 'no certificate', change: async () => writeFile(path('crt'), 'nonsense'), words: 'is no PEM' },
    { what: 'encrypted', change: encrypt, words: 'the key has a passphrase; give one without' },
    { what: 'a folder', change: async () => rm(path('key')).then(() => mkdir(path('key'))), words: "read '/" },
  ])('stays in use when a file is $what, and says so', async ({ change, words }) => {
    await change()
    await looked()
    expect(logged('the old ones stay in use')).toBe(1)
    expect(logged(words)).toBe(1)
    expect(await nameAt('wss')).toBe('one.example')
  })

  it('is told of once when it is not good yet, and once when it has expired', async () => {
    // The clock of the kit stands years before the certificate was made, which is good for ten years.
    expect(logged('SSL_CERTFILE is not valid before')).toBe(1)
    await looked()
    expect(logged('SSL_CERTFILE')).toBe(1)
    kit.clock.advance(Date.now() - kit.clock.now())
    await looked()
    expect(logged('SSL_CERTFILE')).toBe(1)
    kit.clock.advance(11 * 366 * 86_400_000)
    await looked()
    await looked()
    expect(logged('SSL_CERTFILE expired on')).toBe(1)
    expect(await nameAt('ssl')).toBe('one.example')
    // Another one that is no better is told of, too.
    await copyFile(path('two/selfsigned.key'), path('key'))
    await copyFile(path('two/selfsigned.crt'), path('crt'))
    await looked()
    expect(logged('SSL_CERTFILE expired on')).toBe(2)
    expect(await nameAt('ssl')).toBe('two.example')
  })

  it('is read again at SIGHUP', async () => {
    await copyFile(path('two/selfsigned.key'), path('key'))
    await copyFile(path('two/selfsigned.crt'), path('crt'))
    process.emit('SIGHUP')
    await files.stop()
    expect(await nameAt('ssl')).toBe('two.example')
    expect(process.listenerCount('SIGHUP')).toBe(0)
  })
})
