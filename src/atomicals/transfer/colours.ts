import type { IdText } from './holding.ts'

/** Token units by output, then by token; outputs and tokens in the order of assignment. */
export class TokenColours {
  readonly #outputs = new Map<number, Map<IdText, bigint>>()

  /** A token takes one amount of an output; a later assignment replaces an earlier one. */
  assign(output: number, id: IdText, value: bigint): void {
    const tokens = this.#outputs.get(output)
    if (tokens === undefined) this.#outputs.set(output, new Map([[id, value]]))
    else tokens.set(id, value)
  }

  get isEmpty(): boolean {
    return this.#outputs.size === 0
  }

  /** Units of a token at an output. */
  at(output: number, id: IdText): bigint | undefined {
    return this.#outputs.get(output)?.get(id)
  }

  *entries(): Generator<{ readonly output: number; readonly id: IdText; readonly value: bigint }> {
    for (const [output, tokens] of this.#outputs) for (const [id, value] of tokens) yield { output, id, value }
  }

  /** The token that was assigned first. */
  get first(): IdText | undefined {
    for (const { id } of this.entries()) return id
    return undefined
  }

  /** Units of each token in all. */
  totals(): Map<IdText, bigint> {
    const totals = new Map<IdText, bigint>()
    for (const { id, value } of this.entries()) totals.set(id, (totals.get(id) ?? 0n) + value)
    return totals
  }
}
