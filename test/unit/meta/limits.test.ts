import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SETTINGS } from '../../../src/config-table.ts'
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
