import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, read, readSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { StorageError } from '../errors.ts'
import { asBuffer, equalBytes, readUint32LE, writeUint32LE } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'

/** Type (1), length of the payload (4), first bytes of the payload's SHA-256 (4). */
const HEAD = 9

/** Where a payload stands in its file. */
export interface Extent {
  readonly position: number
  readonly length: number
}

export interface LogRecord extends Extent {
  readonly type: number
}

const readAsync = promisify(read)

/**
 * An append-only file of typed records. What a crash left half-written at its end is cut off when it is opened: records
 * that do not fit into the file, and a last record whose bytes are not those that were written.
 */
export class RecordLog {
  readonly #fd: number
  #end = 0

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Opens or makes the file and tells each record in it, in order. Throws StorageError if that cannot be done. */
  static open(path: string, tell: (record: LogRecord, log: RecordLog) => void): RecordLog {
    const log = new RecordLog(openFile(path))
    const records = log.#scan()
    const last = records.at(-1)
    if (last !== undefined && !log.#isWhole(last)) {
      records.pop()
      log.#end = last.position - HEAD
    }
    ftruncateSync(log.#fd, log.#end)
    for (const record of records) tell(record, log)
    return log
  }

  /** Bytes of the file. */
  get size(): number {
    return this.#end
  }

  /** Writes a record at the end. It is on its way to the disk, not on it: see sync(). */
  append(type: number, payload: Uint8Array): Extent {
    const head = new Uint8Array(HEAD)
    head[0] = type
    writeUint32LE(head, payload.length, 1)
    head.set(sha256(payload).subarray(0, 4), 5)
    const extent = { position: this.#end + HEAD, length: payload.length }
    this.#write(head, this.#end)
    this.#write(payload, extent.position)
    this.#end = extent.position + payload.length
    return extent
  }

  /** The bytes of an extent, or a part of them, in memory of their own. */
  readSync({ position, length }: Extent): Uint8Array {
    const bytes = new Uint8Array(length)
    const got = readSync(this.#fd, bytes, 0, length, position)
    if (got !== length) throw new StorageError('corrupt', 'a record is shorter than it was')
    return bytes
  }

  async read({ position, length }: Extent): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    const { bytesRead } = await readAsync(this.#fd, bytes, 0, length, position)
    if (bytesRead !== length) throw new StorageError('corrupt', 'a record is shorter than it was')
    return bytes
  }

  sync(): void {
    fsyncSync(this.#fd)
  }

  close(): void {
    closeSync(this.#fd)
  }

  #write(bytes: Uint8Array, position: number): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position + done)
    }
  }

  #scan(): LogRecord[] {
    const records: LogRecord[] = []
    const head = asBuffer(new Uint8Array(HEAD))
    const { size } = fstatSync(this.#fd)
    while (this.#end + HEAD <= size && readSync(this.#fd, head, 0, HEAD, this.#end) === HEAD) {
      const length = readUint32LE(head, 1)
      const position = this.#end + HEAD
      if (position + length > size) break
      records.push({ type: head[0] ?? 0, position, length })
      this.#end = position + length
    }
    return records
  }

  #isWhole(record: LogRecord): boolean {
    const sum = this.readSync({ position: record.position - 4, length: 4 })
    return equalBytes(sum, sha256(this.readSync(record)).subarray(0, 4))
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
  } catch (cause) {
    throw new StorageError('io', cause instanceof Error ? cause.message : `cannot open ${path}`, { cause })
  }
}
