import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import { ConfirmedHistory } from '../../../src/mempool/confirmed-history.ts'
import { HistoryList } from '../../../src/mempool/history-list.ts'
import type { MempoolItem } from '../../../src/mempool/moment.ts'

const entry = fc.record({
  txid: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  height: fc.oneof(fc.nat(1_000_000), fc.integer({ min: 0xffff_fff0, max: 0xffff_ffff })),
})
const parts = fc.array(fc.array(entry, { maxLength: 30 }), { maxLength: 6 })
const unconfirmed = fc.array(
  fc.record({
    txid: fc.constant('ab'.repeat(32)),
    height: fc.constantFrom(0 as const, -1 as const),
    fee: fc.constant(1n),
  }),
  { maxLength: 2 },
)
const text = (entries: readonly { txid: Uint8Array; height: number }[]): string =>
  entries.map(({ txid, height }) => `${toDisplayHex(txid)}:${height}:`).join('')

describe('HistoryList', () => {
  it('has what was put behind it, in whatever parts, and stays what it is when longer ones are made from it', () => {
    fc.assert(
      fc.property(parts, entry, entry, (all, one, other) => {
        const lists = [HistoryList.of([])]
        for (const some of all) lists.push(lists.at(-1)!.with(some))
        const whole = lists.at(-1)!
        // Two that go on from the same list in different ways.
        const [first, second] = [whole.with([one]), whole.with([other])]
        const flat = all.flat()
        expect(first.map((it) => ({ ...it, txid: Uint8Array.from(it.txid) }))).toEqual([...flat, one])
        expect(second.map((it) => ({ ...it, txid: Uint8Array.from(it.txid) }))).toEqual([...flat, other])
        for (const [i, list] of lists.entries()) {
          const expected = text(all.slice(0, i).flat())
          expect(Buffer.from(list.statusText()).toString('latin1')).toBe(expected)
        }
        const format = { before: '<', between: ' ', behind: '>', separator: ', ' }
        const shown = flat.map(({ txid, height }) => `<${toDisplayHex(txid)} ${height}>`)
        expect(Buffer.from(whole.text(format)).toString()).toBe(shown.join(', '))
        expect(Buffer.from(whole.text(format, 3, 7)).toString()).toBe(shown.slice(3, 7).join(', '))
      }),
    )
  })
})

describe('ConfirmedHistory', () => {
  it('has the status of everything, in whatever parts it came and whether or not its list is kept', () => {
    fc.assert(
      fc.property(parts, unconfirmed, fc.nat(6), fc.nat(6), (all, mempool: MempoolItem[], hashedAt, dropAt) => {
        let history = ConfirmedHistory.EMPTY
        let txNum = 0
        for (const [i, some] of all.entries()) {
          if (i === hashedAt) history.hashed()
          if (i === dropAt) history = history.withoutList()
          const items = some.map((it) => ({ ...it, txNum: txNum++ }))
          history = history.with(items, txNum)
          for (const pool of [mempool, []]) {
            const whole = text(all.slice(0, i + 1).flat()) + pool.map((it) => `${it.txid}:${it.height}:`).join('')
            const status = whole === '' ? null : createHash('sha256').update(whole).digest('hex')
            expect(history.status(pool)).toEqual({ status, characters: whole.length, confirmed: history.count })
          }
        }
        expect([history.count, history.last]).toEqual([txNum, txNum - 1])
      }),
    )
  })
})
