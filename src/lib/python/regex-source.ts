/** Why Python refuses a pattern. It never leaves the parser's front door. */
export class RegexError extends Error {
  override readonly name = 'RegexError'
}

/** A pattern in tokens: a character, or a backslash with the character after it. */
export class RegexSource {
  readonly isText: boolean
  readonly #characters: readonly string[]
  #index = 0
  /** The next token; undefined at the end. */
  next: string | undefined

  constructor(pattern: string | Uint8Array) {
    this.isText = typeof pattern === 'string'
    this.#characters = Array.from(typeof pattern === 'string' ? pattern : Buffer.from(pattern).toString('latin1'))
    this.#advance()
  }

  #advance(): void {
    const character = this.#characters[this.#index]
    this.next = character
    if (character === undefined) return
    this.#index++
    if (character !== '\\') return
    const escaped = this.#characters[this.#index]
    if (escaped === undefined) throw new RegexError('backslash at the end')
    this.next = character + escaped
    this.#index++
  }

  /** Where the next token begins. */
  tell(): number {
    return this.#index - (this.next === undefined ? 0 : Array.from(this.next).length)
  }

  seek(index: number): void {
    this.#index = index
    this.#advance()
  }

  take(): string | undefined {
    const token = this.next
    this.#advance()
    return token
  }

  /** Takes the next token or throws. */
  need(): string {
    return this.take() ?? fail('unexpected end')
  }

  /** Takes the next token if it is `token`. */
  match(token: string): boolean {
    if (this.next !== token) return false
    this.#advance()
    return true
  }

  /** Takes up to `count` tokens of one of the characters in `set`. */
  takeWhile(count: number, set: string): string {
    let taken = ''
    for (let left = count; left > 0 && this.nextIsOneOf(set); left--) taken += this.take() ?? ''
    return taken
  }

  nextIsOneOf(set: string): boolean {
    return this.next?.length === 1 && set.includes(this.next)
  }

  /** Takes what stands before `end`, which must not be nothing, and `end`. */
  takeUntil(end: string): string {
    const parts: string[] = []
    for (let token = this.need(); token !== end; token = this.need()) parts.push(token)
    return parts.length === 0 ? fail('missing name') : parts.join('')
  }
}

export function fail(why: string): never {
  throw new RegexError(why)
}
