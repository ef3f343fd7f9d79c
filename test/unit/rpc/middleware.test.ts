import { describe, expect, it } from 'vitest'
import type { Clock } from '../../../src/lib/clock.ts'
import { createLogger } from '../../../src/log.ts'
import { ping } from '../../../src/rpc/methods/server.ts'
import { type CallRunner, compose, logged, runHandler, timed } from '../../../src/rpc/middleware.ts'
import { FakeContext } from '../../support/fake-context.ts'

/** A clock that moves 5 ms whenever it is looked at. */
function steppingClock(): Clock {
  let now = 0
  return { now: () => 0, monotonic: () => (now += 5), sleep: async () => {} }
}

const call = { method: ping, params: {}, ctx: new FakeContext() }
const fails: CallRunner = async () => {
  throw new Error('no')
}

describe('timed', () => {
  it('tells how long a call took and whether it went well', async () => {
    const seen: unknown[] = []
    const middleware = timed(steppingClock(), (...args) => seen.push(args))
    await compose([middleware], runHandler)(call)
    await expect(compose([middleware], fails)(call)).rejects.toThrow('no')
    expect(seen).toEqual([
      ['server.ping', 5, true],
      ['server.ping', 5, false],
    ])
  })
})

describe('logged', () => {
  const lines = async (level: 'debug' | 'info'): Promise<unknown[]> => {
    const seen: unknown[] = []
    const log = createLogger(level, { write: (line) => seen.push(JSON.parse(line)) })
    await compose([logged(log, steppingClock())], runHandler)(call)
    return seen
  }

  it('writes a line for each call at debug, without parameters', async () => {
    expect(await lines('debug')).toEqual([expect.objectContaining({ method: 'server.ping', ms: 5, ok: true })])
    expect(await lines('debug')).not.toEqual([expect.objectContaining({ params: expect.anything() as unknown })])
  })

  it('writes none above', async () => {
    expect(await lines('info')).toEqual([])
  })
})
