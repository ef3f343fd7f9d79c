import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SETTINGS } from '../../../src/config/table.ts'
import { LIMIT_NAMES } from '../../../src/errors.ts'
import { METRICS } from '../../../src/server-metrics/table.ts'
import { REFUSALS } from '../../../src/session/admission.ts'
import { CLOSE_REASONS } from '../../../src/session/transports/connection.ts'
import { LIMITS } from '../../support/limits.ts'

const TESTS = resolve(import.meta.dirname, '../..')

/** Settings that name a limit by their name, and are none of what clients may use. */
const OTHERS = new Set(['REORG_LIMIT', 'CACHE_MB'])

describe('the table of limits', () => {
  it.each(LIMITS.map((row) => [row.limit, row] as const))('%s: is reached by a test', (_limit, { test }) => {
    const [file, title] = test
    const text = readFileSync(resolve(TESTS, file), 'utf8')
    expect(text).toMatch(new RegExp(`\\bit(?:\\.each\\([\\s\\S]*?\\))?\\(\\s*['"\`]${escaped(title)}`))
  })

  it('names every setting that is a limit', () => {
    const named = new Set(LIMITS.map(({ value }) => value))
    const missing = Object.entries(SETTINGS)
      .filter(([, { env }]) => /^MAX_|_LIMIT$|_TIMEOUT$/.test(env) && !OTHERS.has(env))
      .filter(([key]) => !named.has(key as keyof typeof SETTINGS))
    expect(missing.map(([, { env }]) => env)).toEqual([])
  })

  it.each(LIMITS.flatMap(({ limit, metrics }) => metrics.map((metric) => [limit, metric] as const)))(
    '%s: is shown by a metric that there is, under a label that it can have: %s',
    (_limit, shown) => {
      const [, name, label, value] = /^(\w+)(?:\{(\w+)="([^"]+)"\})?$/.exec(shown) ?? []
      const metric = METRICS.find((known) => known.name === name)
      expect(metric).toBeDefined()
      if (label !== undefined) expect(metric?.labels?.find((known) => known.name === label)?.values).toContain(value)
    },
  )

  it('leaves out of the metrics only what troubles nobody', () => {
    expect(LIMITS.filter(({ metrics }) => metrics.length === 0).map(({ limit }) => limit)).toEqual([
      'headers of one answer',
      'length of a PROXY header',
    ])
  })

  it('has a row for every limit that is counted by name', () => {
    const shown = LIMITS.flatMap(({ metrics }) => metrics)
    const missing = LIMIT_NAMES.filter((name) => !shown.includes(`valence_reached_limits_total{limit="${name}"}`))
    expect(missing).toEqual([])
  })

  it('counts under names that there are', () => {
    const known = new Set<string>([...CLOSE_REASONS, ...REFUSALS])
    const used = LIMITS.flatMap(({ counter }) => [...counter.matchAll(/\["([^"]+)"\]/g)].map((match) => match[1]!))
    expect(used.length).toBeGreaterThan(5)
    expect(used.filter((name) => !known.has(name))).toEqual([])
  })
})

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
