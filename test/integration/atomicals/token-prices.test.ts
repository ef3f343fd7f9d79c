import { describe, expect, it } from 'vitest'
import type { AtomicalsHeights } from '../../../src/atomicals/constants.ts'
import { compactOfIdText } from '../../../src/atomicals/id-text.ts'
import type { Tx, TxOutput } from '../../../src/chain/tx.ts'
import { concat, fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import {
  AtomicalsChain,
  heightsFrom,
  idAt,
  markerOutput,
  type Outpoint,
  out,
  type PlainMap,
  type SpendPlan,
  spend,
} from '../../support/atomicals-chain.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const WORK = '1234'
const A = scriptOf(701)
const B = scriptOf(702)
const [a, b] = [toHex(A), toHex(B)]

const to = (script: Uint8Array, satoshis: number): TxOutput => ({ value: BigInt(satoshis), script })

type Payment = Pick<SpendPlan, 'from' | 'to' | 'op' | 'payload'>

/** A parent with a price, a candidate below it who has not paid, and forty outputs with 500 units of the token each. */
interface Shop {
  readonly chain: AtomicalsChain
  /** The candidate. */
  readonly id: string
  /** The token, as text. */
  readonly token: string
  /** The next output with 500 units. */
  readonly units: () => Outpoint
  /** True for each payment that counts; all of them stand in one block. */
  readonly paid: (...payments: readonly Payment[]) => Promise<boolean[]>
}

/** Runs `use` with a shop that asks `prices` of those who want a name. `p` marks payments. */
function shop(
  prices: (token: string) => PlainMap,
  use: (shop: Shop) => Promise<void>,
  heights: AtomicalsHeights = heightsFrom(),
): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory, heights)
      const args = { request_ticker: 'coin', bitworkc: WORK }
      const token = await chain.mint('ft', { args }, { work: WORK, value: 20_000 })
      const split = spend({ from: [out(token.tx)], to: Array.from({ length: 40 }, () => 500) })
      await chain.mine(split)
      const rules = [{ p: '.*', o: prices(token.compact) }]
      const realm = { args: { request_realm: 'top', bitworkc: WORK }, subrealms: { rules } }
      const parent = await chain.mint('nft', realm, { work: WORK })
      await chain.mineEmpty(3)
      const claim = { request_subrealm: 'sub', parent_realm: parent.compact, claim_type: 'rule' }
      const { id } = await chain.mint('nft', { args: claim })
      let next = 0
      const units = () => out(split, next++)
      await use({ chain, id, token: token.compact, units, paid: (...plans) => judge(chain, id, plans) })
      await chain.close()
    })
}

async function judge(chain: AtomicalsChain, id: string, plans: readonly Payment[]): Promise<boolean[]> {
  const txs = plans.map((plan) => spend({ ...plan, to: [...plan.to, markerOutput('p', id)] }))
  await chain.mine(...txs)
  const names = await activities(chain, txs)
  expect(names.every((name) => name === 'payment-subrealm' || name === 'payment-subrealm-failed')).toBe(true)
  return names.map((name) => name === 'payment-subrealm')
}

async function activities(chain: AtomicalsChain, txs: readonly Tx[]): Promise<(string | undefined)[]> {
  const names: (string | undefined)[] = []
  for (const tx of txs) names.push(await chain.activity(tx))
  return names
}

const inToken = (token: string): PlainMap => ({ [a]: { v: 300, id: token }, [b]: { v: 200, id: token } })

