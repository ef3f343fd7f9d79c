import { CborMap } from '../../lib/cbor/values.ts'
import { type Bitwork, meetsBitwork, parseBitwork } from '../bitwork.ts'
import { MIN_NAME_BITWORK_DIGITS } from '../constants.ts'
import { idTextOfCompact } from '../id-text.ts'
import type { MaybeValue } from '../python.ts'
import { integerOf, isTruthy, mapOf, textOf } from '../python.ts'
import type { IdText, SpentHolding } from '../transfer/holding.ts'

/** Work that a payload declares, as its texts. */
export interface DeclaredWork {
  readonly commit: string | undefined
  readonly reveal: string | undefined
}

/** What is common to all mints. */
export interface CommonRequest {
  readonly args: CborMap
  /** `i` is true. */
  readonly immutable: boolean
  readonly work: DeclaredWork
}

/** Transactions that work is declared for: ids in internal order. */
export interface WorkedTxs {
  readonly commitTxid: Uint8Array
  readonly revealTxid: Uint8Array
}

const SECTIONS = ['meta', 'args', 'ctx', 'init'] as const

/** The arguments, if meta, args, ctx and init are maps where they are there; no arguments are an empty map. */
export function argsOf(payload: CborMap): CborMap | undefined {
  for (const name of SECTIONS) {
    const section = payload.get(name)
    if (section !== undefined && mapOf(section) === undefined) return undefined
  }
  return mapOf(payload.get('args')) ?? new CborMap()
}

/** What became of the work that args declare. */
export type WorkResult = { readonly kind: 'failed' } | { readonly kind: 'met'; readonly work: DeclaredWork }

/** Checks `bitworkc` and `bitworkr`; what is falsy is not asked for. */
export function checkWork(args: CborMap, txs: WorkedTxs): WorkResult {
  const commit = metWork(args.get('bitworkc'), txs.commitTxid)
  const reveal = commit.ok ? metWork(args.get('bitworkr'), txs.revealTxid) : commit
  if (!commit.ok || !reveal.ok) return { kind: 'failed' }
  return { kind: 'met', work: { commit: commit.declared, reveal: reveal.declared } }
}

function metWork(declared: MaybeValue, txid: Uint8Array): { readonly ok: boolean; readonly declared?: string } {
  if (!isTruthy(declared)) return { ok: true }
  const work = workOf(declared)
  if (typeof declared !== 'string' || work === undefined) return { ok: false }
  return meetsBitwork(txid, work) ? { ok: true, declared } : { ok: false }
}

/** A work string, read. */
export function workOf(declared: MaybeValue): Bitwork | undefined {
  return typeof declared === 'string' ? parseBitwork(declared) : undefined
}

/** Names that a mint may ask for, and whether asking takes work on the commit. */
const REQUESTS = [
  { key: 'request_realm', takesWork: true },
  { key: 'request_subrealm', takesWork: false },
  { key: 'request_container', takesWork: true },
  { key: 'request_ticker', takesWork: true },
  { key: 'request_dmitem', takesWork: false },
] as const

/**
 * Checks what all mints have in common. `spent` decides about parents; `anything` has them all. Undefined if there is no
 * mint.
 */
export function commonRequest(
  args: CborMap,
  txs: WorkedTxs,
  spent: readonly SpentHolding[] | 'anything',
): CommonRequest | undefined {
  const immutable = args.get('i')
  if (isTruthy(immutable) && immutable !== true) return undefined
  const work = checkWork(args, txs)
  if (work.kind === 'failed') return undefined
  const requests = REQUESTS.filter(({ key }) => isTruthy(args.get(key)))
  if (requests.length > 1) return undefined
  if (requests.some(({ takesWork }) => takesWork)) {
    const commit = workOf(work.work.commit)
    if (commit === undefined || commit.prefix.length < MIN_NAME_BITWORK_DIGITS) return undefined
  }
  if (spent !== 'anything' && !parentsAreSpent(args.get('parents'), spent)) return undefined
  return { args, immutable: immutable === true, work: work.work }
}

/** True if every parent named is spent along, with at least the satoshis that are asked of it. */
function parentsAreSpent(parents: MaybeValue, spent: readonly SpentHolding[]): boolean {
  if (!isTruthy(parents)) return true
  const named = mapOf(parents)
  if (named === undefined) return false
  for (const { key, value } of named.entries()) {
    const id = idTextOfCompact(textOf(key))
    const least = integerOf(value)
    if (id === undefined || least === undefined || least < 0n) return false
    if (!isSpentWith(id, least, spent)) return false
  }
  return true
}

function isSpentWith(id: IdText, least: bigint, spent: readonly SpentHolding[]): boolean {
  const own = spent.filter((holding) => holding.id === id)
  return own.length > 0 && own.reduce((sum, { satoshis }) => sum + satoshis, 0n) >= least
}
