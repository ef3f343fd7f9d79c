import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SessionCounter } from '../../../src/session/counter.ts'
import { createElectrumManager } from '../../../src/session/outbound/client.ts'
import { DialError } from '../../../src/session/outbound/dial.ts'
import { openSession, type ServerSession } from '../../../src/session/outbound/session.ts'
import { type CloseReason, type Connection, NOBODY } from '../../../src/session/transports/connection.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { registerOf } from '../../support/server-keeper.ts'

const LIMITS = { pending: { inbound: 0, outbound: 3 }, active: { inbound: 0, outbound: 2 } } as const

/** A connection that goes as soon as it is told to, or by itself. */
class BareConnection implements Connection {
  readonly kind = 'tcp'
  readonly remote = { host: '127.0.0.1', port: 1 }
  readonly unsent = 0
  readonly congested = false
  handler = NOBODY
  #gone = false

  send(): boolean {
    return true
  }

  close(reason: CloseReason): void {
    if (this.#gone) return
    this.#gone = true
    this.handler.onClose?.(reason)
  }

  pause(): void {}

  resume(): void {}
}

const STEPS = ['dial', 'connect', 'fail', 'agree', 'close', 'end', 'hang up'] as const
const step = fc.record({ what: fc.constantFrom(...STEPS), at: fc.nat(5) })

describe('sessions with servers', () => {
  it('are in the register as often as they are counted, pending or active, whatever happens in whatever order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const clock = new HandClock()
        const counter = new SessionCounter(LIMITS)
        const { sessions, keeper, heard } = registerOf({ clock, counter })
        const conversations = createElectrumManager({}, clock)
        const dials: { resolve(line: Connection): void; reject(error: Error): void }[] = []
        const lines: BareConnection[] = []
        const opened: ServerSession[] = []
        let name = 0
        const check = () => {
          const handles = [...sessions.servers()]
          const stages = handles.map(({ id }) => [...sessions.servers()].filter((other) => other.id === id).length)
          expect(stages.every((times) => times === 1)).toBe(true)
          expect(handles.length).toBe(counter.total)
          const active = handles.filter((session) => session.protocol !== undefined).length
          expect(active).toBe(counter.count('active', 'outbound'))
          for (const stage of ['pending', 'active'] as const) {
            expect(counter.count(stage, 'outbound')).toBeLessThanOrEqual(LIMITS[stage].outbound)
          }
        }
        const act = (what: (typeof STEPS)[number], at: number) => {
          const session = opened[at]
          switch (what) {
            case 'dial':
              void openSession(
                { target: { host: 'a', port: 1, tls: 'none' }, name: `${name++}`, port: {} },
                {
                  keeper,
                  conversations,
                  clock,
                  dial: () => new Promise((resolve, reject) => dials.push({ resolve, reject })),
                },
                new AbortController().signal,
              ).then(
                (made) => opened.push(made),
                () => {}, // As the step says, or for want of a place.
              )
              return
            case 'connect': {
              const line = new BareConnection()
              lines.push(line)
              dials.shift()?.resolve(line)
              return
            }
            case 'fail':
              dials.shift()?.reject(new DialError('connect', 'nobody there'))
              return
            case 'agree':
              // Nobody asks a server that has gone.
              if (session !== undefined && session.protocol === undefined && sessions.find(session.id) === session) {
                if (counter.count('active', 'outbound') < LIMITS.active.outbound) session.agreed('x', [1, 4, 0])
              }
              return
            case 'close':
            case 'end':
              for (const one of [...sessions.servers()].slice(at, at + 1)) {
                one.command({ type: what, reason: 'operator' })
              }
              return
            case 'hang up':
              lines[at]?.close('client closed')
          }
        }
        for (const { what, at } of steps) {
          act(what, at)
          check()
          await new Promise((resolve) => setImmediate(resolve))
          check()
        }
        for (const session of sessions.servers()) session.command({ type: 'close', reason: 'shutdown' })
        for (const dial of dials) dial.reject(new DialError('connect', 'over'))
        await new Promise((resolve) => setImmediate(resolve))
        expect([counter.total, sessions.size]).toEqual([0, 0])
        expect(Object.values(heard)).toEqual([0, 0, 0, 0])
        await conversations.destroy()
      }),
      { numRuns: 100 },
    )
  })
})
