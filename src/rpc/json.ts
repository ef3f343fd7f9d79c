import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../lib/bytes.ts'
import type { LongText } from '../lib/long-text.ts'

/** What the reader makes of JSON: as JSON.parse, but integers that a double may not hold are bigint. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

export type JsonFault = 'encoding' | 'syntax' | 'depth' | 'parts'

/** Bytes that are no JSON text (`encoding`, `syntax`), or one that is not taken on: nested too deep, of too many parts. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  readonly fault: JsonFault
  constructor(fault: JsonFault, message: string, options?: ErrorOptions) {
    super(message, options)
    this.fault = fault
  }
}

/**
 * JSON text made elsewhere (by bitcoind, or for another client): the writer puts it in unread. Line feeds, which JSON has
 * only between its parts, become blanks, because on the wire a line feed ends the message.
 */
export class RawJson {
  /** As it was made: what is long can be sent without a copy. */
  readonly content: string | LongText

  /**
   * `isOneLine` for text of our own making: the largest answers are not searched for what is not there. A LongText has to
   * be one line.
   */
  constructor(content: string | LongText, isOneLine = false) {
    const isClean = isOneLine || typeof content !== 'string' || !content.includes('\n')
    this.content = isClean ? content : content.replaceAll('\n', ' ')
  }

  get text(): string {
    return this.content.toString()
  }
}

/** How deep lists and objects may stand in each other; no request needs a tenth of it. */
export const MAX_DEPTH = 64
/**
 * Lists, objects and members that a message of a client or of another server may have: a megabyte can be half a million
 * of them, which take a tenth of a second to read and twenty times the memory.
 */
export const MAX_PARTS = 64_000
/** Nesting of answers: payloads in the chain go deeper than requests may. */
export const MAX_WRITTEN_DEPTH = 512
/** Digits of the longest integer that is read: making a bigint of text takes more than linear time. */
const LONGEST_INTEGER = 1000

/** An integer that a double may not hold can only stand where a value can begin. Also hits inside texts, which costs time only. */
const LONG_INTEGER = /(?:^|[[:,\s])-?\d{16}/
const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y
const SPACE = /[ \t\n\r]*/y

/**
 * The value that UTF-8 bytes of JSON mean. Throws JsonError. Depth is looked at before anything is built, because what
 * comes later (schemas, writers) recurses.
 */
export function readJson(bytes: Uint8Array, maxDepth: number = MAX_DEPTH): Json {
  return readJsonText(textOf(bytes), maxDepth)
}

/** As readJson, of a stranger: also refuses what has too many parts, before anything is built. */
export function readMessage(bytes: Uint8Array, maxParts: number = MAX_PARTS): Json {
  return readMessageText(textOf(bytes), maxParts)
}

/** As readMessage, for text. */
export function readMessageText(text: string, maxParts: number = MAX_PARTS): Json {
  assertFlat(text, MAX_DEPTH)
  if (hasMoreParts(text, maxParts)) throw new JsonError('parts', `more than ${maxParts} parts`)
  return readFlat(text)
}

function textOf(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new JsonError('encoding', 'not UTF-8')
  return asBuffer(bytes).toString('utf8')
}

/** As readJson, for text. */
export function readJsonText(text: string, maxDepth: number = MAX_DEPTH): Json {
  assertFlat(text, maxDepth)
  return readFlat(text)
}

function assertFlat(text: string, maxDepth: number): void {
  if (isDeeperThan(text, maxDepth)) throw new JsonError('depth', `nested more than ${maxDepth} deep`)
}

function readFlat(text: string): Json {
  if (LONG_INTEGER.test(text)) return new Reader(text).read()
  try {
    return parseJson(text)
  } catch (error) {
    throw new JsonError('syntax', 'not JSON', { cause: error })
  }
}

/** JSON.parse with its type: it gives nothing that Json lacks. */
const parseJson: (text: string) => Json = JSON.parse

const QUOTE = 0x22
const BACKSLASH = 0x5c

/** True if brackets outside of texts stand more than `limit` deep. Quick to say no where there are few of them at all. */
function isDeeperThan(text: string, limit: number): boolean {
  if (countUpTo(text, '[', limit) + countUpTo(text, '{', limit) <= limit) return false
  let depth = 0
  let inText = false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (inText) {
      if (code === BACKSLASH) i++
      else if (code === QUOTE) inText = false
    } else if (code === QUOTE) inText = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > limit) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

/** True if there are more brackets and commas than that. Those in texts count as well: no text that is asked for has many. */
function hasMoreParts(text: string, limit: number): boolean {
  let left = limit
  for (const mark of [',', '[', '{']) {
    if (text.length <= left || left < 0) break
    left -= countUpTo(text, mark, left)
  }
  return left < 0
}

function countUpTo(text: string, character: string, limit: number): number {
  let count = 0
  for (let at = text.indexOf(character); at !== -1 && count <= limit; at = text.indexOf(character, at + 1)) count++
  return count
}

/** Reads JSON by itself, because JSON.parse rounds integers. Not recursive deeper than isDeeperThan has let pass. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): Json {
    const value = this.#value()
    this.#space()
    if (this.#at < this.#text.length) throw this.#fault()
    return value
  }

  #value(): Json {
    this.#space()
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object()
      case '[':
        return this.#list()
      case '"':
        return this.#string()
      case 't':
        return this.#word('true', true)
      case 'f':
        return this.#word('false', false)
      case 'n':
        return this.#word('null', null)
      default:
        return this.#number()
    }
  }

  #object(): JsonObject {
    const object: Record<string, Json> = {}
    this.#at++
    if (this.#take('}')) return object
    do {
      this.#space()
      if (this.#text[this.#at] !== '"') throw this.#fault()
      const key = this.#string()
      if (!this.#take(':')) throw this.#fault()
      const value = this.#value()
      // Plain assignment of this one name would set the prototype.
      if (key === '__proto__') {
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true })
      } else object[key] = value
    } while (this.#take(','))
    if (!this.#take('}')) throw this.#fault()
    return object
  }

  #list(): Json[] {
    const values: Json[] = []
    this.#at++
    if (this.#take(']')) return values
    do values.push(this.#value())
    while (this.#take(','))
    if (!this.#take(']')) throw this.#fault()
    return values
  }

  /** Finds where the text ends; what is between is left to JSON.parse. */
  #string(): string {
    const start = this.#at
    let end = start
    do {
      end = this.#text.indexOf('"', end + 1)
      if (end === -1) throw this.#fault()
    } while (this.#isEscaped(end))
    this.#at = end + 1
    try {
      return String(JSON.parse(this.#text.slice(start, end + 1)))
    } catch (error) {
      throw new JsonError('syntax', 'not JSON', { cause: error })
    }
  }

  #isEscaped(at: number): boolean {
    let first = at
    while (this.#text.charCodeAt(first - 1) === BACKSLASH) first--
    return (at - first) % 2 === 1
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#fault()
    this.#at += word.length
    return value
  }

  #number(): number | bigint {
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) throw this.#fault()
    const [digits, fraction, exponent] = match
    this.#at += digits.length
    const value = Number(digits)
    if (fraction !== undefined || exponent !== undefined || Number.isSafeInteger(value)) return value
    if (digits.length > LONGEST_INTEGER) throw this.#fault()
    return BigInt(digits)
  }

  /** Skips blanks, then `character` if it is next. */
  #take(character: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #space(): void {
    SPACE.lastIndex = this.#at
    SPACE.test(this.#text)
    this.#at = SPACE.lastIndex
  }

  #fault(): JsonError {
    return new JsonError('syntax', `not JSON at ${this.#at}`)
  }
}

