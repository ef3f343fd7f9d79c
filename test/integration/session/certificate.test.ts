import { X509Certificate } from 'node:crypto'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.ts'
import { readCertificate, selfSignedCertificate } from '../../../src/session/transports/certificate.ts'
import { listenLines } from '../../../src/session/transports/tcp.ts'
import { LIMITS, TestDoorkeeper } from '../../support/transport-kit.ts'

describe('self-signed certificate', () => {
  let directory = ''

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-cert-'))
  })

  afterEach(async () => {
    await rm(directory, { recursive: true })
  })

  it('is made once and kept, with a key that nobody else may read', async () => {
    const first = await selfSignedCertificate(join(directory, 'db'))
    const second = await selfSignedCertificate(join(directory, 'db'))
    expect(second).toEqual(first)
    const files = await readdir(join(directory, 'db'))
    expect(files.sort()).toEqual(['selfsigned.crt', 'selfsigned.key'])
    expect((await stat(join(directory, 'db', 'selfsigned.key'))).mode & 0o777).toBe(0o600)
    const read = await readCertificate(join(directory, 'db', 'selfsigned.crt'), join(directory, 'db', 'selfsigned.key'))
    expect(read).toEqual(first)
  })

  it('is of P-256, good for ten years, and names the hosts', async () => {
    const { cert } = await selfSignedCertificate(directory, ['node.example.org', '192.0.2.7'])
    const certificate = new X509Certificate(cert)
    expect(certificate.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' })
    expect(certificate.checkHost('node.example.org')).toBe('node.example.org')
    expect(certificate.checkIP('192.0.2.7')).toBe('192.0.2.7')
    const years = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / (365 * 86_400_000)
    expect(years).toBeGreaterThan(9.9)
    expect(years).toBeLessThan(10.1)
  })

  it('is taken by a client that pinned it as the only authority it trusts', async () => {
    const tls = await selfSignedCertificate(directory)
    const target = { kind: 'ssl', host: '127.0.0.1', port: 0, handshakeTimeout: 120_000, tls } as const
    const listener = await listenLines(target, LIMITS, new TestDoorkeeper(), silentLogger())
    try {
      const socket = connect({ host: '127.0.0.1', port: listener.address.port, ca: tls.cert, servername: 'localhost' })
      const authorized = await new Promise((resolve, reject) => {
        socket.once('secureConnect', () => resolve(socket.authorized))
        socket.once('error', reject)
      })
      expect(authorized).toBe(true)
      expect(socket.getProtocol()).toBe('TLSv1.3')
      socket.destroy()
    } finally {
      await listener.close()
    }
  })

  it('is served to TLS 1.2 and refused to 1.1', async () => {
    const tls = await selfSignedCertificate(directory)
    const target = { kind: 'ssl', host: '127.0.0.1', port: 0, handshakeTimeout: 120_000, tls } as const
    const listener = await listenLines(target, LIMITS, new TestDoorkeeper(), silentLogger())
    const protocol = (version: 'TLSv1.1' | 'TLSv1.2') =>
      new Promise((resolve) => {
        const options = { host: '127.0.0.1', port: listener.address.port, rejectUnauthorized: false }
        const socket = connect({ ...options, minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0' })
        socket.once('secureConnect', () => resolve(socket.getProtocol()))
        socket.once('error', () => resolve('refused'))
        socket.once('close', () => resolve('refused'))
      })
    try {
      expect(await protocol('TLSv1.2')).toBe('TLSv1.2')
      expect(await protocol('TLSv1.1')).toBe('refused')
    } finally {
      await listener.close()
    }
  })
})
