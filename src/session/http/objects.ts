import { findEnvelope } from '../../atomicals/envelope.ts'
import { ShownValues, type Wire, wireOf, wireOfMap } from '../../atomicals/format/values.ts'
import { parsePayload } from '../../atomicals/payload.ts'
import { parseWholeTx } from '../../chain/tx.ts'
import { DaemonError, ERROR_CODES, RpcError } from '../../errors.ts'
import { fromHex } from '../../lib/bytes.ts'
import type { CborMap } from '../../lib/cbor/values.ts'
import { writeJson } from '../../rpc/json.ts'
import { writtenIfLong } from '../../rpc/json-in-turns.ts'
import type { SharedSession } from '../shared.ts'
import type { HttpReply, HttpRequest } from '../transports/connection.ts'
import { isPicture, statedType, typeOfFile } from './media.ts'
import type { HttpCaller } from './proxy.ts'
import { json, refusal } from './replies.ts'
import { readUrn, type Urn, type UrnKind, urnInfo } from './urn.ts'

/** Files of strangers are shown from our origin: they may run nothing and load nothing. */
const FILE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; sandbox",
  'Cross-Origin-Resource-Policy': 'cross-origin',
}
const RESOLVERS: Readonly<Partial<Record<UrnKind, string>>> = {
  realm: 'blockchain.atomicals.get_realm_info',
  container: 'blockchain.atomicals.get_by_container',
  arc: 'blockchain.atomicals.get_by_ticker',
}
const TXID_LENGTH = 64
const NOT_FOUND = refusal(404, 'not found path')
/** RPC_INVALID_ADDRESS_OR_KEY of bitcoind. */
const NO_SUCH_TRANSACTION = -5

/** `GET /urn/validate/<urn>`: how the URN is read. */
export function validateUrn(text: string): HttpReply {
  const urn = readUrn(text)
  return urn === undefined
    ? refusal(422, 'Invalid URN')
    : json(200, JSON.stringify({ success: true, urnInfo: urnInfo(urn) }))
}

/** `GET /urn/<urn>`: what an atomical holds now, or a file in it, or what a transaction keeps for good. */
export async function objectReply(
  text: string,
  { query }: HttpRequest,
  around: { readonly shared: SharedSession; readonly caller: HttpCaller },
): Promise<HttpReply> {
  const urn = readUrn(text)
  if (urn === undefined) return refusal(422, 'Invalid URN')
  const objects = new Objects(around.shared, around.caller)
  try {
    if (urn.kind === 'dat') return await objects.permanent(urn)
    return await objects.current(urn, query.has('firstimage') || query.has('image'))
  } catch (error) {
    const reply = around.caller.refused(error, 'urn')
    return isMissing(error) ? { ...reply, status: 404 } : reply
  }
}

/** True of what a method says of an id that names nothing, and bitcoind of a transaction that there is not. */
function isMissing(error: unknown): boolean {
  if (error instanceof DaemonError) return error.daemonCode === NO_SUCH_TRANSACTION
  return error instanceof RpcError && error.code === ERROR_CODES.badRequest.code
}

class Objects {
  readonly #shared: SharedSession
  readonly #caller: HttpCaller

  constructor(shared: SharedSession, caller: HttpCaller) {
    this.#shared = shared
    this.#caller = caller
  }

  /** The state of an atomical after all changes; with a path the file of that name in it. */
  async current(urn: Urn, picture: boolean): Promise<HttpReply> {
    const id = await this.#idOf(urn)
    if (id === undefined) return refusal(404, `not found ${urn.kind}`)
    const answer = await this.#ask('blockchain.atomicals.get_state', [id])
    // There is no place here to say that a mint may yet be replaced.
    if (member(answer, 'result', 'confirmed') !== true) return refusal(404, `not found ${urn.kind}`)
    const state = member(answer, 'result', 'state', 'latest')
    const latest = isMembers(state) ? state : {}
    let name = fileName(urn)
    if (name === '' && picture) {
      name = Object.keys(latest).find(isPicture) ?? ''
      const elsewhere = name === '' ? latest['image'] : undefined
      // Only to another object here: what a stranger wrote must not send anybody anywhere else.
      if (typeof elsewhere === 'string' && readUrn(elsewhere) !== undefined) return redirect(elsewhere)
    }
    if (name === '') return jsonReply(state)
    return Object.hasOwn(latest, name) ? fileReply(name, latest[name]) : NOT_FOUND
  }

