import { describe, expect, it } from 'vitest'
import { findLeafOperation, findOperation } from '../../../src/atomicals/operation.ts'
import { parsePsbt, psbtBytes } from '../../../src/chain/psbt.ts'
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

describe('findLeafOperation', () => {
  /** The PSBT of the reference's own test: its leaf script has an envelope of another protocol. */
  const PSBT =
    '70736274ff01005e0100000001000000000000000000000000000000000000000000000000000000000000000000000000' +
    '00ffffffff0122020000000000002251202b2e6c7946ede6a9e76ea8dc599b375a1899cf7ba784754fa9ab91486ad56fb3' +
    '000000000001012b62d0000000000000225120ecbc068d696bf671b51d45a892a6777a9e4a624bbb14aa4f3040c1a0d957' +
    '86b72215c0486ff77b86a935ed21a35a48ee5fa00cec653dcfcc6f3f93cd9b9232287870963220486ff77b86a935ed21a3' +
    '5a48ee5fa00cec653dcfcc6f3f93cd9b923228787096ac00630477697a7a013604b4f5493a68c00000'

  it('finds none in the leaf script of another protocol', () => {
    const { leafScripts } = parsePsbt(psbtBytes(PSBT))
    expect(leafScripts.map((script) => script.length)).toEqual([49])
    expect(findLeafOperation(leafScripts, RULES)).toBeUndefined()
  })

  it('takes the first script that has one, with its place among them', () => {
    const scripts = [new Uint8Array(100), operationScript('nft', MAP), operationScript('ft', MAP)]
    expect(findLeafOperation(scripts, RULES)).toMatchObject({ op: 'nft', inputIndex: 1 })
  })

  it('finds none where the first script with an envelope has no payload that decodes', () => {
    const scripts = [operationScript('nft', '61'), operationScript('ft', MAP)]
    expect(findLeafOperation(scripts, RULES)).toBeUndefined()
  })
})
