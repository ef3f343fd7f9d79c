import { ParseError } from '../errors.ts'

/** What Core calls MAX_SIZE: no count and no length in a serialized transaction or block is larger. */
const MAX_COMPACT_SIZE = 0x0200_0000

/**
 * Walks over serialized Bitcoin data. Every read is checked against the end, so hostile lengths can neither read beyond
 * it nor make anybody allocate. Throws ParseError and nothing else.
 */
export class ByteReader {
  readonly bytes: Uint8Array
  /** Where the next read begins. */
  position: number
  readonly #end: number

  constructor(bytes: Uint8Array, position = 0) {
    // A plain view: views of it are plain too, where those of a Buffer would be Buffers, which are dearer to make.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    this.position = position
    this.#end = bytes.length
    if (!Number.isInteger(position) || position < 0 || position > bytes.length) this.fail('start outside the bytes')
  }

  /** Bytes left. */
  get remaining(): number {
    return this.#end - this.position
  }

  fail(message: string, offset = this.position): never {
    throw new ParseError(message, offset)
  }

  /** Passes over `count` bytes and tells where they began. */
  skip(count: number): number {
    const start = this.position
    if (count > this.#end - start) this.fail('unexpected end')
    this.position = start + count
    return start
  }

  /** A view of the next `count` bytes. */
  take(count: number): Uint8Array {
    const start = this.skip(count)
    return this.bytes.subarray(start, start + count)
  }

  uint8(): number {
    return this.#at(this.skip(1))
  }

  uint32(): number {
    return this.#uint32At(this.skip(4))
  }

  int32(): number {
    return this.#uint32At(this.skip(4)) | 0
  }

  /** An unsigned 64-bit number as an exact double; one that would not be exact (2^53 and more) is refused. */
  amount(): number {
    const start = this.skip(8)
    const high = this.#uint32At(start + 4)
    if (high >= 0x20_0000) this.fail('amount too large', start)
    return this.#uint32At(start) + high * 0x1_0000_0000
  }

  /** A CompactSize in its shortest form and within Core's bound, as Core demands of all it reads. */
  compactSize(): number {
    const start = this.position
    const first = this.uint8()
    if (first < 0xfd) return first
    let size: number
    let least: number
    if (first === 0xfd) {
      const at = this.skip(2)
      size = this.#at(at) | (this.#at(at + 1) << 8)
      least = 0xfd
    } else {
      size = this.uint32()
      least = 0x1_0000
      if (first === 0xff) {
        size += this.uint32() * 0x1_0000_0000
        least = 0x1_0000_0000
      }
    }
    if (size < least) this.fail('size not in its shortest form', start)
    if (size > MAX_COMPACT_SIZE) this.fail('size too large', start)
    return size
  }

  /** How many things follow, refused at once unless that many of at least `leastSize` bytes can be there. */
  count(leastSize: number): number {
    const start = this.position
    const count = this.compactSize()
    if (count * leastSize > this.#end - this.position) this.fail('more announced than can follow', start)
    return count
  }

  /** A view of bytes that stand after their length. */
  prefixed(): Uint8Array {
    return this.take(this.compactSize())
  }

  /** Throws unless everything has been read. */
  finish(): void {
    if (this.position !== this.#end) this.fail('trailing bytes')
  }

  #at(offset: number): number {
    return this.bytes[offset] ?? this.fail('unexpected end', offset)
  }

  #uint32At(offset: number): number {
    const bytes = this.bytes
    const low = this.#at(offset) | (this.#at(offset + 1) << 8) | (this.#at(offset + 2) << 16)
    return (low | ((bytes[offset + 3] ?? 0) << 24)) >>> 0
  }
}
