import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const READ_BYTES = 1 << 20

/**
 * Reads every file below a directory once, so that the system has all of it in memory for the next seconds. Some machines
 * page out what was not read for ten seconds (DAMON does, where an operator of virtual machines has set it so), however
 * much memory is free: what is measured after a rest would be their disk. Files that vanish meanwhile are left out.
 */
export async function readThrough(directory: string): Promise<void> {
  const buffer = new Uint8Array(READ_BYTES)
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) await readFileThrough(join(entry.parentPath, entry.name), buffer)
  }
}

async function readFileThrough(path: string, buffer: Uint8Array): Promise<void> {
  let file: FileHandle | undefined
  try {
    file = await open(path)
    for (let read = -1; read !== 0; ) read = (await file.read(buffer, 0, buffer.length, null)).bytesRead
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  } finally {
    await file?.close()
  }
}
