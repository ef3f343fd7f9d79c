import { describe, expect, it } from 'vitest'
import { prettyJson } from '../../../src/session/http/replies.ts'

describe('JSON in lines', () => {
  it.each([
    { a: [], b: {}, c: [{}], d: [[], 1] },
    ['"', '\\', 'a"b\\"c', '[', '{,:}', '\n', ''],
    'text',
    [1.5, -1e21, true, null],
    { '"': { '\\': [{ x: [1, [2, [3]]] }] } },
  ])('is as JSON.stringify has it (%#)', async (value) => {
    expect(await prettyJson(JSON.stringify(value))).toBe(JSON.stringify(value, null, 2))
  })

  it('is the same for a long text, with turns for others between', async () => {
    const value = Array.from({ length: 20_000 }, (_, i) => ({ i, list: [], text: `"${i}"` }))
    let [turns, counting] = [0, true]
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    count()
    const text = await prettyJson(JSON.stringify(value))
    counting = false
    expect(text).toBe(JSON.stringify(value, null, 2))
    // 300,000 tokens.
    expect(turns).toBeGreaterThan(50)
  })

  it('is given up once it is longer than it may be', async () => {
    const deep = `${'['.repeat(500)}${']'.repeat(500)}`
    expect(await prettyJson(deep, 10_000)).toBeUndefined()
    expect(await prettyJson('[1]', 10_000)).toBe('[\n  1\n]')
  })

  it('of one very long text is that text', async () => {
    const text = JSON.stringify('a"'.repeat(2_000_000))
    expect(await prettyJson(text)).toBe(text)
  })
})
