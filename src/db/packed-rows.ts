import { asBuffer } from '../lib/bytes.ts'
import type { RowWrite } from './layout.ts'
import type { RowSink } from './row-order.ts'

/** Stands where the length of a value would: the row is taken away. */
const REMOVED = 0xffff_ffff
const FIRST_BYTES = 4096

/** Writes of rows in one piece of memory, that crosses to another thread at once. */
export class PackedRows implements RowSink {
  #bytes = Buffer.alloc(FIRST_BYTES)
  #end = 0

  /** The writes so far. */
  get bytes(): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#end)
  }

  put(key: Uint8Array, value: Uint8Array): void {
    const at = this.#begin(key.length, value.length, value.length)
    this.#bytes.set(key, at)
    this.#bytes.set(value, at + key.length)
  }

  del(key: Uint8Array): void {
    const at = this.#begin(key.length, 0, REMOVED)
    this.#bytes.set(key, at)
  }

  /** Key and value have one character a byte. */
  write({ key, value }: RowWrite): void {
    const at = this.#begin(key.length, value?.length ?? 0, value?.length ?? REMOVED)
    this.#bytes.write(key, at, 'latin1')
    if (value !== undefined) this.#bytes.write(value, at + key.length, 'latin1')
  }

  #begin(keyLength: number, valueLength: number, told: number): number {
    const start = this.#end
    const end = start + 8 + keyLength + valueLength
    if (end > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(end, 2 * this.#bytes.length))
      larger.set(this.#bytes)
      this.#bytes = larger
    }
    this.#bytes.writeUInt32LE(keyLength, start)
    this.#bytes.writeUInt32LE(told, start + 4)
    this.#end = end
    return start + 8
  }
}

const ROWS_PER_TURN = 4000

/** Does the writes again. Yields after some thousands of them. */
export function* unpackRows(packed: Uint8Array, sink: RowSink): Generator<void, void, undefined> {
  const numbers = asBuffer(packed)
  let rows = 0
  for (let at = 0; at < packed.length; ) {
    const keyEnd = at + 8 + numbers.readUInt32LE(at)
    const told = numbers.readUInt32LE(at + 4)
    const key = packed.subarray(at + 8, keyEnd)
    at = keyEnd + (told === REMOVED ? 0 : told)
    if (told === REMOVED) sink.del(key)
    else sink.put(key, packed.subarray(keyEnd, at))
    rows += 1
    if (rows % ROWS_PER_TURN === 0) yield
  }
}
