import { describe, expect, it } from 'vitest'
import type { Topic } from '../../../src/rpc/topic.ts'
import { TopicWatch } from '../../../src/session/topic-watch.ts'

function topic(key: string, concern = key): Topic {
  const find = () => Promise.resolve({ status: 'null', settledAt: 0 })
  return { key, concern, method: 'm', params: [], find }
}

function news(newTip: boolean, ...touched: string[]) {
  return { newTip, touched: new Set(touched), stirred: new Set<string>() }
}

const settled = { status: 'null', settledAt: 0 }

describe('topics that are followed', () => {
  it('are due once a new tip has touched what concerns them, each under its own key', () => {
    const watch = new TopicWatch()
    for (const one of [topic('a', 'x'), topic('b', 'x'), topic('c', 'y')]) watch.add(one, settled, 5)
    expect(watch.among(news(true, 'x', 'z'))).toEqual(['a', 'b'])
    expect(watch.among(news(true))).toEqual([])
  })

  it('wait for the tip where the touch is published before it', () => {
    const watch = new TopicWatch()
    watch.add(topic('a'), settled, 5)
    expect(watch.among(news(false, 'a'))).toEqual([])
    expect(watch.among(news(true))).toEqual(['a'])
    expect(watch.among(news(true))).toEqual([])
  })

  it('are looked at again at every tip until they are settled, and where a tip is below that again', () => {
    const watch = new TopicWatch()
    const found = { status: 'null', settledAt: 10 }
    watch.add(topic('a'), found, 8)
    expect([...watch.unsettled(9)]).toEqual(['a'])
    expect([...watch.unsettled(10)]).toEqual(['a'])
    watch.settle('a', found, 10)
    expect([...watch.unsettled(11)]).toEqual([])
    expect([...watch.unsettled(9)]).toEqual(['a'])
    watch.settle('a', settled, 9)
    expect([...watch.unsettled(9)]).toEqual([])
  })

  it('leave nothing behind', () => {
    const watch = new TopicWatch()
    watch.add(topic('a'), { status: 'null', settledAt: Number.POSITIVE_INFINITY }, 8)
    watch.among(news(false, 'a'))
    watch.delete('a')
    watch.settle('a', { status: 'null', settledAt: 9 }, 8)
    expect([watch.size, watch.get('a'), watch.among(news(true, 'a')), [...watch.unsettled(8)]]).toEqual([
      0,
      undefined,
      [],
      [],
    ])
  })
})
