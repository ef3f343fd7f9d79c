import { describe, expect, it } from 'vitest'
import { Slots } from '../../../src/session/slots.ts'

/** Somebody who asks for a slot, and what came of it. */
class Taker {
  outcome: 'admitted' | 'waiting' | { readonly code?: number; readonly message: string } = 'waiting'
  readonly #order: Taker[]

  constructor(order: Taker[] = []) {
    this.#order = order
  }

  admitted(): void {
    expect(this.outcome).toBe('waiting')
    this.outcome = 'admitted'
    this.#order.push(this)
  }

  refused(error: Error): void {
    expect(this.outcome).toBe('waiting')
    this.outcome = error
  }
}

function take(slots: Slots, count: number, order?: Taker[]): Taker[] {
  return Array.from({ length: count }, () => {
    const taker = new Taker(order)
    slots.take(taker)
    return taker
  })
}

const outcomes = (takers: readonly Taker[]) => takers.map(({ outcome }) => outcome)

describe('slots', () => {
  it('let nobody in who waited when the one let in before has them closed', () => {
    const slots = new Slots(1)
    const gone = new Error('gone')
    take(slots, 1)
    const closing = {
      admitted: () => {
        slots.close(gone)
        slots.release()
      },
      refused: () => {},
    }
    slots.take(closing)
    const behind = take(slots, 2)
    slots.release()
    expect(outcomes(behind)).toEqual([gone, gone])
    expect([slots.taken, slots.waiting]).toEqual([0, 0])
  })

  it('lets as many run as the target says, and the others in order', () => {
    const slots = new Slots(2)
    const order: Taker[] = []
    const takers = take(slots, 4, order)
    expect(outcomes(takers)).toEqual(['admitted', 'admitted', 'waiting', 'waiting'])
    expect(slots.waiting).toBe(2)
    slots.release()
    expect(outcomes(takers)).toEqual(['admitted', 'admitted', 'admitted', 'waiting'])
    slots.release()
    expect(order).toEqual(takers)
    expect([slots.taken, slots.waiting]).toEqual([2, 0])
  })

  it('lets in those who give their slot back at once one after the other, however many wait', () => {
    const slots = new Slots(1)
    take(slots, 1)
    let inside = 0
    let most = 0
    let done = 0
    const quick = {
      admitted(): void {
        most = Math.max(most, ++inside)
        slots.release()
        inside--
        done++
      },
      refused: (error: Error) => expect.fail(error.message),
    }
    for (let i = 0; i < 100_000; i++) slots.take({ ...quick })
    slots.release()
    expect([done, most, slots.taken, slots.waiting]).toEqual([100_000, 1, 0, 0])
  })

  it('admits nobody new until it is below a lowered target, and more at once when it is raised', () => {
    const slots = new Slots(3)
    take(slots, 3)
    slots.setTarget(1)
    const [next] = take(slots, 1)
    slots.release()
    slots.release()
    expect(next!.outcome).toBe('waiting')
    slots.release()
    expect(next!.outcome).toBe('admitted')
    const more = take(slots, 2)
    expect(outcomes(more)).toEqual(['waiting', 'waiting'])
    slots.setTarget(3)
    expect(outcomes(more)).toEqual(['admitted', 'admitted'])
    expect(slots.taken).toBe(3)
  })

  it('refuses those who wait and those who come with -101 at a target of 0', () => {
    const slots = new Slots(1)
    const takers = take(slots, 2)
    slots.setTarget(0)
    expect(takers[1]!.outcome).toMatchObject({ code: -101 })
    expect(take(slots, 1)[0]!.outcome).toMatchObject({ code: -101 })
    expect(slots.waiting).toBe(0)
  })

  it('forgets who gave up waiting', () => {
    const slots = new Slots(1)
    const [first, second, third] = take(slots, 3)
    slots.leave(second!)
    slots.release()
    expect(outcomes([first!, second!, third!])).toEqual(['admitted', 'waiting', 'admitted'])
    slots.release()
    expect(slots.taken).toBe(0)
  })

  it('settles everybody when it is closed', () => {
    const slots = new Slots(1)
    const takers = take(slots, 2)
    slots.close(new Error('gone'))
    slots.close(new Error('gone again'))
    expect(takers[1]!.outcome).toMatchObject({ message: 'gone' })
    expect(take(slots, 1)[0]!.outcome).toMatchObject({ message: 'gone' })
  })

  it('may be asked again by who is told', () => {
    const slots = new Slots(1)
    const last = new Taker()
    slots.take({
      admitted: () => {
        slots.take({ admitted: () => slots.take(last), refused: () => {} })
        slots.release()
      },
      refused: () => {},
    })
    expect(last.outcome).toBe('waiting')
    slots.release()
    expect(last.outcome).toBe('admitted')
  })
})
