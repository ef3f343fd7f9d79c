import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { LongText } from '../../../src/lib/long-text.ts'

function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

/** Some 5 KB as rows of JSON are made: of short parts. */
function rows(seed: number): string {
  let text = ''
  for (let i = 0; i < 24; i++) {
    if (i > 0) text += ','
    text += `{"tx_hash":"${(seed * 1000 + i).toString(16).padStart(64, 'a')}",`
    text += `"tx_pos":${i},"height":${seed},"value":${seed * i},`
    for (let k = 0; k < 8; k++) text += `"m${k}":${seed + k},`
    text += '"atomicals":{}}'
  }
  return text
}

describe('a text that is not long', () => {
  it('takes as many bytes as it has characters, however many parts it was made of', () => {
    const made = Array.from({ length: 1000 }, (_, i) => LongText.ofAscii(rows(i)))
    const before = heapUsed()
    const kept = Array.from({ length: 1000 }, (_, i) => LongText.ofAscii(rows(i)))
    const each = (heapUsed() - before) / kept.length
    const characters = String(kept[500]).length
    expect(each).toBeGreaterThan(characters * 0.8) // Less would mean that something else was measured.
    expect(each).toBeLessThan(characters * 1.3)
    expect(kept).toEqual(made)
    expect(kept[7]).toBe(rows(7))
  })
})
