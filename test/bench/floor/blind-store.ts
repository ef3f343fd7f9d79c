import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { sizeOf } from '../support/disk-size.ts'
import type { Findings } from './lean-parser.ts'

/** Rows that are collected before they are written. */
const ROWS_PER_BATCH = 200_000
const MIB = 1 << 20

const EMPTY = Buffer.alloc(0)

/**
 * History and unspent rows in LevelDB, in sorted batches, without ever reading: the node tells what was spent, so rows
 * are deleted by a key that both sides know. Outputs that are made and spent within a batch are never written.
 */
export class BlindStore implements Findings {
  rowsWritten = 0
  readonly #db: ClassicLevel<Buffer, Buffer>
  readonly #directory: string
  readonly #index = Buffer.alloc(4)
  #history: string[] = []
  #made = new Map<string, string>()
  #spent: string[] = []
  #writing: Promise<void> = Promise.resolve()

  private constructor(db: ClassicLevel<Buffer, Buffer>, directory: string) {
    this.#db = db
    this.#directory = directory
  }

  static async open(): Promise<BlindStore> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-bench-floor-'))
    const db = new ClassicLevel<Buffer, Buffer>(directory, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
    await db.open({ writeBufferSize: 64 * MIB, cacheSize: 64 * MIB, maxOpenFiles: 1000 })
    return new BlindStore(db, directory)
  }

  history(hashX: string, txNumber: string): void {
    this.#history.push(`H${hashX}${txNumber}`)
  }

  made(hashX: string, txid: string, index: number, block: Buffer, valueAt: number): void {
    this.#index.writeUInt32LE(index)
    const key = `u${hashX}${txid.slice(0, 8)}${this.#index.toString('latin1', 0, 4)}`
    this.#made.set(key, block.toString('latin1', valueAt, valueAt + 8))
  }

  spent(hashX: string, block: Buffer, at: number): void {
    const key = `u${hashX}${block.toString('latin1', at, at + 8)}${block.toString('latin1', at + 32, at + 36)}`
    if (!this.#made.delete(key)) this.#spent.push(key)
  }

  /** Writes if enough has come together. One batch is written while the next is collected. */
  async settle(): Promise<void> {
    if (this.#history.length + this.#made.size + this.#spent.length > ROWS_PER_BATCH) await this.#flush()
  }

  /** Writes the rest; bytes on disk. */
  async finish(): Promise<number> {
    await this.#flush()
    await this.#writing
    return sizeOf(this.#directory)
  }

  async close(): Promise<void> {
    await this.#db.close()
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #flush(): Promise<void> {
    const gone = new Set(this.#spent)
    const rows = [...this.#history, ...this.#spent, ...this.#made.keys()].sort()
    const batch = this.#db.batch()
    for (const row of rows) {
      const key = Buffer.from(row, 'latin1')
      if (row.startsWith('H')) batch.put(key, EMPTY)
      else if (gone.has(row)) batch.del(key)
      else batch.put(key, Buffer.from(this.#made.get(row)!, 'latin1'))
    }
    this.rowsWritten += rows.length
    this.#history = []
    this.#made = new Map()
    this.#spent = []
    await this.#writing
    this.#writing = batch.write()
    this.#writing.catch(() => {})
  }
}
