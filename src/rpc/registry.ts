import { z } from 'zod'
import { ERROR_CODES, InvariantError, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { clip } from './failure.ts'
import { compareVersions, type ProtocolVersion, type RpcContext, type RpcMethod } from './method.ts'
import { type CallRunner, charged, compose, type Middleware, runHandler, streamOnly } from './middleware.ts'
import { issueError, shown } from './schemas.ts'

/** A method with what is asked of it on each call worked out in advance. */
interface Row {
  readonly method: RpcMethod
  /** Parameters in positional order. */
  readonly names: readonly string[]
  readonly required: readonly string[]
}

export interface RegistryOptions {
  /** Around every call, the first outermost; charging comes after them. */
  readonly middleware?: readonly Middleware[]
}

/**
 * The method table in use: lookup by name and protocol version, parameters by position or by name, validation, charge,
 * dispatch. One for all transports.
 */
export class MethodRegistry {
  readonly #rows = new Map<string, readonly Row[]>()
  readonly #run: CallRunner

  /** Throws InvariantError if two rows of one name are offered at the same version. */
  constructor(options: RegistryOptions, methods: readonly RpcMethod[]) {
    this.#run = compose([...(options.middleware ?? []), streamOnly, charged], runHandler)
    for (const method of methods) {
      const others = this.#rows.get(method.name) ?? []
      for (const other of others) assertApart(method, other.method)
      this.#rows.set(method.name, [...others, rowOf(method)])
    }
  }

  /** Every name there is at any version. */
  get names(): readonly string[] {
    return [...this.#rows.keys()]
  }

  /** Every row, in the order given. */
  get methods(): readonly RpcMethod[] {
    return [...this.#rows.values()].flatMap((rows) => rows.map(({ method }) => method))
  }

  /** The method that `name` means at `version`. */
  find(name: string, version: ProtocolVersion): RpcMethod | undefined {
    return this.#find(name, version)?.method
  }

  /**
   * Answers one request. `rawParams` is what the client sent: a list, an object of names, or undefined for none.
   * Throws RpcError -32601 (no such method at the client's version), -32602 (number or names of parameters), 1 (a value
   * that makes no sense), and whatever the handler throws.
   */
  async dispatch(name: string, rawParams: unknown, ctx: RpcContext): Promise<unknown> {
    return this.call(name, rawParams, ctx)
  }

  /** As dispatch, without a turn of the event loop where the answer is at hand: throws at once or rejects. */
  call(name: string, rawParams: unknown, ctx: RpcContext): Awaitable<unknown> {
    const row = this.#find(name, ctx.client.protocol)
    if (row === undefined) throw methodNotFound(name)
    return this.#call(row, rawParams, ctx)
  }

  /** The same for a message that wants no answer; most methods are none to those. */
  async notify(name: string, rawParams: unknown, ctx: RpcContext): Promise<void> {
    const row = this.#find(name, ctx.client.protocol)
    const since = row?.method.notification
    if (row === undefined || since === undefined || compareVersions(ctx.client.protocol, since) < 0) {
      throw methodNotFound(name)
    }
    await this.#call(row, rawParams, ctx)
  }

  #find(name: string, version: ProtocolVersion): Row | undefined {
    return this.#rows.get(name)?.find(({ method }) => isOffered(method, version))
  }

  #call(row: Row, rawParams: unknown, ctx: RpcContext): Awaitable<unknown> {
    const parsed = row.method.params.safeParse(toNamed(row, rawParams))
    if (!parsed.success) throw issueError(parsed.error)
    return this.#run({ method: row.method, params: parsed.data, ctx })
  }
}

/** True if `method` belongs to protocol `version`. */
export function isOffered(method: RpcMethod, version: ProtocolVersion): boolean {
  if (compareVersions(version, method.since) < 0) return false
  return method.until === undefined || compareVersions(version, method.until) <= 0
}

export function methodNotFound(name: string): RpcError {
  return new RpcError(ERROR_CODES.methodNotFound.code, `unknown method "${clip(name)}"`)
}

/** Names of a method's parameters in positional order, and which of them must be given. */
export function paramNames(method: RpcMethod): {
  readonly names: readonly string[]
  readonly required: readonly string[]
} {
  const names = Object.keys(method.params.shape)
  return { names, required: names.filter((name) => !isOptional(method.params.shape[name])) }
}

function isOptional(schema: unknown): boolean {
  return schema instanceof z.ZodType && schema.safeParse(undefined).success
}

function rowOf(method: RpcMethod): Row {
  const { names, required } = paramNames(method)
  if (names.slice(0, required.length).some((name, i) => name !== required[i])) {
    throw new InvariantError(`${method.name}: an optional parameter stands before a required one`)
  }
  return { method, names, required }
}

function assertApart(a: RpcMethod, b: RpcMethod): void {
  const before = (x: RpcMethod, y: RpcMethod): boolean => x.until !== undefined && compareVersions(x.until, y.since) < 0
  if (!before(a, b) && !before(b, a)) throw new InvariantError(`${a.name} is in the table twice for one version`)
}

function toNamed(row: Row, raw: unknown): Record<string, unknown> {
  if (raw === undefined) return fromList(row, [])
  if (Array.isArray(raw)) return fromList(row, raw)
  if (typeof raw === 'object' && raw !== null) return fromNames(row, raw)
  throw invalidParams(`invalid request arguments: ${shown(raw)}`)
}

function fromList({ method, names, required }: Row, values: readonly unknown[]): Record<string, unknown> {
  const given = `${values.length} argument${values.length === 1 ? '' : 's'} passed to method "${method.name}"`
  if (values.length < required.length) throw invalidParams(`${given} but it requires ${required.length}`)
  if (values.length > names.length && method.extraParams !== 'ignored') {
    throw invalidParams(`${given} taking at most ${names.length}`)
  }
  const count = Math.min(values.length, names.length)
  const named: Record<string, unknown> = {}
  for (let i = 0; i < count; i++) named[names[i] ?? ''] = values[i]
  return named
}

function fromNames({ method, names, required }: Row, values: object): Record<string, unknown> {
  const given = new Map<string, unknown>(Object.entries(values))
  const missing = required.filter((name) => !given.has(name))
  if (missing.length > 0) throw invalidParams(`method "${method.name}" requires ${list(missing)}`)
  const excess = [...given.keys()].filter((name) => !names.includes(name))
  if (excess.length > 0 && method.extraParams !== 'ignored') {
    throw invalidParams(`method "${method.name}" does not take ${list(excess)}`)
  }
  return Object.fromEntries(names.filter((name) => given.has(name)).map((name) => [name, given.get(name)]))
}

function list(names: readonly string[]): string {
  const quoted = names.slice(0, 10).map((name) => `"${clip(name)}"`)
  return `parameter${names.length === 1 ? '' : 's'} ${quoted.sort().join(', ')}${names.length > 10 ? ', …' : ''}`
}

function invalidParams(message: string): RpcError {
  return new RpcError(ERROR_CODES.invalidParams.code, message)
}