describe('two scripts of a rule that are priced in one token', () => {
  it(
    'are each paid by an output of their own',
    shop(inToken, async ({ chain, paid, units }) => {
      const by = (...outputs: TxOutput[]) => ({ from: [units(), chain.fund()], to: outputs })
      expect(
        await paid(
          by(to(A, 300), to(B, 200)),
          by(to(B, 200), to(A, 300)),
          // One of them gets everything.
          by(to(A, 500), to(B, 0)),
          by(to(A, 500), to(B, 200)),
          by(to(A, 301), to(B, 199)),
          by(to(A, 299), to(B, 201)),
        ),
      ).toEqual([true, true, false, false, false, false])
    }),
  )

  it(
    'are paid by one output each, not by the sum of several',
    shop(inToken, async ({ chain, paid, units }) => {
      const by = (...outputs: TxOutput[]) => ({ from: [units(), units(), chain.fund()], to: outputs })
      expect(
        await paid(
          by(to(A, 150), to(A, 150), to(B, 200)),
          by(to(A, 299), to(A, 299), to(B, 200)),
          by(to(A, 300), to(B, 100), to(B, 100)),
          by(to(A, 10), to(A, 300), to(B, 1), to(B, 200)),
          by(to(A, 700), to(B, 300)),
        ),
      ).toEqual([false, false, false, true, true])
    }),
  )

  it(
    'are paid in units, not in the satoshis of an output that has some',
    shop(inToken, async ({ chain, paid, units, token }) => {
      const by = (amounts: PlainMap, ...outputs: TxOutput[]) => ({
        from: [units(), chain.fund()],
        to: outputs,
        op: 'z',
        payload: { [token]: amounts },
      })
      expect(
        await paid(
          // The second output is coloured in part, with what the first has left.
          { from: [units(), chain.fund()], to: [to(A, 300), to(B, 5000)] },
          { from: [units(), chain.fund()], to: [to(A, 301), to(B, 5000)] },
          { from: [chain.fund()], to: [to(A, 300), to(B, 200)] },
          by({ '0': 300, '1': 200 }, to(A, 1000), to(B, 1000)),
          by({ '0': 300, '1': 199 }, to(A, 1000), to(B, 1000)),
          by({ '0': 400, '1': 200 }, to(A, 1000), to(B, 1000)),
        ),
      ).toEqual([true, false, false, true, false, false])
    }),
  )

  it(
    'are not paid by an output that was not coloured before CUSTOM_COLORING',
    shop(
      inToken,
      async ({ chain, paid, units }) => {
        expect(
          await paid(
            { from: [units(), chain.fund()], to: [to(A, 300), to(B, 201)] },
            { from: [units(), chain.fund()], to: [to(A, 300), to(B, 200)] },
          ),
        ).toEqual([false, true])
      },
      heightsFrom({ customColoring: 1_000 }),
    ),
  )

  it(
    'are not paid by a split, which may give a token anywhere',
    shop(inToken, async ({ chain, paid, units, token }) => {
      const payload = { [token]: 0 }
      const plan = { from: [units(), chain.fund()], to: [to(A, 300), to(B, 200)], payload }
      expect(await paid({ ...plan, op: 'y' }, { ...plan, from: [units()], op: 'x' })).toEqual([false, true])
    }),
  )

  it(
    'a demand is told by script and token as one text, so one of them may be paid as the other',
    shop(
      // The name of the second demand is what the first and its token are called together.
      (token) => ({ [a]: { v: 300, id: token }, [a + longForm(token)]: { v: 7 } }),
      async ({ chain, paid, units, token }) => {
        const both = fromHex(a + longForm(token))
        expect(
          await paid(
            { from: [units(), chain.fund()], to: [to(A, 300)] },
            { from: [chain.fund()], to: [to(both, 7)] },
            { from: [chain.fund()], to: [to(both, 6)] },
            { from: [units(), chain.fund()], to: [to(A, 299)] },
          ),
        ).toEqual([true, true, false, false])
      },
    ),
  )
})

/** 36 bytes in hex. */
function longForm(compact: string): string {
  return `${toHex(fromHex(compact.slice(0, 64)).reverse())}00000000`
}

describe('a price in a token', () => {
  it(
    'may stand beside one in satoshis',
    shop(
      (token) => ({ [a]: { v: 300, id: token }, [b]: { v: 2000 } }),
      async ({ chain, paid, units }) => {
        expect(
          await paid(
            { from: [units(), chain.fund()], to: [to(A, 500), to(B, 2000)] },
            { from: [units(), chain.fund()], to: [to(A, 500), to(B, 1999)] },
            // Satoshis may be coloured, or not.
            { from: [units(), units(), chain.fund()], to: [to(A, 300), to(B, 2000)] },
          ),
        ).toEqual([true, false, true])
      },
    ),
  )

  it(
    'of no units is paid by an output that is coloured with none',
    shop(
      (token) => ({ [a]: { v: 0, id: token } }),
      async ({ chain, paid, units }) => {
        expect(
          await paid(
            { from: [units(), chain.fund()], to: [to(A, 0), 500] },
            { from: [units(), chain.fund()], to: [500, to(A, 0)] },
            { from: [chain.fund()], to: [to(A, 500)] },
          ),
        ).toEqual([true, false, false])
      },
    ),
  )

  it(
    'counts true as one unit, and reads the index of the id as int() does',
    shop(
      (token) => ({ [a]: { v: true, id: token.replace(/i0$/, 'i +0_0') } }),
      async ({ chain, paid, units }) => {
        expect(
          await paid(
            { from: [units(), chain.fund()], to: [to(A, 1), 499] },
            { from: [units(), chain.fund()], to: [to(A, 0), 500] },
          ),
        ).toEqual([true, false])
      },
    ),
  )

  it(
    'under a script that is not written as it is compared is never paid',
    shop(
      (token) => ({ [a]: { v: 1, id: token }, [`0x${b}`]: { v: 1, id: token } }),
      async ({ chain, paid, units }) => {
        const plan = { from: [units(), chain.fund()], to: [to(A, 250), to(B, 250)] }
        expect(await paid(plan)).toEqual([false])
      },
    ),
  )

  it(
    'is paid by the mint that it is for, where that stands in the marker',
    shop(inToken, async ({ chain, units }) => {
      const commit = await chain.commit()
      const parent = (await (await chain.queries()).name('realm', 'top')).candidates[0]
      const realm = compactOfIdText(parent!.id)
      const tx = spend({
        from: [out(commit), units()],
        to: [to(A, 300), to(B, 200), markerOutput('p', idAt(commit))],
        op: 'nft',
        payload: { args: { request_subrealm: 'self', parent_realm: realm, claim_type: 'rule' } },
      })
      await chain.mine(tx)
      expect(await chain.activity(tx)).toBe('payment-subrealm')
      await chain.mineEmpty(2)
      expect((await (await chain.queries()).request(idAt(commit)))?.status?.status).toBe('verified')
    }),
  )
})

