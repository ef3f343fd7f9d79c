import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { type Service, ServiceGroup } from '../../../src/lib/service.ts'

interface Fault {
  readonly start?: boolean
  readonly stop?: boolean
}

/** A service that writes down what happens to it. */
function recorded(name: string, log: string[], fault: Fault = {}): Service {
  return {
    name,
    start: async () => {
      log.push(`start ${name}`)
      if (fault.start === true) throw new Error(`${name} does not start`)
    },
    stop: async () => {
      log.push(`stop ${name}`)
      if (fault.stop === true) throw new Error(`${name} does not stop`)
    },
  }
}

const NEVER = new AbortController().signal

describe('ServiceGroup', () => {
  it('starts in order and stops in reverse, once', async () => {
    const log: string[] = []
    const group = new ServiceGroup([recorded('a', log), recorded('b', log)], {
      started: (name) => log.push(`started ${name}`),
      stopped: (name) => log.push(`stopped ${name}`),
    })
    await group.start(NEVER)
    await group.stop()
    await group.stop()
    const starts = ['start a', 'started a', 'start b', 'started b']
    expect(log).toEqual([...starts, 'stop b', 'stopped b', 'stop a', 'stopped a'])
  })

  it('stops what it had begun when a service does not start, that one too, and throws its error', async () => {
    const log: string[] = []
    const group = new ServiceGroup([recorded('a', log), recorded('b', log, { start: true }), recorded('c', log)])
    await expect(group.start(NEVER)).rejects.toThrow('b does not start')
    expect(log).toEqual(['start a', 'start b', 'stop b', 'stop a'])
  })

  it('stops the others when one does not stop, and reports that one', async () => {
    const log: string[] = []
    const failed: [string, unknown][] = []
    const services = [recorded('a', log), recorded('b', log, { stop: true })]
    const group = new ServiceGroup(services, { stopFailed: (name, error) => failed.push([name, error]) })
    await group.start(NEVER)
    await group.stop()
    expect(log.slice(2)).toEqual(['stop b', 'stop a'])
    expect(failed).toEqual([['b', new Error('b does not stop')]])
  })

  it('begins nothing more once the signal aborts', async () => {
    const log: string[] = []
    const controller = new AbortController()
    const first: Service = { ...recorded('a', log), start: async () => controller.abort() }
    await expect(new ServiceGroup([first, recorded('b', log)]).start(controller.signal)).rejects.toThrow(/abort/i)
    expect(log).toEqual(['stop a'])
  })
})

describe('systemClock', () => {
  it('sleeps until it is aborted', async () => {
    const controller = new AbortController()
    const asleep = systemClock.sleep(60_000, controller.signal)
    controller.abort()
    await expect(asleep).rejects.toMatchObject({ name: 'AbortError' })
  })

  it('goes forward', async () => {
    const before = systemClock.monotonic()
    await systemClock.sleep(1)
    expect(systemClock.monotonic()).toBeGreaterThan(before)
    expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(10_000)
  })
})
