import type { CborMap } from '../../lib/cbor/values.ts'
import {
  MAX_BITWORK_INCREMENT,
  MAX_BITWORK_START,
  MAX_MAX_MINTS,
  MAX_MAX_MINTS_LEGACY,
  MAX_MINT_AMOUNT,
  MAX_MINT_HEIGHT,
  MAX_PERPETUAL_STEP_MINTS,
  MIN_BITWORK_START,
  MIN_MAX_MINTS,
  MIN_MINT_AMOUNT,
} from '../constants.ts'
import { equalsInteger, integerOf, isTruthy, type MaybeValue, textOf } from '../python.ts'
import { tickerOf } from './ft.ts'
import { type CommonRequest, workOf } from './request.ts'

/** How a distributed token is minted. */
export interface DftTerms {
  readonly mintHeight: number
  /** Units of a mint: the value that its output 0 must have. */
  readonly mintAmount: number
  /** Mints in all; of a perpetual token: mints of each step. */
  readonly maxMints: number
  readonly mode: FixedMode | PerpetualMode
}

export interface FixedMode {
  readonly kind: 'fixed'
  /** Work strings asked of the commit and of the reveal of each mint. */
  readonly commitWork: string | undefined
  readonly revealWork: string | undefined
}

/** Work that grows with the number of mints. */
export interface PerpetualMode {
  readonly kind: 'perpetual'
  /** `bv` */
  readonly vector: string
  /** `bci`, `bcs`: sixteenths of a digit for each step, and at the start; undefined if no work is asked of the commit. */
  readonly commit: Ramp | undefined
  /** `bri`, `brs` */
  readonly reveal: Ramp | undefined
  /** `maxg` */
  readonly maxMintsGlobal: number | undefined
}

export interface Ramp {
  readonly increment: number
  readonly start: number
}

export interface DftRequest {
  readonly kind: 'dft'
  readonly common: CommonRequest
  readonly ticker: string
  readonly terms: DftTerms
}

/** What a `dft` asks for, or undefined if it is none. `density`: the rules of DENSITY are in force. */
export function dftRequest(common: CommonRequest, density: boolean): DftRequest | undefined {
  const { args } = common
  const ticker = tickerOf(common)
  const mintHeight = within(args.get('mint_height'), 0n, MAX_MINT_HEIGHT)
  const mintAmount = within(args.get('mint_amount'), MIN_MINT_AMOUNT, MAX_MINT_AMOUNT)
  const maxMints = within(args.get('max_mints'), MIN_MAX_MINTS, density ? MAX_MAX_MINTS : MAX_MAX_MINTS_LEGACY)
  if (ticker === undefined || mintHeight === undefined || mintAmount === undefined || maxMints === undefined)
    return undefined
  if (common.immutable) return undefined
  const mode = modeOf(args, maxMints, density)
  return mode === undefined
    ? undefined
    : { kind: 'dft', common, ticker, terms: { mintHeight, mintAmount, maxMints, mode } }
}

function modeOf(args: CborMap, maxMints: number, density: boolean): FixedMode | PerpetualMode | undefined {
  const commitWork = workText(args.get('mint_bitworkc'))
  const revealWork = workText(args.get('mint_bitworkr'))
  if (commitWork === 'invalid' || revealWork === 'invalid') return undefined
  const md = args.get('md')
  const perpetual = equalsInteger(md, 1n)
  if (!perpetual && !equalsInteger(md, 0n) && md !== undefined && md !== null) return undefined
  // CONSENSUS: before DENSITY a deploy with md 1 is an ordinary fixed one.
  if (!perpetual || !density) return { kind: 'fixed', commitWork: commitWork?.text, revealWork: revealWork?.text }
  if (commitWork !== undefined || revealWork !== undefined || BigInt(maxMints) > MAX_PERPETUAL_STEP_MINTS)
    return undefined
  return perpetualMode(args)
}

/** A work string that mints are asked for; undefined if none is. */
function workText(value: MaybeValue): { readonly text: string } | 'invalid' | undefined {
  if (!isTruthy(value)) return undefined
  return typeof value === 'string' && workOf(value) !== undefined ? { text: value } : 'invalid'
}

// CONSENSUS: the vector of a perpetual token may end in a line feed.
const VECTOR = /^[a-z0-9]+\n?$/

function perpetualMode(args: CborMap): PerpetualMode | undefined {
  const vector = textOf(args.get('bv'))
  if (vector === undefined || vector.length < 4 || !VECTOR.test(vector)) return undefined
  const commit = rampOf(args, 'bci', 'bcs')
  const reveal = rampOf(args, 'bri', 'brs')
  if (commit === 'invalid' || reveal === 'invalid' || (commit ?? reveal) === undefined) return undefined
  const maxg = args.get('maxg')
  const maxMintsGlobal = maxg === undefined || maxg === null ? undefined : within(maxg, MIN_MAX_MINTS, MAX_MAX_MINTS)
  if (maxg !== undefined && maxg !== null && maxMintsGlobal === undefined) return undefined
  return { kind: 'perpetual', vector, commit, reveal, maxMintsGlobal }
}

function rampOf(args: CborMap, incrementKey: string, startKey: string): Ramp | 'invalid' | undefined {
  const asked = args.get(incrementKey)
  if (asked === undefined || asked === null) return undefined
  const increment = within(asked, 0n, MAX_BITWORK_INCREMENT)
  if (increment === undefined) return 'invalid'
  if (increment === 0) return undefined
  const from = args.get(startKey)
  const start = within(from === undefined ? MIN_BITWORK_START : from, MIN_BITWORK_START, MAX_BITWORK_START)
  return start === undefined ? 'invalid' : { increment, start }
}

function within(value: MaybeValue, least: bigint, most: bigint): number | undefined {
  const whole = integerOf(value)
  return whole === undefined || whole < least || whole > most ? undefined : Number(whole)
}
