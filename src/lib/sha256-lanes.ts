import * as wasm from './wasm-code.ts'
import { type Code, Frame, i8x16, i32, i32x4, type Local, set, v128, type WasmFunction } from './wasm-code.ts'

/** As much as is used of what @types/node does not declare. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: object }
}

/** Messages that are hashed in step: one in each 32 bits of a vector. */
export const LANES = 4
/** Bytes that SHA-256 takes in one go. */
export const BLOCK = 64
/** A message's end mark and length come on top of it. */
const LEAST_PADDING = 9
const DIGEST = 32
const VECTOR = 16

/* Where things are in the memory of the module. Vectors hold one word of each of the four messages. */
const CONSTANTS_AT = 0
const WORDS_AT = 256
const STATE_AT = WORDS_AT + 16 * VECTOR
/** From here on the memory is for whoever calls. */
export const FREE_AT = STATE_AT + 8 * VECTOR

const PRIMES = primes(64)
/** The first 32 bits behind the point of cube roots and of square roots of primes (FIPS 180-4, 4.2.2 and 5.3.3). */
const CONSTANTS = PRIMES.map((prime) => fraction(prime, 3n))
const INITIAL = PRIMES.slice(0, 8).map((prime) => fraction(prime, 2n))

/** What a module over its memory can do. */
export interface Lanes {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  /**
   * Hashes `groups` (1 or more) times four messages. At `messages` stand position and length of each (u32 LE both); with
   * its padding each takes `blocks` blocks, and the memory goes on for a block behind the last one. The digests come to
   * `digests`, 32 bytes each; with `twice` those of the digests.
   */
  run(messages: number, groups: number, blocks: number, twice: 0 | 1, digests: number): void
}

/** Blocks that a message of so many bytes takes. */
export function blocksOf(length: number): number {
  return (length + LEAST_PADDING + BLOCK - 1) >>> 6
}

/**
 * SHA-256 (FIPS 180-4) of four messages at a time in vectors of 128 bits, which takes a fraction of what calls of OpenSSL
 * take for messages of a few blocks: see test/bench/hash.ts.
 */
export function makeLanes(): Lanes {
  const module = new WebAssembly.Module(wasm.encodeModule([compress(), load(), store(), run()]))
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what encodeModule exports, with the parameters of run()
  const lanes = new WebAssembly.Instance(module).exports as Lanes
  const view = new DataView(lanes.memory.buffer)
  for (const [i, constant] of CONSTANTS.entries()) view.setUint32(CONSTANTS_AT + i * 4, constant, true)
  return lanes
}

/* Numbers of the functions in the module. */
const COMPRESS = 0
const LOAD = 1
const STORE = 2

/** Takes the sixteen words in memory into the state in memory: FIPS 180-4, 6.2.2, whose names these are. */
function compress(): WasmFunction {
  const frame = new Frame()
  const step = frame.local('i32')
  const temporary = frame.local('v128')
  const w = Array.from({ length: 16 }, () => frame.local('v128'))
  const state = Array.from({ length: 8 }, () => frame.local('v128'))
  const read = (at: number, locals: readonly Local[]): Code[] =>
    locals.map((local, i) => set(local, v128.load(at, i * VECTOR)))
  const write = state.map((local, i) =>
    v128.store(STATE_AT, i * VECTOR, i32x4.add(v128.load(STATE_AT, i * VECTOR), local)),
  )

  const round = (i: number): Code[] => {
    // Instead of moving eight variables on, the next round calls them by other names.
    const variable = (number: number): Local => at(state, (number - i + 16) % 8)
    const [a, b, c, d] = [variable(0), variable(1), variable(2), variable(3)]
    const [e, f, g, h] = [variable(4), variable(5), variable(6), variable(7)]
    const sum1 = v128.xor(rotated(e, 6), rotated(e, 11), rotated(e, 25))
    const sum0 = v128.xor(rotated(a, 2), rotated(a, 13), rotated(a, 22))
    const choice = v128.bitselect(e, f, g)
    const majority = v128.bitselect(v128.xor(a, b), c, a)
    const constant = v128.loadSplat(step, CONSTANTS_AT + i * 4)
    return [
      set(temporary, i32x4.add(h, sum1, choice, constant, at(w, i))),
      set(d, i32x4.add(d, temporary)),
      set(h, i32x4.add(temporary, sum0, majority)),
    ]
  }
  const nextWord = (word: Local, i: number): Code => {
    const [near, far] = [at(w, (i + 1) % 16), at(w, (i + 14) % 16)]
    const sigma0 = v128.xor(rotated(near, 7), rotated(near, 18), i32x4.shiftRight(near, 3))
    const sigma1 = v128.xor(rotated(far, 17), rotated(far, 19), i32x4.shiftRight(far, 10))
    return set(word, i32x4.add(word, sigma0, at(w, (i + 9) % 16), sigma1))
  }
  const isMore = i32.less(step, CONSTANTS.length * 4)
  const sixteen = [
    ...w.flatMap((_, i) => round(i)),
    set(step, i32.add(step, 16 * 4)),
    wasm.when(isMore, ...w.map(nextWord)),
  ]
  const body = [...read(WORDS_AT, w), ...read(STATE_AT, state), wasm.repeatWhile(isMore, ...sixteen), ...write]
  return { frame, body: body.flat() }
}

