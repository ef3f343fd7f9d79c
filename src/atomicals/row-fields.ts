/** Fields of Atomicals rows besides those of src/db/codec.ts. */
import { type Field, u8, u56 } from '../db/codec.ts'
import { toLatin1 } from '../lib/bytes.ts'
import { ID_SIZE } from './ids.ts'
import type { IdText } from './transfer/holding.ts'

/** An atomical or location id as text of one character a byte. */
export const id: Field<IdText> = {
  label: 'id (36 bytes)',
  fixed: true,
  size: () => ID_SIZE,
  write(value, target, offset) {
    if (value.length !== ID_SIZE) throw new RangeError('an id has 36 bytes')
    for (let i = 0; i < ID_SIZE; i++) target[offset + i] = value.charCodeAt(i)
    return offset + ID_SIZE
  },
  read(cursor) {
    const start = cursor.skip(ID_SIZE)
    return toLatin1(cursor.bytes.subarray(start, start + ID_SIZE))
  },
}

/** A name in a key: its bytes and a zero, so that shorter names sort first and none is the beginning of another. */
export const name: Field<string> = {
  label: 'text and a zero byte',
  fixed: false,
  size: (value) => value.length + 1,
  write(value, target, offset) {
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i)
      if (code === 0 || code > 0x7f) throw new RangeError('a name is ASCII')
      target[offset + i] = code
    }
    target[offset + value.length] = 0
    return offset + value.length + 1
  },
  read(cursor) {
    let read = ''
    for (let byte = cursor.uint8(); byte !== 0; byte = cursor.uint8()) read += String.fromCharCode(byte)
    return read
  },
}

/** One of some words, as a number. */
export function oneOf<T extends string>(label: string, codes: Readonly<Record<T, number>>): Field<T> {
  const entries = Object.entries<number>(codes)
  const byCode = new Map(entries.map(([value, code]) => [code, value]))
  return {
    label: `${label} (${entries.map(([value, code]) => `${code} ${value}`).join(', ')})`,
    fixed: true,
    size: () => 1,
    write: (value, target, offset) => u8.write(codes[value], target, offset),
    read(cursor) {
      const code = u8.read(cursor)
      const value = byCode.get(code)
      if (value === undefined) throw new RangeError(`no ${label} has the number ${code}`)
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the map was made of the keys that T is made of
      return value as T
    },
  }
}

export const flag: Field<boolean> = {
  label: 'u8, 1 for yes',
  fixed: true,
  size: () => 1,
  write: (value, target, offset) => u8.write(value ? 1 : 0, target, offset),
  read: (cursor) => u8.read(cursor) === 1,
}

/** A safe integer from 0 on, in seven bytes that sort the larger first. */
export const descending: Field<number> = {
  label: '2^53 - 1 less a number, 7 bytes',
  fixed: true,
  size: (value) => u56.size(value),
  write(value, target, offset) {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is no number of units`)
    return u56.write(Number.MAX_SAFE_INTEGER - value, target, offset)
  },
  read: (cursor) => Number.MAX_SAFE_INTEGER - u56.read(cursor),
}
