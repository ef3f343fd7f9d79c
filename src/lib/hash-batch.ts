import { asBuffer } from './bytes.ts'
import { HashWriter } from './hash.ts'
import { BLOCK, blocksOf, FREE_AT, LANES, type Lanes, makeLanes } from './sha256-lanes.ts'

const DIGEST = 32
const PAGE = 1 << 16
/** Messages that go together: their digests stay near the processor. */
const AT_ONCE = 4096
/** Longer messages go to OpenSSL one by one, whose instructions for SHA make up for the call (measured, test/bench/hash). */
const MOST_BLOCKS = 7
/** A message for each lane that a group may lack. */
const ENTRIES = AT_ONCE + MOST_BLOCKS * LANES

const MESSAGES_AT = FREE_AT
const DIGESTS_AT = MESSAGES_AT + ENTRIES * 8
const INPUT_AT = DIGESTS_AT + ENTRIES * DIGEST

/** Where the hashes go: the first `size` bytes (32 at most) of each, side by side. */
export interface HashTarget {
  readonly target: Uint8Array
  readonly size: number
  /** SHA-256 of the SHA-256, as for ids and merkle nodes. */
  readonly twice: boolean
}

/**
 * SHA-256 of thousands of short messages at once, a multiple faster than one by one. Messages are stretches of bytes that
 * were appended before; clear() forgets those. Memory only grows, to what was appended at most between two clear().
 */
export class HashBatch {
  readonly #lanes: Lanes = makeLanes()
  readonly #writer = new HashWriter()
  /** Messages of the chunk under way in the order of their blocks, and where those of each number of blocks end. */
  readonly #order = new Uint32Array(AT_ONCE)
  readonly #ends = new Uint32Array(MOST_BLOCKS + 1)
  #memory = new Uint8Array(this.#lanes.memory.buffer)
  #end = INPUT_AT

  clear(): void {
    this.#end = INPUT_AT
  }

  /** Copies bytes in behind those before. */
  append(bytes: Uint8Array): void {
    const to = this.#room(bytes.length)
    this.#memory.set(bytes, to)
  }

  /** Appends those from `start` to `end` once more, and tells where they are then. */
  appendAgain(start: number, end: number): number {
    const to = this.#room(end - start)
    this.#memory.copyWithin(to, INPUT_AT + start, INPUT_AT + end)
    return to - INPUT_AT
  }

  /** Hashes the messages of `lengths[i]` bytes that are at `offsets[i]` of what was appended. */
  hash(offsets: Uint32Array, lengths: Uint32Array, into: HashTarget): void {
    for (let start = 0; start < offsets.length; start += AT_ONCE) {
      const end = Math.min(start + AT_ONCE, offsets.length)
      this.#hashSome(offsets.subarray(start, end), lengths.subarray(start, end), {
        ...into,
        target: into.target.subarray(start * into.size, end * into.size),
      })
    }
  }

  #hashSome(offsets: Uint32Array, lengths: Uint32Array, into: HashTarget): void {
    this.#sort(lengths)
    const messages = new Uint32Array(this.#memory.buffer, MESSAGES_AT, ENTRIES * 2)
    let start = 0
    for (let blocks = 1; blocks <= MOST_BLOCKS; blocks++) {
      const end = this.#ends[blocks] ?? 0
      if (end === start) continue
      const groups = Math.ceil((end - start) / LANES)
      for (let entry = 0; entry < groups * LANES; entry++) {
        // The last group may have less than four: its last message then counts for those, and is looked at once.
        const message = this.#order[Math.min(start + entry, end - 1)] ?? 0
        messages[entry * 2] = INPUT_AT + (offsets[message] ?? 0)
        messages[entry * 2 + 1] = lengths[message] ?? 0
      }
      this.#lanes.run(MESSAGES_AT, groups, blocks, into.twice ? 1 : 0, DIGESTS_AT)
      this.#spread(start, end, into)
      start = end
    }
    this.#hashLong(offsets, lengths, into)
  }

  /** Puts the numbers of those messages that are not too long in the order of their blocks. */
  #sort(lengths: Uint32Array): void {
    const ends = this.#ends.fill(0)
    for (const length of lengths) {
      const blocks = blocksOf(length)
      if (blocks < MOST_BLOCKS) ends[blocks + 1] = (ends[blocks + 1] ?? 0) + 1
    }
    for (let blocks = 1; blocks <= MOST_BLOCKS; blocks++) ends[blocks] = (ends[blocks] ?? 0) + (ends[blocks - 1] ?? 0)
    for (let message = 0; message < lengths.length; message++) {
      const blocks = blocksOf(lengths[message] ?? 0)
      if (blocks > MOST_BLOCKS) continue
      const at = ends[blocks] ?? 0
      this.#order[at] = message
      ends[blocks] = at + 1
    }
  }

  /** Brings digests to where those that were hashed belong. */
  #spread(start: number, end: number, { target, size }: HashTarget): void {
    const memory = this.#memory
    for (let at = start; at < end; at++) {
      const to = (this.#order[at] ?? 0) * size
      const from = DIGESTS_AT + (at - start) * DIGEST
      for (let i = 0; i < size; i++) target[to + i] = memory[from + i] ?? 0
    }
  }

  #hashLong(offsets: Uint32Array, lengths: Uint32Array, { target, size, twice }: HashTarget): void {
    const buffer = asBuffer(target)
    const digest = Buffer.alloc(DIGEST)
    for (let message = 0; message < lengths.length; message++) {
      const length = lengths[message] ?? 0
      if (blocksOf(length) <= MOST_BLOCKS) continue
      const start = INPUT_AT + (offsets[message] ?? 0)
      const bytes = this.#memory.subarray(start, start + length)
      if (twice) this.#writer.sha256d(bytes, digest, 0)
      else this.#writer.sha256(bytes, digest, 0)
      digest.copy(buffer, message * size, 0, size)
    }
  }

  /** Makes room behind what is there, and for a block that is read beyond it. */
  #room(length: number): number {
    const start = this.#end
    const missing = start + length + BLOCK - this.#memory.length
    if (missing > 0) {
      this.#lanes.memory.grow(Math.ceil(missing / PAGE))
      this.#memory = new Uint8Array(this.#lanes.memory.buffer)
    }
    this.#end = start + length
    return start
  }
}

let ofThread: HashBatch | undefined

/**
 * The one of this thread, empty: memory that is used from here to the last hash() without a turn between, by one after the
 * other.
 */
export function emptyBatch(): HashBatch {
  ofThread ??= new HashBatch()
  ofThread.clear()
  return ofThread
}
