import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { TURN_MS, Turns, type Unfinished } from '../../../src/session/transports/turns.ts'

/** Connections with so many messages each, which take a millisecond of `time`. */
function setUp() {
  const clock = { time: 0, monotonic: () => clock.time }
  const turns = new Turns(clock)
  const told: string[] = []
  const connection = (name: string, messages: number): Unfinished => {
    let left = messages
    const self: Unfinished = {
      goOn: () => {
        do {
          left--
          clock.time++
          told.push(name)
        } while (left > 0 && !turns.isOver)
        if (left > 0) turns.wait(self)
      },
    }
    return self
  }
  return { clock, turns, told, connection }
}

describe('turns', () => {
  it('give who has read something its time once in a turn, however many chunks it has read', async () => {
    const { clock, turns, connection } = setUp()
    const [one, other] = [connection('a', 1), connection('b', 1)]
    turns.begin(one)
    clock.time += TURN_MS
    turns.begin(one)
    expect(turns.isOver).toBe(true)
    turns.begin(other)
    expect(turns.isOver).toBe(false)
    await turn()
    clock.time += TURN_MS
    turns.begin(one)
    expect(turns.isOver).toBe(false)
  })

  it('are shared by all who wait: in one no more is begun than one of them could, each in its order', async () => {
    const { turns, told, connection } = setUp()
    for (const name of ['a', 'b', 'c']) turns.wait(connection(name, 2 * TURN_MS))
    await turn()
    expect(told).toHaveLength(TURN_MS)
    while (turns.waiting > 0) {
      const before = told.length
      await turn()
      expect(told.length - before).toBeLessThanOrEqual(TURN_MS)
    }
    const share = (name: string) => name.repeat(TURN_MS)
    expect(told.join('')).toBe(['a', 'b', 'c', 'a', 'b', 'c'].map(share).join(''))
  })

  it('count for each who waits what its promises do before the next one goes on', async () => {
    const { clock, turns, told } = setUp()
    const work = async (name: string): Promise<void> => {
      await Promise.resolve()
      clock.time += TURN_MS
      told.push(name)
    }
    for (const name of ['a', 'b', 'c']) turns.wait({ goOn: () => void work(name) })
    await turn()
    expect(told).toEqual(['a'])
    await turn()
    expect(told).toEqual(['a', 'b'])
    await turn()
    expect(told).toEqual(['a', 'b', 'c'])
  })

  it('let who needs less pass the rest on', async () => {
    const { turns, told, connection } = setUp()
    for (const name of ['a', 'b', 'c']) turns.wait(connection(name, 1))
    await turn()
    expect(told).toHaveLength(TURN_MS)
    await turn()
    expect(told.join('')).toBe('abc')
  })

  it('tell nobody twice, and nobody who has left', async () => {
    const { turns, told, connection } = setUp()
    const [one, other] = [connection('a', 1), connection('b', 1)]
    turns.wait(one)
    turns.wait(one)
    turns.wait(other)
    turns.leave(other)
    expect(turns.waiting).toBe(1)
    await turn()
    await turn()
    expect(told).toEqual(['a'])
  })
})
