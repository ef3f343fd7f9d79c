import { cp, mkdtemp, open, readdir, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realDisk } from '../../src/db/disk.ts'
import { STATE, type StateRow } from '../../src/db/layout.ts'
import { openLevelStore } from '../../src/db/level-store.ts'
import type { SeededRandom } from './crash-random.ts'

/** Files of the index and the bytes of a row of them. */
const FILES = [
  { name: 'txids', rowSize: 32, rows: (state: StateRow) => state.txCount },
  { name: 'inputstarts', rowSize: 4, rows: (state: StateRow) => state.txCount },
  { name: 'inputs', rowSize: 8, rows: (state: StateRow) => state.inputCount },
] as const

/** What was torn, as words. */
export interface Tear {
  readonly done: readonly string[]
  /** True if rows are lost that the index counts on. */
  readonly short: boolean
}

/**
 * Makes of an index whose process was killed what a loss of power could have left, and worse: LevelDB's newest log cut or
 * blanked from any place on (the index is then found as it was earlier), any bytes in the place of rows of the files that
 * no batch counts on, and, now and then, rows cut off that are counted on. Throws if what is left cannot be right: a file
 * shorter than the batch says, unless `mayBeShort` (one was cut before, and may not have been completed since).
 */
export async function tearIndex(directory: string, random: SeededRandom, mayBeShort: boolean): Promise<Tear> {
  const done: string[] = []
  const index = join(directory, 'index')
  // Killed before it had made anything.
  if ((await sizeOf(index)) === undefined) return { done, short: false }
  if (random.chance(0.7)) done.push(...(await tearLog(index, random)))
  const state = await stateOf(index)
  let short = false
  for (const { name, rowSize, rows } of FILES) {
    const path = join(directory, name)
    const counted = (state === undefined ? 0 : rows(state)) * rowSize
    const size = await sizeOf(path)
    if (size === undefined && counted === 0) continue
    if (!mayBeShort && (size === undefined || size < counted)) {
      throw new Error(`${name} has ${size} bytes, the state row counts on ${counted}`)
    }
    if (size === undefined) continue
    const cutsRows = random.chance(0.1)
    if (size <= counted && !cutsRows) continue
    const end = random.between(cutsRows ? 0 : counted, size)
    await truncate(path, end)
    if (end > counted && random.chance(0.5)) await overwrite(path, counted, random.bytes(Math.min(end - counted, 64)))
    short ||= end < counted
    done.push(`${name} from ${size} to ${end}, ${counted} count`)
  }
  return { done, short }
}

/** Cuts or blanks the log from some place on. */
async function tearLog(index: string, random: SeededRandom): Promise<string[]> {
  const logs = (await readdir(index)).filter((name) => name.endsWith('.log')).sort()
  const name = logs.at(-1)
  if (name === undefined) return []
  const path = join(index, name)
  const size = (await sizeOf(path)) ?? 0
  // Near its end most of the time: else most of what was done since the start is lost.
  const at = random.chance(0.6) ? random.between(Math.max(0, size - 200_000), size) : random.between(0, size)
  if (random.chance(0.3)) await overwrite(path, at, new Uint8Array(size - at))
  else await truncate(path, at)
  return [`${name} torn at ${at} of ${size}`]
}

/** The state row that LevelDB would recover, read from a copy. */
export async function stateOf(index: string): Promise<StateRow | undefined> {
  const copy = await mkdtemp(join(tmpdir(), 'valence-torn-'))
  try {
    await cp(index, copy, { recursive: true })
    const store = await openLevelStore(copy, { cacheBytes: 1 << 20 }, realDisk)
    try {
      const row = store.getSync(STATE.keyBytes({}))
      return row === undefined ? undefined : STATE.readValue(row)
    } finally {
      await store.close()
    }
  } finally {
    await rm(copy, { recursive: true, force: true })
  }
}

async function overwrite(path: string, position: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, position)
  } finally {
    await file.close()
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
}
