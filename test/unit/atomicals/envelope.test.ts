import { describe, expect, it } from 'vitest'
import { findEnvelope, OPERATION_NAMES } from '../../../src/atomicals/envelope.ts'
import { concat, fromHex, toHex } from '../../../src/lib/bytes.ts'
import { operationScript, push, pushText, scriptOf } from '../../support/envelopes.ts'

const END = fromHex('68')

function found(...witness: readonly Uint8Array[]): string | undefined {
  const envelope = findEnvelope(witness)
  return envelope === undefined || envelope === 'truncated' ? envelope : `${envelope.op} ${toHex(envelope.payload)}`
}

describe('findEnvelope', () => {
  it.each(OPERATION_NAMES)('finds the operation %s and its payload', (op) => {
    expect(found(operationScript(op, 'a0'))).toBe(`${op} a0`)
  })

  it.each(['NFT', 'nf', 'nfts', 'w', 'xx', 'atom', ''])('knows no operation %j', (op) => {
    expect(found(scriptOf(pushText(op), fromHex('01a068')))).toBeUndefined()
  })

  it('the start is searched for byte by byte in every witness item', () => {
    const inAPush = concat(fromHex(`20${'22'.repeat(32)}`), push(concat(fromHex('630461746f6d'), fromHex('0178'), END)))
    expect(found(Uint8Array.of(1), new Uint8Array(0), inAPush)).toBe('x ')
    expect(found(fromHex(`20${'22'.repeat(32)}630461746f6d017868`))).toBe('x ')
  })

  it('looks only into items of 39 bytes and more that begin with the push of a key', () => {
    const script = operationScript('nft', 'a0')
    expect(found(concat(fromHex('21'), script.subarray(1)))).toBeUndefined()
    expect(found(concat(fromHex('00'), script))).toBeUndefined()
    expect(found(fromHex(`20${'22'.repeat(32)}630461746f`))).toBeUndefined()
    expect(found(fromHex(`20${'22'.repeat(32)}630461746f6d`))).toBeUndefined()
  })

  it('does not find a start inside the key', () => {
    expect(found(fromHex(`20630461746f6d0178${'00'.repeat(24)}6800000000000000`))).toBeUndefined()
  })

  it('the first start in an item decides; behind an unknown name nothing more is looked for in that item', () => {
    const later = concat(scriptOf(pushText('zzz'), END), fromHex('630461746f6d0178'), END)
    expect(found(later)).toBeUndefined()
    expect(found(later, operationScript('y', 'a0'))).toBe('y a0')
  })

  it("an operation's name has to be pushed the short way, and a byte has to follow it", () => {
    expect(found(scriptOf(fromHex('4c036e6674'), fromHex('01a068')))).toBeUndefined()
    expect(found(scriptOf(pushText('nft')))).toBeUndefined()
    expect(found(scriptOf(pushText('x')))).toBeUndefined()
    expect(found(scriptOf(pushText('x'), fromHex('51')))).toBe('x ')
  })

  it('the payload is all pushes up to the first OP_ENDIF, or to the end of the item without one', () => {
    const pushes = fromHex('01aa 00 4c01bb 4d0100cc 4e01000000dd'.replaceAll(' ', ''))
    expect(found(scriptOf(pushText('dat'), pushes, END, fromHex('01ee')))).toBe('dat aabbccdd')
    expect(found(scriptOf(pushText('dat'), pushes))).toBe('dat aabbccdd')
  })

  it('opcodes that are no pushes, the numbers OP_1 to OP_16 among them, are passed over', () => {
    expect(found(scriptOf(pushText('dat'), fromHex('4f505160ac67ff01aa75'), END))).toBe('dat aa')
  })

  it.each(['02aa', '4c', '4c02aa', '4d01', '4d0200aa', '4e010000', '4effffffffaa'])(
    'tells of a push that runs over the end: %s',
    (bytes) => {
      expect(found(scriptOf(pushText('dat'), fromHex(bytes)))).toBe('truncated')
    },
  )
})
