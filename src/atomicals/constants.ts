/** Numbers of the Atomicals protocol, each with what it is for. Heights at which rules change depend on the network. */

/** First block height at which each change of the rules holds. */
export interface AtomicalsHeights {
  /** Anything at all. Commits below it are unknown, so nothing below it can be revealed. */
  readonly start: number
  /** Items of containers need a proof; colouring goes by order of inputs instead of by id. */
  readonly dmint: number
  /** Mints that ask for a name, and dmt, must come from output 0 of their commit. */
  readonly commitz: number
  /** Bytes allowed in `args`, more mints per token, perpetual tokens. */
  readonly density: number
  /** Mints of perpetual tokens may also meet the next full digit of work. */
  readonly dftBitworkRollover: number
  /** Partly coloured outputs, and the z operation. */
  readonly customColoring: number
}

export const MAINNET_HEIGHTS: AtomicalsHeights = {
  start: 808_080,
  dmint: 819_181,
  commitz: 822_800,
  density: 828_128,
  dftBitworkRollover: 828_628,
  customColoring: 848_484,
}

export const TESTNET3_HEIGHTS: AtomicalsHeights = {
  start: 2_505_238,
  dmint: 2_540_296,
  commitz: 2_543_936,
  density: 2_572_729,
  dftBitworkRollover: 2_576_412,
  customColoring: 2_584_936,
}

/** Signet inherits them in the reference. */
export const SIGNET_HEIGHTS = TESTNET3_HEIGHTS

export const TESTNET4_HEIGHTS: AtomicalsHeights = everythingFrom(27_000)

/** All rules from the first block on. The reference gives regtest the heights of testnet3, which no test reaches. */
export const REGTEST_HEIGHTS: AtomicalsHeights = everythingFrom(1)

function everythingFrom(height: number): AtomicalsHeights {
  return {
    start: height,
    dmint: height,
    commitz: height,
    density: height,
    dftBitworkRollover: height,
    customColoring: height,
  }
}

/** True if a rule that begins at height `from` holds at `height`. */
export function isActive(from: number, height: number): boolean {
  return height >= from
}

/** Blocks between commit and reveal of any mint: bounds how far back a commit can matter. */
export const MAX_REVEAL_DELAY = 100
/** Blocks between commit and reveal of a mint that asks for a name: nobody can sit on a name unseen. */
export const MAX_NAME_REVEAL_DELAY = 3
/** Blocks between the commit of a subrealm or item and its payment, about two and a half hours. */
export const MAX_PAYMENT_DELAY = 15
/** Rules count from the block after the one that set them. */
export const RULES_DELAY = 1

/** Rules of one parent: few enough to try each. */
export const MAX_RULES = 100
/** Code points of a rule's pattern. */
export const MAX_RULE_PATTERN_LENGTH = 100_000
/** The least that a rule may ask for; names can be given away. */
export const MIN_RULE_PRICE = 0n

/** Digits of work behind a realm, container or ticker. */
export const MIN_NAME_BITWORK_DIGITS = 4

/** Units per mint of a DFT: an output that relays, up to one bitcoin. */
export const MIN_MINT_AMOUNT = 546n
export const MAX_MINT_AMOUNT = 100_000_000n
export const MIN_MAX_MINTS = 1n
/** Before the density height. */
export const MAX_MAX_MINTS_LEGACY = 500_000n
/** From the density height on; also the most steps of a perpetual token (`maxg`). */
export const MAX_MAX_MINTS = 21_000_000n
/** Mints per step of a perpetual token. */
export const MAX_PERPETUAL_STEP_MINTS = 100_000n
/** A height above it is a time by mistake. */
export const MAX_MINT_HEIGHT = 10_000_000n

/** What the difficulty of a perpetual token may rise by per step, in sixteenths of a digit. */
export const MAX_BITWORK_INCREMENT = 64n
/** The difficulty that a perpetual token may start at, in sixteenths of a digit. */
export const MIN_BITWORK_START = 64n
export const MAX_BITWORK_START = 256n

/** The largest output index that a written id may have. */
export const MAX_ID_INDEX = 100_000n
/** The largest name of a realm, subrealm, container or item, in characters. */
export const MAX_NAME_LENGTH = 64
