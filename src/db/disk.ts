import { readSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { StorageError } from '../errors.ts'

/**
 * Every way in which bytes of ours reach the disk, and those in which files are read: the one place where a test puts an
 * error, a short write, a full disk, a crash or a delay.
 */
export interface Disk {
  /** Fills `bytes` from `position` (in bytes from the start) on. Throws StorageError 'corrupt' where the file ends. */
  readAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void>
  /** The same before it returns: for what is likely to be in memory, see ReadPace. */
  readNow(file: FileHandle, bytes: Uint8Array, position: number): void
  /** Runs `write`, which writes one atomic batch. */
  commit(write: () => Promise<void>): Promise<void>
  /** Writes all of `bytes` at `position` (in bytes from the start). */
  writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void>
  /** Settles once what was written to `file` outlives a loss of power. */
  sync(file: FileHandle): Promise<void>
  /** Cuts `file` to `length` bytes. */
  truncate(file: FileHandle, length: number): Promise<void>
}

export const realDisk: Disk = {
  async readAt(file, bytes, position) {
    let done = 0
    while (done < bytes.length) {
      const { bytesRead } = await file.read(bytes, done, bytes.length - done, position + done)
      if (bytesRead === 0) throw tooShort()
      done += bytesRead
    }
  },
  readNow(file, bytes, position) {
    let done = 0
    while (done < bytes.length) {
      const read = readSync(file.fd, bytes, done, bytes.length - done, position + done)
      if (read === 0) throw tooShort()
      done += read
    }
  },
  commit: (write) => write(),
  async writeAt(file, bytes, position) {
    let done = 0
    while (done < bytes.length) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
      // A write of nothing would be repeated for ever.
      if (bytesWritten === 0) throw new StorageError('io', 'the disk takes no more bytes')
      done += bytesWritten
    }
  },
  sync: (file) => file.datasync(),
  truncate: (file, length) => file.truncate(length),
}

function tooShort(): StorageError {
  return new StorageError('corrupt', 'a file of the database is too short')
}

/** `error` as StorageError, with what was tried in front: what LevelDB and the file system throw, sorted by code. */
export function storageErrorOf(error: unknown, attempt: string): StorageError {
  if (error instanceof StorageError) return error
  const { code, message } = describeError(error)
  if (code === 'ENOSPC' || code === 'EDQUOT' || /no space left|disk quota/i.test(message)) {
    return new StorageError('full', `${attempt}: the disk is full`, { cause: error })
  }
  // A file system or a limit (ulimit -f) that lets no file grow further: it takes room to go on, too.
  if (code === 'EFBIG' || /file too large/i.test(message)) {
    return new StorageError('full', `${attempt}: the system lets the file grow no further (${message})`, {
      cause: error,
    })
  }
  if (code === 'LEVEL_LOCKED') {
    const remedy = 'stop it, or give this one a directory of its own (DB_DIRECTORY)'
    return new StorageError('locked', `${attempt}: another process is using the database: ${remedy}`, { cause: error })
  }
  if (code === 'LEVEL_CORRUPTION') {
    return new StorageError('corrupt', `${attempt}: the database is damaged (${message})`, { cause: error })
  }
  const denied = DENIED_CODES.has(code) || /permission denied|read-only file system/i.test(message)
  const remedy = denied ? ' (this user has to be able to write to DB_DIRECTORY and all that is in it)' : ''
  return new StorageError('io', `${attempt}: ${message}${remedy}`, { cause: error })
}

const DENIED_CODES: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EROFS'])

/** The innermost code (classic-level wraps the cause that says something) and all messages. */
function describeError(error: unknown): { readonly code: string; readonly message: string } {
  const messages: string[] = []
  let code = ''
  for (let at = error; at instanceof Error && messages.length < 5; at = at.cause) {
    messages.push(at.message)
    if ('code' in at && typeof at.code === 'string') code = at.code
  }
  return { code, message: messages.length === 0 ? String(error) : messages.join(': ') }
}
