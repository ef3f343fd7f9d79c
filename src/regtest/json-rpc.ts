import { type Json, type JsonObject, toJson } from './json.ts'
import { isRecord, RPC, RpcFault, type RpcTable } from './rpc.ts'

/** A request as it came: its version, and whether it wants an answer. */
interface RpcRequest {
  readonly v2: boolean
  readonly id: Json | undefined
  readonly method: string
  readonly params: unknown
}

/** An answer over HTTP; `body` undefined = none at all. */
export interface RpcAnswer {
  readonly status: number
  readonly body: string | undefined
}

/** Answers what came in a POST as Core does: JSON-RPC 1 with HTTP errors, 2.0 without, batches of both. */
export async function answerRpc(table: RpcTable, text: string): Promise<RpcAnswer> {
  const request = parseJson(text)
  if (request === undefined) return answerFault(new RpcFault(RPC.parse, 'Parse error'), null)
  if (Array.isArray(request.value)) return answerBatch(table, request.value)
  if (!isRecord(request.value)) return answerFault(new RpcFault(RPC.parse, 'Top-level object parse error'), null)
  const parsed = parseRequest(request.value)
  if ('fault' in parsed) return answerFault(parsed.fault, parsed.id)
  const reply = await run(table, parsed)
  if (parsed.v2)
    return parsed.id === undefined ? { status: 204, body: undefined } : { status: 200, body: toJson(reply.json) }
  return { status: reply.status, body: toJson(reply.json) }
}

async function answerBatch(table: RpcTable, requests: readonly unknown[]): Promise<RpcAnswer> {
  const replies: Json[] = []
  for (const request of requests) {
    const parsed = isRecord(request)
      ? parseRequest(request)
      : { fault: new RpcFault(RPC.invalidRequest, 'Invalid Request object'), id: null }
    if ('fault' in parsed) {
      replies.push(replyOf({ v2: false, id: parsed.id }, null, parsed.fault))
      continue
    }
    const { json } = await run(table, parsed)
    if (!parsed.v2 || parsed.id !== undefined) replies.push(json)
  }
  if (replies.length === 0 && requests.length > 0) return { status: 204, body: undefined }
  return { status: 200, body: toJson(replies) }
}

async function run(
  table: RpcTable,
  request: RpcRequest,
): Promise<{ readonly status: number; readonly json: JsonObject }> {
  try {
    return { status: 200, json: replyOf(request, await table.run(request.method, request.params), undefined) }
  } catch (error) {
    if (!(error instanceof RpcFault)) throw error
    return { status: statusOf(error), json: replyOf(request, null, error) }
  }
}

function parseRequest(
  request: Readonly<Record<string, unknown>>,
): RpcRequest | { fault: RpcFault; id: Json | undefined } {
  const id = 'id' in request ? toJsonValue(request['id']) : undefined
  const invalid = (message: string): { fault: RpcFault; id: Json | undefined } => ({
    fault: new RpcFault(RPC.invalidRequest, message),
    id,
  })
  const { jsonrpc = null, method = null, params = null } = request
  if (jsonrpc !== null && typeof jsonrpc !== 'string') return invalid('jsonrpc field must be a string')
  if (jsonrpc !== null && jsonrpc !== '1.0' && jsonrpc !== '2.0') return invalid('JSON-RPC version not supported')
  if (method === null) return invalid('Missing method')
  if (typeof method !== 'string') return invalid('Method must be a string')
  if (params !== null && typeof params !== 'object') return invalid('Params must be an array or object')
  return { v2: jsonrpc === '2.0', id, method, params: params ?? [] }
}

function replyOf(
  request: { readonly v2: boolean; readonly id: Json | undefined },
  result: Json,
  fault: RpcFault | undefined,
): JsonObject {
  const error = fault && { code: fault.code, message: fault.message }
  if (request.v2) return { jsonrpc: '2.0', ...(error === undefined ? { result } : { error }), id: request.id }
  return { result: error === undefined ? result : null, error: error ?? null, id: request.id }
}

function answerFault(fault: RpcFault, id: Json | undefined): RpcAnswer {
  return { status: statusOf(fault), body: toJson(replyOf({ v2: false, id }, null, fault)) }
}

function statusOf(fault: RpcFault): number {
  if (fault.code === RPC.invalidRequest) return 400
  return fault.code === RPC.methodNotFound ? 404 : 500
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return { value }
  } catch {
    return undefined
  }
}

/** A parsed JSON value as one that can be written: there is no bigint in it. */
function toJsonValue(value: unknown): Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string')
    return value
  if (Array.isArray(value)) return value.map(toJsonValue)
  if (!isRecord(value)) return null
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, toJsonValue(member)]))
}
