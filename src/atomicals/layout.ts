/** Rows of the Atomicals index. Prefixes are shared with src/db/layout.ts: none may be used twice. */

import { bytes, type Field, list, listToEnd, optional, sized, struct, text, u8, u32, u40, varint } from '../db/codec.ts'
import { type AnyKeySpace, KeySpace, TXID_KEY_SIZE } from '../db/layout.ts'
import { ID_SIZE } from './ids.ts'
import type { DftTerms } from './mint/dft.ts'
import { descending, flag, id, name, oneOf } from './row-fields.ts'
import type { IdText } from './transfer/holding.ts'

/** What an atomical is, as rows of holdings repeat it. */
export type HeldKind = 'token' | 'nft' | 'immutable-nft'
const heldKind = oneOf<HeldKind>('kind', { token: 0, nft: 1, 'immutable-nft': 2 })

/** Key of what is known of an output. */
export interface PlaceKey {
  /** First bytes of the txid. */
  readonly txid: Uint8Array
  readonly vout: number
}

export interface HeldRow {
  readonly id: IdText
  readonly kind: HeldKind
  /** Token units; of an NFT satoshis. */
  readonly value: number
}

export interface LocationRow {
  readonly txNum: number
  readonly satoshis: number
  readonly script: Uint8Array
  /** Number of the transaction that spent it. */
  readonly spentBy: number | undefined
  /** What sits here, or sat until it was spent. */
  readonly held: readonly HeldRow[]
}

export const LOCATIONS = new KeySpace<PlaceKey, LocationRow>({
  name: 'atomicals locations',
  prefix: 'L',
  key: struct({ txid: bytes(TXID_KEY_SIZE), vout: u32 }),
  value: struct({
    txNum: u40,
    satoshis: varint,
    script: sized,
    spentBy: optional(u40),
    held: listToEnd(struct({ id, kind: heldKind, value: varint })),
  }),
  sentence: 'Outputs that atomicals sit at or sat at; those of sealed NFTs and of deploys with nothing held.',
})

export interface HolderRow {
  readonly value: number
  readonly satoshis: number
  readonly script: Uint8Array
}

export const HOLDERS = new KeySpace<{ readonly id: IdText; readonly location: IdText }, HolderRow>({
  name: 'atomicals holders',
  prefix: 'W',
  key: struct({ id, location: id }),
  value: struct({ value: varint, satoshis: varint, script: sized }),
  sentence: 'Where an atomical sits now: each unspent output with what it holds of it.',
})

/** Bytes of what stands for a script among the holders of a token: see holderOf in holder-sums. */
export const HOLDER_KEY_SIZE = 16

/** A script that holds units of a token. */
export interface HolderKey {
  readonly id: IdText
  readonly holder: Uint8Array
}

export const BALANCES = new KeySpace<HolderKey, { readonly units: number; readonly outputs: number }>({
  name: 'atomicals balances',
  prefix: 'b',
  key: struct({ id, holder: bytes(HOLDER_KEY_SIZE) }),
  value: struct({ units: varint, outputs: varint }),
  sentence: 'What a script holds of a token, and at how many unspent outputs.',
})

export const RANKS = new KeySpace<HolderKey & { readonly units: number }, { readonly script: Uint8Array }>({
  name: 'atomicals ranks',
  prefix: 'R',
  key: struct({ id, units: descending, holder: bytes(HOLDER_KEY_SIZE) }),
  value: struct({ script: sized }),
  sentence: 'Holders of a token, those of most units first.',
})

export const TOTALS = new KeySpace<
  { readonly id: IdText },
  { readonly holders: number; readonly outputs: number; readonly units: number }
>({
  name: 'atomicals totals',
  prefix: 't',
  key: struct({ id }),
  value: struct({ holders: varint, outputs: varint, units: varint }),
  sentence: 'Scripts that hold a token, the unspent outputs that it sits at, and the units there.',
})

/** Names that are told apart by the name alone. */
export type TopName = 'realm' | 'container' | 'ticker'
/** Names below a parent. */
export type SubName = 'subrealm' | 'dmitem'
export type NameKind = TopName | SubName
const topName = oneOf<TopName>('kind', { realm: 1, container: 2, ticker: 3 })
const subName = oneOf<SubName>('kind', { subrealm: 4, dmitem: 5 })
const nameKind = oneOf<NameKind>('kind', { realm: 1, container: 2, ticker: 3, subrealm: 4, dmitem: 5 })

export interface RequestRow {
  readonly kind: NameKind
  readonly name: string
  readonly parent: IdText | undefined
  /** A subrealm that its parent was spent for, without a rule. */
  readonly direct: boolean
}

export type AtomicalType = 'nft' | 'ft' | 'dft'