/**
 * Brings block number `block` of four messages to the words in memory, padded where they end. Parameters: where position
 * and length of each stand, the block's number, and whether it is the last.
 */
function load(): WasmFunction {
  const frame = new Frame(['i32', 'i32', 'i32'])
  const [messages, block, isLast] = [frame.parameter(0), frame.parameter(1), frame.parameter(2)]
  const start = frame.local('i32')
  const rest = frame.local('i32')
  const end = frame.local('v128')
  const vectors = Array.from({ length: LANES }, () => Array.from({ length: 4 }, () => frame.local('v128')))
  const lengthOf = (lane: number): Code => i32.load(messages, lane * 8 + 4)

  const part = (lane: number, quarter: number, vector: Local): Code[] => {
    const places = v128.constant(Array.from({ length: VECTOR }, (_, i) => quarter * VECTOR + i))
    const bytes = v128.load(i32.add(i32.load(messages, lane * 8), start), quarter * VECTOR)
    const mark = v128.and(i8x16.equal(places, end), v128.constant(Array<number>(VECTOR).fill(0x80)))
    return [set(vector, v128.or(v128.and(bytes, i8x16.less(places, end)), mark)), swapped(vector)]
  }
  const lanes = vectors.flatMap((quarters, lane) => [
    // What is left of the message: less than none once its end mark has been, at most a block, as signed bytes.
    set(rest, i32.subtract(lengthOf(lane), start)),
    set(rest, i32.select(i32.greater(rest, BLOCK), BLOCK, rest)),
    set(end, i8x16.splat(i32.select(i32.less(rest, -1), -1, rest))),
    ...quarters.flatMap((vector, quarter) => part(lane, quarter, vector)),
  ])
  const words = [0, 1, 2, 3].flatMap((quarter) => {
    const rows = vectors.map((quarters) => at(quarters, quarter))
    const writes = rows.map((row, i) => v128.store(WORDS_AT, (quarter * 4 + i) * VECTOR, row))
    return [...transposed(frame, rows), ...writes]
  })
  // Bits of each message: below 2^32, since these are short.
  const lengths = vectors.map((_, lane) =>
    i32.store(WORDS_AT, 15 * VECTOR + lane * 4, i32.shiftLeft(lengthOf(lane), 3)),
  )
  const body = [set(start, i32.shiftLeft(block, 6)), ...lanes, ...words, wasm.when(isLast, ...lengths)]
  return { frame, body: body.flat() }
}

/** Writes the state as four digests of 32 bytes to where the parameter says. */
function store(): WasmFunction {
  const frame = new Frame(['i32'])
  const digests = frame.parameter(0)
  const rows = Array.from({ length: 4 }, () => frame.local('v128'))
  const body = [0, 1].flatMap((half) => [
    ...rows.map((row, i) => set(row, v128.load(STATE_AT, (half * 4 + i) * VECTOR))),
    ...transposed(frame, rows),
    ...rows.flatMap((row, lane) => [swapped(row), v128.store(digests, lane * DIGEST + half * VECTOR, row)]),
  ])
  return { frame, body: body.flat() }
}

