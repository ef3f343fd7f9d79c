import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parsePsbt, psbtBytes } from '../../../src/chain/psbt.ts'
import { serializeTx } from '../../../src/chain/tx.ts'
import { ParseError } from '../../../src/errors.ts'
import { concat, fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { entry, psbt0, psbt2, SPENDING } from '../../support/psbt-builder.ts'

interface Vector {
  readonly name: string
  readonly hex?: string
  readonly base64?: string
  readonly locktime?: number | null
}

const VECTORS = JSON.parse(
  readFileSync(new URL('../../fixtures/psbt/vectors.json', import.meta.url), 'utf8'),
) as Record<'bip174' | 'bip370', Record<'valid' | 'invalid' | 'locktime', readonly Vector[]>>

function textsOf({ hex, base64 }: Vector): string[] {
  return [hex, base64].filter((text) => text !== undefined)
}

/** They say nothing: there is no transaction without inputs (see parseTx). */
const WITHOUT_INPUTS = new Set(['PSBT with global unsigned tx that has 0 inputs and 0 outputs', 'PSBT with 0 inputs'])

describe.each(['bip174', 'bip370'] as const)('vectors of %s', (bip) => {
  const { valid, invalid } = VECTORS[bip]

  it.each(valid.filter(({ name }) => !WITHOUT_INPUTS.has(name)))('valid: $name', (vector) => {
    const ids = textsOf(vector).map((text) => {
      const { version, tx } = parsePsbt(psbtBytes(text))
      expect(version).toBe(bip === 'bip174' ? 0 : 2)
      expect(tx.inputs.length).toBeGreaterThan(0)
      return toDisplayHex(tx.txid)
    })
    expect(new Set(ids).size).toBe(1)
  })

  it.each(invalid)('invalid: $name', (vector) => {
    for (const text of textsOf(vector)) expect(() => parsePsbt(psbtBytes(text))).toThrow(ParseError)
  })
})

describe('lock times of BIP370', () => {
  it.each(VECTORS.bip370.locktime)('$locktime: $name', (vector) => {
    for (const text of textsOf(vector)) {
      const read = (): number => parsePsbt(psbtBytes(text)).tx.locktime
      if (vector.locktime === null) expect(read).toThrow('a height and for a time')
      else expect(read()).toBe(vector.locktime)
    }
  })
})

describe('a PSBT', () => {
  it('of either version gives the transaction that it is about', () => {
    for (const bytes of [psbt0(SPENDING), psbt2(SPENDING)]) {
      expect(toHex(serializeTx(parsePsbt(bytes).tx))).toBe(toHex(serializeTx(SPENDING)))
    }
  })

  it('without inputs is refused', () => {
    for (const vector of VECTORS.bip174.valid.filter(({ name }) => WITHOUT_INPUTS.has(name))) {
      for (const text of textsOf(vector)) expect(() => parsePsbt(psbtBytes(text))).toThrow('no inputs')
    }
    expect(() => parsePsbt(psbt2({ ...SPENDING, inputs: [] }))).toThrow('no inputs')
  })

  it('shows its leaf scripts in the order of inputs, without the version behind them', () => {
    const leaf = (script: string, block: number) =>
      entry(0x15, fromHex(`${script}c0`), new Uint8Array(33 + 32 * block).fill(block))
    const inputs = [concat(leaf('51', 0), leaf('5152', 1)), leaf('5153', 2)]
    for (const make of [psbt0, psbt2]) {
      const { leafScripts } = parsePsbt(make(SPENDING, { inputs }))
      expect(leafScripts.map(toHex)).toEqual(['51', '5152', '5153'])
    }
  })

  it('shows the witness of an input that is final, and keeps the id of the unsigned transaction', () => {
    const inputs = [entry(0x08, fromHex('0201aa02bbcc'))]
    const { tx } = parsePsbt(psbt0(SPENDING, { inputs }))
    expect(tx.inputs.map(({ witness }) => witness.map(toHex))).toEqual([['aa', 'bbcc'], []])
    expect(toHex(tx.txid)).toBe(toHex(parsePsbt(psbt0(SPENDING)).tx.txid))
  })

  it('is refused where a witness is not what its length says', () => {
    for (const witness of ['0201aa', '0101aabb', 'ffffffffffffffffff', '']) {
      const inputs = [entry(0x08, fromHex(witness))]
      expect(() => parsePsbt(psbt0(SPENDING, { inputs }))).toThrow(ParseError)
    }
  })

  it('is refused with bytes behind it, with maps missing, and of another version', () => {
    const bytes = psbt0(SPENDING)
    expect(() => parsePsbt(concat(bytes, Uint8Array.of(0)))).toThrow('trailing bytes')
    expect(() => parsePsbt(bytes.subarray(0, -1))).toThrow(ParseError)
    expect(() => parsePsbt(psbt0(SPENDING, { global: entry(0xfb, fromHex('01000000')) }))).toThrow(
      'version 1 is unknown',
    )
    expect(() => parsePsbt(psbt0(SPENDING, { global: entry(0xfb, fromHex('00000000')) }))).not.toThrow()
  })

  it('that announces more inputs than there are bytes costs nothing', () => {
    const bytes = psbt2(SPENDING, { inputCount: fromHex('fe00000002') })
    expect(() => parsePsbt(bytes)).toThrow('more announced than can follow')
  })

  it('is read from hex in either case and from base64, and from nothing else', () => {
    const bytes = psbt0(SPENDING)
    for (const text of [toHex(bytes), toHex(bytes).toUpperCase(), Buffer.from(bytes).toString('base64')]) {
      expect(toHex(psbtBytes(text))).toBe(toHex(bytes))
    }
    for (const text of ['', 'psbt', 'a===', '70736274ff0', 'cHNidP8=\n', '=', 'Ä'.repeat(4)]) {
      expect(() => parsePsbt(psbtBytes(text))).toThrow(ParseError)
    }
  })
})
