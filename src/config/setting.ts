import type { z } from 'zod'

/** One entry of the table: how a setting is written, read, and put into words. */
export interface Setting<S extends z.ZodType = z.ZodType, F extends string | undefined = string | undefined> {
  readonly env: string
  /** From the text of the environment to the value; what it refuses, `allowed` puts into words. */
  readonly schema: S
  readonly allowed: string
  /** The default as one would write it, or undefined where unset is a state of its own. */
  readonly fallback: F
  /** Said in docs where the default depends on something else. */
  readonly fallbackNote?: string
  /** What an empty text stands for, where ElectrumX does not take it for unset. */
  readonly empty?: string
  readonly unit?: string
  readonly sentence: string
  /** Checked and kept, but without effect yet; said in a warning at start and in the docs. */
  readonly notYet?: string
}

/** Keeps the exact types of an entry, from which the type of all settings is computed. */
export function setting<S extends z.ZodType, F extends string | undefined>(entry: Setting<S, F>): Setting<S, F> {
  return entry
}
