/**
 * Everything that can go wrong and is told to somebody: a client (with a code on the wire) or an operator.
 * Codes are API and stable; messages are for people and free (ARCHITECTURE.md section 8).
 */

export interface ErrorCodeEntry {
  readonly code: number
  readonly name: string
  readonly meaning: string
  readonly reaction: string
}

/** Codes that a client can see. docs/ERRORS.md is printed from this table. */
export const ERROR_CODES = {
  parseError: {
    code: -32700,
    name: 'parse error',
    meaning: 'The message is not JSON, or not UTF-8.',
    reaction: 'answered; costs more than other errors; the session lives',
  },
  invalidRequest: {
    code: -32600,
    name: 'invalid request',
    meaning: 'JSON, but no request: an empty batch, a wrong id, a batch above the cap, or an answer above MAX_SEND.',
    reaction: 'answered',
  },
  methodNotFound: {
    code: -32601,
    name: 'method not found',
    meaning: 'No such method in the protocol version of this session.',
    reaction: 'answered',
  },
  invalidParams: {
    code: -32602,
    name: 'invalid params',
    meaning: 'Too many or too few parameters, or names that the method does not have.',
    reaction: 'answered',
  },
  internal: {
    code: -32603,
    name: 'internal error',
    meaning: 'A fault of this server; the log has the details under the request id that the answer names.',
    reaction: 'answered and logged',
  },
  excessiveUsage: {
    code: -101,
    name: 'excessive resource usage',
    meaning: 'The session has used more than its hard limit.',
    reaction: 'answered, then the connection is closed',
  },
  busy: {
    code: -102,
    name: 'server busy',
    meaning:
      'The request took longer than REQUEST_TIMEOUT, or what it needs cannot be reached at the moment: nothing is ' +
      'served yet, bitcoind does not answer, or a transaction cannot be judged because it spends what is in blocks that ' +
      'the index has not reached yet.',
    reaction: 'answered',
  },
  badRequest: {
    code: 1,
    name: 'bad request',
    meaning: 'A value that makes no sense (bad hash, height, script), or a broadcast that bitcoind refused.',
    reaction: 'answered',
  },
  daemonError: {
    code: 2,
    name: 'daemon error',
    meaning: 'bitcoind answered with an error.',
    reaction: 'answered and logged',
  },
  historyTooLong: {
    code: 10001,
    name: 'history too long',
    meaning: 'The history of this script does not fit into one answer.',
    reaction: 'answered; never an empty or shortened list in its place',
  },
  atomicalsRule: {
    code: 800422,
    name: 'invalid Atomicals transaction',
    meaning: 'The transaction would burn Atomicals or break one of their rules.',
    reaction: 'answered; nothing is sent to bitcoind',
  },
} as const satisfies Record<string, ErrorCodeEntry>

export type WireCode = (typeof ERROR_CODES)[keyof typeof ERROR_CODES]['code']

/** Limits that are counted by name when a client meets them: settings by theirs, the others in a word. */
export const LIMIT_NAMES = [
  'MAX_SESSIONS',
  'COST_SOFT_LIMIT',
  'COST_HARD_LIMIT',
  'INITIAL_CONCURRENT',
  'MAX_PIPELINED',
  'REQUEST_TIMEOUT',
  'NOTIFY_TIMEOUT',
  'MAX_RECV',
  'MAX_SEND',
  'MAX_BATCH',
  'MAX_SUBSCRIPTIONS',
  'MAX_SUBSCRIPTIONS_PER_SESSION',
  'nesting',
  'parts',
  'history',
] as const
export type LimitName = (typeof LIMIT_NAMES)[number]

export interface RpcErrorOptions extends ErrorOptions {
  /** The limit that the client has met, if that is what is wrong. */
  readonly limit?: LimitName
}

