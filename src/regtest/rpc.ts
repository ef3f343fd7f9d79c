import type { RegtestCore } from './core.ts'
import type { Json } from './json.ts'
import type { ZmqNotification } from './zmq.ts'

/** Codes of Core's rpc/protocol.h that are used here. */
export const RPC = {
  misc: -1,
  type: -3,
  notFound: -5,
  invalidParameter: -8,
  deserialization: -22,
  transaction: -25,
  rejected: -26,
  alreadyConfirmed: -27,
  warmup: -28,
  invalidRequest: -32600,
  methodNotFound: -32601,
  parse: -32700,
} as const

/** A call that is answered with an error, in Core's words. */
export class RpcFault extends Error {
  override readonly name = 'RpcFault'
  readonly code: number
  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export type ParamType = 'number' | 'string' | 'bool' | 'array' | 'object' | 'amount' | 'any'

export interface Param {
  readonly name: string
  readonly type: ParamType
  readonly optional?: true
  /** How it is written in the usage line where that does not follow from the type. */
  readonly usage?: string
}

/** What calls may use. */
export interface RpcContext {
  readonly core: RegtestCore
  /** Seconds since the node started. */
  uptime(): number
  /** What is told by ZMQ, and where. */
  zmq(): readonly ZmqNotification[]
}

/** One call of the node. */
export interface RpcCall {
  readonly name: string
  readonly params: readonly Param[]
  run(context: RpcContext, args: Args): Json | Promise<Json>
}

/** Arguments by position, checked for their JSON type already. Numbers are not checked to be whole. */
export class Args {
  readonly #values: readonly unknown[]

  constructor(values: readonly unknown[]) {
    this.#values = values
  }

  raw(index: number): unknown {
    return this.#values[index] ?? undefined
  }

  has(index: number): boolean {
    return this.raw(index) !== undefined
  }

  text(index: number): string {
    return asText(this.raw(index))
  }

  list(index: number): readonly unknown[] {
    const value: unknown = this.raw(index)
    if (!Array.isArray(value)) throw wrongType(value, 'array')
    return value
  }

  /** A 32-bit integer, or `otherwise` if it is absent. */
  integer(index: number, otherwise?: number): number {
    const value = this.raw(index)
    if (value === undefined && otherwise !== undefined) return otherwise
    return asInteger(value)
  }

  flag(index: number, otherwise: boolean): boolean {
    const value = this.raw(index)
    if (value === undefined) return otherwise
    if (typeof value !== 'boolean') throw wrongType(value, 'bool')
    return value
  }

  /** A hash as displayed; `name` is what messages call it. */
  hash(index: number, name: string): string {
    return asHash(this.raw(index), name)
  }

  /** An amount in BTC, number or text, as satoshis. */
  amount(index: number): bigint | undefined {
    const value = this.raw(index)
    return value === undefined ? undefined : asAmount(value)
  }
}

export function asText(value: unknown): string {
  if (typeof value !== 'string') throw wrongType(value, 'string')
  return value
}

export function asInteger(value: unknown): number {
  if (typeof value !== 'number') throw wrongType(value, 'number')
  if (!Number.isInteger(value) || Math.abs(value) > 0x7fff_ffff)
    throw new RpcFault(RPC.misc, 'JSON integer out of range')
  return value
}

export function asHash(value: unknown, name: string): string {
  const text = asText(value)
  if (text.length !== 64) {
    throw new RpcFault(RPC.invalidParameter, `${name} must be of length 64 (not ${text.length}, for '${text}')`)
  }
  if (!/^[0-9a-f]*$/i.test(text)) {
    throw new RpcFault(RPC.invalidParameter, `${name} must be hexadecimal string (not '${text}')`)
  }
  return text.toLowerCase()
}

export function asAmount(value: unknown): bigint {
  if (typeof value !== 'number' && typeof value !== 'string')
    throw new RpcFault(RPC.type, 'Amount is not a number or string')
  const text = typeof value === 'number' ? value.toFixed(8) : value
  const match = /^(\d{1,10})(?:\.(\d{1,8}))?$/.exec(text)
  if (match === null) throw new RpcFault(RPC.type, text.startsWith('-') ? 'Amount out of range' : 'Invalid amount')
  return BigInt(match[1] ?? '0') * 100_000_000n + BigInt((match[2] ?? '').padEnd(8, '0'))
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Array.isArray alone makes a list of any. */
function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value === 'boolean' ? 'bool' : typeof value
}

function wrongType(value: unknown, expected: string): RpcFault {
  return new RpcFault(RPC.type, `JSON value of type ${typeName(value)} is not of expected type ${expected}`)
}

/** How a call is written, as the first line of Core's help has it. */
export function usageOf(call: RpcCall): string {
  const written = ({ name, type, usage }: Param): string => usage ?? (type === 'string' ? `"${name}"` : name)
  const required = call.params.filter(({ optional }) => optional !== true).map(written)
  const optional = call.params.filter((param) => param.optional === true).map(written)
  const tail = optional.length === 0 ? [] : ['(', ...optional, ')']
  return [call.name, ...required, ...tail].join(' ')
}

/** Arguments in order, from a list or by name. */
function positional(call: RpcCall, params: unknown): unknown[] {
  if (!isRecord(params)) return isList(params) ? [...params] : []
  for (const name of Object.keys(params)) {
    if (!call.params.some((param) => param.name === name)) {
      throw new RpcFault(RPC.invalidParameter, `Unknown named parameter ${name}`)
    }
  }
  const values: unknown[] = call.params.map(({ name }) => params[name] ?? null)
  while (values.length > 0 && values.at(-1) === null) values.pop()
  return values
}

function checkTypes(call: RpcCall, values: readonly unknown[]): void {
  const wrong: string[] = []
  call.params.forEach(({ name, type, optional }, i) => {
    const value = values[i] ?? null
    if (type === 'any' || type === 'amount' || (optional === true && value === null)) return
    const actual = typeName(value)
    if (actual === type) return
    wrong.push(`    "Position ${i + 1} (${name})": "JSON value of type ${actual} is not of expected type ${type}"`)
  })
  if (wrong.length > 0) throw new RpcFault(RPC.type, `Wrong type passed:\n{\n${wrong.join(',\n')}\n}`)
}

/** Calls by name; runs one with what a client sent for it. */
export class RpcTable {
  readonly #calls: ReadonlyMap<string, RpcCall>
  readonly #context: RpcContext

  constructor(calls: readonly RpcCall[], context: RpcContext) {
    this.#calls = new Map(calls.map((call) => [call.name, call]))
    this.#context = context
  }

  /** Throws RpcFault. */
  async run(name: string, params: unknown): Promise<Json> {
    if (name === 'help') return this.#help(Array.isArray(params) ? params[0] : undefined)
    const call = this.#calls.get(name)
    if (call === undefined) throw new RpcFault(RPC.methodNotFound, 'Method not found')
    const values = positional(call, params)
    const least = call.params.filter(({ optional }) => optional !== true).length
    if (values.length < least || values.length > call.params.length) throw new RpcFault(RPC.misc, `${usageOf(call)}\n`)
    checkTypes(call, values)
    return call.run(this.#context, new Args(values))
  }

  #help(name: unknown): string {
    if (typeof name !== 'string') return [...this.#calls.values()].map(usageOf).sort().join('\n')
    const call = this.#calls.get(name)
    return call === undefined ? `help: unknown command: ${name}\n` : usageOf(call)
  }
}
