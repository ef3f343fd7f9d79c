import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../bytes.ts'

/** The reference reads longer texts in pieces of this many bytes. */
const PIECE = 65_536

/** Text of valid UTF-8 (a byte order mark is kept), or undefined if the bytes are none. */
export function decodeText(bytes: Uint8Array): string | undefined {
  if (bytes.length > PIECE) return decodeLongText(bytes)
  return isUtf8(bytes) ? asBuffer(bytes).toString('utf8') : undefined
}

// CONSENSUS: a text over 65,536 bytes whose pieces of that size split a character is refused if more than one piece
// follows the split, and an unfinished last character is dropped without an error.
function decodeLongText(bytes: Uint8Array): string | undefined {
  let text = ''
  let carried = 0
  for (let offset = 0; offset < bytes.length; offset += PIECE) {
    // Once a character was split, the reference's buffer is larger than a piece and its next read fails.
    const splitBefore = carried > 0
    const piece = bytes.subarray(offset - carried, offset + PIECE)
    carried = unfinishedBytes(piece)
    const whole = piece.subarray(0, piece.length - carried)
    if (!isUtf8(whole)) return undefined
    text += asBuffer(whole).toString('utf8')
    if (splitBefore && offset + PIECE < bytes.length) return undefined
  }
  return text
}

/** How many bytes at the end begin a character that could still become valid. */
function unfinishedBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const lead = bytes[bytes.length - back] ?? 0
    if (lead < 0x80) return 0
    if (lead < 0xc0) continue
    if (back >= sequenceLength(lead)) return 0
    return back === 1 || isSecond(lead, bytes[bytes.length - back + 1] ?? 0) ? back : 0
  }
  return 0
}

function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead < 0xe0) return 2
  if (lead >= 0xe0 && lead < 0xf0) return 3
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0
}

/**
 * Whether `second` may follow `lead`: excludes overlong forms and code points above 10FFFF. Two bytes of a surrogate
 * count as unfinished too, as Python has it.
 */
function isSecond(lead: number, second: number): boolean {
  if (lead === 0xe0) return second >= 0xa0
  if (lead === 0xf0) return second >= 0x90
  if (lead === 0xf4) return second < 0x90
  return true
}
