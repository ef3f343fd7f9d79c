import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RowWrite } from '../../../src/db/layout.ts'
import { PackedRows, unpackRows } from '../../../src/db/packed-rows.ts'
import { fromLatin1, toLatin1 } from '../../../src/lib/bytes.ts'

const text = fc.uint8Array({ maxLength: 3000 }).map(toLatin1)
const write = fc.record({ key: text, value: fc.option(text, { nil: undefined }), asText: fc.boolean() })

describe('packed rows', () => {
  it('are the writes that were packed, however large', () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 30 }), (writes) => {
        const packed = new PackedRows()
        for (const { key, value, asText } of writes) {
          if (asText) packed.write({ key, value })
          else if (value === undefined) packed.del(fromLatin1(key))
          else packed.put(fromLatin1(key), fromLatin1(value))
        }
        const found: RowWrite[] = []
        const sink = {
          put: (key: Uint8Array, value: Uint8Array) => void found.push({ key: toLatin1(key), value: toLatin1(value) }),
          del: (key: Uint8Array) => void found.push({ key: toLatin1(key), value: undefined }),
        }
        for (const _turn of unpackRows(packed.bytes, sink)) expect(found.length).toBeGreaterThan(0)
        expect(found).toEqual(writes.map(({ key, value }) => ({ key, value })))
      }),
    )
  })
})