describe('prices in two tokens', () => {
  it('are each paid in their own', () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      const ft = (ticker: string) =>
        chain.mint('ft', { args: { request_ticker: ticker, bitworkc: WORK } }, { work: WORK, value: 500 })
      const nft = await chain.mint('nft', { a: 1 })
      const tokens = {
        one: await ft('one'),
        two: await ft('two'),
        oneMore: await ft('onemore'),
        twoMore: await ft('twomore'),
      }
      const rules = [
        { p: 'nft', o: { [a]: { v: 1, id: nft.compact } } },
        { p: 'more', o: { [a]: { v: 300, id: tokens.oneMore.compact }, [b]: { v: 300, id: tokens.twoMore.compact } } },
        { p: '.*', o: { [a]: { v: 300, id: tokens.one.compact }, [b]: { v: 300, id: tokens.two.compact } } },
      ]
      const realm = { args: { request_realm: 'top', bitworkc: WORK }, subrealms: { rules } }
      const parent = await chain.mint('nft', realm, { work: WORK })
      await chain.mineEmpty(3)
      const claim = async (name: string): Promise<string> =>
        (
          await chain.mint('nft', {
            args: { request_subrealm: name, parent_realm: parent.compact, claim_type: 'rule' },
          })
        ).id
      const [sub, more, thing] = [await claim('sub'), await claim('more'), await claim('nft')]
      const pay = (id: string, ...from: Tx[]): Tx =>
        spend({
          from: [...from.map((tx) => out(tx)), chain.fund()],
          to: [to(A, 500), to(B, 500), markerOutput('p', id)],
        })
      const txs = [
        pay(sub, tokens.one.tx, tokens.two.tx),
        pay(more, tokens.twoMore.tx, tokens.oneMore.tx),
        // What a price names must be a token.
        pay(thing, nft.tx),
      ]
      await chain.mine(...txs)
      expect(await activities(chain, txs)).toEqual([
        'payment-subrealm',
        'payment-subrealm-failed',
        'payment-subrealm-failed',
      ])
      await chain.close()
    }))
})

describe('payment markers', () => {
  /** `006a` in place of `6a`, without the last bytes. */
  function behindZero(kind: 'p' | 'd', id: string, missing: number): TxOutput {
    const { script } = markerOutput(kind, id)
    return { value: 0n, script: concat(Uint8Array.of(0), script.subarray(0, script.length - missing)) }
  }

  it(
    'may stand behind 006a',
    shop(inToken, async ({ chain, id, units }) => {
      const tx = spend({ from: [units(), chain.fund()], to: [to(A, 300), to(B, 200), behindZero('p', id, 0)] })
      await chain.mine(tx)
      expect(await chain.activity(tx)).toBe('payment-subrealm')
    }),
  )

  it(
    'a marker behind 006a may lack the last byte of its id',
    shop(inToken, async ({ chain, id }) => {
      const split = (kind: 'p' | 'd', missing: number): Tx =>
        spend({ from: [chain.fund()], to: [1000, behindZero(kind, id, missing)], op: 'y', payload: { a: 1 } })
      const txs = [split('p', 0), split('p', 1), split('d', 1), split('p', 2), split('d', 2)]
      await chain.mine(...txs)
      expect(await activities(chain, txs)).toEqual([
        'payment-subrealm-failed',
        'payment-subrealm-failed',
        'payment-dmitem-failed',
        undefined,
        undefined,
      ])
      expect(await chain.counted(chain.height)).toEqual(txs.slice(0, 3).map(({ txid }) => toDisplayHex(txid)))
    }),
  )
})
