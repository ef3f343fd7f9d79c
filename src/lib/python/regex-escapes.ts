import { type Category, type CharSet, category, literal } from './charset.ts'
import { fail, type RegexSource } from './regex-source.ts'
import { namedCharacter } from './unicode-names.ts'

export const DIGITS = '0123456789'
const OCTAL_DIGITS = '01234567'
const HEX_DIGITS = '0123456789abcdefABCDEF'

const CONTROLS: ReadonlyMap<string, number> = new Map([
  ['\\a', 7],
  ['\\b', 8],
  ['\\f', 12],
  ['\\n', 10],
  ['\\r', 13],
  ['\\t', 9],
  ['\\v', 11],
  ['\\\\', 92],
])

const CATEGORIES: ReadonlyMap<string, Category> = new Map([
  ['\\d', 'd'],
  ['\\D', 'D'],
  ['\\s', 's'],
  ['\\S', 'S'],
  ['\\w', 'w'],
  ['\\W', 'W'],
])

/** The set that an escape in square brackets, or a literal one outside of them, stands for. */
export function classEscape(source: RegexSource, escape: string): CharSet {
  const named = CATEGORIES.get(escape)
  if (named !== undefined) return category(named)
  return literal(CONTROLS.get(escape) ?? numericEscape(source, escape) ?? octalEscape(source, escape))
}

/** An escape outside of square brackets that is no assertion: a set, or the number of a group it refers to. */
export function escapeOrReference(source: RegexSource, escape: string): CharSet | number {
  const named = CATEGORIES.get(escape)
  if (named !== undefined) return category(named)
  const code = CONTROLS.get(escape) ?? numericEscape(source, escape)
  return code === undefined ? referenceOrOctal(source, escape) : literal(code)
}

/** Hexadecimal and named escapes, and characters that stand for themselves; undefined before a digit. */
function numericEscape(source: RegexSource, escape: string): number | undefined {
  const letter = escape.slice(1)
  if (letter === 'x') return hexEscape(source, 2)
  if (source.isText && letter === 'u') return hexEscape(source, 4)
  if (source.isText && letter === 'U') return hexEscape(source, 8)
  if (source.isText && letter === 'N') return nameEscape(source)
  if (DIGITS.includes(letter)) return undefined
  return /^[A-Za-z]$/.test(letter) ? fail('bad escape') : letter.codePointAt(0)
}

function hexEscape(source: RegexSource, digits: number): number {
  const taken = source.takeWhile(digits, HEX_DIGITS)
  if (taken.length !== digits) return fail('incomplete escape')
  const code = Number.parseInt(taken, 16)
  return code > 0x10ffff ? fail('no such code point') : code
}

function nameEscape(source: RegexSource): number {
  if (!source.match('{')) return fail('missing {')
  return namedCharacter(source.takeUntil('}')) ?? fail('undefined character name')
}

function octalEscape(source: RegexSource, escape: string): number {
  const first = escape.slice(1)
  if (!OCTAL_DIGITS.includes(first)) return fail('bad escape')
  return octal(first + source.takeWhile(2, OCTAL_DIGITS))
}

function octal(digits: string): number {
  const code = Number.parseInt(digits, 8)
  return code > 0o377 ? fail('octal escape above 0o377') : code
}

/** `\0` and three octal digits are characters; other numbers of one or two digits refer to groups. */
function referenceOrOctal(source: RegexSource, escape: string): CharSet | number {
  let digits = escape.slice(1)
  if (digits === '0') return literal(octal(digits + source.takeWhile(2, OCTAL_DIGITS)))
  if (source.nextIsOneOf(DIGITS)) {
    digits += source.need()
    const isOctal = Array.from(digits).every((digit) => OCTAL_DIGITS.includes(digit))
    if (isOctal && source.nextIsOneOf(OCTAL_DIGITS)) return literal(octal(digits + source.need()))
  }
  return Number.parseInt(digits, 10)
}
