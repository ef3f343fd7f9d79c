import { describe, expect, it } from 'vitest'
import { findOperation } from '../../../src/atomicals/operation.ts'
import { fromHex, toHex } from '../../../src/lib/bytes.ts'
import { operationScript, pushText, scriptOf, txOf } from '../../support/envelopes.ts'

const RULES = { argsMayHaveBytes: true }
const MAP = 'a0'

function found(...scripts: readonly (Uint8Array | undefined)[]): string | undefined {
  const operation = findOperation(txOf(...scripts), RULES)
  if (operation === undefined) return undefined
  const { op, inputIndex, commit } = operation
  return `${op} ${inputIndex} ${toHex(commit.txid.subarray(0, 1))}:${commit.index}`
}

describe('findOperation', () => {
  it('takes the operation of input 0 with the output that it spends', () => {
    expect(found(operationScript('nft', MAP))).toBe('nft 0 01:100')
  })

  it('keeps the payload as pushed and as decoded', () => {
    const operation = findOperation(txOf(operationScript('dat', 'a1616101ffff')), RULES)
    expect(operation?.payload.get('a')).toBe(1n)
    expect(toHex(operation?.payloadBytes ?? new Uint8Array(0))).toBe('a1616101ffff')
  })

  it('finds nothing in transactions without envelopes', () => {
    expect(found(undefined, new Uint8Array(100))).toBeUndefined()
  })

  it('the input index counts only inputs before that had an operation with an empty payload', () => {
    expect(found(undefined, new Uint8Array(100), operationScript('nft', MAP))).toBe('nft 0 01:100')
    expect(found(operationScript('x', ''), operationScript('nft', MAP))).toBe('nft 1 02:101')
    expect(found(operationScript('x', ''), undefined, operationScript('y', ''), operationScript('nft', MAP))).toBe(
      'nft 2 03:102',
    )
  })

  it.each([
    ['that is no CBOR', '61'],
    ['that is no map', '80'],
    ['whose section is not plain', 'a1646d657461f6'],
  ])('goes on to the next input behind a payload %s, and does not count it', (_, payload) => {
    expect(found(operationScript('nft', payload), operationScript('ft', MAP))).toBe('ft 0 01:100')
  })

  it('ignores what follows the first operation with a payload', () => {
    expect(found(operationScript('mod', MAP), operationScript('nft', MAP))).toBe('mod 0 01:100')
  })

  it('takes a truncated envelope, at which the reference stops for good, for no operation', () => {
    const truncated = scriptOf(pushText('nft'), fromHex('05a0'))
    expect(found(truncated)).toBeUndefined()
    expect(found(truncated, operationScript('ft', MAP))).toBe('ft 0 01:100')
  })

  it('an operation without a payload alone is none', () => {
    expect(found(operationScript('x', ''))).toBeUndefined()
  })
})
