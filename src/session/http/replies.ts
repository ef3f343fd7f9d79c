import { setImmediate as turn } from 'node:timers/promises'
import type { HttpReply } from '../transports/connection.ts'

export const JSON_TYPE = 'application/json; charset=utf-8'

export function json(status: number, body: string): HttpReply {
  return { status, contentType: JSON_TYPE, body }
}

export function plain(status: number, body: string): HttpReply {
  return { status, contentType: 'text/plain; charset=utf-8', body }
}

/** What the proxy says of everything that goes wrong; `code` is that of JSON-RPC, where there is one. */
export function refusal(status: number, message: string, code?: number): HttpReply {
  return json(status, JSON.stringify({ success: false, code, message }))
}

/** What an address without a method says: how to ask. */
export function usage(software: string): HttpReply {
  return json(
    200,
    JSON.stringify({
      success: true,
      info: {
        note: `${software}: Electrum protocol and Atomicals index`,
        usageInfo: {
          note: 'Every method can be called with GET and with POST; what is long, as transactions to broadcast, goes with POST.',
          POST: 'POST /proxy/:method with the list of parameters in the field "params" of a JSON body',
          GET: 'GET /proxy/:method?params=["value1"] with the list of parameters as JSON, or as hex of that',
          list: 'POST or GET /proxy-list/:method: the same, with `atomicals` of unspent outputs as a list of ids',
          jsonrpc: 'POST / with JSON-RPC',
          urn: 'GET /urn/:urn and GET /urn/validate/:urn',
        },
        healthCheck: 'GET /proxy/health',
        methods: 'GET /openrpc.json',
      },
    }),
  )
}

/** The first kind, a text, is written so that a long one takes no step for each of its characters. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[[\]{},:]|[^"[\]{},:]+/g
/** Some milliseconds' work. */
const TOKENS_PER_TURN = 4096

/**
 * JSON text with two blanks for each level. Works on the text, because a number beyond 2^53 would not survive being
 * read. `text` must be JSON without blanks between its parts. Undefined if it makes more than `most` characters: what is
 * deep becomes hundreds of times as long. Long texts are done in parts, with turns for others between.
 */
export async function prettyJson(text: string, most = Number.POSITIVE_INFINITY): Promise<string | undefined> {
  const done: string[] = []
  const layout = new Layout()
  let tokens = 0
  for (const [token] of text.matchAll(TOKEN)) {
    if (text.length + layout.blanks > most) return undefined
    layout.add(token)
    tokens++
    if (tokens % TOKENS_PER_TURN > 0) continue
    done.push(layout.take())
    await turn()
  }
  done.push(layout.rest())
  return done.join('')
}

/** Tokens of JSON with line ends and blanks between them. */
class Layout {
  /** Line ends not counted. */
  blanks = 0
  #parts: string[] = []
  #depth = 0

  add(token: string): void {
    const parts = this.#parts
    if (token === '{' || token === '[') {
      this.#depth++
      parts.push(token, this.#line())
    } else if (token === '}' || token === ']') {
      this.#depth--
      const last = parts.at(-1)
      // Nothing between the brackets: they stay together.
      if (parts.at(-2) === (token === '}' ? '{' : '[') && last?.startsWith('\n') === true) {
        this.blanks -= last.length - 1
        parts[parts.length - 1] = token
      } else parts.push(this.#line(), token)
    } else if (token === ',') parts.push(token, this.#line())
    else parts.push(token === ':' ? ': ' : token)
  }

  /** What no further token changes. */
  take(): string {
    const parts = this.#parts
    this.#parts = parts.splice(-2)
    return parts.join('')
  }

  rest(): string {
    return this.#parts.join('')
  }

  #line(): string {
    this.blanks += 2 * this.#depth
    return `\n${'  '.repeat(this.#depth)}`
  }
}
