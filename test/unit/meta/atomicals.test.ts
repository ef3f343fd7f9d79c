import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../../..')
const PAGE = readFileSync(join(ROOT, 'docs/ATOMICALS.md'), 'utf8')

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesBelow(path, ending)
    return entry.name.endsWith(ending) ? [path] : []
  })
}

/** Source text with the escapes of its strings taken back, as far as names of tests have any. */
function textOf(path: string): string {
  return readFileSync(path, 'utf8').replaceAll(/\\(['"`\\])/g, '$1')
}

interface Rule {
  readonly line: string
  readonly places: readonly { readonly file: string; readonly name: string }[]
  readonly tests: readonly { readonly file: string; readonly title: string }[]
}

function rules(): Rule[] {
  const lines = PAGE.split('\n').filter((line) => line.startsWith('| ') && line.includes('`'))
  const tables = lines.filter((line) => /\| `[\w/-]+\.ts#/.test(line))
  return tables.map((line) => ({
    line,
    places: [...line.matchAll(/`([\w/-]+\.ts)#(\w+)`/g)].map(([, file = '', name = '']) => ({ file, name })),
    tests: [...line.matchAll(/`([\w/-]+\.test\.ts)` \*([^*]+)\*/g)].map(([, file = '', title = '']) => ({
      file,
      title,
    })),
  }))
}

/** What a comment `// CONSENSUS:` says up to the first pause, which the name of its test begins with or holds. */
function oddities(): { readonly file: string; readonly oddity: string }[] {
  return filesBelow(join(ROOT, 'src'), '.ts').flatMap((file) => {
    const lines = readFileSync(file, 'utf8').split('\n')
    return lines.flatMap((line, i) => {
      const begun = /(?:\/\/|\*) CONSENSUS: (.*)$/.exec(line)?.[1]
      if (begun === undefined) return []
      let sentence = begun
      for (let next = i + 1; /^\s*(?:\/\/|\*)(?!\/)/.test(lines[next] ?? ''); next++) {
        sentence += ` ${(lines[next] ?? '').replace(/^\s*(?:\/\/|\*) ?/, '')}`
      }
      const oddity = sentence.split(/(?<=.{18})(?:[,;:.](?: |$)| \()/)[0] ?? ''
      return [{ file: file.slice(ROOT.length + 1), oddity: oddity.replace(/\.$/, '') }]
    })
  })
}

describe('docs/ATOMICALS.md', () => {
  const all = rules()

  it('names a function and a test for every rule', () => {
    expect(all.length).toBeGreaterThan(60)
    expect(
      all.filter(({ places, tests }) => places.length === 0 || tests.length === 0).map(({ line }) => line),
    ).toEqual([])
  })

  it('names functions that there are', () => {
    const missing = all.flatMap(({ places }) =>
      places.filter(({ file, name }) => {
        const text = readFileSync(join(ROOT, 'src/atomicals', file), 'utf8')
        return !new RegExp(`^export (?:async )?(?:function|class|const) ${name}\\b`, 'm').test(text)
      }),
    )
    expect(missing).toEqual([])
  })

  it('names tests that there are', () => {
    const missing = all.flatMap(({ tests }) =>
      tests.filter(({ file, title }) => {
        const text = textOf(join(ROOT, 'test', file))
        return !["'", '"', '`'].some((quote) => text.includes(`${quote}${title}${quote}`))
      }),
    )
    expect(missing).toEqual([])
  })

  it('has the heights of the networks', async () => {
    const heights = await import('../../../src/atomicals/constants.ts')
    const columns = [
      heights.MAINNET_HEIGHTS,
      heights.TESTNET3_HEIGHTS,
      heights.TESTNET4_HEIGHTS,
      heights.REGTEST_HEIGHTS,
    ]
    const table = PAGE.split('\n').filter((line) => /^\| (?:start|[A-Z_]{5,}):/.test(line))
    const shown = table.map((line) =>
      line
        .split('|')
        .slice(2, -1)
        .map((cell) => Number(cell.replaceAll(',', ''))),
    )
    const rulesInOrder = ['start', 'dmint', 'commitz', 'density', 'dftBitworkRollover', 'customColoring'] as const
    expect(shown).toEqual(rulesInOrder.map((rule) => columns.map((column) => column[rule])))
  })
})

/** Names of the tests and groups of a file, without escapes. */
function titlesOf(path: string): string[] {
  const quoted = /(?:\b(?:it|describe)|\))\(\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`((?:[^`\\]|\\.)*)`)/g
  return [...readFileSync(path, 'utf8').matchAll(quoted)].map(([, single, double, template]) =>
    (single ?? double ?? template ?? '').replaceAll(/\\(['"`\\])/g, '$1'),
  )
}

describe('consensus oddities', () => {
  it('have a test of their name each', () => {
    const titles = filesBelow(join(ROOT, 'test'), '.test.ts').flatMap(titlesOf)
    const found = oddities()
    expect(found.length).toBeGreaterThan(40)
    expect(found.filter(({ oddity }) => !titles.some((title) => title.includes(oddity)))).toEqual([])
  })
})
