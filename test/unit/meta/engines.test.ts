import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'

const Engines = z.union([z.object({ node: z.string().optional() }), z.array(z.string())]).optional()
const Package = z.object({ engines: Engines, optional: z.boolean().optional() })
const Lock = z.object({ packages: z.record(z.string(), Package) })

const read = (name: string) => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8')
const { packages } = Lock.parse(JSON.parse(read('package-lock.json')))

/** Numbers of `20`, `20.19` or `>= 10.x`, the missing ones as 0. */
function parts(text: string): [number, number, number] {
  const [major = 0, minor = 0, patch = 0] = [...text.matchAll(/\d+/g)].map(Number)
  return [major, minor, patch]
}

function isAtLeast(version: string, least: string): boolean {
  const [a, b] = [parts(version), parts(least)]
  return (a[0] - b[0] || a[1] - b[1] || a[2] - b[2]) >= 0
}

/** Whether a range of npm, of the kinds that the lock file has, takes a version: `^a.b.c`, `>=a.b`, `20` and `*`, with `||`. */
function takes(range: string, version: string): boolean {
  return range.split('||').some((alternative) => {
    const one = alternative.trim()
    if (one === '*') return true
    if (!/^(?:\^|>= ?)?\d+(?:\.(?:\d+|x)){0,2}$/.test(one))
      throw new Error(`${one} is a range that this test cannot read`)
    return isAtLeast(version, one) && (one.startsWith('>') || parts(version)[0] === parts(one)[0])
  })
}

function nodeOf(engines: z.output<typeof Engines>): string {
  return engines === undefined || Array.isArray(engines) ? '*' : (engines.node ?? '*')
}

describe('the versions of Node that package.json names', () => {
  const own = nodeOf(Package.parse(JSON.parse(read('package.json'))).engines)
  // npm leaves out optional packages that do not fit.
  const installed = Object.values(packages).filter(({ optional }) => optional !== true)

  it.each(['20.18.3', '20.19.0', '20.20.2', '21.7.3', '22.11.0', '22.12.0', '23.11.1', '24.0.0', '26.1.0'])(
    'are those that `npm ci` installs on: %s',
    (version) => {
      expect(takes(own, version)).toBe(installed.every(({ engines }) => takes(nodeOf(engines), version)))
    },
  )

  it('are those of the README and of the image', () => {
    expect(own).toBe('^20.19.0 || ^22.12.0 || >=24.0.0')
    expect(read('README.md')).toContain('Node.js is all it takes: 20.19, 22.12 or 24, each or newer')
    for (const [, image = ''] of read('Dockerfile').matchAll(/^FROM node:(\d+)/gm)) expect(takes(own, image)).toBe(true)
  })
})
