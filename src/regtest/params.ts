/** Regtest's consensus constants, as Bitcoin Core has them (chainparams.cpp, consensus/consensus.h). */

/** The genesis block of regtest: header, then its one transaction. */
export const GENESIS_HEX =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61' +
  '7fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f20020000000101000000010000000000000000000000000000000000000' +
  '000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e' +
  '63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a0' +
  '1000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec1' +
  '12de5c384df7ba0b8d578a4c702b6bf11d5fac00000000'

/** The easiest target there is; regtest never retargets, so every block has these bits. */
export const BITS = 0x207f_ffff
/** Blocks until a coinbase output may be spent. */
export const COINBASE_MATURITY = 100
/** Blocks between halvings of the subsidy. */
export const HALVING_INTERVAL = 150
/** Satoshis that can ever exist; no value and no sum of values is larger. */
export const MAX_MONEY = 21_000_000n * 100_000_000n
export const MAX_BLOCK_WEIGHT = 4_000_000
export const MAX_BLOCK_SIGOPS_COST = 80_000
/** Header times may be this many seconds ahead of the clock. */
export const MAX_FUTURE_SECONDS = 2 * 60 * 60
/** Headers whose median is the time that lock times are compared with (BIP113). */
export const MEDIAN_TIME_SPAN = 11
/** Lock times below are heights, others seconds since 1970. */
export const LOCKTIME_THRESHOLD = 500_000_000
/** Scripts above are unspendable. */
export const MAX_SCRIPT_SIZE = 10_000

/** Satoshis that the coinbase of the block at `height` may create in addition to fees. */
export function subsidyAt(height: number): bigint {
  const halvings = Math.floor(height / HALVING_INTERVAL)
  return halvings >= 64 ? 0n : 5_000_000_000n >> BigInt(halvings)
}
