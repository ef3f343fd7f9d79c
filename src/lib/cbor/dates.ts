import { asBuffer } from '../bytes.ts'
import { withAsciiDigits } from '../python/unicode.ts'
import { CborDate, CborDateTime } from './values.ts'

const DAY_SECONDS = 86_400
const MIN_DAYS = -719_162
const MAX_DAYS = 2_932_896
const MIN_SECONDS = MIN_DAYS * DAY_SECONDS
const MAX_SECONDS = (MAX_DAYS + 1) * DAY_SECONDS - 1

const MAX_UINT64 = 0xffff_ffff_ffff_ffffn

const DATE_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)\n?$/
const DATE = /^\d{4}-\d\d-\d\d/

/** Days since 1970-01-01, or undefined if there is no such day in the years 1 to 9999. */
function daysOf(year: number, month: number, day: number): number | undefined {
  if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1) return undefined
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined
  return date.getTime() / (DAY_SECONDS * 1000)
}

/** Reads ASCII digits as C's strtoul does: the number (0 without digits) and where they end. */
function digitsAt(bytes: Uint8Array, offset: number): [value: bigint, end: number] {
  let end = offset
  while (isDigit(bytes[end])) end++
  let start = offset
  while (start < end && bytes[start] === 0x30) start++
  if (end - start > 20) return [MAX_UINT64, end]
  const value = BigInt(asBuffer(bytes.subarray(start, end)).toString('latin1') || '0')
  return [value > MAX_UINT64 ? MAX_UINT64 : value, end]
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39
}

function intAt(bytes: Uint8Array, offset: number): number {
  return Number(BigInt.asIntN(32, digitsAt(bytes, offset)[0]))
}

function has(bytes: Uint8Array, offset: number, character: string): boolean {
  return bytes[offset] === character.charCodeAt(0)
}

/**
 * Tag 0, or undefined if the reference refuses the text.
 * The reference checks characters but then reads bytes, so digits of other scripts pass only in places where it
 * reads none (the zone, where they count as 0).
 */
export function dateTimeOfText(text: string): CborDateTime | undefined {
  if (!DATE_TIME.test(withAsciiDigits(text))) return undefined
  const bytes = asBuffer(Buffer.from(text, 'utf8'))
  const marks: readonly [number, string][] = [
    [4, '-'],
    [7, '-'],
    [10, 'T'],
    [13, ':'],
    [16, ':'],
  ]
  if (!marks.every(([offset, mark]) => has(bytes, offset, mark))) return undefined
  const days = daysOf(intAt(bytes, 0), intAt(bytes, 5), intAt(bytes, 8))
  const hour = intAt(bytes, 11)
  const minute = intAt(bytes, 14)
  const [second, secondEnd] = digitsAt(bytes, 17)
  const fraction = fractionAt(bytes, secondEnd)
  const zone = zoneAt(bytes, fraction.end)
  if (days === undefined || zone === undefined || hour > 23 || minute > 59 || second > 59n) return undefined
  const seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + Number(second) - zone * 60
  return new CborDateTime(BigInt(seconds) * 1_000_000n + BigInt(fraction.micros), zone)
}

function fractionAt(bytes: Uint8Array, offset: number): { micros: number; end: number } {
  if (!has(bytes, offset, '.')) return { micros: 0, end: offset }
  let end = offset + 1
  let micros = 0
  for (let scale = 100_000; isDigit(bytes[end]); end++) {
    micros += ((bytes[end] ?? 0) - 0x30) * scale
    scale = Math.floor(scale / 10)
  }
  return { micros, end }
}

/** Minutes east of UTC, or undefined where there is no zone, or one of a day or more. */
function zoneAt(bytes: Uint8Array, offset: number): number | undefined {
  if (has(bytes, offset, 'Z')) return 0
  const negative = has(bytes, offset, '-')
  if (!negative && !has(bytes, offset, '+')) return undefined
  const [hours, hoursEnd] = digitsAt(bytes, offset + 1)
  const [minutes] = digitsAt(bytes, hoursEnd + 1)
  const total = Number(hours) * 60 + Number(minutes)
  if (total >= 1440) return undefined
  return negative ? -total : total
}

/** Tag 1 of an int or a float (seconds since 1970), or undefined if it lies outside the years 1 to 9999. */
export function dateTimeOfSeconds(seconds: bigint | number): CborDateTime | undefined {
  const [whole, micros] = typeof seconds === 'bigint' ? [seconds, 0] : splitSeconds(seconds)
  if (whole === undefined || whole < BigInt(MIN_SECONDS) || whole > BigInt(MAX_SECONDS)) return undefined
  return new CborDateTime(whole * 1_000_000n + BigInt(micros), 0)
}

/** Whole seconds and microseconds of a float, half a microsecond rounded to even. */
function splitSeconds(seconds: number): [whole: bigint | undefined, micros: number] {
  if (!Number.isFinite(seconds)) return [undefined, 0]
  let whole = Math.trunc(seconds)
  let micros = roundHalfEven((seconds - whole) * 1e6)
  if (micros >= 1e6) {
    micros -= 1e6
    whole += 1
  } else if (micros < 0) {
    micros += 1e6
    whole -= 1
  }
  return [BigInt(whole), micros]
}

function roundHalfEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value - Math.trunc(value)) === 0.5 ? 2 * Math.round(value / 2) : rounded
}

/** Tag 100: days since 1970-01-01. */
export function dateOfDays(days: bigint): CborDate | undefined {
  return days < BigInt(MIN_DAYS) || days > BigInt(MAX_DAYS) ? undefined : new CborDate(Number(days))
}

/** Tag 1004. Only the beginning of the text has to be a date; the day then takes all digits that follow. */
export function dateOfText(text: string): CborDate | undefined {
  if (!DATE.test(withAsciiDigits(text))) return undefined
  const bytes = asBuffer(Buffer.from(text, 'utf8'))
  if (!has(bytes, 4, '-') || !has(bytes, 7, '-')) return undefined
  const days = daysOf(intAt(bytes, 0), intAt(bytes, 5), intAt(bytes, 8))
  return days === undefined ? undefined : new CborDate(days)
}
