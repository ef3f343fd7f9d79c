import type { AtomicalRow, ChangeKind, HeldRow, NameKind, PaymentRow } from './layout.ts'
import type { IdText } from './transfer/holding.ts'

/** What a step of a transaction does to the index. Steps return effects; the ledger alone writes them. */
export type Effect =
  /** An atomical, or some units, come to sit at an output. What sits there of the same atomical is replaced. */
  | { readonly kind: 'hold'; readonly output: number; readonly held: HeldRow }
  /** An output becomes known although nothing is held there. */
  | { readonly kind: 'show'; readonly output: number }
  /** The payload changes the state of an atomical, or is an event of it. */
  | { readonly kind: 'change'; readonly id: IdText; readonly change: ChangeKind; readonly output: number }
  /** The payload without its args is the first state of an atomical. */
  | { readonly kind: 'begin'; readonly id: IdText }
  | { readonly kind: 'seal'; readonly id: IdText; readonly output: number }
  /** A new atomical, with the next number. */
  | { readonly kind: 'mint'; readonly id: IdText; readonly row: Omit<AtomicalRow, 'number'> }
  /** A mint of a distributed token at output 0. */
  | { readonly kind: 'distribute'; readonly id: IdText }
  | {
      readonly kind: 'candidate'
      readonly name: NameKind
      readonly text: string
      readonly parent: IdText | undefined
      readonly txNum: number
      readonly id: IdText
      readonly commitHeight: number
    }
  | { readonly kind: 'pay'; readonly id: IdText; readonly payment: PaymentRow }
