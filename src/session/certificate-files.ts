import { stat } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import { isAbort, messageOf } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Service } from '../lib/service.ts'
import type { Logger } from '../log.ts'
import { readCertificate } from './transports/certificate.ts'
import type { TlsMaterial } from './transports/listener.ts'

export interface CertificateFilesOptions {
  readonly certFile: string
  readonly keyFile: string
  /** Milliseconds between looks at the files. */
  readonly interval: number
}

export const CERTIFICATE_INTERVAL = 60_000

export interface CertificateFilesCollaborators {
  readonly clock: Clock
  readonly log: Logger
  /** Takes the new pair into use. */
  readonly use: (material: TlsMaterial) => void
}

/**
 * Looks after the operator's certificate and key: when the files change, and at SIGHUP, it reads them again and takes them
 * into use. A pair that does not fit together (one of the two is written, the other is not yet) or that
 * cannot be read changes nothing; it is looked at again when the files change again.
 */
export class CertificateFiles implements Service {
  readonly name = 'certificate'
  readonly #options: CertificateFilesOptions
  readonly #collaborators: CertificateFilesCollaborators
  readonly #stopping = new AbortController()
  #seen: string | undefined
  #reading: Promise<void> = Promise.resolve()
  #loop: Promise<void> | undefined
  readonly #onHangup = () => void this.reload()

  constructor(options: CertificateFilesOptions, collaborators: CertificateFilesCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
  }

  async start(): Promise<void> {
    process.on('SIGHUP', this.#onHangup)
    this.#seen = await this.#look()
    this.#loop = this.#watch(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    process.off('SIGHUP', this.#onHangup)
    this.#stopping.abort()
    await this.#loop
    await this.#reading
  }

  /** Reads the files now, changed or not. Settles when that is done; never rejects. */
  reload(): Promise<void> {
    // One after the other, so that what was read last is what is used.
    this.#reading = this.#reading.then(() => this.#read())
    return this.#reading
  }

  async #watch(signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        await this.#collaborators.clock.sleep(this.#options.interval, signal)
        const seen = await this.#look()
        if (seen !== this.#seen) await this.reload()
      }
    } catch (error) {
      if (!isAbort(error)) throw error
    }
  }

  async #read(): Promise<void> {
    const { log, use } = this.#collaborators
    const { certFile, keyFile } = this.#options
    this.#seen = await this.#look()
    try {
      const material = await readCertificate(certFile, keyFile)
      createSecureContext(material)
      use(material)
      log.info({ certFile }, 'certificate read again')
    } catch (error) {
      const reason = messageOf(error)
      log.warn({ reason, certFile, keyFile }, 'the new certificate or key is not usable, the old ones stay in use')
    }
  }

  /** Something that differs whenever one of the files was written or replaced; also while one is missing. */
  async #look(): Promise<string> {
    const { certFile, keyFile } = this.#options
    const marks = await Promise.all([certFile, keyFile].map(mark))
    return marks.join(' ')
  }
}

async function mark(path: string): Promise<string> {
  try {
    const { ino, size, mtimeNs } = await stat(path, { bigint: true })
    return `${ino}.${size}.${mtimeNs}`
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
  }
}
