import { LongText } from '../lib/long-text.ts'

/** Bytes of what is kept beside a text, rounded up. */
const TEXT_OVERHEAD = 150

interface KeptText {
  readonly form: string
  readonly text: string | LongText
}

/**
 * What readers made of the outputs of a script, by the form that they are told in: set by the first who makes it and the
 * same for everybody. It must follow from the outputs and from the blocks they are in, and from nothing else.
 */
export class OutputTexts {
  readonly #kept: KeptText[] = []
  readonly #grow: (bytes: number) => boolean

  /** `grow` hears how many bytes are to be kept now in all, and says whether there is room. */
  constructor(grow: (bytes: number) => boolean = () => true) {
    this.#grow = grow
  }

  /** Bytes kept, as estimated. */
  get bytes(): number {
    let bytes = 0
    for (const { text } of this.#kept) bytes += sizeOf(text)
    return bytes
  }

  get(form: string): string | LongText | undefined {
    for (const kept of this.#kept) if (kept.form === form) return kept.text
    return undefined
  }

  /** The one that was there in this form stays. */
  keep(form: string, text: string | LongText): void {
    if (this.get(form) === undefined && this.#grow(this.bytes + sizeOf(text))) this.#kept.push({ form, text })
  }
}

/** ASCII: a byte a character. */
function sizeOf(text: string | LongText): number {
  return TEXT_OVERHEAD + (text instanceof LongText ? text.byteLength : text.length)
}
