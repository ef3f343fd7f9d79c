import { describe, expect, it } from 'vitest'
import { ReadPace } from '../../../src/db/pace.ts'

class Hands {
  at = 0
  diskReads = 0
  readonly pace = new ReadPace(
    () => this.at,
    () => this.diskReads,
  )

  /** Reads that take so long, from a disk where they take longer than any from memory. */
  read(ms: number, times = 1): void {
    for (let i = 0; i < times; i++) {
      this.pace.blocking(() => {
        this.at += ms
        if (ms > 0.05) this.diskReads += 1
      })
    }
  }

  /** The same with the system knowing nothing of a disk. */
  wait(ms: number, times = 1): void {
    for (let i = 0; i < times; i++) {
      this.pace.blocking(() => {
        this.at += ms
      })
    }
  }
}

describe('the pace of reads', () => {
  it('lets reads block as long as they are quick, however many', () => {
    const hands = new Hands()
    hands.read(0.02, 10_000)
    expect(hands.pace.mayBlock).toBe(true)
  })

  it('bears a slow read now and then: the process waits for a processor at times', () => {
    const hands = new Hands()
    for (let i = 0; i < 100; i++) {
      hands.read(8)
      hands.read(0.004, 200)
    }
    expect(hands.pace.mayBlock).toBe(true)
  })

  it('stops after a few milliseconds of reads that wait for a disk, fast or slow', () => {
    const fast = new Hands()
    fast.read(0.1, 398)
    expect(fast.pace.mayBlock).toBe(true)
    fast.read(0.1, 4)
    expect(fast.pace.mayBlock).toBe(false)
    const slow = new Hands()
    slow.read(10, 3)
    expect(slow.pace.mayBlock).toBe(false)
  })

  it('goes on where the process waits for a processor, again and again, as nothing comes from a disk', () => {
    const hands = new Hands()
    for (let i = 0; i < 1000; i++) {
      hands.wait(4, 3)
      hands.read(0.01, 20)
    }
    expect(hands.pace.mayBlock).toBe(true)
  })

  it('stops after some tenths of a second also where the system knows of no disk: not every file system tells it', () => {
    const hands = new Hands()
    hands.wait(10, 20)
    expect(hands.pace.mayBlock).toBe(true)
    hands.wait(10, 100)
    expect(hands.pace.mayBlock).toBe(false)
  })

  it('takes what the process read from a disk as read by the next slow read, and by no later one', () => {
    const hands = new Hands()
    hands.diskReads += 1000
    hands.wait(10, 20)
    expect(hands.pace.mayBlock).toBe(true)
  })

  it('tries again after a second, then ever more seldom, and soon once reads were quick again', () => {
    const hands = new Hands()
    hands.read(10, 3)
    const pauses: number[] = []
    for (let i = 0; i < 8; i++) {
      const from = hands.at
      while (!hands.pace.mayBlock) hands.at += 100
      pauses.push(Math.round((hands.at - from) / 1000))
      hands.read(10, 2)
      expect(hands.pace.mayBlock).toBe(false)
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 64, 64])
    hands.at += 64_000
    hands.read(0.01, 400)
    expect(hands.pace.mayBlock).toBe(true)
    hands.read(10, 3)
    expect(hands.pace.mayBlock).toBe(false)
    hands.at += 1000
    expect(hands.pace.mayBlock).toBe(true)
  })

  it('times what throws, and hands on what is thrown or returned', () => {
    const hands = new Hands()
    expect(hands.pace.blocking(() => 7)).toBe(7)
    for (let i = 0; i < 3; i++) {
      expect(() =>
        hands.pace.blocking(() => {
          hands.at += 10
          hands.diskReads += 1
          throw new Error('no')
        }),
      ).toThrow('no')
    }
    expect(hands.pace.mayBlock).toBe(false)
  })
})
