import { describe, expect, it } from 'vitest'
import { LongText, within } from '../../../src/lib/long-text.ts'

describe('a long text', () => {
  const text = 'x'.repeat(16 * 1024)

  it('is made of what is long only', () => {
    expect(LongText.ofAscii(text.slice(1))).toBe(text.slice(1))
    expect(LongText.ofAscii(text)).toBeInstanceOf(LongText)
  })

  it('is the same as text, as bytes and counted, with whatever is around it', () => {
    let long = LongText.ofAscii(text)
    let plain = text
    for (const [before, behind] of [
      ['', ''],
      ['[', ',1]'],
      ['{"é":', ',"€":"😀"}'],
    ] as const) {
      long = within(before, long, behind)
      plain = `${before}${plain}${behind}`
      expect(String(long)).toBe(plain)
      expect(within('<', plain, '>')).toBe(`<${plain}>`)
      expect(long).toMatchObject({ byteLength: Buffer.byteLength(plain) })
      expect(long instanceof LongText && long.toBytes().equals(Buffer.from(plain))).toBe(true)
    }
  })

  it('shares its bytes with what is made of it', () => {
    const long = new LongText('a', Buffer.from('é'), 'b')
    const more = long.within('<', '>')
    expect(more.body).toBe(long.body)
    expect([String(more), String(long)]).toEqual(['<aéb>', 'aéb'])
  })
})
