import { readFile } from 'node:fs/promises'
import { ConfigError } from '../errors.ts'
import { NodeFailure } from './failure.ts'

/** Where a node listens, taken apart so that what is shown holds no credentials. */
export interface Endpoint {
  readonly secure: boolean
  readonly host: string
  readonly port: number
  /** Path of JSON-RPC, "/" for bitcoind itself; something else behind a proxy. Ends with "/". */
  readonly path: string
  /** Scheme, host, port and path: for logs, errors and getinfo. */
  readonly address: string
  readonly credentials: Credentials
}

/** The Authorization header of JSON-RPC. */
export interface Credentials {
  /** True where another header may be there after `forget`. */
  readonly renewable: boolean
  /** True where none are configured. */
  readonly none: boolean
  /** The header, or undefined where none is configured. NodeFailure `cookie` if there should be one and is not. */
  header(): Promise<string | undefined>
  /** Forgets `refused`, a header that the node did not accept, unless it was replaced in the meantime. */
  forget(refused: string | undefined): void
}

const NO_CREDENTIALS: Credentials = {
  renewable: false,
  none: true,
  header: () => Promise.resolve(undefined),
  forget: () => undefined,
}

function basic(userAndPassword: string): string {
  return `Basic ${Buffer.from(userAndPassword).toString('base64')}`
}

class PasswordCredentials implements Credentials {
  readonly renewable = false
  readonly none = false
  readonly #header: string

  constructor(user: string, password: string) {
    this.#header = basic(`${user}:${password}`)
  }

  header(): Promise<string> {
    return Promise.resolve(this.#header)
  }

  forget(): void {
    // A password does not change while we run.
  }
}

/** A cookie is "__cookie__:" and 64 hex digits; whatever is much longer is some other file. */
const LONGEST_COOKIE = 1024

const COOKIE_REMEDIES: Readonly<Record<string, string>> = {
  EACCES:
    'this user may not: run as the user of bitcoind, or in its group with rpccookieperms=group there (the folders above ' +
    'count too)',
  EISDIR: 'it is a folder: name the file .cookie in it',
  ENOTDIR: 'a folder of the path is a file',
}

/** bitcoind writes a new cookie at every start, so the file is read again whenever the last one was not accepted. */
export class CookieCredentials implements Credentials {
  readonly renewable = true
  readonly none = false
  readonly #file: string
  #header: string | undefined

  constructor(file: string) {
    this.#file = file
  }

  async header(): Promise<string> {
    this.#header ??= basic(await this.#read())
    return this.#header
  }

  forget(refused: string | undefined): void {
    if (this.#header === refused) this.#header = undefined
  }

  async #read(): Promise<string> {
    let text: string
    try {
      text = (await readFile(this.#file, 'utf8')).trim()
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
      const remedy = COOKIE_REMEDIES[code] ?? 'is bitcoind running?'
      throw new NodeFailure('cookie', `cookie file ${this.#file} cannot be read (${code}); ${remedy}`, { cause: error })
    }
    // Empty or half for a moment while bitcoind writes it.
    if (text.length > LONGEST_COOKIE || !/^[^:\n]+:[^\n]+$/.test(text)) {
      throw new NodeFailure('cookie', `cookie file ${this.#file} does not hold a cookie`)
    }
    return text
  }
}

/**
 * Takes `url` apart: `[http[s]://][user:password@]host[:port][/path]`. User and password of the URL go before the cookie
 * file. ConfigError names the setting by `label`, never the URL, which may hold a password.
 */
export function parseEndpoint(
  url: string,
  options: { readonly label: string; readonly defaultPort: number; readonly cookieFile?: string | undefined },
): Endpoint {
  const text = url.includes('://') ? url : `http://${url}`
  const parsed = urlOf(text)
  if (parsed === undefined || parsed.hostname === '') throw new ConfigError([`${options.label} is not a URL`])
  const secure = parsed.protocol === 'https:'
  if (!secure && parsed.protocol !== 'http:') throw new ConfigError([`${options.label} is neither http nor https`])
  // URL drops a port that is the scheme's own; whoever wrote ":80" meant it.
  const written = /^[^/]*:\/\/(?:[^/@]*@)?(?:\[[^\]]*\]|[^/:]*):(\d+)/.exec(text)
  const port = parsed.port === '' ? Number(written?.[1] ?? options.defaultPort) : Number(parsed.port)
  const path = parsed.pathname.endsWith('/') ? parsed.pathname : `${parsed.pathname}/`
  return {
    secure,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port,
    path,
    address: `${parsed.protocol}//${parsed.hostname}:${port}${path}`,
    credentials: credentialsOf(parsed, options),
  }
}

/** The error of URL's constructor holds the whole text, password included: it must not become anybody's cause. */
function urlOf(text: string): URL | undefined {
  try {
    return new URL(text)
  } catch {
    return undefined
  }
}

function credentialsOf(
  parsed: URL,
  options: { readonly label: string; readonly cookieFile?: string | undefined },
): Credentials {
  if (parsed.username !== '' || parsed.password !== '') {
    try {
      return new PasswordCredentials(decodeURIComponent(parsed.username), decodeURIComponent(parsed.password))
    } catch {
      // The cause would quote what it could not decode.
      throw new ConfigError([`${options.label} has a user or password with a % that is no escape; write %25 for %`])
    }
  }
  return options.cookieFile === undefined ? NO_CREDENTIALS : new CookieCredentials(options.cookieFile)
}