/** The client's request cannot be served; code and message go to the client as they are. */
export class RpcError extends Error {
  override readonly name: string = 'RpcError'
  readonly code: number
  readonly limit: LimitName | undefined
  constructor(code: WireCode, message: string, options?: RpcErrorOptions) {
    super(message, options)
    this.code = code
    this.limit = options?.limit
  }
}

/** bitcoind refuses a broadcast: code 1 with bitcoind's own words, because wallets read them. */
export class RefusedByNode extends RpcError {
  override readonly name = 'RefusedByNode'
  constructor(message: string, options?: ErrorOptions) {
    super(ERROR_CODES.badRequest.code, message, options)
  }
}

/** bitcoind answered with an error of its own (`daemonCode`, e.g. -5). */
export class DaemonError extends Error {
  override readonly name = 'DaemonError'
  readonly daemonCode: number
  constructor(daemonCode: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.daemonCode = daemonCode
  }
}

/** bitcoind did not answer, is warming up, or answered with something that is no answer. */
export class DaemonUnavailableError extends Error {
  override readonly name = 'DaemonUnavailableError'
}

/** The chain offered cannot be followed: wrong parent, a reorganisation beyond the limit, missing undo. */
export class ChainError extends Error {
  override readonly name = 'ChainError'
}

/** The fork from the node's chain is deeper than can be taken back: until a person has changed one of the two it stays so. */
export class ForkTooDeepError extends ChainError {}

/** The node does not keep the blocks that the index needs, until a person has run it otherwise. */
export class PrunedNodeError extends ChainError {}

/** What is wrong with the database; docs/OPERATIONS.md says what to do about each. */
export const STORAGE_CODES = ['locked', 'foreign', 'version', 'network', 'settings', 'corrupt', 'full', 'io'] as const
export type StorageCode = (typeof STORAGE_CODES)[number]

/** The database cannot be used or written. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageCode
  constructor(code: StorageCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/**
 * The index was found damaged while it was opened, before anything was done with it: it is so on the disk, and will be at
 * the next start. What is found later may be otherwise then: files that are too short are completed after the start.
 */
export class DamagedIndexError extends StorageError {}

/** What of it stays as it is until a person has given another directory, other settings or another program. */
const FOR_A_PERSON: ReadonlySet<StorageCode> = new Set(['foreign', 'version', 'network', 'settings'])

/** An address of SERVICES cannot be listened on. */
export class ListenError extends Error {
  override readonly name = 'ListenError'
}

/** Settings are wrong: every problem at once, so that an operator mends them in one go. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(`settings are wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

/** Bytes that are not what they should be; `offset` counts from the start of the input. */
export class ParseError extends Error {
  override readonly name = 'ParseError'
  readonly offset: number
  constructor(message: string, offset: number) {
    super(`${message} at byte ${offset}`)
    this.offset = offset
  }
}

/** A bug of ours: something that cannot be, is. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

/** Throws InvariantError unless `condition` holds. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/**
 * True if what is wrong is outside of this program, and the message of `error` says all that helps an operator: where in
 * the source it was found says nothing more. Not so for damage on the disk, nor for what the system has no code for:
 * those could be of our own making.
 */
export function isFromOutside(error: unknown): error is Error {
  if (error instanceof StorageError) {
    const { cause, code } = error
    return code !== 'corrupt' && (!(cause instanceof Error) || 'code' in cause)
  }
  return [ConfigError, ListenError, ChainError, DaemonUnavailableError].some((kind) => error instanceof kind)
}

/** True if starting again is of no use until a person has changed something: settings, the index, or the node. */
export function needsPerson(error: unknown): boolean {
  if (error instanceof StorageError) return FOR_A_PERSON.has(error.code) || error instanceof DamagedIndexError
  return [ConfigError, ForkTooDeepError, PrunedNodeError].some((kind) => error instanceof kind)
}

/** What was thrown, in words: the message of an error, anything else as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** True if `error` only says that somebody asked us to stop. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'ABORT_ERR'))
}
