import { ERROR_CODES } from '../../errors.ts'
import { failureOf, type RpcFailure } from '../../rpc/failure.ts'
import { JsonError, readMessage, readMessageText } from '../../rpc/json.ts'
import type { HttpRequest } from '../transports/connection.ts'

/** Parameters as registries take them, or why there are none. */
export type ProxyParams = { readonly params: unknown } | { readonly status: number; readonly failure: RpcFailure }

const HEX = /^(?:[0-9a-f]{2})+$/i

/**
 * `?params=[…]` as JSON or as hex of that, or a body `{"params":[…]}`; nothing at all means no parameters. What is wrong
 * is worded, and answered with the status, as electrumx-proxy does.
 */
export function proxyParams({ method, query, body }: HttpRequest): ProxyParams {
  if (method === 'GET') return textParams(query.get('params') ?? '')
  if (body.length === 0) return { params: [] }
  const value = parsed(() => readMessage(body))
  if (value === undefined) return refused(400, ERROR_CODES.parseError.code, 'invalid JSON')
  if (typeof value !== 'object' || value === null || !('params' in value)) return { params: [] }
  return typeof value['params'] === 'string' ? textParams(value['params']) : { params: value['params'] }
}

function textParams(text: string): ProxyParams {
  if (text === '') return { params: [] }
  const params = parsed(() => readMessageText(HEX.test(text) ? Buffer.from(text, 'hex').toString() : text))
  if (params === undefined) {
    return refused(422, ERROR_CODES.parseError.code, 'invalid params decode')
  }
  if (!Array.isArray(params)) {
    return refused(422, ERROR_CODES.invalidParams.code, 'invalid params not array')
  }
  return { params }
}

function refused(status: number, code: number, message: string): ProxyParams {
  return { status, failure: failureOf(code, message) }
}

/** Undefined for what is not JSON; JSON has no value of that kind. */
function parsed<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof JsonError) return undefined
    throw error
  }
}
