import { describe, expect, it } from 'vitest'
import { buffersOf } from '../../../src/sync/parse-thread.ts'

describe('memory that is given to another thread', () => {
  it('is every buffer that is used whole, once, wherever it is in the data', () => {
    const [first, second] = [new Uint8Array(100), new Float64Array(3)]
    const data = { first, deep: { again: first.subarray(10), second, number: 1, text: 'x' }, none: undefined }
    expect(buffersOf(data)).toEqual([first.buffer, second.buffer])
  })

  it('is a large buffer also if only a part of it is used', () => {
    const large = new Uint8Array(Buffer.poolSize + 1)
    expect(buffersOf({ part: large.subarray(5) })).toEqual([large.buffer])
  })

  it('is neither what Node shares among small Buffers nor what has no byte, so that it can be given again', () => {
    const data = { small: Buffer.from('shared'), none: new Uint8Array(0) }
    expect(buffersOf(data)).toEqual([])
    for (let times = 0; times < 2; times++) {
      expect(structuredClone(data, { transfer: buffersOf(data) }).none).toEqual(data.none)
    }
  })
})
