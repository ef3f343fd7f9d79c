import { stripSpace, withAsciiDigits } from './unicode.ts'

const INT = /^[+-]?\d+(?:_\d+)*$/

/** Python refuses to read longer numbers from text. */
const MAX_DIGITS = 4300

/**
 * `int(text)`: white space around it, a sign, leading zeros, single underscores between digits and digits of other
 * scripts are fine. Undefined where Python raises.
 */
export function intOfText(text: string): bigint | undefined {
  const ascii = withAsciiDigits(stripSpace(text))
  if (!INT.test(ascii)) return undefined
  const digits = ascii.replace(/[+_-]/g, '')
  if (digits.length > MAX_DIGITS) return undefined
  return ascii.startsWith('-') ? -BigInt(digits) : BigInt(digits)
}
