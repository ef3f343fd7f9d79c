import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/**
 * Imports go one way (ARCHITECTURE.md section 1): a module may import from its own layer's folder and from folders that
 * stand before it here, types included.
 */
const ORDER = [
  ['errors'],
  ['log-output'],
  ['log', 'metrics', 'version'],
  ['lib'],
  ['chain'],
  ['db', 'daemon', 'regtest'],
  ['atomicals', 'mempool'],
  ['rpc'],
  ['coins'],
  ['config'],
  ['index-opening'],
  ['sync', 'session'],
  ['server-info', 'server-metrics', 'server-peers', 'regtest-admin'],
  ['server'],
  ['index-check'],
  ['index-commands'],
  ['rpc-client'],
  ['command-line'],
  ['main'],
] as const

/** Folders that know nothing of each other although they stand on one line, or that know less than their line allows. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  lib: ['errors'],
  chain: ['lib', 'errors'],
  regtest: ['lib', 'chain', 'errors', 'log'],
  atomicals: ['lib', 'chain', 'db', 'errors', 'log', 'metrics'],
}

/** Composition roots and their commands: they alone know that there is a node of our own. */
const ROOTS: ReadonlySet<string> = new Set(['server', 'regtest-admin', 'index-commands'])

const SRC = resolve(import.meta.dirname, '../../../src')
const IMPORT =
  /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*?(?:\bfrom\s*)?['"](\.[^'"]+)['"]|import\(\s*['"](\.[^'"]+)['"]\s*\)/g
const MULTILINE_FROM = /\bfrom\s*['"](\.[^'"]+)['"]/g

interface Edge {
  readonly file: string
  readonly from: string
  readonly to: string
  readonly target: string
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return sources(path)
    return entry.name.endsWith('.ts') ? [path] : []
  })
}

function layerOf(path: string): string {
  return relative(SRC, path).split('/')[0]!.replace(/\.ts$/, '')
}

function edges(): Edge[] {
  return sources(SRC).flatMap((file) => {
    const text = readFileSync(file, 'utf8')
    const found = [...text.matchAll(IMPORT), ...text.matchAll(MULTILINE_FROM)]
    return found.map((match) => {
      const target = resolve(dirname(file), match[1] ?? match[2]!)
      return { file: relative(SRC, file), from: layerOf(file), to: layerOf(target), target: relative(SRC, target) }
    })
  })
}

function rankOf(layer: string): number {
  return ORDER.findIndex((line) => (line as readonly string[]).includes(layer))
}

describe('imports', () => {
  const all = edges()

  it('are found at all, so that the rules below are not empty', () => {
    expect(all.length).toBeGreaterThan(5)
  })

  it('know every folder and file of the top level', () => {
    expect([...new Set(sources(SRC).map(layerOf))].filter((layer) => rankOf(layer) === -1)).toEqual([])
  })

  it('go one way', () => {
    const wrong = all.filter(({ from, to }) => {
      if (from === to) return false
      const only = ONLY[from]
      return only !== undefined ? !only.includes(to) : rankOf(to) >= rankOf(from) || to === 'regtest'
    })
    const allowed = wrong.filter(({ from, to }) => !(to === 'regtest' && ROOTS.has(from)))
    expect(allowed.map(({ file, target }) => `${file} imports ${target}`)).toEqual([])
  })

  it('leave the inside of a session to those it is made of: everybody else has its handle', () => {
    const inside = all.filter(({ target }) => target === 'session/core.ts').map(({ file }) => file)
    expect(new Set(inside)).toEqual(
      new Set(['session/session.ts', 'session/stream-client.ts', 'session/http/session.ts']),
    )
  })

  it('name the file, not a folder, and carry its ending', () => {
    expect(all.filter(({ target }) => !target.endsWith('.ts')).map(({ file, target }) => `${file}: ${target}`)).toEqual(
      [],
    )
  })
})