export interface AtomicalRow {
  readonly number: number
  readonly type: AtomicalType
  readonly immutable: boolean
  readonly commitTxNum: number
  readonly commitHeight: number
  readonly txNum: number
  readonly height: number
  /** 32 bytes, internal order. */
  readonly revealTxid: Uint8Array
  /** Satoshis and script of output 0 of the reveal. */
  readonly satoshis: number
  readonly script: Uint8Array
  readonly request: RequestRow | undefined
  readonly terms: DftTerms | undefined
}

const work = optional(text)
const ramp = optional(struct({ increment: u8, start: varint }))
const fixedTerms = struct({ commitWork: work, revealWork: work })
const perpetualTerms = struct({ vector: text, commit: ramp, reveal: ramp, maxMintsGlobal: optional(varint) })

const mode: Field<DftTerms['mode']> = {
  label: `0 and (${fixedTerms.label}) or 1 and (${perpetualTerms.label})`,
  fixed: false,
  size: (value) => 1 + (value.kind === 'fixed' ? fixedTerms.size(value) : perpetualTerms.size(value)),
  write: (value, target, offset) =>
    value.kind === 'fixed'
      ? fixedTerms.write(value, target, u8.write(0, target, offset))
      : perpetualTerms.write(value, target, u8.write(1, target, offset)),
  read: (cursor) =>
    u8.read(cursor) === 0
      ? { kind: 'fixed', ...fixedTerms.read(cursor) }
      : { kind: 'perpetual', ...perpetualTerms.read(cursor) },
}

export const ATOMICALS = new KeySpace<{ readonly id: IdText }, AtomicalRow>({
  name: 'atomicals',
  prefix: 'A',
  key: struct({ id }),
  value: struct({
    number: u32,
    type: oneOf<AtomicalType>('type', { nft: 0, ft: 1, dft: 2 }),
    immutable: flag,
    commitTxNum: u40,
    commitHeight: u32,
    txNum: u40,
    height: u32,
    revealTxid: bytes(32),
    satoshis: varint,
    script: sized,
    request: optional(struct({ kind: nameKind, name: text, parent: optional(id), direct: flag })),
    terms: optional(struct({ mintHeight: varint, mintAmount: varint, maxMints: varint, mode })),
  }),
  sentence: 'Every atomical as it was minted; its payload is that of its transaction.',
})

export const NUMBERS = new KeySpace<{ readonly number: number }, { readonly id: IdText }>({
  name: 'atomicals numbers',
  prefix: 'N',
  key: struct({ number: u32 }),
  value: struct({ id }),
  sentence: 'Atomicals in the order of their mints.',
})

export interface CandidateRow {
  readonly id: IdText
  readonly commitHeight: number
}

const candidate = struct({ id, commitHeight: u32 })

export const NAMES = new KeySpace<
  { readonly kind: TopName; readonly name: string; readonly txNum: number },
  CandidateRow
>({
  name: 'atomicals names',
  prefix: 'K',
  key: struct({ kind: topName, name, txNum: u40 }),
  value: candidate,
  sentence: 'Who asks for a realm, container or ticker, by the number of the commit transaction.',
  groupSize: 4,
})

export const SUBNAMES = new KeySpace<
  { readonly kind: SubName; readonly parent: IdText; readonly name: string; readonly txNum: number },
  CandidateRow
>({
  name: 'atomicals subnames',
  prefix: 'k',
  key: struct({ kind: subName, parent: id, name, txNum: u40 }),
  value: candidate,
  sentence: 'Who asks for a subrealm or an item, by parent and by the number of the commit transaction.',
  groupSize: 1 + 1 + ID_SIZE + 2,
})

/** How a subrealm or an item was paid for. */
export type PaymentKind = 'output' | 'parent' | 'work'

export interface PaymentRow {
  readonly txNum: number
  /** Of the marker, or of the mint where nothing was to be paid. */
  readonly location: IdText
  readonly kind: PaymentKind
}

export const PAYMENTS = new KeySpace<{ readonly id: IdText }, PaymentRow>({
  name: 'atomicals payments',
  prefix: 'P',
  key: struct({ id }),
  value: struct({
    txNum: u40,
    location: id,
    kind: oneOf<PaymentKind>('kind', { output: 0, parent: 1, work: 2 }),
  }),
  sentence: 'The first payment for a subrealm or an item.',
})

export type ChangeKind = 'mod' | 'evt'

export interface ChangeKey {
  readonly id: IdText
  readonly kind: ChangeKind
  readonly txNum: number
}

export interface ChangeRow {
  readonly height: number
  readonly txid: Uint8Array
  readonly vout: number
  /** The state that a mint begins with: its payload without args. */
  readonly initial: boolean
}

export const CHANGES = new KeySpace<ChangeKey, ChangeRow>({
  name: 'atomicals changes',
  prefix: 'M',
  key: struct({ id, kind: oneOf<ChangeKind>('kind', { mod: 0, evt: 1 }), txNum: u40 }),
  value: struct({ height: u32, txid: bytes(32), vout: u32, initial: flag }),
  sentence: 'Changes of state and events of an atomical; what they say is the payload of their transaction.',
  groupSize: 1 + ID_SIZE + 1,
})