  /** What the operation of a transaction carries; with a path the file of that name in it. */
  async permanent(urn: Urn): Promise<HttpReply> {
    const raw = await this.#ask('blockchain.transaction.get', [urn.identifier.slice(0, TXID_LENGTH)])
    const payload = payloadOf(JSON.parse(writeJson(raw)))
    if (payload === undefined) return refusal(404, 'Not found')
    const name = fileName(urn)
    const value = name === '' ? undefined : payload.get(name)
    if (name === '') return jsonReply(hexInside(wireOfMap(payload, new ShownValues())))
    if (value === undefined) return NOT_FOUND
    return value instanceof Uint8Array
      ? { status: 200, contentType: typeOfFile(name), headers: FILE_HEADERS, body: value }
      : fileReply(name, wireOf(value))
  }

  async #idOf({ kind, identifier }: Urn): Promise<string | undefined> {
    const resolver = RESOLVERS[kind]
    if (resolver === undefined) return identifier
    const found = await this.#ask(resolver, [identifier])
    const missing = member(found, 'result', 'missing_name_parts')
    const id = member(found, 'result', 'atomical_id')
    return typeof id === 'string' && (missing === undefined || missing === null) ? id : undefined
  }

  #ask(method: string, params: readonly unknown[]): Promise<unknown> {
    return this.#caller.call(method, undefined, (ctx) => this.#shared.registry.dispatch(method, params, ctx))
  }
}

/** What stands behind the first `/`. `$` names no file: it shows the whole, as the proxy does. */
function fileName({ path, pathType }: Urn): string {
  return pathType === '/' && path !== undefined ? path.slice(1).trim() : ''
}

async function jsonReply(value: unknown): Promise<HttpReply> {
  return json(200, writeJson(await writtenIfLong(value ?? null, {})))
}

/** Bytes as the file that they are, also where they stand beside a type that is stated; everything else as JSON. */
function fileReply(name: string, value: unknown): HttpReply {
  const bytes = isMembers(value) ? value['$b'] : undefined
  const hex = isMembers(bytes) ? (bytes['$d'] ?? bytes['$b']) : bytes
  if (typeof hex !== 'string' || !/^(?:[0-9a-f]{2})*$/i.test(hex)) return json(200, writeJson(value ?? null))
  const contentType = statedType(isMembers(value) ? value['$ct'] : undefined) ?? typeOfFile(name)
  return { status: 200, contentType, headers: FILE_HEADERS, body: fromHex(hex) }
}

function redirect(urn: string): HttpReply {
  return { status: 302, contentType: undefined, headers: { Location: `/urn/${encodeURI(urn)}` }, body: '' }
}

/** Of the first input, whichever operation it is. */
function payloadOf(hex: unknown): CborMap | undefined {
  const input = typeof hex === 'string' ? parseWholeTx(fromHex(hex)).inputs[0] : undefined
  const envelope = input === undefined ? undefined : findEnvelope(input.witness)
  if (envelope === undefined || envelope === 'truncated') return undefined
  return parsePayload(envelope.payload, { argsMayHaveBytes: true })
}

/** Bytes as plain hex, which is how the proxy shows what a transaction keeps. */
function hexInside(value: Wire | undefined): Wire {
  if (value === undefined || value === null || typeof value !== 'object') return value ?? null
  if (isWires(value)) return value.map(hexInside)
  const bytes = value['$auto'] === true ? value['$b'] : undefined
  if (typeof bytes === 'string') return bytes
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hexInside(item)]))
}

function isWires(value: object): value is readonly Wire[] {
  return Array.isArray(value)
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What stands at a path of names; undefined where there is no such. */
function member(value: unknown, ...names: readonly string[]): unknown {
  let at = value
  for (const name of names) at = isMembers(at) && Object.hasOwn(at, name) ? at[name] : undefined
  return at
}