/** See Lanes.run. */
function run(): WasmFunction {
  const frame = new Frame(['i32', 'i32', 'i32', 'i32', 'i32'])
  const [messages, groups, blocks] = [frame.parameter(0), frame.parameter(1), frame.parameter(2)]
  const [twice, digests] = [frame.parameter(3), frame.parameter(4)]
  const block = frame.local('i32')
  const reset = INITIAL.map((word, i) => v128.store(STATE_AT, i * VECTOR, splat(word)))
  const digestAsWords = Array.from({ length: 16 }, (_, i) =>
    v128.store(WORDS_AT, i * VECTOR, i < 8 ? v128.load(STATE_AT, i * VECTOR) : splat(paddingOfDigest(i))),
  )
  const next = i32.add(block, 1)
  const group = [
    ...reset,
    set(block, 0),
    wasm.repeatWhile(
      i32.less(block, blocks),
      wasm.call(LOAD, messages, block, i32.equal(next, blocks)),
      wasm.call(COMPRESS),
      set(block, next),
    ),
    wasm.when(twice, ...digestAsWords, ...reset, wasm.call(COMPRESS)),
    wasm.call(STORE, digests),
    set(digests, i32.add(digests, LANES * DIGEST)),
    set(messages, i32.add(messages, LANES * 8)),
    set(groups, i32.subtract(groups, 1)),
  ]
  return { frame, body: wasm.repeatWhile(groups, ...group) }
}

function rotated(word: Local, by: number): Code {
  return v128.or(i32x4.shiftRight(word, by), i32x4.shiftLeft(word, 32 - by))
}

/** Words between big-endian, as SHA-256 has them, and little-endian. */
function swapped(vector: Local): Code {
  return set(vector, v128.shuffle(vector, vector, [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12]))
}

/** Turns four vectors with words of one message each into four with one word of all messages, and back. */
function transposed(frame: Frame, rows: readonly Local[]): Code[] {
  const [a, b, c, d] = [at(rows, 0), at(rows, 1), at(rows, 2), at(rows, 3)]
  const [lows, highs] = [frame.local('v128'), frame.local('v128')]
  const mixed = (into: Local, x: Local, y: Local, words: readonly number[]): Code =>
    set(into, v128.shuffle(x, y, wordPicks(words)))
  return [
    mixed(lows, a, b, [0, 4, 1, 5]),
    mixed(highs, a, b, [2, 6, 3, 7]),
    mixed(a, c, d, [0, 4, 1, 5]),
    mixed(b, c, d, [2, 6, 3, 7]),
    mixed(c, highs, b, [0, 1, 4, 5]),
    mixed(d, highs, b, [2, 3, 6, 7]),
    mixed(b, lows, a, [2, 3, 6, 7]),
    mixed(a, lows, a, [0, 1, 4, 5]),
  ]
}

/** What follows a digest where a digest is hashed. */
function paddingOfDigest(word: number): number {
  if (word === 8) return 0x8000_0000
  return word === 15 ? DIGEST * 8 : 0
}

/** The same 32 bits four times. */
function splat(word: number): Code {
  return v128.constant(Array.from({ length: VECTOR }, (_, i) => (word >>> ((i % 4) * 8)) & 0xff))
}

function wordPicks(words: readonly number[]): number[] {
  return words.flatMap((word) => [0, 1, 2, 3].map((byte) => word * 4 + byte))
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index]
  if (item === undefined) throw new RangeError(`no number ${index}`)
  return item
}

function primes(count: number): number[] {
  const found: number[] = []
  for (let number = 2; found.length < count; number++)
    if (found.every((prime) => number % prime !== 0)) found.push(number)
  return found
}

/** The first 32 bits behind the point of the square (2n) or cube (3n) root of a number. */
function fraction(number: number, degree: 2n | 3n): number {
  const scaled = BigInt(number) << (32n * degree)
  let low = 0n
  let high = 1n << 40n
  while (high - low > 1n) {
    const middle = (low + high) >> 1n
    if (middle ** degree <= scaled) low = middle
    else high = middle
  }
  return Number(low & 0xffff_ffffn)
}