export const SEALS = new KeySpace<{ readonly id: IdText }, { readonly location: IdText }>({
  name: 'atomicals seals',
  prefix: 'X',
  key: struct({ id }),
  value: struct({ location: id }),
  sentence: 'Where an NFT was sealed.',
})

export const MINT_COUNTS = new KeySpace<{ readonly id: IdText }, { readonly count: number }>({
  name: 'atomicals mint counts',
  prefix: 'C',
  key: struct({ id }),
  value: struct({ count: varint }),
  sentence: 'Mints of a distributed token so far.',
})

export const MINTS = new KeySpace<
  { readonly id: IdText; readonly location: IdText },
  { readonly value: number; readonly script: Uint8Array }
>({
  name: 'atomicals mints',
  prefix: 'D',
  key: struct({ id, location: id }),
  value: struct({ value: varint, script: sized }),
  sentence: 'Mints of a distributed token by location.',
})

/** What a transaction did, as the activity log names it. The numbers are those of the reference. */
export const ACTIVITY_CODES = {
  none: 0,
  'mint-dft': 1,
  'mint-ft': 2,
  'mint-nft': 3,
  'mint-nft-realm': 4,
  'mint-nft-subrealm': 5,
  'mint-nft-container': 6,
  'mint-nft-dmitem': 7,
  dft: 20,
  dat: 21,
  split: 22,
  splat: 23,
  seal: 24,
  evt: 25,
  mod: 26,
  'custom-color': 27,
  transfer: 30,
  'payment-subrealm': 40,
  'payment-dmitem': 41,
  'payment-subrealm-failed': 42,
  'payment-dmitem-failed': 43,
  'mint-dft-failed': 51,
} as const

export type ActivityName = keyof typeof ACTIVITY_CODES

export interface ActivityRow {
  readonly op: ActivityName
  readonly spent: readonly SpentRow[]
  readonly outputs: readonly OutputRow[]
  readonly burnt: readonly { readonly id: IdText; readonly value: number }[]
  readonly clean: boolean
  /** What was minted by it: the atomical, or the distributed token. */
  readonly minted: IdText | undefined
}

export interface SpentRow {
  readonly input: number
  readonly location: IdText
  readonly id: IdText
  readonly kind: HeldKind
  readonly value: number
}

export interface OutputRow {
  readonly output: number
  readonly id: IdText
  readonly kind: HeldKind
  readonly value: number
}

export const ACTIVITY = new KeySpace<{ readonly txNum: number }, ActivityRow>({
  name: 'atomicals activity',
  prefix: 'a',
  key: struct({ txNum: u40 }),
  value: struct({
    op: oneOf('operation', ACTIVITY_CODES),
    spent: list(struct({ input: varint, location: id, id, kind: heldKind, value: varint })),
    outputs: list(struct({ output: varint, id, kind: heldKind, value: varint })),
    burnt: list(struct({ id, value: varint })),
    clean: flag,
    minted: optional(id),
  }),
  sentence: 'What a transaction did to atomicals.',
})

export interface PayloadRow {
  readonly op: string
  readonly inputIndex: number
  readonly payload: Uint8Array
}

export const PAYLOADS = new KeySpace<{ readonly txNum: number }, PayloadRow>({
  name: 'atomicals payloads',
  prefix: 'p',
  key: struct({ txNum: u40 }),
  value: struct({ op: text, inputIndex: varint, payload: sized }),
  sentence: 'Operation and payload (CBOR) of each transaction that is in the Atomicals block hash.',
})

export interface BlockRow {
  readonly hash: Uint8Array
  /** Atomicals minted up to and with this block. */
  readonly count: number
  /** Number of the first transaction of the block. */
  readonly firstTxNum: number
  /** Positions in the block of the transactions that the hash is made of. */
  readonly positions: readonly number[]
}

export const BLOCKS = new KeySpace<{ readonly height: number }, BlockRow>({
  name: 'atomicals blocks',
  prefix: 'B',
  key: struct({ height: u32 }),
  value: struct({ hash: bytes(32), count: varint, firstTxNum: u40, positions: listToEnd(varint) }),
  sentence: 'Atomicals hash of each block from the start of the protocol on, and what it is made of.',
})

/** Every key space of the Atomicals index. */
export const ATOMICALS_SPACES: readonly AnyKeySpace[] = [
  LOCATIONS,
  HOLDERS,
  BALANCES,
  RANKS,
  TOTALS,
  ATOMICALS,
  NUMBERS,
  NAMES,
  SUBNAMES,
  PAYMENTS,
  CHANGES,
  SEALS,
  MINT_COUNTS,
  MINTS,
  ACTIVITY,
  PAYLOADS,
  BLOCKS,
]
