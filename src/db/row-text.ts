/**
 * Rows wait in memory as text of one character a byte: strings are what Map compares fastest, they cost the garbage
 * collector less than views of buffers, and equal rows are found equal by ===. At the edge to the store they are bytes.
 */
import { asBuffer, fromLatin1 } from '../lib/bytes.ts'

const SHORT = 256

/** Turns text into bytes in memory that the next call uses again: for what is copied at once. */
export class TextBytes {
  readonly #scratch = Buffer.alloc(SHORT)
  /** Views of the scratch memory by their length: making one costs more than filling it. */
  readonly #views = Array.from(
    { length: SHORT + 1 },
    (_, length) => new Uint8Array(this.#scratch.buffer, this.#scratch.byteOffset, length),
  )

  bytes(text: string): Uint8Array {
    const view = this.#views[text.length]
    if (view === undefined) return fromLatin1(text)
    this.#scratch.write(text, 0, 'latin1')
    return view
  }
}

/** One character a byte. */
export function textOf(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('latin1')
}
