import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { IdleCollection, type Nursery, threadNursery } from '../../../src/lib/idle-collection.ts'
import { HandClock } from '../../support/hand-clock.ts'

const MIB = 2 ** 20

/** A nursery of `size` bytes in a process that is as busy as `loads` says, a second at a time. */
function nursery(size: number, loads: readonly number[]): Nursery & { readonly collected: number[] } {
  let second = 0
  const collected: number[] = []
  return {
    collected,
    size: () => size,
    collect: () => void collected.push(second),
    load: () => loads[second++] ?? 0,
  }
}

/** Seconds after which it was collected. */
async function collections(size: number, loads: readonly number[]): Promise<number[]> {
  const clock = new HandClock()
  const young = nursery(size, loads)
  const service = new IdleCollection(young, clock)
  await service.start(new AbortController().signal)
  for (const _ of loads) {
    await clock.sleeper(() => true)
    clock.advance(1000)
  }
  await clock.sleeper(() => true)
  await service.stop()
  expect(clock.sleeping).toBe(0)
  return young.collected
}

describe('IdleCollection', () => {
  it('collects after three idle seconds, and again while the nursery stays large', async () => {
    expect(await collections(64 * MIB, [0, 0.05, 0, 0, 0, 0.02, 0])).toEqual([3, 6])
  })

  it('waits for as long as there is work', async () => {
    expect(await collections(64 * MIB, [0, 0, 0.5, 0, 1, 0, 0, 0])).toEqual([8])
  })

  it('leaves a small nursery alone', async () => {
    expect(await collections(4 * MIB, [0, 0, 0, 0, 0, 0])).toEqual([])
  })

  it('ends when the server stops, also without stop()', async () => {
    const clock = new HandClock()
    const stopping = new AbortController()
    const service = new IdleCollection(nursery(64 * MIB, []), clock)
    await service.start(stopping.signal)
    stopping.abort()
    await service.stop()
    expect(clock.sleeping).toBe(0)
  })
})

describe('the nursery of a thread', () => {
  it('is not to be had where Node does not let programs collect', () => {
    expect(globalThis.gc === undefined).toBe(threadNursery() === undefined)
  })

  it('throws away what nobody uses and knows how busy the loop was', async () => {
    const module = new URL('../../../src/lib/idle-collection.ts', import.meta.url).href
    const source = `
      import { threadNursery } from ${JSON.stringify(module)}
      import { getHeapSpaceStatistics } from 'node:v8'
      const used = () => getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_used_size
      const nursery = threadNursery()
      nursery.load()
      let kept = []
      for (let i = 0; i < 2e6; i++) { kept.push({ i }); if (kept.length > 1e5) kept = [] }
      kept = undefined
      setImmediate(() => {
        const [load, size, before] = [nursery.load(), nursery.size(), used()]
        // What was in use when the collection before came is thrown away by the second one.
        nursery.collect()
        nursery.collect()
        console.log(JSON.stringify({ load, size, before, after: used() }))
      })`
    const child = spawn(
      process.execPath,
      ['--expose-gc', '--max-semi-space-size=16', '--import', 'tsx', '--input-type=module', '--eval', source],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    const [out, [code]] = await Promise.all([text(child.stdout), once(child, 'exit') as Promise<[number]>])
    expect(code).toBe(0)
    const { load, size, before, after } = JSON.parse(out) as Record<'load' | 'size' | 'before' | 'after', number>
    expect(load).toBeGreaterThan(0.5)
    expect(size).toBeGreaterThanOrEqual(before)
    expect(size).toBeGreaterThan(MIB)
    expect(after).toBeLessThan(MIB)
  })
})
