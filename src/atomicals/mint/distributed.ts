import type { CborMap } from '../../lib/cbor/values.ts'
import { bitworkOfTarget, meetsBitwork, nextBitwork, parseBitwork } from '../bitwork.ts'
import { isTicker } from '../names.ts'
import { textOf } from '../python.ts'
import type { DftTerms, PerpetualMode, Ramp } from './dft.ts'
import type { WorkedTxs } from './request.ts'

/** The ticker that a `dmt` mints of, or undefined if it names none. */
export function mintTicker(args: CborMap): string | undefined {
  const ticker = textOf(args.get('mint_ticker'))
  return ticker !== undefined && isTicker(ticker) ? ticker : undefined
}

/** A mint of a distributed token as it stands in the chain. */
export interface DistributedMint {
  readonly height: number
  /** Undefined if the commit is not known. */
  readonly commitHeight: number | undefined
  readonly commitIndex: number
  /** Satoshis of output 0. */
  readonly value: bigint
  readonly txs: WorkedTxs
}

/** Rules of the height. */
export interface DistributedRules {
  /** From COMMITZ: the commit is output 0. */
  readonly commitZero: boolean
  /** From DFT_BITWORK_ROLLOVER: the next full digit will do too. */
  readonly rollover: boolean
}

/** `failed` is noted as a failed mint, `ignored` is not. */
export type DistributedResult = 'minted' | 'failed' | 'ignored'

/** Whether a mint counts, after `count` mints before it. */
export function judgeDistributed(
  terms: DftTerms,
  mint: DistributedMint,
  count: () => number,
  rules: DistributedRules,
): DistributedResult {
  if (mint.height < terms.mintHeight) return 'ignored'
  if (mint.commitHeight === undefined || mint.commitHeight < terms.mintHeight) return 'ignored'
  if (rules.commitZero && mint.commitIndex !== 0) return 'ignored'
  if (mint.value !== BigInt(terms.mintAmount)) return 'failed'
  const { mode } = terms
  if (mode.kind === 'perpetual') return judgePerpetual(mode, terms.maxMints, mint.txs, count(), rules.rollover)
  if (count() >= terms.maxMints) return 'failed'
  const met = isMet(mode.commitWork, mint.txs.commitTxid) && isMet(mode.revealWork, mint.txs.revealTxid)
  return met ? 'minted' : 'ignored'
}

function isMet(asked: string | undefined, txid: Uint8Array): boolean {
  if (asked === undefined) return true
  const work = parseBitwork(asked)
  return work !== undefined && meetsBitwork(txid, work)
}

function judgePerpetual(
  mode: PerpetualMode,
  maxMints: number,
  txs: WorkedTxs,
  count: number,
  rollover: boolean,
): DistributedResult {
  if (mode.maxMintsGlobal !== undefined && count >= mode.maxMintsGlobal) return 'ignored'
  if (mode.commit !== undefined) {
    const asked = rampedWork(mode.vector, mode.commit, count, maxMints)
    if (!meetsRamped(asked, mode.vector, txs.commitTxid, rollover)) return 'ignored'
  }
  // CONSENSUS: the work that bri asks of the reveal is never enforced.
  if (mode.reveal !== undefined && rollover) {
    const asked = rampedWork(mode.vector, mode.reveal, count, maxMints)
    // Where the vector is no hex the reference halts instead.
    if (parseBitwork(asked) === undefined) return 'ignored'
  }
  return 'minted'
}

/** The work string that is asked after `count` mints. */
export function rampedWork(vector: string, { increment, start }: Ramp, count: number, maxMints: number): string {
  return bitworkOfTarget(vector, start + Math.floor(count / maxMints) * increment)
}

function meetsRamped(asked: string, vector: string, txid: Uint8Array, rollover: boolean): boolean {
  const work = parseBitwork(asked)
  if (work === undefined) return false
  return meetsBitwork(txid, work) || (rollover && isMet(nextBitwork(vector, work), txid))
}
