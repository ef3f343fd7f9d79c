import { describe, expect, it } from 'vitest'
import { parsePayload } from '../../../src/atomicals/payload.ts'
import { fromHex } from '../../../src/lib/bytes.ts'

/** Text item in hex. */
function text(value: string): string {
  return (0x60 + value.length).toString(16) + Buffer.from(value).toString('hex')
}

/** Map of text keys to items in hex. */
function map(entries: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(entries)
  return (0xa0 + pairs.length).toString(16) + pairs.map(([key, item]) => text(key) + item).join('')
}

function accepts(hex: string, argsMayHaveBytes = true): boolean {
  return parsePayload(fromHex(hex), { argsMayHaveBytes }) !== undefined
}

const SECTIONS = ['meta', 'args', 'ctx', 'init']
const PLAIN = { int: '01', bool: 'f5', float: 'f93c00', list: '81f6', text: '6161', bignum: 'c24101' }
const REFUSED = {
  null: 'f6',
  undefined: 'f7',
  simple: 'e0',
  tag: 'd903e801',
  date: 'c100',
  set: 'd9010280',
  decimal: 'c4820101',
  'shared tuple': 'd81c80',
}

describe('parsePayload', () => {
  it('bytes behind the first CBOR item of a payload are ignored', () => {
    expect(accepts('a0ff00')).toBe(true)
  })

  it.each(['', '80', '01', 'f6', 'ff', 'a1', 'a16161'])('refuses what is no map: %j', (hex) => {
    expect(accepts(hex)).toBe(false)
  })

  it('looks through tag 55799', () => {
    expect(accepts('d9d9f7a0')).toBe(true)
  })

  it('takes anything in members that are no sections', () => {
    for (const item of Object.values(REFUSED)) expect(accepts(map({ x: item }))).toBe(true)
  })

  describe.each(SECTIONS)('section %s', (section) => {
    it('may be absent or empty, but only a map', () => {
      expect(accepts(map({ [section]: 'a0' }))).toBe(true)
      for (const item of ['f6', '80', '01', '60', '40']) expect(accepts(map({ [section]: item }))).toBe(false)
    })

    it.each(Object.entries(PLAIN))('may hold %s', (_, item) => {
      expect(accepts(map({ [section]: map({ v: item }) }))).toBe(true)
    })

    it.each(Object.entries(REFUSED).filter(([kind]) => kind !== 'shared tuple'))('may not hold %s', (_, item) => {
      expect(accepts(map({ [section]: map({ v: item }) }))).toBe(false)
      expect(accepts(map({ [section]: map({ n: map({ v: item }) }) }))).toBe(false)
    })

    it('the check of a section descends into the first nested map and takes its verdict', () => {
      expect(accepts(map({ [section]: map({ a: 'a0', b: REFUSED.null }) }))).toBe(true)
      expect(accepts(map({ [section]: map({ a: map({ v: REFUSED.null }), b: '01' }) }))).toBe(false)
      expect(accepts(map({ [section]: map({ a: REFUSED.null, b: 'a0' }) }))).toBe(false)
      expect(accepts(map({ [section]: map({ a: `81${REFUSED.null}` }) }))).toBe(true)
    })
  })

  it('allows bytes in init always, in args from the density height on, in meta and ctx never', () => {
    const withBytes = (section: string): string => map({ [section]: map({ v: '4100' }) })
    expect(accepts(withBytes('init'), false)).toBe(true)
    expect(accepts(withBytes('args'), true)).toBe(true)
    expect(accepts(withBytes('args'), false)).toBe(false)
    expect(accepts(withBytes('meta'))).toBe(false)
    expect(accepts(withBytes('ctx'))).toBe(false)
  })

  it('takes a map that was frozen inside a key for no map', () => {
    expect(accepts('a2d81ca001646172 6773d81d00'.replace(' ', ''))).toBe(false)
  })

  it('refuses a section that contains itself, in bounded time', () => {
    expect(accepts(map({ args: `d81c${map({ a: 'd81d00' })}` }))).toBe(false)
  })
})
