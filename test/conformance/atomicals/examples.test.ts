import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { everyMethod } from '../../../src/rpc/describe.ts'
import { corpusRows } from '../../support/corpus-rows.ts'

/** Members that the reference does not have: what the mempool does. */
const OURS = /\.unconfirmed$/
/** Below these the members are names of the minter's own. */
const FREE = /\.(?:latest|data|items|args|fields)$/

/** Names of all members of a value, as paths; ids and numbers as #. */
function membersOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => membersOf(item, `${path}[]`))
  if (typeof value !== 'object' || value === null || FREE.test(path)) return []
  return Object.entries(value).flatMap(([name, member]) => {
    const own = `${path}.${/^(?:\d+|[0-9a-f]{64}(?:i\d+)?)$/.test(name) ? '#' : name}`
    return [own, ...membersOf(member, own)]
  })
}

/** By method, all members that its answers have. */
function membersSeen(): ReadonlyMap<string, ReadonlySet<string>> {
  const seen = new Map<string, Set<string>>()
  for (const { method, result } of [...corpusRows(), ...corpusRows('branch')]) {
    if (!seen.has(method)) seen.set(method, new Set())
    for (const member of membersOf(result)) seen.get(method)?.add(member)
  }
  return seen
}

describe('examples of methods', () => {
  const seen = membersSeen()
  const methods = everyMethod().filter(({ name }) => name.startsWith('blockchain.atomicals.') && seen.has(name))

  it('are held against the answers of the reference, nearly all of them', () => {
    expect(methods.length).toBeGreaterThan(40)
  })

  it.each(methods.map(({ name, example }) => [name, example.result] as const))(
    '%s shows no member that no answer of the reference has',
    (name, result) => {
      const unknown = membersOf(result).filter((member) => !OURS.test(member) && seen.get(name)?.has(member) !== true)
      expect(unknown).toEqual([])
    },
  )
})

describe('docs/ATOMICALS.md', () => {
  const page = readFileSync(new URL('../../../docs/ATOMICALS.md', import.meta.url), 'utf8')
  const named = new Set([...page.matchAll(/`([\w$<>…]+)`/g)].map(([, name = '']) => name))

  it('names every member that an atomical has in an answer', () => {
    const rows = corpusRows().filter(({ method }) => method === 'blockchain.atomicals.get')
    const members = rows.flatMap(({ result }) =>
      membersOf((result as { readonly result?: unknown } | undefined)?.result),
    )
    const top = new Set(members.map((member) => member.split('.')[1]?.replace('[]', '') ?? ''))
    expect(top.size).toBeGreaterThan(30)
    const isNamed = (name: string): boolean =>
      [name, name.replace(/(?:sub)?realm|container|dmitem|ticker/, '<kind>'), name.replace(/(?<=bitwork).*/, '…')].some(
        (form) => named.has(form),
      )
    expect([...top].filter((name) => !isNamed(name) && name !== 'mint_data')).toEqual([])
  })
})
