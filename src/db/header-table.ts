import { HEADER_SIZE } from '../chain/headers.ts'
import { invariant } from '../errors.ts'
import { sha256d } from '../lib/hash.ts'

/** Headers in one piece of memory: as many as lie between two changes of difficulty. */
const CHUNK = 2016

interface Chunk {
  readonly headers: Uint8Array
  /** Transactions up to and with each block. */
  readonly txCounts: Float64Array
  /** Their inputs. */
  readonly inputCounts: Float64Array
}

/** The headers as they were when it was made, whatever happens to the table. Costs nothing to make or to forget. */
export class HeaderList {
  readonly count: number
  /** Which line of headers it stands on, see HeaderTable.sharedWith. */
  readonly epoch: number
  readonly #chunks: readonly Chunk[]

  constructor(chunks: readonly Chunk[], count: number, epoch: number) {
    this.#chunks = chunks
    this.count = count
    this.epoch = epoch
  }

  /** A copy of the header's 80 bytes. */
  header(height: number): Uint8Array | undefined {
    if (!Number.isInteger(height) || height < 0 || height >= this.count) return undefined
    const start = (height % CHUNK) * HEADER_SIZE
    return this.#chunk(height).headers.slice(start, start + HEADER_SIZE)
  }

  /** Headers `start` to `start + count - 1` one after the other; fewer where the list ends. */
  headers(start: number, count: number): { readonly count: number; readonly bytes: Uint8Array } {
    const end = Math.max(start, Math.min(start + count, this.count))
    const bytes = new Uint8Array((end - start) * HEADER_SIZE)
    for (let height = start; height < end; ) {
      const first = height % CHUNK
      const length = Math.min(CHUNK - first, end - height)
      const part = this.#chunk(height).headers.subarray(first * HEADER_SIZE, (first + length) * HEADER_SIZE)
      bytes.set(part, (height - start) * HEADER_SIZE)
      height += length
    }
    return { count: end - start, bytes }
  }

  /** Hashes of those headers, 32 bytes each. */
  hashes(start: number, count: number): Uint8Array {
    const found = this.headers(start, count)
    const hashes = new Uint8Array(found.count * 32)
    for (let i = 0; i < found.count; i++) {
      hashes.set(sha256d(found.bytes.subarray(i * HEADER_SIZE, (i + 1) * HEADER_SIZE)), i * 32)
    }
    return hashes
  }

  /** Transactions up to and with block `height`; 0 for -1. */
  txCount(height: number): number {
    if (height < 0) return 0
    invariant(height < this.count, 'no such height')
    return this.#chunk(height).txCounts[height % CHUNK] ?? 0
  }

  /** Inputs up to and with block `height`; 0 for -1. */
  inputCount(height: number): number {
    if (height < 0) return 0
    invariant(height < this.count, 'no such height')
    return this.#chunk(height).inputCounts[height % CHUNK] ?? 0
  }

  /** Height of the block that has transaction `txNum`. */
  heightOf(txNum: number): number {
    let low = 0
    let high = this.count - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.txCount(middle) > txNum) high = middle
      else low = middle + 1
    }
    return low
  }

  #chunk(height: number): Chunk {
    const chunk = this.#chunks[Math.floor(height / CHUNK)]
    invariant(chunk !== undefined, 'a header within the list is in a chunk')
    return chunk
  }
}

/**
 * All headers in memory (96 bytes a block), where the many reads that want them are synchronous and cheap. Lists given
 * out stay what they are: appending never disturbs them, and cutting back goes on in new memory.
 */
export class HeaderTable {
  #chunks: Chunk[] = []
  #count = 0
  /** The height that each cut went back to: each begins a new epoch. */
  readonly #cuts: number[] = []

  get count(): number {
    return this.#count
  }

  append(header: Uint8Array, txCount: number, inputCount: number): void {
    const row = this.#count % CHUNK
    if (row === 0) {
      this.#chunks.push({
        headers: new Uint8Array(CHUNK * HEADER_SIZE),
        txCounts: new Float64Array(CHUNK),
        inputCounts: new Float64Array(CHUNK),
      })
    }
    const chunk = this.#chunks.at(-1)
    invariant(chunk !== undefined, 'there is a chunk to append to')
    chunk.headers.set(header.subarray(0, HEADER_SIZE), row * HEADER_SIZE)
    chunk.txCounts[row] = txCount
    chunk.inputCounts[row] = inputCount
    this.#count += 1
  }

  /** Forgets all but the first `count` headers. */
  cut(count: number): void {
    invariant(count <= this.#count, 'cut back to more than there is')
    const chunks = this.#chunks.slice(0, Math.ceil(count / CHUNK))
    const last = chunks.at(-1)
    // Lists given out may still read what the next headers would overwrite.
    if (last !== undefined) {
      chunks[chunks.length - 1] = {
        headers: last.headers.slice(),
        txCounts: last.txCounts.slice(),
        inputCounts: last.inputCounts.slice(),
      }
    }
    this.#chunks = chunks
    this.#count = count
    this.#cuts.push(count)
  }

  list(): HeaderList {
    return new HeaderList(this.#chunks, this.#count, this.#cuts.length)
  }

  /** How many headers from genesis on `list` and this table have in common for certain. */
  sharedWith(list: HeaderList): number {
    return this.#cuts.slice(list.epoch).reduce((least, cut) => Math.min(least, cut), list.count)
  }
}
