import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createLogger } from '../../../src/log.ts'
import { Outage } from '../../../src/sync/outage.ts'
import { HandClock } from '../../support/hand-clock.ts'

function world() {
  const told: (string | undefined)[] = []
  const lines = new Writable({
    write: (line: Buffer, _encoding, done) => {
      told.push((JSON.parse(line.toString()) as { reason?: string }).reason)
      done()
    },
  })
  const clock = new HandClock()
  return { told, clock, outage: new Outage({ clock, log: createLogger('info', lines) }) }
}

describe('an outage', () => {
  it('is told once, however many tries fail in the same way for however long', () => {
    const { told, clock, outage } = world()
    for (let i = 0; i < 200; i++) {
      outage.failed(new Error('no answer'))
      clock.advance(10_000)
    }
    expect(told).toEqual(['no answer'])
    expect(outage.reason).toBe('no answer')
  })

  it('is told again when the reason has become another, but not more than once a minute', () => {
    const { told, clock, outage } = world()
    for (let height = 0; height < 13; height++) {
      outage.failed(new Error(`at height ${height}`))
      clock.advance(10_000)
    }
    expect(told).toEqual(['at height 0', 'at height 6', 'at height 12'])
    expect(outage.reason).toBe('at height 12')
  })

  it('is over once, and the next one is told at once', () => {
    const { told, outage } = world()
    outage.recovered()
    expect(told).toEqual([])
    outage.failed(new Error('no answer'))
    outage.recovered()
    outage.recovered()
    expect(outage.reason).toBeUndefined()
    outage.failed(new Error('no answer'))
    expect(told).toEqual(['no answer', undefined, 'no answer'])
  })
})
