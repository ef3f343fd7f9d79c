import { StorageError } from '../errors.ts'
import { asBuffer, toLatin1 } from '../lib/bytes.ts'

/** Reads fields one after the other from the bytes of a key or a value. */
export class RowCursor {
  readonly bytes: Uint8Array
  offset: number

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes
    this.offset = offset
  }

  get remaining(): number {
    return this.bytes.length - this.offset
  }

  /** Passes over `count` bytes and tells where they began. Throws StorageError 'corrupt' if there are fewer. */
  skip(count: number): number {
    const start = this.offset
    if (count > this.remaining) throw corrupt('row cut short')
    this.offset = start + count
    return start
  }

  uint8(): number {
    return this.bytes[this.skip(1)] ?? 0
  }
}

/** One field of a key or a value. */
export interface Field<T> {
  /** As docs/SCHEMA.md names it. */
  readonly label: string
  /** True if every value is as wide as every other, so that the values sort as their bytes do. */
  readonly fixed: boolean
  /** Bytes that `value` takes. */
  size(value: T): number
  /** Writes `value` at `offset` and returns the offset after it. Throws RangeError for a value that does not fit. */
  write(value: T, target: Uint8Array, offset: number): number
  read(cursor: RowCursor): T
}

export type FieldValue<F> = F extends Field<infer T> ? T : never
export type Fields = Readonly<Record<string, Field<never>>>
type Shape = Readonly<Record<string, unknown>>

function unsigned(label: string, width: number): Field<number> {
  const limit = 256 ** width
  return {
    label,
    fixed: true,
    size: () => width,
    write(value, target, offset) {
      if (!Number.isInteger(value) || value < 0 || value >= limit) throw new RangeError(`${value} is no ${label}`)
      let rest = value
      for (let i = offset + width - 1; i >= offset; i--) {
        target[i] = rest % 256
        rest = Math.floor(rest / 256)
      }
      return offset + width
    },
    read(cursor) {
      let value = 0
      for (let i = 0; i < width; i++) value = value * 256 + cursor.uint8()
      return value
    },
  }
}

/** Unsigned numbers of fixed width, most significant byte first: they sort as their bytes do. */
export const u8 = unsigned('u8', 1)
export const u16 = unsigned('u16', 2)
export const u32 = unsigned('u32', 4)
export const u40 = unsigned('u40', 5)
/** Only safe integers: others do not come back as they were. */
export const u56 = unsigned('u56', 7)

