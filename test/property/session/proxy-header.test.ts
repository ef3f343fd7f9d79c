import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readProxyHeader } from '../../../src/session/transports/proxy-header.ts'
import { proxyV1, proxyV2, V2_SIGNATURE } from '../../support/proxy-header.ts'

const client = fc.record({
  host: fc.oneof(fc.ipV4(), fc.constantFrom('2001:db8::7', 'fe80::1', '::1')),
  port: fc.integer({ min: 0, max: 65_535 }),
})
const anything = fc.uint8Array({ maxLength: 300 })
const header = fc.oneof(
  client.map((from) => proxyV1(from)),
  fc.tuple(client, anything).map(([from, extra]) => proxyV2(from, { extra: Buffer.from(extra) })),
)

describe('PROXY header', () => {
  it('never throws, and finds no more than there are bytes, whatever they are', () => {
    const start = fc.constantFrom(Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), V2_SIGNATURE, Buffer.alloc(0))
    fc.assert(
      fc.property(start, anything, (begin, rest) => {
        const bytes = Buffer.concat([begin, rest])
        const found = readProxyHeader(bytes)
        if (found.kind === 'found') expect(found.length).toBeLessThanOrEqual(bytes.length)
      }),
      { numRuns: 3000 },
    )
  })

  it('comes out as it was written, whatever follows it', () => {
    fc.assert(
      fc.property(client, fc.boolean(), anything, (from, second, rest) => {
        const bytes = second ? proxyV2(from) : proxyV1(from)
        const found = readProxyHeader(Buffer.concat([bytes, rest]))
        expect(found).toEqual({ kind: 'found', length: bytes.length, client: from })
      }),
    )
  })

  it('is never taken for something else once a byte of it is known, nor for whole before it is', () => {
    fc.assert(
      fc.property(header, fc.nat(), (bytes, at) => {
        const end = at % bytes.length
        expect(readProxyHeader(bytes.subarray(0, end)).kind).toBe('incomplete')
      }),
    )
  })
})
