import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { startThread } from '../../../src/lib/thread.ts'

const MIB = 2 ** 20
/** Fills the young generation, keeping some of it so that it grows, and tells how large it became. */
const SOURCE = `
  import { getHeapSpaceStatistics } from 'node:v8'
  import { parentPort } from 'node:worker_threads'
  let kept = []
  for (let i = 0; i < 6e6; i++) {
    kept.push({ i })
    if (kept.length > 2e5) kept = []
  }
  parentPort.postMessage(getHeapSpaceStatistics().find((space) => space.space_name === 'new_space').space_size)
`

describe('startThread', () => {
  it('keeps the heap of the thread small, whatever the command line says for the main thread', async () => {
    // As if the process had been started with it.
    setFlagsFromString('--max-semi-space-size=32')
    const worker = startThread(new URL(`data:text/javascript,${encodeURIComponent(SOURCE)}`), { semiSpaceMb: 2 })
    const [size] = (await once(worker, 'message')) as [number]
    await worker.terminate()
    // Two halves.
    expect(size).toBeLessThanOrEqual(4 * MIB)
  })
})
