import { isDigitCode, isSpaceCode, isWordCode } from './unicode.ts'

/** `\d`, `\s`, `\w` and, in upper case, everything else. */
export type Category = 'd' | 'D' | 's' | 'S' | 'w' | 'W'

/** One character of a text, by code point: a literal, the dot, or what stands in square brackets. */
export interface CharSet {
  readonly negated: boolean
  /** Inclusive, in pairs: first, last. */
  readonly ranges: readonly number[]
  readonly categories: readonly Category[]
}

const NEWLINE = 10

export const ANY_BUT_NEWLINE: CharSet = { negated: true, ranges: [NEWLINE, NEWLINE], categories: [] }

export function literal(code: number): CharSet {
  return { negated: false, ranges: [code, code], categories: [] }
}

export function category(name: Category): CharSet {
  return { negated: false, ranges: [], categories: [name] }
}

export function setHas(set: CharSet, code: number): boolean {
  return isListed(set, code) !== set.negated
}

function isListed({ ranges, categories }: CharSet, code: number): boolean {
  for (let index = 0; index < ranges.length; index += 2) {
    if (code >= (ranges[index] ?? 0) && code <= (ranges[index + 1] ?? 0)) return true
  }
  return categories.some((name) => isInCategory(name, code))
}

function isInCategory(name: Category, code: number): boolean {
  switch (name) {
    case 'd':
      return isDigitCode(code)
    case 'D':
      return !isDigitCode(code)
    case 's':
      return isSpaceCode(code)
    case 'S':
      return !isSpaceCode(code)
    case 'w':
      return isWordCode(code)
    default:
      return !isWordCode(code)
  }
}
