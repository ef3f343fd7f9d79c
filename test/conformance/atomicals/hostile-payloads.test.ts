import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { AtomicalsInterest } from '../../../src/atomicals/interest.ts'
import { findOperation } from '../../../src/atomicals/operation.ts'
import { parseBlock, txAt, txidAt, txRawAt } from '../../../src/chain/block.ts'
import { fromHex, toDisplayHex } from '../../../src/lib/bytes.ts'

/** Transactions that stop or strain the reference: what the search for an operation makes of them. */
const FILE = resolve(import.meta.dirname, '../../fixtures/corpus-hostile/hostile.json.gz')

interface Hostile {
  readonly cases: readonly { readonly label: string; readonly txid: string; readonly alone: string }[]
}

const { cases } = JSON.parse(gunzipSync(readFileSync(FILE)).toString('utf8')) as Hostile

/** Those that are no operation because of their envelope or payload. All others are one. */
const NONE = new Set([
  'truncated push in an envelope that is never run',
  'payload nested 5000 deep',
  'payload nested 200000 deep',
  'list announces 2^40 entries',
  'text announces 2^40 bytes',
  'map announces 2^60 entries',
])
const PAYMENT = /^payment under a rule/

describe('hostile transactions', () => {
  it.each(cases)('$label', ({ label, txid, alone }) => {
    const block = parseBlock(fromHex(alone))
    const index = Array.from({ length: block.txCount }, (_, i) => i).find(
      (i) => toDisplayHex(txidAt(block, i)) === txid,
    )
    expect(index).toBeDefined()
    const operation = findOperation(txAt(block, index ?? 0), { argsMayHaveBytes: true })
    expect(operation === undefined).toBe(NONE.has(label) || PAYMENT.test(label))
    if (operation !== undefined) expect(new AtomicalsInterest().marks(txRawAt(block, index ?? 0))).toBe(true)
  })

  it('has every case that is listed here', () => {
    const labels = cases.map(({ label }) => label)
    expect(labels).toEqual(expect.arrayContaining([...NONE]))
  })
})
