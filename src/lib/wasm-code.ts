/*
 * As much of WebAssembly's binary format (core specification 2.0, section 5) as src/lib/sha256-lanes.ts takes: functions
 * over numbers of 32 bits and vectors of 128, with one memory. Instructions are written as expressions: each function
 * here gives the bytes of its arguments and its own behind them.
 */

export type Code = readonly number[]

/** How the format names a type. */
const TYPE = { i32: 0x7f, v128: 0x7b } as const
export type ValueType = keyof typeof TYPE

/** A parameter or local of a function. */
export interface Local {
  readonly index: number
}

const get = ({ index }: Local): Code => [0x20, ...unsigned(index)]

/** An argument: code that leaves a value, a local, or a number of 32 bits. */
export type Value = Code | Local | number

function valueOf(value: Value): Code {
  if (typeof value === 'number') return [0x41, ...signed(value)]
  return 'index' in value ? get(value) : value
}

const operation =
  (...opcode: number[]) =>
  (...values: readonly Value[]): Code => [...values.flatMap(valueOf), ...opcode]

/** Of two values, or of more from the left on. */
const folded =
  (...opcode: number[]) =>
  (first: Value, ...others: readonly Value[]): Code =>
    others.reduce<Code>((sum, other) => [...sum, ...valueOf(other), ...opcode], valueOf(first))

export const i32 = {
  equal: operation(0x46),
  less: operation(0x48),
  greater: operation(0x4a),
  add: folded(0x6a),
  subtract: operation(0x6b),
  shiftLeft: operation(0x74),
  load: (at: Value, offset: number): Code => [...valueOf(at), 0x28, 0, ...unsigned(offset)],
  store: (at: Value, offset: number, value: Value): Code =>
    [valueOf(at), valueOf(value), [0x36, 0], unsigned(offset)].flat(),
  /** `yes` where the condition is not 0. */
  select: (condition: Value, yes: Value, no: Value): Code => operation(0x1b)(yes, no, condition),
}

export const v128 = {
  constant: (bytes: readonly number[]): Code => [0xfd, 0x0c, ...bytes],
  /** 16 of the 32 bytes of two vectors. */
  shuffle: (a: Local, b: Local, picks: readonly number[]): Code => [...get(a), ...get(b), 0xfd, 0x0d, ...picks],
  and: folded(0xfd, 0x4e),
  or: folded(0xfd, 0x50),
  xor: folded(0xfd, 0x51),
  /** Bits of `yes` where those of `mask` are set, else of `no`. */
  bitselect: (mask: Value, yes: Value, no: Value): Code => operation(0xfd, 0x52)(yes, no, mask),
  load: (at: Value, offset: number): Code => [...valueOf(at), 0xfd, 0x00, 0, ...unsigned(offset)],
  /** Four times the same 32 bits. */
  loadSplat: (at: Value, offset: number): Code => [...valueOf(at), 0xfd, 0x09, 0, ...unsigned(offset)],
  store: (at: Value, offset: number, value: Value): Code =>
    [valueOf(at), valueOf(value), [0xfd, 0x0b, 0], unsigned(offset)].flat(),
}

export const i8x16 = { splat: operation(0xfd, 0x0f), equal: operation(0xfd, 0x23), less: operation(0xfd, 0x25) }

export const i32x4 = {
  shiftLeft: operation(0xfd, 0xab, 0x01),
  shiftRight: operation(0xfd, 0xad, 0x01),
  add: folded(0xfd, 0xae, 0x01),
}

const END = 0x0b
const NO_RESULT = 0x40

export const set = ({ index }: Local, value: Value): Code => [...valueOf(value), 0x21, ...unsigned(index)]
export const call = (functionIndex: number, ...values: readonly Value[]): Code =>
  operation(0x10, ...unsigned(functionIndex))(...values)
/** Once, and again for as long as `condition` is not 0. */
export const repeatWhile = (condition: Value, ...body: readonly Code[]): Code =>
  [[0x03, NO_RESULT], ...body, valueOf(condition), [0x0d, 0, END]].flat()
export const when = (condition: Value, ...body: readonly Code[]): Code =>
  [valueOf(condition), [0x04, NO_RESULT], ...body, [END]].flat()

/** The parameters and locals of a function; it has no result. Locals are zero at first. */
export class Frame {
  readonly #parameters: readonly ValueType[]
  readonly #locals: ValueType[] = []

  constructor(parameters: readonly ValueType[] = []) {
    this.#parameters = parameters
  }

  parameter(index: number): Local {
    return { index }
  }

  local(type: ValueType): Local {
    this.#locals.push(type)
    return { index: this.#parameters.length + this.#locals.length - 1 }
  }

  get encodedParameters(): Code {
    return vector(this.#parameters.map((type) => [TYPE[type]]))
  }

  get encodedLocals(): Code {
    return vector(this.#locals.map((type) => [1, TYPE[type]]))
  }
}

export interface WasmFunction {
  readonly frame: Frame
  readonly body: Code
}

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

/** A module of these functions and one page of memory at first. It exports `memory` and, as `run`, the last function. */
export function encodeModule(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const exported = [
    [...named('memory'), 0x02, 0],
    [...named('run'), 0x00, ...unsigned(functions.length - 1)],
  ]
  return Uint8Array.from([
    ...MAGIC_AND_VERSION,
    ...section(1, vector(functions.map(({ frame }) => [0x60, ...frame.encodedParameters, 0]))),
    ...section(3, vector(functions.map((_, index) => unsigned(index)))),
    ...section(5, vector([[0x00, 1]])),
    ...section(7, vector(exported)),
    ...section(10, vector(functions.map(({ frame, body }) => sized([...frame.encodedLocals, ...body, END])))),
  ])
}

function section(id: number, content: Code): Code {
  return [id, ...sized(content)]
}

function vector(items: readonly Code[]): Code {
  return [...unsigned(items.length), ...items.flat()]
}

function named(name: string): Code {
  return sized([...new TextEncoder().encode(name)])
}

function sized(content: Code): Code {
  return [...unsigned(content.length), ...content]
}

/** LEB128. */
function unsigned(value: number): Code {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)]
}

/** LEB128 of a number that may be negative. */
function signed(value: number): Code {
  return value >= -0x40 && value < 0x40 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)]
}
