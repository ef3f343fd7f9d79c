import { invariant } from '../errors.ts'
import { toLatin1 } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'
import { BALANCES, HOLDER_KEY_SIZE, type HolderKey, RANKS, TOTALS } from './layout.ts'
import type { EditableRows } from './rows.ts'
import type { IdText } from './transfer/holding.ts'

/** Outputs of a token that come or go, and the units at them. */
export interface SumChange {
  readonly units: number
  readonly outputs: number
}

/** Where a ledger notes what scripts get and give of tokens. */
export interface TokenSums {
  /** Notes a change, which is written by settle(). */
  add(id: IdText, script: Uint8Array, change: SumChange): void
  /** Writes what was noted. */
  settle(): void
}

/** For rows that nobody asks who holds how much. */
export const NO_SUMS: TokenSums = { add() {}, settle() {} }

interface HolderChange {
  readonly key: HolderKey
  readonly script: Uint8Array
  units: number
  outputs: number
}

/** What stands for a script among the holders of a token. */
export function holderOf(script: Uint8Array): Uint8Array {
  return sha256(script).subarray(0, HOLDER_KEY_SIZE)
}

/**
 * What scripts hold of tokens, as rows: to say who holds most of a token with a hundred thousand holders, or how many
 * there are, nobody has to add up its outputs. Changes of one step of a transaction are collected, so that a thousand
 * outputs of one script are one change of its rows.
 */
export class HolderSums implements TokenSums {
  readonly #rows: EditableRows
  readonly #changes = new Map<string, HolderChange>()

  constructor(rows: EditableRows) {
    this.#rows = rows
  }

  add(id: IdText, script: Uint8Array, { units, outputs }: SumChange): void {
    const text = id + toLatin1(script)
    const known = this.#changes.get(text)
    if (known === undefined) this.#changes.set(text, { key: { id, holder: holderOf(script) }, script, units, outputs })
    else {
      known.units += units
      known.outputs += outputs
    }
  }

  settle(): void {
    if (this.#changes.size === 0) return
    for (const change of this.#changes.values()) this.#write(change)
    this.#changes.clear()
  }

  #write({ key, script, units, outputs }: HolderChange): void {
    if (units === 0 && outputs === 0) return
    const rows = this.#rows
    const before = rows.get(BALANCES, key)
    const after = { units: (before?.units ?? 0) + units, outputs: (before?.outputs ?? 0) + outputs }
    invariant(after.units >= 0 && after.outputs >= 0, 'a script gives away more of a token than it has')
    if (before !== undefined && before.units !== after.units) rows.remove(RANKS, { units: before.units, ...key })
    if (after.outputs === 0) {
      rows.remove(RANKS, { units: after.units, ...key })
      rows.remove(BALANCES, key)
    } else {
      rows.put(BALANCES, key, after)
      if (before?.units !== after.units) rows.put(RANKS, { units: after.units, ...key }, { script })
    }
    const holders = (after.outputs === 0 ? 0 : 1) - (before === undefined ? 0 : 1)
    const totals = rows.get(TOTALS, { id: key.id }) ?? { holders: 0, outputs: 0, units: 0 }
    rows.put(
      TOTALS,
      { id: key.id },
      { holders: totals.holders + holders, outputs: totals.outputs + outputs, units: totals.units + units },
    )
  }
}

/** Key of the row of a holder in the order of units, without the prefix. */
export function rankKey(
  id: IdText,
  { units, script }: { readonly units: number; readonly script: Uint8Array },
): Uint8Array {
  return RANKS.keyBytes({ id, units, holder: holderOf(script) }).subarray(1)
}
