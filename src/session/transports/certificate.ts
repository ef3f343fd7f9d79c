import { X509Certificate } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import { messageOf } from '../../errors.ts'
import type { TlsMaterial } from './listener.ts'

const CERT_FILE = 'selfsigned.crt'
const KEY_FILE = 'selfsigned.key'
const YEARS = 10

/** Reads certificate chain and key (PEM). Throws what the file system says, with the path in it. */
export async function readCertificate(certFile: string, keyFile: string): Promise<TlsMaterial> {
  const [cert, key] = await Promise.all([readText(certFile), readText(keyFile)])
  return { cert, key }
}

/** Of a folder the system does not say which it is. */
async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const named = messageOf(error).includes(path)
    throw named ? error : new Error(`${messageOf(error)} '${path}'`, { cause: error })
  }
}

/** What OpenSSL means, for who does not know its errors. */
const OPENSSL_WORDS: Readonly<Record<string, string>> = {
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: 'the key does not belong to the certificate',
  ERR_OSSL_BAD_DECRYPT: 'the key has a passphrase; give one without',
  ERR_MISSING_PASSPHRASE: 'the key has a passphrase; give one without',
  ERR_OSSL_PEM_NO_START_LINE: 'one of the two files is no PEM',
}

/** Throws if the two are damaged, or do not belong to each other, in words. */
export function requireUsable(material: TlsMaterial): void {
  try {
    createSecureContext(material)
  } catch (error) {
    const words = error instanceof Error && 'code' in error ? OPENSSL_WORDS[String(error.code)] : undefined
    throw words === undefined ? error : new Error(`${words} (${messageOf(error)})`, { cause: error })
  }
}

/**
 * Why the first certificate of `chain` (PEM) is not good at `now` (milliseconds since the epoch), as the rest of a sentence
 * about it; undefined if its dates are in order.
 */
export function wrongDates(chain: string, now: number): string | undefined {
  const { validFrom, validTo } = new X509Certificate(chain)
  if (Date.parse(validTo) < now) return `expired on ${validTo}`
  return Date.parse(validFrom) > now ? `is not valid before ${validFrom}` : undefined
}

/**
 * The self-signed certificate kept in `directory`; made at the first call. Wallets pin it at their first contact, so it
 * must stay the same from then on. P-256, because handshakes with it cost a third of those with RSA.
 */
export async function selfSignedCertificate(directory: string, hosts: readonly string[] = []): Promise<TlsMaterial> {
  const certFile = join(directory, CERT_FILE)
  const keyFile = join(directory, KEY_FILE)
  const kept = await existing(certFile, keyFile)
  if (kept !== undefined) return kept
  await mkdir(directory, { recursive: true })
  const made = await make(hosts)
  // The key first: a certificate that is there means that the pair is whole.
  await writeWhole(keyFile, made.key)
  await writeWhole(certFile, made.cert)
  return made
}

async function existing(certFile: string, keyFile: string): Promise<TlsMaterial | undefined> {
  try {
    return await readCertificate(certFile, keyFile)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}

async function make(hosts: readonly string[]): Promise<TlsMaterial> {
  // A tenth of a second and 10 MB that a server without SSL, or with a certificate by now, can do without.
  const { generate } = await import('selfsigned')
  const names = [...new Set([...hosts, 'localhost', '127.0.0.1'])]
  const start = new Date()
  const end = new Date(start)
  end.setFullYear(end.getFullYear() + YEARS)
  const pems = await generate([{ name: 'commonName', value: names[0] ?? 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: start,
    notAfterDate: end,
    extensions: [
      // A certificate that is its own authority, without a list of uses: otherwise OpenSSL does not take it as the
      // root of the chain that a wallet which pinned it builds.
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: names.map(altName) },
    ],
  })
  return { cert: pems.cert, key: pems.private }
}

function altName(name: string): { type: 7; ip: string } | { type: 2; value: string } {
  return isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name }
}

/** Under another name first, so that a crash leaves no half file. */
async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.new`
  await rm(draft, { force: true })
  await writeFile(draft, text, { mode: 0o600, flag: 'wx' })
  await rename(draft, path)
}
