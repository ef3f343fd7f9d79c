import { readFileSync } from 'node:fs'

/** Open files for everything that is no client: the database, the node, the log (as ElectrumX counts). */
export const OPEN_FILES_RESERVED = 350

/** With fewer the program cannot even be loaded: 160 are too few for that, 200 do (measured). */
export const LEAST_OPEN_FILES = 256

/**
 * How many files this process may have open, as Linux says of it; undefined where that cannot be read, and on systems
 * that do not say. Node has raised the soft limit to the hard one when it started.
 */
export function openFilesLimit(path = '/proc/self/limits'): number | undefined {
  let text: string
  try {
    text = readFileSync(path, 'latin1')
  } catch {
    return undefined // Only Linux has it; without it MAX_SESSIONS holds as it is.
  }
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(text)?.[1]
  return soft === undefined || soft === 'unlimited' ? undefined : Number(soft)
}

/** MAX_SESSIONS, or less if the process may not open so many files. */
export function sessionsWithin(wanted: number, openFiles: number | undefined): number {
  return openFiles === undefined ? wanted : Math.max(1, Math.min(wanted, openFiles - OPEN_FILES_RESERVED))
}
