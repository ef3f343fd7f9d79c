/**
 * Patterns of subrealm and item rules: Python's regular expressions without parentheses, matched in time proportional
 * to pattern times text. A pattern without groups is a choice between rows of "so many characters of a set", so the
 * places a match can have reached are all that has to be kept.
 */

import { setHas } from '../lib/python/charset.ts'
import { type Alternatives, type Anchor, parseAlternatives, type Run } from '../lib/python/regex.ts'
import { isWordCode } from '../lib/python/unicode.ts'
import { MAX_RULE_PATTERN_LENGTH } from './constants.ts'

/** A rule's pattern that Python accepts. */
export class Pattern {
  readonly #alternatives: Alternatives

  constructor(alternatives: Alternatives) {
    this.#alternatives = alternatives
  }

  /** `re.match(text)`: true if the pattern fits from the beginning, whatever follows. */
  matches(text: string): boolean {
    return this.matchesCodes(codesOf(text))
  }

  /** The same for the code points of a text: many patterns are tried on one name. */
  matchesCodes(codes: readonly number[]): boolean {
    return this.#alternatives.some((items) => mayFit(items, codes) && fits(items, codes))
  }
}

/** The code points of a text. */
export function codesOf(text: string): readonly number[] {
  return Array.from(text, (character) => character.codePointAt(0) ?? 0)
}

/** False if the first character alone says that a row does not fit: most rules are done with at once. */
function mayFit([first]: Alternatives[number], [code]: readonly number[]): boolean {
  if (first?.kind !== 'run' || first.min === 0) return true
  return code !== undefined && setHas(first.set, code)
}

/** The pattern of a rule, or undefined if it voids the rules it stands in. */
export function compilePattern(pattern: string): Pattern | undefined {
  // Python counts code points: at most two UTF-16 units each.
  if (pattern === '' || pattern.length > 2 * MAX_RULE_PATTERN_LENGTH) return undefined
  if (pattern.includes('(') || pattern.includes(')')) return undefined
  if (pattern.length > MAX_RULE_PATTERN_LENGTH && Array.from(pattern).length > MAX_RULE_PATTERN_LENGTH) return undefined
  const alternatives = parseAlternatives(pattern)
  return alternatives === undefined ? undefined : new Pattern(alternatives)
}

/** Walks the row once, keeping every place in the text that a match may have reached. */
function fits(items: Alternatives[number], codes: readonly number[]): boolean {
  const walk = new Walk(codes)
  return items.every((item) => (item.kind === 'at' ? walk.stand(item.anchor) : walk.run(item)))
}

/** The places in a text that the items so far have reached; a step says whether any is left. */
class Walk {
  readonly #codes: readonly number[]
  /** 1 at each place reached. The two change roles with each step. */
  #reached: Uint8Array
  #next: Uint8Array
  /** How many characters of a run's set follow at each place; 0 at the end. */
  readonly #follow: Uint32Array

  constructor(codes: readonly number[]) {
    this.#codes = codes
    this.#reached = new Uint8Array(codes.length + 1)
    this.#next = new Uint8Array(codes.length + 1)
    this.#follow = new Uint32Array(codes.length + 1)
    this.#reached[0] = 1
  }

  /** Keeps the places where an anchor holds. */
  stand(anchor: Anchor): boolean {
    let any = false
    for (let place = 0; place <= this.#codes.length; place++) {
      if (this.#reached[place] === 0) continue
      if (holds(anchor, this.#codes, place)) any = true
      else this.#reached[place] = 0
    }
    return any
  }

  /** From each place reached, the set can be taken min to max times, as far as its characters last. */
  run(run: Run): boolean {
    const [reached, next, follow] = [this.#reached, this.#next, this.#follow]
    const end = this.#codes.length
    const first = reached.indexOf(1)
    this.#lookAhead(run, first)
    next.fill(0)
    let any = false
    // Intervals begin in ascending order, so what one has marked needs no second mark.
    let marked = 0
    for (let place = first; place <= end; place++) {
      const most = Math.min(follow[place] ?? 0, run.max)
      if (reached[place] === 0 || most < run.min) continue
      any = true
      if (run.possessive) next[place + most] = 1
      else for (marked = Math.max(marked, place + run.min); marked <= place + most; marked++) next[marked] = 1
    }
    this.#reached = next
    this.#next = reached
    return any
  }

  #lookAhead({ set }: Run, first: number): void {
    const [codes, follow] = [this.#codes, this.#follow]
    for (let place = codes.length - 1; place >= first; place--) {
      follow[place] = setHas(set, codes[place] ?? 0) ? (follow[place + 1] ?? 0) + 1 : 0
    }
  }
}

const NEWLINE = 10

function holds(anchor: Anchor, codes: readonly number[], index: number): boolean {
  switch (anchor) {
    case 'start':
      return index === 0
    case 'very end':
      return index === codes.length
    case 'end':
      // CONSENSUS: $ also matches before a newline at the end.
      return index === codes.length || (index === codes.length - 1 && codes[index] === NEWLINE)
    case 'boundary':
      return isBoundary(codes, index)
    default:
      // CONSENSUS: \B does not match in an empty text, although there is no boundary.
      return codes.length > 0 && !isBoundary(codes, index)
  }
}

function isBoundary(codes: readonly number[], index: number): boolean {
  return isWordAt(codes, index - 1) !== isWordAt(codes, index)
}

function isWordAt(codes: readonly number[], index: number): boolean {
  const code = codes[index]
  return code !== undefined && isWordCode(code)
}
