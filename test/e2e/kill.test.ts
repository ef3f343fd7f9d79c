import { resolve } from 'node:path'
import { expect, it } from 'vitest'
import { runKillLoop } from '../support/crash-loop.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')
const SEED = 20_090_103

it('has the index of an undisturbed server after being killed during start, sync, flushes, gathering and reorganisations', async () => {
  const lines: string[] = []
  const report = await runKillLoop({
    rounds: 10,
    // A slow machine has no time for all of them, but a loop that kills nobody proves nothing.
    least: 3,
    seconds: 60,
    seed: SEED,
    main: MAIN,
    compareEvery: 5,
    txs: 10,
    fan: 30,
    say: (line) => void lines.push(line),
  })
  expect(report.digest).toEqual(report.fresh)
  expect(report.digest.height).toBeGreaterThan(100)
  expect(report.rounds, lines.join('\n')).toBeGreaterThanOrEqual(3)
  expect(Object.values(report.kills).reduce((sum, count) => sum + count)).toBe(report.rounds)
  expect(report.digest.digest).toMatch(/^[0-9a-f]{64}$/)
})
