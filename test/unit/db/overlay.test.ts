import { describe, expect, it } from 'vitest'
import { bytes, struct, u8, u32 } from '../../../src/db/codec.ts'
import { realDisk } from '../../../src/db/disk.ts'
import { KeySpace, type RowWrite } from '../../../src/db/layout.ts'
import { MemoryStore } from '../../../src/db/memory-store.ts'
import { BlockOverlay } from '../../../src/db/overlay.ts'
import { PendingRows } from '../../../src/db/pending.ts'
import type { Tip } from '../../../src/db/view.ts'
import { InvariantError } from '../../../src/errors.ts'
import { fromLatin1 } from '../../../src/lib/bytes.ts'

const THINGS = new KeySpace<{ readonly owner: Uint8Array; readonly id: number }, { readonly worth: number }>({
  name: 'things',
  prefix: 'x',
  key: struct({ owner: bytes(2), id: u8 }),
  value: struct({ worth: u32 }),
  sentence: 'Of this test.',
  groupSize: 3,
})

const ANN = fromLatin1('an')
const BOB = fromLatin1('bo')

const NONE: Tip = { height: -1, hash: new Uint8Array(32), txCount: 0 }

async function setUp(rows: readonly (readonly [Uint8Array, number, number])[] = []) {
  const store = new MemoryStore(realDisk)
  const batch = store.batch()
  for (const [owner, id, worth] of rows) batch.put(THINGS.keyBytes({ owner, id }), THINGS.valueBytes({ worth }))
  await batch.write()
  const pending = new PendingRows([THINGS], store)
  const overlay = (recordsUndo = true) => new BlockOverlay({ base: NONE, recordsUndo, spaces: [THINGS] }, pending)
  return { store, pending, overlay }
}

const ann = (id: number) => ({ owner: ANN, id })
const write = (id: number, worth: number | undefined): RowWrite => ({
  key: THINGS.keyText(ann(id)),
  value: worth === undefined ? undefined : THINGS.valueText({ worth }),
})

describe('an overlay', () => {
  it('reads its own writes, then what is below', async () => {
    const { overlay } = await setUp([
      [ANN, 1, 10],
      [ANN, 2, 20],
    ])
    const block = overlay()
    block.put(THINGS, ann(1), { worth: 11 })
    block.insert(THINGS, ann(3), { worth: 30 })
    block.remove(THINGS, ann(2))
    expect([1, 2, 3, 4].map((id) => block.get(THINGS, ann(id))?.worth)).toEqual([11, undefined, 30, undefined])
  })

  it('names every write and what takes it back, and nothing that changed nothing', async () => {
    const { overlay } = await setUp([
      [ANN, 1, 10],
      [ANN, 2, 20],
      [ANN, 3, 30],
      [ANN, 4, 40],
      [ANN, 8, 80],
    ])
    const block = overlay()
    block.put(THINGS, ann(8), { worth: 81 })
    block.remove(THINGS, ann(8))
    block.put(THINGS, ann(1), { worth: 11 })
    block.put(THINGS, ann(1), { worth: 12 })
    block.remove(THINGS, ann(2))
    block.put(THINGS, ann(3), { worth: 31 })
    block.put(THINGS, ann(3), { worth: 30 })
    block.remove(THINGS, ann(4))
    block.put(THINGS, ann(4), { worth: 40 })
    block.insert(THINGS, ann(5), { worth: 50 })
    block.insert(THINGS, ann(6), { worth: 60 })
    block.remove(THINGS, ann(6))
    block.remove(THINGS, ann(7))
    const { redo, undo } = block.finish()
    expect(redo.map(({ key, value }) => ({ key, value }))).toEqual([
      write(8, undefined),
      write(1, 12),
      write(2, undefined),
      write(5, 50),
    ])
    expect(undo).toEqual([write(8, 80), write(1, 10), write(2, 20), write(5, undefined)])
  })

  it('records nothing to take back where nothing is ever taken back, and does not read for it', async () => {
    const { overlay } = await setUp([[ANN, 1, 10]])
    const block = overlay(false)
    block.remove(THINGS, ann(1))
    const { redo, undo } = block.finish()
    expect(redo).toEqual([expect.objectContaining({ ...write(1, undefined), fresh: false })])
    expect(undo).toBeUndefined()
  })

  it('refuses to insert what it has just written', async () => {
    const { overlay } = await setUp()
    const block = overlay()
    block.insert(THINGS, ann(1), { worth: 1 })
    expect(() => block.insert(THINGS, ann(1), { worth: 2 })).toThrow(InvariantError)
    block.remove(THINGS, ann(1))
    block.insert(THINGS, ann(1), { worth: 3 })
    expect(block.get(THINGS, ann(1))).toEqual({ worth: 3 })
  })

  it('puts a row back that it took away', async () => {
    const { overlay } = await setUp([[ANN, 1, 10]])
    const block = overlay()
    block.remove(THINGS, ann(1))
    block.insert(THINGS, ann(1), { worth: 11 })
    const { redo, undo } = block.finish()
    expect(redo.map(({ key, value }) => ({ key, value }))).toEqual([write(1, 11)])
    expect(undo).toEqual([write(1, 10)])
  })

  it('gives the rows of a group from its own writes, pending blocks and the store together', async () => {
    const { overlay, pending } = await setUp([
      [ANN, 1, 10],
      [ANN, 3, 30],
      [ANN, 5, 50],
      [BOB, 1, 99],
    ])
    const first = overlay()
    first.put(THINGS, ann(1), { worth: 11 })
    first.remove(THINGS, ann(3))
    first.insert(THINGS, ann(2), { worth: 20 })
    first.insert(THINGS, ann(4), { worth: 40 })
    pending.add(first.finish())
    const second = overlay()
    second.remove(THINGS, ann(2))
    second.put(THINGS, ann(5), { worth: 51 })
    second.insert(THINGS, ann(6), { worth: 60 })
    const found = await second.rows(THINGS, ANN)
    expect(found.map(({ key, value }) => [key.id, value.worth])).toEqual([
      [1, 11],
      [4, 40],
      [5, 51],
      [6, 60],
    ])
    expect(await second.rows(THINGS, Uint8Array.of(...ANN, 5))).toHaveLength(1)
    await expect(second.rows(THINGS, ANN.subarray(0, 1))).rejects.toThrow(InvariantError)
  })

  it('finds rows that were read ahead, those that are not there too', async () => {
    const { overlay, pending } = await setUp([[ANN, 1, 10]])
    const first = overlay()
    first.insert(THINGS, ann(2), { worth: 20 })
    pending.add(first.finish())
    const block = overlay()
    await block.prefetch([1, 2, 3].map((id) => THINGS.keyText(ann(id))))
    expect([1, 2, 3].map((id) => block.get(THINGS, ann(id))?.worth)).toEqual([10, 20, undefined])
    block.put(THINGS, ann(3), { worth: 30 })
    expect(block.finish().undo).toEqual([write(3, undefined)])
  })
})

