import { request } from 'node:http'
import type { Socket } from 'node:net'
import { abortErrorOf } from '../../lib/abort.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Dial, type Dialler, type NetAddress, resolveHost } from '../outbound/dial.ts'

/** All that discovery does outside of this machine. */
export interface PeerNetwork {
  readonly dial: Dial
  /** True if there is a SOCKS5 proxy that wants no password. */
  isProxy(address: NetAddress, signal: AbortSignal): Promise<boolean>
  /** The body at a URL, through `proxy` if there is one. */
  fetchText(url: string, proxy: NetAddress | undefined, signal: AbortSignal): Promise<string>
  /** All addresses of a name. */
  resolve(host: string): Promise<readonly string[]>
}

const MAX_BODY = 4_000_000
const MAX_REDIRECTS = 3
const FETCH_TIMEOUT = 60_000

/** The real one. */
export function dialledNetwork(dialler: Dialler, clock: Clock): PeerNetwork {
  return {
    dial: dialler.connect,
    isProxy: (address, signal) => dialler.isProxy(address, signal),
    resolve: resolveHost,
    fetchText: (url, proxy, signal) => fetchText(new URL(url), proxy, { dialler, clock }, signal),
  }
}

async function fetchText(
  url: URL,
  proxy: NetAddress | undefined,
  collaborators: { readonly dialler: Dialler; readonly clock: Clock },
  signal: AbortSignal,
): Promise<string> {
  let at = url
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    const secure = at.protocol === 'https:'
    if (!secure && at.protocol !== 'http:') throw new Error(`no way to fetch ${at.protocol}`)
    const host = at.hostname.replace(/^\[|\]$/g, '')
    const port = at.port === '' ? (secure ? 443 : 80) : Number(at.port)
    const socket = await collaborators.dialler.open(
      { host, port, tls: secure ? 'verified' : 'none', trusted: true, ...(proxy === undefined ? {} : { proxy }) },
      signal,
    )
    const answer = await get(socket, at, collaborators.clock, signal).finally(() => socket.destroy())
    if (typeof answer === 'string') return answer
    at = answer
  }
  throw new Error(`more than ${MAX_REDIRECTS} redirections`)
}

/** The body, or where it is said to be. */
function get(socket: Socket, url: URL, clock: Clock, signal: AbortSignal): Promise<string | URL> {
  return new Promise((resolve, reject) => {
    const done = new AbortController()
    const abort = (): void => fail(abortErrorOf(signal))
    const settle = (): void => {
      done.abort()
      signal.removeEventListener('abort', abort)
    }
    const fail = (error: Error): void => {
      settle()
      socket.destroy()
      reject(error)
    }
    signal.addEventListener('abort', abort, { once: true })
    clock.sleep(FETCH_TIMEOUT, done.signal).then(
      () => fail(new Error(`no answer within ${FETCH_TIMEOUT} ms`)),
      () => {}, // It was done before.
    )
    const sent = request(url.protocol === 'https:' ? plain(url) : url, {
      createConnection: () => socket,
      headers: { host: url.host, accept: 'application/json', connection: 'close' },
    })
    sent.on('error', fail)
    sent.on('response', (response) => {
      const { statusCode = 0 } = response
      const { location } = response.headers
      if (statusCode >= 300 && statusCode < 400 && location !== undefined && URL.canParse(location, url.href)) {
        settle()
        resolve(new URL(location, url))
        return
      }
      if (statusCode !== 200) {
        fail(new Error(`answered with status ${statusCode}`))
        return
      }
      const parts: Buffer[] = []
      let length = 0
      response.on('data', (part: Buffer) => {
        length += part.length
        if (length > MAX_BODY) fail(new Error(`more than ${MAX_BODY} bytes`))
        else parts.push(part)
      })
      response.on('error', fail)
      response.on('end', () => {
        settle()
        resolve(Buffer.concat(parts).toString('utf8'))
      })
    })
    sent.end()
  })
}

/** TLS is there already; node would refuse to speak https: itself without. */
function plain(url: URL): URL {
  const copy = new URL(url)
  copy.protocol = 'http:'
  return copy
}
