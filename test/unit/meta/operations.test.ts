import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { STORAGE_CODES } from '../../../src/errors.ts'
import { ADMIN_USAGE } from '../../../src/rpc-client.ts'
import { METRICS } from '../../../src/server-metrics/table.ts'

const page = readFileSync(new URL('../../../docs/OPERATIONS.md', import.meta.url), 'utf8')

const number = (text: string): number => Number(text.replaceAll(',', ''))

describe('docs/OPERATIONS.md', () => {
  it.each(STORAGE_CODES)('says what to do about StorageError %s', (code) => {
    expect(page).toContain(`### StorageError \`${code}\``)
  })

  it.each(['ListenError', 'ChainError', 'DaemonUnavailableError', 'InvariantError'])(
    'says what to do about %s',
    (name) => {
      expect(page).toContain(`### ${name}\n`)
    },
  )

  it('names metrics that there are', () => {
    const named = [...page.matchAll(/`(valence_\w+)/g)].map(([, name]) => name)
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((name) => !METRICS.some((metric) => metric.name === name))).toEqual([])
  })

  it('names commands that the command line knows', () => {
    const named = [...page.matchAll(/`valence rpc (\w+)/g)].map(([, name = '']) => name)
    expect(named.length).toBeGreaterThan(3)
    expect(named.filter((name) => !new RegExp(`\\b${name}\\b`).test(ADMIN_USAGE))).toEqual([])
  })

  it('multiplies bytes by rows as its tables say, and adds them up', () => {
    const tables = page.split(/^\| --- \| --- \| --- \| --- \|$/m).slice(1)
    expect(tables).toHaveLength(2)
    for (const table of tables) {
      const rows = [...table.matchAll(/^\| .+ \| ([\d.,]+) \| ([\d.,]+) \| ([\d.,]+) \|$/gm)]
      expect(rows.length).toBeGreaterThan(3)
      let sum = 0
      for (const [row, bytes = '', millions = '', gigabytes = ''] of rows) {
        expect((number(bytes) * number(millions)) / 1000, row).toBeCloseTo(number(gigabytes), 1)
        sum += number(gigabytes)
      }
      expect(table).toMatch(new RegExp(`^That is ${Math.round(sum)} GB[.,]`, 'm'))
    }
  })
})
