import { connect } from 'node:net'
import type { ServiceUrl } from './config/values.ts'

/** The server's answer to a command of the operator: a result or an error as JSON-RPC gives them. */
export type AdminAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly message: string }

/** Commands that belong to a group are sent as `group.command`. */
const GROUPS: ReadonlySet<string> = new Set(['regtest'])

/** The method and parameters of a command line: `regtest mine 1` is `regtest.mine` with [1]. */
export function toRequest(words: readonly string[]): { readonly method: string; readonly params: readonly unknown[] } {
  const [first = '', second, ...rest] = words
  if (GROUPS.has(first) && second !== undefined) return { method: `${first}.${second}`, params: rest.map(toParam) }
  return { method: first, params: words.slice(1).map(toParam) }
}

/** Numbers as numbers where nothing is lost by it, all else as text. */
function toParam(word: string): unknown {
  return /^-?\d{1,15}$/.test(word) ? Number(word) : word
}

/** Sends one command to the admin port of a running server. Rejects if there is none, or none answers in time. */
export async function callAdmin(
  { host, port }: Pick<ServiceUrl, 'host' | 'port'>,
  words: readonly string[],
  timeoutMs = 30_000,
): Promise<AdminAnswer> {
  const request = JSON.stringify({ jsonrpc: '2.0', id: 0, ...toRequest(words) })
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
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection without an answer')))
  })
  return toAnswer(JSON.parse(line))
}

function toAnswer(message: unknown): AdminAnswer {
  if (typeof message !== 'object' || message === null) return { ok: false, message: 'the answer is no JSON-RPC' }
  if ('error' in message && typeof message.error === 'object' && message.error !== null && 'message' in message.error) {
    return { ok: false, message: String(message.error.message) }
  }
  return 'result' in message
    ? { ok: true, result: message.result }
    : { ok: false, message: 'the answer is no JSON-RPC' }
}
