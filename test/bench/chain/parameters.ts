import { toHex } from '../../../src/lib/bytes.ts'
import { sha256 } from '../../../src/lib/hash.ts'

/** All that the bytes of a chain depend on. */
export interface ChainParameters {
  readonly seed: string
  /** Blocks with nothing but a coinbase, which come first: they mature, and make 2,016 headers a full answer. */
  readonly lightBlocks: number
  /** Blocks full of transactions. */
  readonly heavyBlocks: number
  /** Weight of heavy blocks, from and to. */
  readonly weight: readonly [number, number]
  /** Addresses that are far busier than all others; the first three are busier still. */
  readonly hotAddresses: number
  /** Addresses with about 1,000 transactions each. */
  readonly warmAddresses: number
  /** Outputs that the chain leaves alone, for benches that add transactions. */
  readonly walletOutputs: number
}

export const DEFAULT_PARAMETERS: ChainParameters = {
  seed: 'bench-1',
  lightBlocks: 1800,
  heavyBlocks: 300,
  weight: [2_600_000, 3_900_000],
  hotAddresses: 8,
  warmAddresses: 200,
  walletOutputs: 40_000,
}

/** Hash (as displayed) of the last block that the default parameters make: figures of two days are of one chain. */
export const DEFAULT_TIP = '2403a5cfc2fd2b9483164815c240b7d319401acccd78e7bca3729b2e0c9d587d'

export function isDefault(parameters: ChainParameters): boolean {
  return keyOf(parameters) === keyOf(DEFAULT_PARAMETERS)
}

/** A short name for chains of these parameters. */
export function keyOf(parameters: ChainParameters): string {
  return toHex(sha256(Buffer.from(JSON.stringify(parameters)))).slice(0, 12)
}
