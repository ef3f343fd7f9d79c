import { type AtomicalsHeights, isActive } from './constants.ts'

/** Which rules are in force at a height. */
export interface AtomicalsRules {
  /** DMINT: items are checked, and colouring goes by the order of inputs. */
  readonly dmint: boolean
  readonly byInput: boolean
  /** COMMITZ: names and mints of tokens come from output 0 of the commit. */
  readonly commitZero: boolean
  /** DENSITY: bytes in args, more mints, perpetual tokens. */
  readonly density: boolean
  /** DFT_BITWORK_ROLLOVER: perpetual mints may meet the next full digit. */
  readonly rollover: boolean
  /** CUSTOM_COLORING: outputs are coloured in part, and `z` means something. */
  readonly partial: boolean
}

export function rulesAt(heights: AtomicalsHeights, height: number): AtomicalsRules {
  return {
    dmint: isActive(heights.dmint, height),
    byInput: isActive(heights.dmint, height),
    commitZero: isActive(heights.commitz, height),
    density: isActive(heights.density, height),
    rollover: isActive(heights.dftBitworkRollover, height),
    partial: isActive(heights.customColoring, height),
  }
}

/**
 * The heights as settings of a database (IndexOptions.settings): one that was made with others is refused, because other
 * rules made its rows.
 */
export function heightSettings(heights: AtomicalsHeights): Record<string, string> {
  return Object.fromEntries(Object.entries(heights).map(([rule, height]) => [`atomicals.${rule}`, String(height)]))
}
