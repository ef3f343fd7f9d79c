import { describe, expect, it } from 'vitest'
import { Blacklist } from '../../../src/session/peers/blacklist.ts'

const list = Blacklist.parse('["Bad.example.org", "*.evil.example", "203.0.113.7", "*.co.uk", "*.org"]')

describe('a blacklist', () => {
  it.each([
    ['a name', 'bad.example.org', undefined],
    ['a name in other letters', 'BAD.EXAMPLE.ORG', undefined],
    ['a name below a domain', 'www.evil.example', undefined],
    ['one far below it', 'a.b.c.evil.example', undefined],
    ['the domain itself', 'evil.example', undefined],
    ['a domain with a dot in its ending', 'peer.co.uk', undefined],
    ['the address of a good name', 'fine.example.net', '203.0.113.7'],
    ['an address', '203.0.113.7', undefined],
  ])('has %s', (_what, host, address) => expect(list.has(host, address)).toBe(true))

  it.each([
    ['a name beside', 'good.example.org', undefined],
    ['a name that ends alike', 'notevil.example', undefined],
    ['all of a top-level domain', 'peer.org', '203.0.113.8'],
    ['an address that ends alike', '1.203.0.113', undefined],
  ])('has not %s', (_what, host, address) => expect(list.has(host, address)).toBe(false))

  it('is nothing but a JSON list of texts', () => {
    for (const text of ['{"a":1}', '["a", 1]', 'null', '"a"', 'bad.example']) {
      expect(() => Blacklist.parse(text)).toThrow()
    }
    expect(Blacklist.parse('[]').size).toBe(0)
    expect(new Blacklist().has('bad.example')).toBe(false)
  })
})