/** An unsigned number below 2^53, seven bits a byte, least significant first, in its shortest form. */
export const varint: Field<number> = {
  label: 'varint',
  fixed: false,
  size(value) {
    let size = 1
    for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1
    return size
  },
  write(value, target, offset) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no varint`)
    let at = offset
    let rest = value
    for (; rest >= 128; rest = Math.floor(rest / 128)) target[at++] = (rest % 128) | 128
    target[at] = rest
    return at + 1
  },
  read(cursor) {
    let value = 0
    let unit = 1
    for (;;) {
      const byte = cursor.uint8()
      value += (byte & 127) * unit
      if (byte < 128) break
      unit *= 128
    }
    if (!Number.isSafeInteger(value)) throw corrupt('varint too large')
    return value
  },
}

/** Values below this one are their own byte; from it on the first byte says how many follow. */
const ORDERED_LONG = 0xf8
const ORDERED_MOST_BYTES = 6

/** An unsigned number below 2^48 in one byte if it is small, in up to seven else: it sorts as its bytes do. */
export const orderedVarint: Field<number> = {
  label: 'ordered varint',
  fixed: false,
  size(value) {
    return value < ORDERED_LONG ? 1 : 1 + bytesOf(value)
  },
  write(value, target, offset) {
    if (!Number.isInteger(value) || value < 0 || value >= 256 ** ORDERED_MOST_BYTES) {
      throw new RangeError(`${value} is no ordered varint`)
    }
    if (value < ORDERED_LONG) {
      target[offset] = value
      return offset + 1
    }
    const count = bytesOf(value)
    target[offset] = ORDERED_LONG + count - 1
    let rest = value
    for (let i = offset + count; i > offset; i--) {
      target[i] = rest % 256
      rest = Math.floor(rest / 256)
    }
    return offset + 1 + count
  },
  read(cursor) {
    const first = cursor.uint8()
    if (first < ORDERED_LONG) return first
    const count = first - ORDERED_LONG + 1
    if (count > ORDERED_MOST_BYTES) throw corrupt('ordered varint too large')
    let value = 0
    for (let i = 0; i < count; i++) value = value * 256 + cursor.uint8()
    return value
  },
}

function bytesOf(value: number): number {
  let count = 1
  for (let rest = Math.floor(value / 256); rest > 0; rest = Math.floor(rest / 256)) count += 1
  return count
}

/** Exactly `length` bytes. What is read is a copy. */
export function bytes(length: number): Field<Uint8Array> {
  return {
    label: `${length} bytes`,
    fixed: true,
    size: () => length,
    write(value, target, offset) {
      if (value.length !== length) throw new RangeError(`${value.length} bytes where ${length} belong`)
      target.set(value, offset)
      return offset + length
    },
    read(cursor) {
      return copyRange(cursor.bytes, cursor.skip(length), length)
    },
  }
}

/** All bytes up to the end of the row: a last field. What is read is a copy. */
export const rest: Field<Uint8Array> = {
  label: 'bytes to the end',
  fixed: false,
  size: (value) => value.length,
  write(value, target, offset) {
    target.set(value, offset)
    return offset + value.length
  },
  read(cursor) {
    const count = cursor.remaining
    return copyRange(cursor.bytes, cursor.skip(count), count)
  },
}

/** Bytes after their length. What is read is a copy. */
export const sized: Field<Uint8Array> = {
  label: 'sized bytes',
  fixed: false,
  size: (value) => varint.size(value.length) + value.length,
  write: (value, target, offset) => rest.write(value, target, varint.write(value.length, target, offset)),
  read(cursor) {
    const count = varint.read(cursor)
    return copyRange(cursor.bytes, cursor.skip(count), count)
  },
}

/** One character a byte (latin1), after its length: rows inside rows. */
export const latin1: Field<string> = {
  label: 'sized bytes',
  fixed: false,
  size: (value) => varint.size(value.length) + value.length,
  write(value, target, offset) {
    const at = varint.write(value.length, target, offset)
    return at + asBuffer(target).write(value, at, 'latin1')
  },
  read(cursor) {
    const count = varint.read(cursor)
    const start = cursor.skip(count)
    return asBuffer(cursor.bytes).toString('latin1', start, start + count)
  },
}

/** UTF-8 text after its length in bytes. */
export const text: Field<string> = {
  label: 'text',
  fixed: false,
  size: (value) => sized.size(Buffer.from(value)),
  write: (value, target, offset) => sized.write(Buffer.from(value), target, offset),
  read: (cursor) => asBuffer(sized.read(cursor)).toString('utf8'),
}

/** Any number of values after their count. */
export function list<T>(item: Field<T>): Field<readonly T[]> {
  return {
    label: `list of ${item.label}`,
    fixed: false,
    size(values) {
      let size = varint.size(values.length)
      for (const value of values) size += item.size(value)
      return size
    },
    write(values, target, offset) {
      let at = varint.write(values.length, target, offset)
      for (const value of values) at = item.write(value, target, at)
      return at
    },
    read(cursor) {
      const count = varint.read(cursor)
      // Every item takes a byte at least, so a count that is a lie cannot make us allocate.
      if (count > cursor.remaining) throw corrupt('list longer than its row')
      return Array.from({ length: count }, () => item.read(cursor))
    },
  }
}

/** As many values as there are up to the end of the row: a last field. */
export function listToEnd<T>(item: Field<T>): Field<readonly T[]> {
  return {
    label: `${item.label}s to the end`,
    fixed: false,
    size: (values) => values.reduce((sum, value) => sum + item.size(value), 0),
    write: (values, target, offset) => values.reduce((at, value) => item.write(value, target, at), offset),
    read(cursor) {
      const values: T[] = []
      while (cursor.remaining > 0) values.push(item.read(cursor))
      return values
    },
  }
}

/** A value or nothing, told apart by a byte before it. */
export function optional<T>(item: Field<T>): Field<T | undefined> {
  return {
    label: `optional ${item.label}`,
    fixed: false,
    size: (value) => (value === undefined ? 1 : 1 + item.size(value)),
    write(value, target, offset) {
      target[offset] = value === undefined ? 0 : 1
      return value === undefined ? offset + 1 : item.write(value, target, offset + 1)
    },
    read: (cursor) => (cursor.uint8() === 0 ? undefined : item.read(cursor)),
  }
}

/** Named fields one after the other, in the order of the object's keys. */
export function struct<T extends Shape>(fields: { readonly [K in keyof T]: Field<T[K]> }): Field<T> {
  const entries = Object.entries<Field<unknown>>(fields)
  return {
    label: entries.length === 0 ? 'nothing' : entries.map(([name, field]) => `${name}: ${field.label}`).join(', '),
    fixed: entries.every(([, field]) => field.fixed),
    size(value) {
      let size = 0
      for (const [name, field] of entries) size += field.size(value[name])
      return size
    },
    write(value, target, offset) {
      let at = offset
      for (const [name, field] of entries) at = field.write(value[name], target, at)
      return at
    },
    read(cursor) {
      const value: Record<string, unknown> = {}
      for (const [name, field] of entries) value[name] = field.read(cursor)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the entries are those of the fields T is made of
      return value as T
    },
  }
}

/** The bytes of one value, preceded by `prefix` if there is one. */
export function encode<T>(field: Field<T>, value: T, prefix?: number): Uint8Array {
  const start = prefix === undefined ? 0 : 1
  const target = new Uint8Array(start + field.size(value))
  if (prefix !== undefined) target[0] = prefix
  const end = field.write(value, target, start)
  return end === target.length ? target : target.subarray(0, end)
}

/** The value that `row` is, from `offset` to its end. Throws StorageError 'corrupt' unless it is exactly one. */
export function decode<T>(field: Field<T>, row: Uint8Array, offset = 0): T {
  const cursor = new RowCursor(row, offset)
  const value = field.read(cursor)
  if (cursor.remaining > 0) throw corrupt('row too long')
  return value
}

/** encode as text of one character a byte: how rows are kept in memory (see overlay.ts). */
export function encodeText<T>(field: Field<T>, value: T, prefix?: number): string {
  return toLatin1(encode(field, value, prefix))
}

function copyRange(source: Uint8Array, start: number, length: number): Uint8Array {
  const copy = new Uint8Array(length)
  copy.set(source.subarray(start, start + length))
  return copy
}

function corrupt(message: string): StorageError {
  return new StorageError('corrupt', `the database is damaged: ${message}`)
}