/**
 * JSON text of a value, in which bigint is written in full and RawJson as it is. Members that are undefined are left
 * out, as JSON.stringify does. Throws TypeError for what JSON does not have (functions, symbols, undefined, numbers that
 * are not finite) and for what stands more than MAX_WRITTEN_DEPTH deep, cycles among it.
 */
export function writeJson(value: unknown): string {
  if (value instanceof RawJson) return value.text
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'object':
      return needsOwnWriter(value, 0) ? writeDeep(value, 0) : JSON.stringify(value)
    default:
      return writePlain(value)
  }
}

/** True if JSON.stringify would get something wrong. Much cheaper than to write: it touches no text. */
function needsOwnWriter(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return false
    case 'number':
      return !Number.isFinite(value)
    case 'object': {
      if (value === null) return false
      if (value instanceof RawJson || depth >= MAX_WRITTEN_DEPTH) return true
      if (Array.isArray(value)) return value.some((item) => needsOwnWriter(item, depth + 1))
      // Looks at each member in place: answers of 80,000 objects are common, and lists of their values would not be free.
      for (const key in value) {
        if (!isMembers(value)) return true
        const item = value[key]
        if (item !== undefined && needsOwnWriter(item, depth + 1)) return true
      }
      return false
    }
    default:
      return true
  }
}

function isMembers(value: object): value is Readonly<Record<string, unknown>> {
  return !Array.isArray(value)
}

function writeDeep(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null) return writePlain(value)
  if (value instanceof RawJson) return value.text
  if (depth >= MAX_WRITTEN_DEPTH) throw tooDeep()
  if (Array.isArray(value)) return `[${value.map((item) => writeDeep(item, depth + 1)).join(',')}]`
  const members: string[] = []
  for (const [key, item] of Object.entries(value)) {
    if (item !== undefined) members.push(`${JSON.stringify(key)}:${writeDeep(item, depth + 1)}`)
  }
  return `{${members.join(',')}}`
}

export function tooDeep(): TypeError {
  return new TypeError(`a value more than ${MAX_WRITTEN_DEPTH} deep`)
}

function writePlain(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'bigint':
    case 'boolean':
      return String(value)
    case 'number':
      if (Number.isFinite(value)) return JSON.stringify(value)
      throw new TypeError(`JSON has no ${value}`)
    default:
      if (value === null) return 'null'
      throw new TypeError(`JSON has no ${typeof value}`)
  }
}
