import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LongText } from '../../../src/lib/long-text.ts'
import { RawJson, writeJson } from '../../../src/rpc/json.ts'
import { writtenIfLong } from '../../../src/rpc/json-in-turns.ts'
import { json } from '../../property/rpc/arbitraries.ts'
import { turnsDuring } from '../../support/turns.ts'

const LONG = 9_000
const never = { signal: new AbortController().signal }

async function textOf(value: unknown): Promise<string> {
  const written = await writtenIfLong(value, never)
  expect(written).toBeInstanceOf(RawJson)
  return writeJson(written)
}

/** A value in so many lists. */
function nested(depth: number, value: unknown): unknown {
  return depth === 0 ? value : [nested(depth - 1, value)]
}

describe('answers that are long', () => {
  it('are written as all others are, whatever is in them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(json, { minLength: 1, maxLength: 20 }), async (values) => {
        const many = Array.from({ length: LONG }, (_, i) => values[i % values.length])
        const members = Object.fromEntries(many.map((value, i) => [`${i % 3 === 0 ? i : `"${i}`}`, value]))
        for (const value of [many, members, { first: values, many, last: { members } }]) {
          expect(await textOf(value)).toBe(writeJson(value))
        }
      }),
      { numRuns: 5 },
    )
  })

  it('are written with what is text already, and without members that are undefined', async () => {
    const member = {
      a: undefined,
      b: new RawJson('{"x":1.0}'),
      c: new RawJson(new LongText('[', Buffer.from('"ü"'), ']')),
    }
    const value = { none: undefined, many: Array.from({ length: LONG }, () => member), text: '\ud800 ü "' }
    expect(await textOf(value)).toBe(writeJson(value))
  })

  it('are written where they are one text, as a transaction or headers are', async () => {
    const value = 'ab'.repeat(300_000)
    expect(await textOf(value)).toBe(writeJson(value))
  })

  it('are written as deep as others, and no deeper', async () => {
    const many = Array.from({ length: LONG }, () => [[1n]])
    expect(await textOf(nested(509, many))).toBe(writeJson(nested(509, many)))
    expect(() => writeJson(nested(510, many))).toThrow(TypeError)
    await expect(writtenIfLong(nested(510, many), never)).rejects.toThrow('more than 512 deep')
  })

  it.each([
    ['a function', [() => 1]],
    ['an item that is undefined', [undefined]],
    ['what is no number', { a: Number.NaN }],
  ])('are refused where they have %s', async (_what, bad) => {
    const value = [...Array.from({ length: LONG }, () => 1), bad]
    expect(() => writeJson(value)).toThrow(TypeError)
    await expect(writtenIfLong(value, never)).rejects.toThrow(TypeError)
  })

  it('let others have their turns, be it one list or many small objects', async () => {
    const flat = Array.from({ length: 100_000 }, (_, i) => i)
    const objects = Array.from({ length: 20_000 }, (_, i) => ({ a: i, b: 'x', c: [i] }))
    const texts = Array.from({ length: 40 }, () => 'x'.repeat(50_000))
    for (const value of [flat, objects, texts, { deep: { flat } }]) {
      const { turns } = await turnsDuring(() => textOf(value))
      expect(turns).toBeGreaterThanOrEqual(3)
    }
  })

  it('are given up when nobody waits for them any more', async () => {
    const ending = new AbortController()
    setImmediate(() => ending.abort())
    const written = writtenIfLong(
      Array.from({ length: 500_000 }, () => 1),
      ending,
    )
    await expect(written).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('other answers', () => {
  it.each([
    [undefined],
    [null],
    ['x'.repeat(100_000)],
    [Array.from({ length: 1_000 }, (_, i) => ({ i }))],
    [new RawJson('[]')],
  ])('are given as they are, at once (%#)', (value) => {
    expect(writtenIfLong(value, never)).toBe(value)
  })

  it('are given as they are where they are in themselves: the writer refuses them', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    expect(writtenIfLong(cycle, never)).toBe(cycle)
  })
})
