import { cp, mkdtemp, open, readdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realDisk } from '../../src/db/disk.ts'
import { HEADERS, STATE, type StateRow } from '../../src/db/layout.ts'
import { openLevelStore } from '../../src/db/level-store.ts'
import type { SeededRandom } from './crash-random.ts'

/** LevelDB's log: blocks of so many bytes with records in them, each behind a checksum, a length and a kind. */
const LOG_BLOCK = 32_768
const RECORD_HEAD = 7
const RECORD = { full: 1, first: 2, middle: 3, last: 4 } as const
/** A batch begins with a sequence number and a count. */
const BATCH_HEAD = 12

/** Files of the index and the bytes of a row of them. */
const FILES = [
  { name: 'txids', rowSize: 32, rows: (state: StateRow) => state.txCount },
  { name: 'inputstarts', rowSize: 4, rows: (state: StateRow) => state.txCount },
  { name: 'inputs', rowSize: 8, rows: (state: StateRow) => state.inputCount },
] as const

/** What was torn, as words; and where the index has to be found again. */
export interface Tear {
  readonly done: readonly string[]
  /** Undefined while there is no state row. */
  readonly state: StateRow | undefined
}

/**
 * Makes of an index whose process was killed what a loss of power could have left as well: the last batch of LevelDB's
 * log incomplete (it may have been acknowledged, then the index is found as if it had not), and any bytes in the place of
 * rows of the files that no batch counts on. Throws if what is left cannot be right: a file shorter than the batch says.
 */
export async function tearIndex(directory: string, random: SeededRandom): Promise<Tear> {
  const done: string[] = []
  const index = join(directory, 'index')
  // Killed before it had made anything.
  if ((await sizeOf(index)) === undefined) return { done, state: undefined }
  if (random.chance(0.7)) done.push(...(await tearLog(directory, index, random)))
  const state = await stateOf(index)
  for (const { name, rowSize, rows } of FILES) {
    const path = join(directory, name)
    const counted = (state === undefined ? 0 : rows(state)) * rowSize
    const size = await sizeOf(path)
    if (size === undefined && counted === 0) continue
    if (size === undefined || size < counted) {
      throw new Error(`${name} has ${size} bytes, the state row counts on ${counted}`)
    }
    if (size === counted) continue
    const end = random.between(counted, size)
    await truncate(path, end)
    if (random.chance(0.5)) await overwrite(path, counted, random.bytes(Math.min(end - counted, 64)))
    done.push(`${name} from ${size} to ${end}, ${counted} count`)
  }
  return { done, state }
}

/** Cuts or blanks the log from some place inside its last batch on. */
async function tearLog(directory: string, index: string, random: SeededRandom): Promise<string[]> {
  const logs = (await readdir(index)).filter((name) => name.endsWith('.log')).sort()
  const name = logs.at(-1)
  if (name === undefined) return []
  const path = join(index, name)
  const bytes = await readFile(path)
  const batch = lastBatch(bytes)
  if (batch === undefined) return []
  // What a rollback gave up is overwritten once the rollback is safe: from then on its batch cannot be lost any more.
  if (takesBack(batch.content) && !(await isYoungerThanFiles(directory, path))) return []
  const at = random.between(batch.start, batch.end - 1)
  if (random.chance(0.3)) await overwrite(path, at, new Uint8Array(bytes.length - at))
  else await truncate(path, at)
  return [`${name} torn at ${at}: last batch ${batch.start} to ${batch.end}`]
}

/** Where the last whole batch of a log stands, and what it says. */
function lastBatch(
  log: Buffer,
): { readonly start: number; readonly end: number; readonly content: Buffer } | undefined {
  let last: { readonly start: number; readonly end: number; readonly content: Buffer } | undefined
  let start = 0
  let parts: Buffer[] = []
  for (let at = 0; at + RECORD_HEAD <= log.length; ) {
    const left = LOG_BLOCK - (at % LOG_BLOCK)
    if (left < RECORD_HEAD) {
      at += left
      continue
    }
    const length = log.readUInt16LE(at + 4)
    const kind = log[at + 6]
    const end = at + RECORD_HEAD + length
    if (kind === 0 || end > log.length) break
    if (kind === RECORD.full || kind === RECORD.first) {
      start = at
      parts = []
    }
    parts.push(log.subarray(at + RECORD_HEAD, end))
    if (kind === RECORD.full || kind === RECORD.last) last = { start, end, content: Buffer.concat(parts) }
    at = end
  }
  return last
}

/** True for the batch of a rollback: no other takes a header away. */
function takesBack(batch: Buffer): boolean {
  let at = BATCH_HEAD
  const sized = (): Buffer => {
    let size = 0
    for (let shift = 0; ; shift += 7) {
      const byte = batch[at++]!
      size += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    at += size
    return batch.subarray(at - size, at)
  }
  while (at < batch.length) {
    const put = batch[at++] === 1
    const key = sized()
    if (put) sized()
    else if (key[0] === HEADERS.prefix) return true
  }
  return false
}

async function isYoungerThanFiles(directory: string, log: string): Promise<boolean> {
  const { mtimeNs } = await stat(log, { bigint: true })
  const files = await Promise.all(FILES.map(({ name }) => stat(join(directory, name), { bigint: true })))
  return files.every((file) => file.mtimeNs < mtimeNs)
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
