import type { SeededRandom } from '../../support/crash-random.ts'
import type { TaprootKey } from '../../support/taproot.ts'
import type { Oracle } from '../chain/oracle.ts'

/** No branch of a soak goes deeper. */
export const SETTLED_DEPTH = 12

/** What clients have heard of the chain, to ask about. */
export interface Knowledge {
  readonly oracle: Oracle
  readonly keys: readonly TaprootKey[]
  /** With the longest history. */
  readonly busiest: TaprootKey
  readonly atomicals: readonly string[]
  readonly random: SeededRandom
}

export function someHex({ random }: Knowledge, bytes: number): string {
  return Buffer.from(random.bytes(bytes)).toString('hex')
}

/** A height whose block does not change any more. */
export function settledHeight({ oracle, random }: Knowledge, least = 0): number {
  return random.between(least, Math.max(least, oracle.height - SETTLED_DEPTH))
}

/** The id of a transaction in a block, mostly a late one; now and then of none. */
export function someTxid(known: Knowledge): string {
  const { oracle, random } = known
  if (random.chance(0.2)) return someHex(known, 32)
  const txids = oracle.txids(oracle.height - random.between(0, Math.min(100, oracle.height)))
  return txids.length === 0 ? someHex(known, 32) : random.pick(txids)
}

export function someScripthash(known: Knowledge): string {
  return known.random.chance(0.3) ? someHex(known, 32) : known.random.pick(known.keys).scripthash
}

export function someScript(known: Knowledge): string {
  if (known.random.chance(0.3)) return `0014${someHex(known, 20)}`
  return Buffer.from(known.random.pick(known.keys).script).toString('hex')
}

export function someAtomical(known: Knowledge): string {
  const { atomicals, random } = known
  return atomicals.length === 0 || random.chance(0.2) ? `${someHex(known, 32)}i0` : random.pick(atomicals)
}
