import { stat } from 'node:fs/promises'
import { isAbort, messageOf } from '../errors.ts'
import type { Clock } from '../lib/clock.ts'
import type { Service } from '../lib/service.ts'
import type { Logger } from '../log.ts'
import { readCertificate, requireUsable, wrongDates } from './transports/certificate.ts'
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
  /** The pair that is in use. */
  readonly inUse: TlsMaterial
  /** Takes the new pair into use. */
  readonly use: (material: TlsMaterial) => void
}

/**
 * Looks after the operator's certificate and key: when the files change, and at SIGHUP, it reads them again and takes them
 * into use. A pair that does not fit together (one of the two is written, the other is not yet) or that
 * cannot be read changes nothing; it is looked at again when the files change again. A certificate that has expired is
 * served all the same, and told of: some clients take it, and none would be served without it.
 */
export class CertificateFiles implements Service {
  readonly name = 'certificate'
  readonly #options: CertificateFilesOptions
  readonly #collaborators: CertificateFilesCollaborators
  readonly #stopping = new AbortController()
  #inUse: TlsMaterial
  #seen: string | undefined
  /** What is wrong with the dates of the certificate, as it was told. */
  #told: string | undefined
  #reading: Promise<void> = Promise.resolve()
  #loop: Promise<void> | undefined
  readonly #onHangup = () => void this.reload()

  constructor(options: CertificateFilesOptions, collaborators: CertificateFilesCollaborators) {
    this.#options = options
    this.#collaborators = collaborators
    this.#inUse = collaborators.inUse
  }

  async start(): Promise<void> {
    process.on('SIGHUP', this.#onHangup)
    this.#seen = await this.#look()
    this.#tellOfDates()
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
        this.#tellOfDates()
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
      requireUsable(material)
      use(material)
      this.#inUse = material
      this.#told = undefined
      log.info({ certFile }, 'certificate read again')
    } catch (error) {
      const reason = messageOf(error)
      log.warn({ reason, certFile, keyFile }, 'the new certificate or key is not usable, the old ones stay in use')
    }
  }

  /** Once of each certificate that it is no longer good, or not yet. */
  #tellOfDates(): void {
    const { clock, log } = this.#collaborators
    const wrong = wrongDates(this.#inUse.cert, clock.now())
    if (wrong !== undefined && wrong !== this.#told) {
      const remedy =
        'give a good one (it is read again within a minute, or at SIGHUP), and look at the clock of this machine'
      log.warn({ certFile: this.#options.certFile }, `SSL_CERTFILE ${wrong}, clients may refuse it: ${remedy}`)
    }
    this.#told = wrong
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
