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

/**
 * JSON text with two blanks for each level. Works on the text, because a number beyond 2^53 would not survive being
 * read. `text` must be JSON without blanks between its parts. Undefined if it makes more than `most` characters: what is
 * deep becomes hundreds of times as long.
 */
export function prettyJson(text: string, most = Number.POSITIVE_INFINITY): string | undefined {
  const parts: string[] = []
  let depth = 0
  let blanks = 0
  const line = () => {
    blanks += 2 * depth
    return `\n${'  '.repeat(depth)}`
  }
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]|[^"[\]{},:]+/g)) {
    if (text.length + blanks > most) return undefined
    const last = parts.at(-1)
    if (token === '{' || token === '[') {
      depth++
      parts.push(token, line())
    } else if (token === '}' || token === ']') {
      depth--
      // Nothing between the brackets: they stay together.
      if (parts.at(-2) === (token === '}' ? '{' : '[') && last?.startsWith('\n') === true) {
        blanks -= last.length - 1
        parts[parts.length - 1] = token
      } else parts.push(line(), token)
    } else if (token === ',') parts.push(token, line())
    else parts.push(token === ':' ? ': ' : token)
  }
  return parts.join('')
}