describe('pending blocks', () => {
  it('leave no trace of rows made and taken away in between, but of rows that were there before', async () => {
    const { overlay, pending } = await setUp([[ANN, 1, 10]])
    const first = overlay()
    first.insert(THINGS, ann(2), { worth: 20 })
    first.insert(THINGS, ann(3), { worth: 30 })
    first.remove(THINGS, ann(1))
    pending.add(first.finish())
    const second = overlay(false)
    second.remove(THINGS, ann(2))
    second.put(THINGS, ann(3), { worth: 31 })
    second.insert(THINGS, ann(1), { worth: 11 })
    pending.add(second.finish())
    const third = overlay()
    third.remove(THINGS, ann(1))
    third.insert(THINGS, ann(4), { worth: 40 })
    pending.add(third.finish())
    const fourth = overlay()
    fourth.put(THINGS, ann(4), { worth: 41 })
    pending.add(fourth.finish())
    const fifth = overlay(false)
    fifth.remove(THINGS, ann(4))
    pending.add(fifth.finish())
    const writes = [...pending.writes()].map(({ key, value }) => ({ key, value }))
    expect(writes).toHaveLength(2)
    expect(writes).toContainEqual(write(1, undefined))
    expect(writes).toContainEqual(write(3, 31))
    expect([1, 2, 3].map((id) => pending.get(THINGS.keyText(ann(id))))).toEqual([
      undefined,
      undefined,
      write(3, 31).value,
    ])
    expect(pending.bytes).toBeGreaterThan(0)
  })

  it('stand on those that a flush is writing, until they are in the store', async () => {
    const { store, pending, overlay } = await setUp([[ANN, 1, 10]])
    const first = overlay()
    first.remove(THINGS, ann(1))
    first.insert(THINGS, ann(2), { worth: 20 })
    first.insert(THINGS, ann(3), { worth: 30 })
    pending.add(first.finish())
    const later = new PendingRows([THINGS], store, pending)
    const second = new BlockOverlay({ base: NONE, recordsUndo: true, spaces: [THINGS] }, later)
    second.put(THINGS, ann(2), { worth: 21 })
    second.remove(THINGS, ann(3))
    later.add(second.finish())
    const key = (id: number) => THINGS.keyText(ann(id))
    const expected = [undefined, write(2, 21).value, undefined, undefined]
    const expectRows = async () => {
      expect([1, 2, 3, 4].map((id) => later.get(key(id)))).toEqual(expected)
      expect(await later.getMany([1, 2, 3, 4].map(key))).toEqual(expected)
      const group = await later.group(THINGS, 'xan')
      expect([...group]).toEqual([[key(2), write(2, 21).value]])
    }
    await expectRows()
    expect([...later.layer().each('xan', 'xao')]).toEqual([write(1, undefined), write(2, 21), write(3, undefined)])
    expect([...later.layer().each('xan', 'xao', true)]).toEqual([
      write(3, undefined),
      write(2, 21),
      write(1, undefined),
    ])
    expect([...later.writes()].map(({ key: name }) => name)).toEqual([key(2), key(3)])
    const batch = store.batch()
    batch.del(THINGS.keyBytes(ann(1)))
    for (const id of [2, 3]) batch.put(THINGS.keyBytes(ann(id)), THINGS.valueBytes({ worth: id * 10 }))
    await batch.write()
    later.standOnStore()
    await expectRows()
    expect([...later.layer().each('xan', 'xao')]).toEqual([write(2, 21), write(3, undefined)])
  })

  it('give layers that stay what they were', async () => {
    const { overlay, pending } = await setUp()
    const empty = pending.layer()
    const first = overlay()
    first.insert(THINGS, ann(2), { worth: 20 })
    pending.add(first.finish())
    const layer = pending.layer()
    expect(pending.layer()).toBe(layer)
    const second = overlay()
    second.remove(THINGS, ann(2))
    second.insert(THINGS, ann(1), { worth: 10 })
    pending.add(second.finish())
    const later = pending.layer()
    const key = THINGS.keyText(ann(2))
    expect([empty.get(key), [...empty.each('x', 'y')]]).toEqual([undefined, []])
    expect(layer.get(key)).toEqual({ value: write(2, 20).value })
    expect([...layer.each('xan', 'xao')]).toEqual([write(2, 20)])
    expect([...later.each('xan', 'xao')]).toEqual([write(1, 10)])
    expect([...later.each('xbo', 'xbp')]).toEqual([])
    expect(later.get(THINGS.keyText(ann(9)))).toBeUndefined()
  })
})
