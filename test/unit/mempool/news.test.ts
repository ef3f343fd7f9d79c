import { describe, expect, it } from 'vitest'
import { NewsDesk } from '../../../src/sync/mempool-news.ts'

const added = (txid: string, sequence = 0) => ({ kind: 'tx-added', txid, sequence: BigInt(sequence) }) as const
const removed = (txid: string, sequence = 0) => ({ kind: 'tx-removed', txid, sequence: BigInt(sequence) }) as const

/** One whose notices have proved good. */
function proved(): NewsDesk {
  const desk = new NewsDesk()
  desk.beginList()
  desk.hear(added('first'))
  desk.endList(undefined, ['first'])
  desk.take()
  return desk
}

describe('NewsDesk', () => {
  it('keeps the last word on each transaction, in the order of those words', () => {
    const desk = proved()
    for (const notice of [added('a'), added('b'), removed('c'), removed('a'), added('c')]) desk.hear(notice)
    expect(desk.take()).toEqual({ added: ['b', 'c'], removed: ['a'] })
    expect(desk.take()).toEqual({ added: [], removed: [] })
  })

  it('is not trusted before a list had only what was heard of', () => {
    const desk = new NewsDesk()
    expect(desk.trusted).toBe(false)
    desk.beginList()
    desk.endList(0, [])
    expect(desk.trusted).toBe(false)
    desk.beginList()
    desk.hear(added('a'))
    desk.endList(undefined, ['a', 'b'])
    expect(desk.trusted).toBe(false)
    desk.beginList()
    desk.endList(undefined, ['a'])
    expect(desk.trusted).toBe(true)
  })

  it('loses trust by a list with something that was not heard of, and by a gap until the next list', () => {
    const desk = proved()
    desk.hear({ kind: 'gap' })
    expect(desk.trusted).toBe(false)
    desk.beginList()
    desk.endList(undefined, [])
    expect(desk.trusted).toBe(true)
    desk.beginList()
    desk.endList(undefined, ['unheard of'])
    expect(desk.trusted).toBe(false)
  })

  it('loses trust by silence until a list had only what was heard of since', () => {
    const desk = proved()
    desk.hear(added('a'))
    desk.hear({ kind: 'silence' })
    expect(desk.trusted).toBe(false)
    expect(desk.take()).toEqual({ added: [], removed: [] })
    desk.beginList()
    desk.endList(undefined, [])
    expect(desk.trusted).toBe(false)
    desk.hear({ kind: 'gap' })
    desk.beginList()
    desk.hear(added('b'))
    desk.endList(undefined, ['b'])
    expect(desk.trusted).toBe(true)
  })

  it('forgets what the list has already, by the sequence number, and keeps what came after it', () => {
    const desk = proved()
    desk.beginList()
    for (const notice of [added('a', 7), removed('b', 8), added('c', 9)]) desk.hear(notice)
    desk.endList(9, ['a', 'b'])
    expect(desk.take()).toEqual({ added: ['c'], removed: [] })
  })

  it('keeps no more than so many words: beyond that only a list can tell', () => {
    const desk = proved()
    for (let i = 0; i < 5000; i++) desk.hear(added(String(i)))
    expect(desk.trusted).toBe(true)
    desk.hear(added('one more'))
    expect(desk.trusted).toBe(false)
    expect(desk.take()).toEqual({ added: [], removed: [] })
  })

  it('has no use for notices of blocks', () => {
    const desk = proved()
    desk.hear({ kind: 'block-connected', hash: 'x' })
    desk.hear({ kind: 'block-disconnected', hash: 'x' })
    expect(desk.trusted).toBe(true)
    expect(desk.take()).toEqual({ added: [], removed: [] })
  })
})
