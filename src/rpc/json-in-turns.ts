import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Awaitable } from '../lib/awaitable.ts'
import { LongText } from '../lib/long-text.ts'
import { MAX_WRITTEN_DEPTH, RawJson, tooDeep, writeJson } from './json.ts'

/** Steps of an answer that is written at once, and of a longer one between two turns: a millisecond or two. */
const AT_ONCE = 8_192
/** Characters that take as long as a step. */
const CHARACTERS_PER_STEP = 64
/** Steps of a part that is small enough to be written as a whole. */
const SMALL = 64

/**
 * A result as it is, or as its JSON where that is long: written part by part with turns for others between, until
 * `asking.signal` aborts. The text is that of writeJson(), which the promise rejects as.
 */
export function writtenIfLong(result: unknown, asking: { readonly signal?: AbortSignal }): Awaitable<unknown> {
  if (stepsOf(result, AT_ONCE) <= AT_ONCE) return result
  return new LongWriter(asking.signal).write(result)
}

/** Steps that a value takes to be written, or some number above `most`; what is deeper than is written counts nothing. */
function stepsOf(value: unknown, most: number, depth = 0): number {
  if (typeof value === 'string') return 1 + value.length / CHARACTERS_PER_STEP
  let steps = 1
  if (depth > MAX_WRITTEN_DEPTH) return steps
  if (isList(value)) {
    for (let i = 0; i < value.length && steps <= most; i++) steps += stepsOf(value[i], most - steps, depth + 1)
  } else if (isMembers(value)) {
    // In place, as in writeJson(): lists of the members of many small objects would not be free.
    for (const name in value) {
      steps += 1 + stepsOf(value[name], most - steps, depth + 1)
      if (steps > most) break
    }
  }
  return steps
}

function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

/** Text that was made elsewhere is put in as it is. */
function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !(value instanceof RawJson) && !Array.isArray(value)
}

/** A list, or an object with the names of its members, of which some are written. */
interface Open {
  readonly values: readonly unknown[]
  readonly names: readonly string[] | undefined
  next: number
}

class LongWriter {
  readonly #signal: AbortSignal | undefined
  readonly #open: Open[] = []
  readonly #parts: Buffer[] = []
  #text = ''
  #steps = 0

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  async write(value: unknown): Promise<RawJson> {
    this.#write(value)
    for (;;) {
      this.#goOn()
      this.#parts.push(Buffer.from(this.#text))
      this.#text = ''
      if (this.#open.length === 0) break
      await nextTurn(undefined, this.#signal === undefined ? {} : { signal: this.#signal })
    }
    return new RawJson(new LongText('', Buffer.concat(this.#parts), ''), true)
  }

  #goOn(): void {
    for (this.#steps = 0; this.#steps < AT_ONCE; ) {
      const last = this.#open.at(-1)
      if (last === undefined) return
      const { values, names, next } = last
      if (next === values.length) {
        this.#text += names === undefined ? ']' : '}'
        this.#open.pop()
        continue
      }
      if (next > 0) this.#text += ','
      if (names !== undefined) this.#text += `${JSON.stringify(names[next])}:`
      last.next += 1
      this.#write(values[next])
    }
  }

  /** Writes a value, or begins one that is not small. */
  #write(value: unknown): void {
    const depth = this.#open.length
    const steps = stepsOf(value, SMALL)
    this.#steps += steps
    // A small one cannot be deeper than it has steps.
    const isWhole = steps <= SMALL && depth + SMALL < MAX_WRITTEN_DEPTH
    if (isList(value) && !isWhole) this.#begin('[', value, undefined)
    else if (isMembers(value) && !isWhole) {
      const names = Object.keys(value).filter((name) => value[name] !== undefined)
      this.#begin(
        '{',
        names.map((name) => value[name]),
        names,
      )
    } else this.#text += writeJson(value)
  }

  #begin(bracket: '[' | '{', values: readonly unknown[], names: readonly string[] | undefined): void {
    if (this.#open.length >= MAX_WRITTEN_DEPTH) throw tooDeep()
    this.#text += bracket
    this.#open.push({ values, names, next: 0 })
  }
}
