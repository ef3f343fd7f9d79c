/** After so many the soak ends: what follows says nothing new. */
const MOST = 20

/** What was wrong. Said at once, and kept for the end. */
export class Findings {
  readonly all: string[] = []
  readonly #say: (line: string) => void
  readonly #enough = new AbortController()

  constructor(say: (line: string) => void) {
    this.#say = say
  }

  /** Aborts when there is no use in going on. */
  get enough(): AbortSignal {
    return this.#enough.signal
  }

  add(text: string): void {
    if (this.all.length >= MOST) return
    this.all.push(text)
    this.#say(`WRONG (${new Date().toISOString()}): ${text}`)
    if (this.all.length >= MOST) this.#enough.abort()
  }

  /** As add(), and there is nothing to go on with. */
  fatal(text: string): void {
    this.add(text)
    this.#enough.abort()
  }
}
