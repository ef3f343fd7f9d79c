import { ERROR_CODES, RpcError } from '../../errors.ts'
import { toHex } from '../../lib/bytes.ts'
import { type RpcFailure, toFailure } from '../../rpc/failure.ts'
import { writeJson } from '../../rpc/json.ts'
import { writtenIfLong } from '../../rpc/json-in-turns.ts'
import type { AtomicalsShape, RpcContext } from '../../rpc/method.ts'
import type { SharedSession } from '../shared.ts'
import type { HttpReply, HttpRequest } from '../transports/connection.ts'
import { proxyParams } from './params.ts'
import { json, prettyJson, refusal } from './replies.ts'
import { hasTag, tagOf, tagOfText } from './tags.ts'

/** Code of a rule of Atomicals that a transaction would break. */
const RULE_BROKEN = 800_422
const NOT_MODIFIED: HttpReply = { status: 304, contentType: undefined, body: '' }

/** What a session does for those who answer its addresses. */
export interface HttpCaller {
  /** Runs `job` as a request of the client, under its limits; `shape` is what the address asks for. */
  call<T>(method: string, shape: AtomicalsShape | undefined, job: (ctx: RpcContext) => Promise<T>): Promise<T>
  failed(failure: RpcFailure): void
  /** Charges what went wrong and says how it is answered. */
  refused(error: unknown, method: string): HttpReply
}

/** How something that went wrong is answered, in the manner of electrumx-proxy. */
export function refusalOf(error: unknown, method: string, shared: SharedSession) {
  const failure = toFailure(error, method, shared)
  const status = failure.code === RULE_BROKEN ? 422 : 500
  return { failure, reply: refusal(status, failure.message, failure.code) }
}

/** Calls in the manner of electrumx-proxy: `/proxy/<method>`, answered `{"success":true,"response":…}`. */
export async function proxyCall(
  { method, shape }: { readonly method: string; readonly shape: AtomicalsShape | undefined },
  request: HttpRequest,
  { shared, caller }: { readonly shared: SharedSession; readonly caller: HttpCaller },
): Promise<HttpReply> {
  const given = proxyParams(request)
  if ('failure' in given) {
    caller.failed(given.failure)
    return refusal(given.status, given.failure.message, given.failure.code)
  }
  const { registry, server } = shared
  const conditional = request.method === 'GET'
  let tag: string | undefined
  try {
    const text = await caller.call(method, shape, async (ctx) => {
      const found = registry.find(method, ctx.client.protocol)
      if (conditional && found?.followsFrom === 'tip') {
        tag = tagOf('tip', toHex(ctx.moment.tip.hash), server.software)
        // A client gets a tag with an answer only, so there is one: whatever it was, it is that still.
        if (hasTag(request.ifNoneMatch, tag)) return undefined
      }
      const result = await writtenIfLong(await registry.dispatch(method, given.params, ctx), ctx)
      return result === undefined ? 'null' : writeJson(result)
    })
    if (text === undefined) return { etag: tag, ...NOT_MODIFIED }
    const body = await bodyOf(text, request.query, shared.envelope.options.maxSend)
    if (!conditional) return json(200, body)
    const etag = tag ?? tagOfText(body)
    return hasTag(request.ifNoneMatch, etag) ? { etag, ...NOT_MODIFIED } : { etag, ...json(200, body) }
  } catch (error) {
    return caller.refused(error, method)
  }
}

/** Throws RpcError -32600 for an answer above MAX_SEND, as it is over a stream. */
async function bodyOf(text: string, query: URLSearchParams, maxSend: number): Promise<string> {
  const most = maxSend > 0 ? maxSend : Number.POSITIVE_INFINITY
  const plain = query.has('unwrap') ? text : `{"success":true,"response":${text}}`
  const body = query.has('pretty') ? await prettyJson(plain, most) : plain
  if (body === undefined || body.length > most || (body.length * 3 > most && Buffer.byteLength(body) > most)) {
    throw new RpcError(ERROR_CODES.invalidRequest.code, `response too large (over ${maxSend} bytes)`, {
      limit: 'MAX_SEND',
    })
  }
  return body
}
