import { asBuffer } from './bytes.ts'

/** Bytes from which on a text is worth keeping in the form it is sent in: below that it is copied faster than handled. */
const LONG = 16 * 1024

/**
 * A long text of which most is kept as the bytes that are sent, so that it can be sent again and again, and with other
 * words around it, without a copy being made. What is `body` must not change.
 */
export class LongText {
  readonly before: string
  /** UTF-8. */
  readonly body: Uint8Array
  readonly behind: string

  constructor(before: string, body: Uint8Array, behind: string) {
    this.before = before
    this.body = body
    this.behind = behind
  }

  /** Text that must be ASCII, as a LongText if it is long, else in one piece: a byte a character, to be kept. */
  static ofAscii(text: string): string | LongText {
    const body = Buffer.from(text, 'latin1')
    // V8 keeps what was put together with `+` as a tree of its parts, four times as large where the parts are short.
    return text.length < LONG ? body.toString('latin1') : new LongText('', body, '')
  }

  /** The same of ASCII as bytes, which must not change. */
  static of(ascii: Uint8Array): string | LongText {
    return ascii.length < LONG ? asBuffer(ascii).toString('latin1') : new LongText('', ascii, '')
  }

  /** In UTF-8. */
  get byteLength(): number {
    return Buffer.byteLength(this.before) + this.body.length + Buffer.byteLength(this.behind)
  }

  /** The same with more around it; the body is shared. */
  within(before: string, behind: string): LongText {
    return new LongText(`${before}${this.before}`, this.body, `${this.behind}${behind}`)
  }

  /** A copy of the whole, in UTF-8. */
  toBytes(): Buffer {
    return Buffer.concat([Buffer.from(this.before), this.body, Buffer.from(this.behind)])
  }

  toString(): string {
    return `${this.before}${asBuffer(this.body).toString('utf8')}${this.behind}`
  }
}

/** `text` with `before` and `behind` around it. */
export function within(before: string, text: string | LongText, behind: string): string | LongText {
  return typeof text === 'string' ? `${before}${text}${behind}` : text.within(before, behind)
}
