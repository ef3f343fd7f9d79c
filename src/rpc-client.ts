import { connect } from 'node:net'
import type { ServiceUrl } from './config/values.ts'
import { addressText } from './lib/address-text.ts'

/** The server's answer to a command of the operator: a result or an error as JSON-RPC gives them. */
export type AdminAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly message: string }

/** Every command of the admin port; its answers are in docs/OPERATIONS.md. */
export const ADMIN_USAGE = `  valence rpc COMMAND [ARG …]    ask a running server at its admin port:
    getinfo                      height, node, sessions, what the index is doing
    sessions, groups             who uses it; inspect_session ID for one of them in full
    disconnect WHO … [REASON]    ids of sessions, names of groups, pending or all
    peers                        other servers; add_peer "HOST s50002 t50001" for one to look into
    metrics                      numbers for Prometheus
    stop [REASON]                shut it down in order
    regtest mine N [ADDRESS]     mine N blocks on the built-in node
    regtest send ADDRESS AMOUNT  send AMOUNT (in BTC) from the built-in node's faucet
    regtest reorg N              another branch in place of the last N blocks
`

const NO_SUCH_METHOD = -32601
const HINT = '; `valence help` names the commands'

/** Commands that belong to a group are sent as `group.command`. */
const GROUPS: ReadonlySet<string> = new Set(['regtest'])

/** The method and parameters of a command line: `regtest mine 1` is `regtest.mine` with [1]. */
export function toRequest(words: readonly string[]): { readonly method: string; readonly params: readonly unknown[] } {
  const [first = '', second, ...rest] = words
  if (GROUPS.has(first) && second !== undefined) return { method: `${first}.${second}`, params: rest.map(toParam) }
  if (first === 'disconnect') return { method: first, params: toDisconnect(words.slice(1)) }
  return { method: first, params: words.slice(1).map(toParam) }
}

/** An id, an address or subnet, or one of the words that stand for many. */
const SESSIONS = /^(?:\d+|[\da-f]*[.:][\da-f.:]*(?:\/\d+)?|all|pending)$/i

/** Who is meant, as many as there are, and why. */
function toDisconnect(words: readonly string[]): readonly unknown[] {
  const others = words.slice(1).findIndex((word) => !SESSIONS.test(word))
  const count = others < 0 ? words.length : others + 1
  const who = words.slice(0, count).map(toParam)
  return [...(who.length > 1 ? [who] : who), ...words.slice(count)]
}

/** Numbers as numbers where nothing is lost by it, all else as text. */
function toParam(word: string): unknown {
  return /^-?\d{1,15}$/.test(word) ? Number(word) : word
}

/** Sends one command to the admin port of a running server. Rejects, with a sentence, if none answers there in time. */
export async function callAdmin(
  { host, port }: Pick<ServiceUrl, 'host' | 'port'>,
  words: readonly string[],
  timeoutMs = 30_000,
): Promise<AdminAnswer> {
  const request = JSON.stringify({ jsonrpc: '2.0', id: 0, ...toRequest(words) })
  const place = `rpc://${addressText({ host, port })}`
  const line = await new Promise<string>((resolve, reject) => {
    let received = ''
    const socket = connect({ host, port }, () => socket.write(`${request}\n`))
    socket.setEncoding('utf8')
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)))
    socket.on('data', (chunk: string) => {
      received += chunk
      const end = received.indexOf('\n')
      if (end < 0) return
      resolve(received.slice(0, end))
      socket.destroy()
    })
    socket.on('error', (cause) => reject(unanswered(place, cause)))
    socket.on('close', () => reject(new Error(`${place} closed the connection without an answer`)))
  })
  try {
    return toAnswer(JSON.parse(line))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    return { ok: false, message: `what answers at ${place} is no admin port of this server` }
  }
}

function unanswered(place: string, cause: Error): Error {
  const refused = 'code' in cause && cause.code === 'ECONNREFUSED'
  const why = refused ? 'is the server running, and is this the port that SERVICES names for rpc?' : cause.message
  return new Error(`${place} does not answer: ${why}`, { cause })
}

function toAnswer(message: unknown): AdminAnswer {
  if (typeof message !== 'object' || message === null) return { ok: false, message: 'the answer is no JSON-RPC' }
  if ('error' in message && typeof message.error === 'object' && message.error !== null && 'message' in message.error) {
    const hint = 'code' in message.error && message.error.code === NO_SUCH_METHOD ? HINT : ''
    return { ok: false, message: `${String(message.error.message)}${hint}` }
  }
  return 'result' in message
    ? { ok: true, result: message.result }
    : { ok: false, message: 'the answer is no JSON-RPC' }
}
