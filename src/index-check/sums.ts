import { createHash } from 'node:crypto'

/** What is compared, each by the height that it belongs to. */
export const KINDS = {
  header: 'header row',
  ids: 'transaction ids',
  starts: 'input starts',
  inputs: 'inputs',
  tx: 'transaction lookup',
  history: 'history',
  utxo: 'unspent output',
  output: 'listed output',
  own: 'row of an index of the coin',
} as const
export type Kind = keyof typeof KINDS
const ALL_KINDS: readonly Kind[] = ['header', 'ids', 'starts', 'inputs', 'tx', 'history', 'utxo', 'output', 'own']

/** Where rows of one kind stand: a row is a text, the place a height; of the coin's own, the number of their key space. */
export type Take = (kind: Kind, height: number, row: string, sign: 1 | -1) => void

export interface Place {
  readonly kind: Kind
  readonly height: number
}

/** For each kind and height the sum of its rows' hashes, modulo 2^64. */
export class Sums {
  readonly #sums: Readonly<Record<Kind, BigUint64Array>>

  constructor(heights: number, ownSpaces: number) {
    const sums = (): BigUint64Array => new BigUint64Array(heights)
    this.#sums = {
      header: sums(),
      ids: sums(),
      starts: sums(),
      inputs: sums(),
      tx: sums(),
      history: sums(),
      utxo: sums(),
      output: new BigUint64Array(1),
      own: new BigUint64Array(ownSpaces),
    }
  }

  add(kind: Kind, height: number, row: string, sign: 1 | -1): void {
    const hash = createHash('sha256').update(row).digest().readBigUInt64LE()
    const at = kind === 'output' ? 0 : height
    const sums = this.#sums[kind]
    const sum = sums[at] ?? 0n
    sums[at] = sign === 1 ? sum + hash : sum - hash
  }

  /** Where what is wanted is not what is stored, lowest first. */
  places(): Place[] {
    const places: Place[] = []
    for (const kind of ALL_KINDS) {
      for (const [height, sum] of this.#sums[kind].entries()) if (sum !== 0n) places.push({ kind, height })
    }
    return places.sort((a, b) => a.height - b.height)
  }
}
