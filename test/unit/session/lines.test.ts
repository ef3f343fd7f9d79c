import { describe, expect, it } from 'vitest'
import { LineFramer } from '../../../src/session/transports/lines.ts'
import { growth } from '../../support/cpu-time.ts'

function collector(max: number) {
  const lines: Uint8Array[] = []
  const drops: number[] = []
  const framer = new LineFramer(max, {
    onLine: (line) => lines.push(line),
    onOversized: (bytes) => drops.push(bytes),
    goesOn: () => true,
  })
  return { framer, lines, drops, texts: () => lines.map((line) => Buffer.from(line).toString()) }
}

describe('line framer', () => {
  it('does not copy a line that lies in one chunk', () => {
    const { framer, lines } = collector(100)
    const chunk = Uint8Array.from(Buffer.from('one\ntwo\nrest'))
    framer.push(chunk)
    expect(lines.map((line) => line.buffer === chunk.buffer)).toEqual([true, true])
  })

  it('hands over lines that later chunks do not change', () => {
    const { framer, lines, texts } = collector(100)
    framer.push(Buffer.from('ab'))
    framer.push(Buffer.from('cd\nef'))
    framer.push(Buffer.from('gh\n'))
    expect(texts()).toEqual(['abcd', 'efgh'])
    expect(lines[0]!.buffer).not.toBe(lines[1]!.buffer)
  })

  it('takes a line of exactly the limit and drops one byte more, then goes on at the next line feed', () => {
    const { framer, drops, texts } = collector(5)
    framer.push(Buffer.from('12345\n123456\nok\n'))
    expect(texts()).toEqual(['12345', 'ok'])
    expect(drops).toEqual([6])
  })

  it('tells of an endless line once, when it passes the limit, and keeps nothing of it', () => {
    const { framer, drops, texts } = collector(5)
    for (let i = 0; i < 100; i++) framer.push(Buffer.from('xxx'))
    expect(drops).toEqual([6])
    expect(framer.buffered).toBe(0)
    framer.push(Buffer.from('\nback\n'))
    expect(texts()).toEqual(['back'])
  })

  it('tells empty lines too, for they are answered', () => {
    const { framer, texts } = collector(5)
    framer.push(Buffer.from('\n\na\n'))
    expect(texts()).toEqual(['', '', 'a'])
  })

  it('takes time in proportion to the bytes when they come one by one', () => {
    const push = (length: number) => () => {
      const { framer } = collector(10_000_000)
      const byte = Uint8Array.of(120)
      for (let i = 0; i < length; i++) framer.push(byte)
    }
    // 8 times the bytes: 8 if linear, 64 if quadratic.
    expect(growth(push(200_000), push(1_600_000), { rounds: 3 })).toBeLessThan(24)
  })
})
