import type { Sample } from './figures/ledger.ts'

const MIB = 1024 * 1024

export function megabytes(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}

/** What is said once a minute. */
export class MinuteLine {
  readonly #parts: string[] = []
  readonly #name: string

  constructor(minute: number | string) {
    this.#name = typeof minute === 'number' ? `minute ${minute}` : minute
  }

  add(...parts: readonly string[]): this {
    this.#parts.push(...parts)
    return this
  }

  addSample({ heapUsed, external, anonymous, descriptors, delayMs, starved }: Sample): this {
    const [heap, outside, memory] = [heapUsed, external, anonymous].map(megabytes)
    return this.add(`heap ${heap} MB`, `outside ${outside} MB`, `memory ${memory} MB`).add(
      `${descriptors} descriptors`,
      `delay p99 ${delayMs.toFixed(0)} ms`,
      `${(100 * starved).toFixed(0)} % without processor`,
    )
  }

  get text(): string {
    return `${this.#name}: ${this.#parts.join(', ')}`
  }
}
