import { ParseError } from '../errors.ts'

/**
 * Finds values in JSON bytes without building them: so that megabytes of hex are never a JavaScript string twice, and a
 * number that is handed on keeps all its digits. It looks at quotes and brackets only; whoever wants to know whether a
 * span is valid JSON parses it.
 */
export interface Span {
  readonly start: number
  readonly end: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function skipSpace(json: Buffer, at: number): number {
  let next = at
  while (isSpace(json[next])) next += 1
  return next
}

function skipString(json: Buffer, at: number): number {
  for (let quote = json.indexOf(QUOTE, at + 1); quote !== -1; quote = json.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0
    while (json[quote - 1 - backslashes] === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return quote + 1
  }
  throw new ParseError('JSON ends within a string', json.length)
}

/** No recursion: a hostile answer may nest as deep as it is long. */
function skipNested(json: Buffer, at: number): number {
  let depth = 0
  let next = at
  while (next < json.length) {
    const byte = json[next]
    if (byte === QUOTE) {
      next = skipString(json, next)
      continue
    }
    next += 1
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth += 1
    else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth -= 1
      if (depth === 0) return next
    }
  }
  throw new ParseError('JSON ends within an object or array', json.length)
}

function skipValue(json: Buffer, at: number): number {
  const first = json[at]
  if (first === QUOTE) return skipString(json, at)
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(json, at)
  let end = at
  for (let byte = json[end]; byte !== undefined; byte = json[end]) {
    if (isSpace(byte) || byte === COMMA || byte === COLON || byte === CLOSE_BRACE || byte === CLOSE_BRACKET) break
    end += 1
  }
  if (end === at) throw new ParseError('JSON value expected', at)
  return end
}

/** Span of the one value that `json` is, without the white space around it. Throws ParseError if there is more or none. */
export function wholeValue(json: Buffer): Span {
  const start = skipSpace(json, 0)
  const end = skipValue(json, start)
  if (skipSpace(json, end) !== json.length) throw new ParseError('JSON goes on after its end', end)
  return { start, end }
}

/** Calls `each` with the start of every part between the brackets; it gives the part's end. */
function walk(json: Buffer, whole: Span, close: number, each: (start: number) => number): void {
  let at = skipSpace(json, whole.start + 1)
  if (json[at] === close && at === whole.end - 1) return
  for (;;) {
    at = skipSpace(json, each(at))
    if (json[at] === close && at === whole.end - 1) return
    if (json[at] !== COMMA) throw new ParseError('JSON comma expected', at)
    at = skipSpace(json, at + 1)
  }
}

export function isObject(json: Buffer, span: Span): boolean {
  return json[span.start] === OPEN_BRACE
}

export function isArray(json: Buffer, span: Span): boolean {
  return json[span.start] === OPEN_BRACKET
}

/** Values of the object at `span` by name; of a name that is there twice the last counts, as with JSON.parse. */
export function membersOf(json: Buffer, span: Span): Map<string, Span> {
  if (!isObject(json, span)) throw new ParseError('JSON object expected', span.start)
  const members = new Map<string, Span>()
  walk(json, span, CLOSE_BRACE, (start) => {
    if (json[start] !== QUOTE) throw new ParseError('JSON name expected', start)
    const nameEnd = skipString(json, start)
    const colon = skipSpace(json, nameEnd)
    if (json[colon] !== COLON) throw new ParseError('JSON colon expected', colon)
    const valueStart = skipSpace(json, colon + 1)
    const end = skipValue(json, valueStart)
    members.set(nameOf(json, start, nameEnd), { start: valueStart, end })
    return end
  })
  return members
}

function nameOf(json: Buffer, start: number, end: number): string {
  const name = parseSpan(json, { start, end })
  if (typeof name !== 'string') throw new ParseError('JSON name expected', start)
  return name
}

/** Spans of the elements of the array at `span`. */
export function elementsOf(json: Buffer, span: Span): Span[] {
  if (!isArray(json, span)) throw new ParseError('JSON array expected', span.start)
  const elements: Span[] = []
  walk(json, span, CLOSE_BRACKET, (start) => {
    const end = skipValue(json, start)
    elements.push({ start, end })
    return end
  })
  return elements
}

export function textOf(json: Buffer, span: Span): string {
  return json.toString('utf8', span.start, span.end)
}

/** The value at `span`. Throws ParseError if it is no JSON. */
export function parseSpan(json: Buffer, span: Span): unknown {
  try {
    return JSON.parse(textOf(json, span))
  } catch {
    throw new ParseError('not JSON', span.start)
  }
}

/**
 * Bytes of the hex string at `span`, in memory of their own (never Node's shared pool), so that they can be transferred
 * to a worker. Throws ParseError unless it is a string of whole bytes of hex.
 */
export function hexAt(json: Buffer, span: Span): Uint8Array {
  const digits = span.end - span.start - 2
  if (json[span.start] !== QUOTE || digits < 0 || digits % 2 !== 0) throw new ParseError('hex expected', span.start)
  const bytes = Buffer.allocUnsafeSlow(digits / 2)
  // write() stops at the first character that is no hex digit; latin1 keeps one character per byte.
  const written = bytes.write(json.toString('latin1', span.start + 1, span.end - 1), 'hex')
  if (written !== bytes.length) throw new ParseError('hex expected', span.start + 1 + 2 * written)
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
}
