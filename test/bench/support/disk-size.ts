import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_MS = 500
/** Looks in a row that find the same. */
const QUIET_LOOKS = 6
const MOST_LOOKS = 240

/** Bytes of all files below a directory. Files that vanish meanwhile count nothing. */
export async function sizeOf(directory: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += await sizeOfFile(join(entry.parentPath, entry.name))
  }
  return bytes
}

/** The same once it has stayed as it is for three seconds. Throws if it never does. */
export async function settledSizeOf(directory: string): Promise<number> {
  let before = -1
  let quiet = 0
  for (let looks = 0; looks < MOST_LOOKS; looks++) {
    const now = await sizeOf(directory)
    quiet = now === before ? quiet + 1 : 0
    if (quiet >= QUIET_LOOKS) return now
    before = now
    await sleep(LOOK_MS)
  }
  throw new Error(`${directory} does not settle`)
}

async function sizeOfFile(path: string): Promise<number> {
  try {
    return (await stat(path)).size
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0
    throw error
  }
}
