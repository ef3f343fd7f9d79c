import { describe, expect, it } from 'vitest'
import { Blacklist } from '../../../src/session/peers/blacklist.ts'
import { PeerBook } from '../../../src/session/peers/book.ts'
import { featuresOf } from '../../../src/session/peers/features.ts'
import { Peer } from '../../../src/session/peers/peer.ts'
import { PEER_RULES, type PeerRules } from '../../../src/session/peers/rules.ts'

const NOW = 1_700_000_000
const DAY = 86_400
const NONE = new Blacklist()

function peer(host: string, address?: string, lastGood = NOW - 60): Peer {
  const made = new Peer(host, featuresOf(host, ['v1.4', 's50002']), 'test')
  if (address !== undefined) made.address = address
  made.lastGood = lastGood
  return made
}

function bookOf(peers: readonly Peer[], rules: Partial<PeerRules> = {}, random = () => 0.5): PeerBook {
  const book = new PeerBook({ ...PEER_RULES, ...rules }, random)
  for (const one of peers) expect(book.add(one)).toBe(true)
  return book
}

function hosts(book: PeerBook, overTor = false, blacklist = NONE): string[] {
  return book
    .rows(overTor, NOW, blacklist)
    .map(([, host]) => host)
    .sort()
}

describe('the peers that others are told of', () => {
  it('were verified within a day, are neither bad nor blacklisted', () => {
    const bad = peer('bad.example', '3.3.0.1')
    bad.bad = true
    const book = bookOf([
      peer('good.example', '1.1.0.1'),
      peer('old.example', '2.2.0.1', NOW - DAY),
      peer('nearly-old.example', '2.3.0.1', NOW - DAY + 1),
      bad,
      peer('never.example', '4.4.0.1', 0),
      peer('black.example', '5.5.0.1'),
    ])
    expect(hosts(book, false, new Blacklist(['black.example']))).toEqual(['good.example', 'nearly-old.example'])
  })

  it('are one of each /16 of IPv4 and each /32 of IPv6', () => {
    const book = bookOf([
      peer('a.example', '1.1.0.1'),
      peer('b.example', '1.1.255.255'),
      peer('c.example', '1.2.0.1'),
      peer('d.example', '2001:db8::1'),
      peer('e.example', '2001:db8:ffff::1'),
      peer('f.example', '2001:db9::1'),
    ])
    const told = hosts(book)
    expect(told).toHaveLength(4)
    expect(told).toEqual(expect.arrayContaining(['c.example', 'f.example']))
  })

  it('are not always the same of a network', () => {
    const seen = new Set<string>()
    for (let turn = 0; turn < 10; turn++) {
      const book = bookOf([peer('a.example', '1.1.0.1'), peer('b.example', '1.1.0.2')], {}, () => turn / 10)
      for (const host of hosts(book)) seen.add(host)
    }
    expect(seen).toEqual(new Set(['a.example', 'b.example']))
  })

  it('are one of each domain where the address is hidden behind a proxy', () => {
    const book = bookOf([peer('a.one.example'), peer('b.one.example'), peer('a.two.example')])
    expect(hosts(book)).toHaveLength(2)
  })

  it('are few onions for most clients, more for who came over Tor', () => {
    const onions = Array.from({ length: 80 }, (_, n) => peer(`onion${n}.onion`))
    const few = bookOf([...onions, peer('a.example', '1.1.0.1')])
    expect(hosts(few)).toHaveLength(11)
    expect(hosts(few, true)).toHaveLength(51)
    const others = Array.from({ length: 60 }, (_, n) => peer(`peer${n}.example`, `1.${n}.0.1`))
    expect(hosts(bookOf([...onions, ...others])).filter((host) => host.endsWith('.onion'))).toHaveLength(15)
  })
})

describe('the book of peers', () => {
  it('has each host once, whatever its case, and is bounded', () => {
    const book = bookOf([peer('a.example'), peer('b.example')], { maxPeers: 3 })
    expect(book.add(peer('A.example'))).toBe(false)
    expect(book.add(peer('c.example'))).toBe(true)
    expect(book.isFull).toBe(true)
    expect(book.add(peer('d.example'))).toBe(false)
    expect(book.size).toBe(3)
  })

  it('knows a peer by its name and by its address', () => {
    const named = peer('a.example', '1.1.0.1')
    const book = bookOf([named])
    expect(book.matches(peer('A.example'))).toEqual([named])
    expect(book.matches(peer('1.1.0.1'))).toEqual([named])
    expect(book.matches(peer('other.example', '1.1.0.2'))).toEqual([])
  })

  it('keeps the name of a server that is there twice, by name and by address', () => {
    const [named, bare] = [peer('a.example', '1.1.0.1'), peer('1.1.0.1')]
    const first = bookOf([named, bare])
    expect(first.crowdFault(named, NOW, NONE)).toBeUndefined()
    first.dropAliases(named)
    expect([...first.all()]).toEqual([named])
    const second = bookOf([named, bare])
    second.dropAliases(bare)
    expect([...second.all()]).toEqual([named])
    const alone = bookOf([bare])
    alone.dropAliases(bare)
    expect([...alone.all()]).toEqual([bare])
  })

  it('takes one good peer of an IPv4 address and of an IPv6 /64', () => {
    const book = bookOf([peer('a.example', '1.1.0.1'), peer('b.example', '2001:db8:0:1::1')])
    expect(book.crowdFault(peer('c.example', '1.1.0.1'), NOW, NONE)).toBe('too many peers in 1.1.0.1/32 already')
    expect(book.crowdFault(peer('c.example', '1.1.0.2'), NOW, NONE)).toBeUndefined()
    expect(book.crowdFault(peer('c.example', '2001:db8:0:1::2'), NOW, NONE)).toContain('/64')
    expect(book.crowdFault(peer('c.example', '2001:db8:0:2::1'), NOW, NONE)).toBeUndefined()
    expect(book.crowdFault(peer('c.example', '1.1.0.1'), NOW + 2 * DAY, NONE)).toBeUndefined()
  })

  it('takes onions until they are more than half of the many there are', () => {
    const onions = (count: number) => Array.from({ length: count }, (_, n) => peer(`onion${n}.onion`))
    const others = (count: number) =>
      Array.from({ length: count }, (_, n) => peer(`p${n}.example`, `1.${n % 250}.${n}.1`))
    const fault = (book: PeerBook) => book.crowdFault(peer('new.onion'), NOW, NONE)
    expect(fault(bookOf([...onions(150), ...others(10)]))).toBeUndefined()
    expect(fault(bookOf([...onions(120), ...others(120)]))).toBeUndefined()
    expect(fault(bookOf([...onions(122), ...others(120)]))).toBe('too many onion peers already')
  })

  it('counts peers by how they are', () => {
    const bad = peer('bad.example')
    bad.bad = true
    const book = bookOf([
      peer('a.example'),
      peer('b.example', undefined, NOW - 2 * DAY),
      peer('c.example', undefined, 0),
      bad,
    ])
    expect(book.counts(NOW)).toEqual({ good: 1, stale: 1, never: 1, bad: 1, total: 4 })
  })
})
