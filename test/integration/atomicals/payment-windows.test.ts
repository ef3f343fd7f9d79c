import { describe, expect, it } from 'vitest'
import { idText } from '../../../src/atomicals/id-text.ts'
import { PAYMENTS } from '../../../src/atomicals/layout.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import {
  AtomicalsChain,
  compactAt,
  encodeCbor,
  envelopeWitness,
  heightsFrom,
  idAt,
  markerOutput,
  type Outpoint,
  out,
  type PlainMap,
  spend,
} from '../../support/atomicals-chain.ts'
import { buildTx, scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const WORK = '1234'
const PRICE = { value: 5000n, script: scriptOf(77) }
const PRICED: PlainMap = { subrealms: { rules: [{ p: '.*', o: { [toHex(PRICE.script)]: { v: 5000 } } }] } }

function on(use: (chain: AtomicalsChain) => Promise<void>, heights = heightsFrom()): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory, heights)
      await use(chain)
      await chain.close()
    })
}

const realm = (name: string): PlainMap => ({ args: { request_realm: name, bitworkc: WORK }, ...PRICED })

function claim(parent: string, name = 'sub', type = 'rule'): PlainMap {
  return { args: { request_subrealm: name, parent_realm: parent, claim_type: type } }
}

/** A realm that is held. */
async function held(chain: AtomicalsChain, name = 'top') {
  const minted = await chain.mint('nft', realm(name), { work: WORK })
  await chain.mineEmpty(3)
  return minted
}

const payment = (chain: AtomicalsChain, id: string): Tx =>
  spend({ from: [chain.fund()], to: [PRICE, markerOutput('p', id)] })

/** Whether payments count that are mined now. */
async function paid(chain: AtomicalsChain, ...txs: Tx[]): Promise<boolean[]> {
  await chain.mine(...txs)
  const counted: boolean[] = []
  for (const tx of txs) counted.push((await chain.activity(tx)) === 'payment-subrealm')
  return counted
}

describe('a payment for a subrealm', () => {
  it(
    'counts up to the fifteenth block after the commit, whenever the mint was revealed',
    on(async (chain) => {
      const top = await held(chain)
      const [early, late] = [await chain.commit(), await chain.commit()]
      await chain.mineEmpty(1)
      const reveal = (commit: Tx, name: string): Tx =>
        spend({ from: [out(commit)], to: [1000], op: 'nft', payload: claim(top.compact, name) })
      // Three and two blocks after their commits.
      await chain.mine(reveal(early, 'one'), reveal(late, 'two'))
      await chain.mineEmpty(11)
      // Now the fifteenth and the fourteenth block, then one more.
      expect(await paid(chain, payment(chain, idAt(early)), payment(chain, idAt(late)))).toEqual([true, true])
      expect(await paid(chain, payment(chain, idAt(early)), payment(chain, idAt(late)))).toEqual([false, true])
      expect(await paid(chain, payment(chain, idAt(early)), payment(chain, idAt(late)))).toEqual([false, false])
    }),
  )

  it(
    'keeps the name, where it comes in the last block, from the next candidate',
    on(async (chain) => {
      const top = await held(chain)
      const first = await chain.mint('nft', claim(top.compact))
      const second = await chain.mint('nft', claim(top.compact))
      expect(await paid(chain, payment(chain, second.id))).toEqual([true])
      await chain.mineEmpty(10)
      const status = async (id: string) => (await (await chain.queries()).request(id))?.status?.status
      // The fourteenth block after the commit of the first.
      expect(await status(second.id)).toBe('pending_awaiting_payment')
      expect(await paid(chain, payment(chain, first.id))).toEqual([true])
      expect([await status(first.id), await status(second.id)]).toEqual(['verified', 'claimed_by_other'])
    }),
  )

  it(
    'counts from the block on in which the parent holds its realm, and not if another holds it then',
    on(async (chain) => {
      const commit = (): Tx => spend({ from: [chain.fund()], to: [100_000], work: WORK })
      const reveal = (tx: Tx, payload: PlainMap): Tx => spend({ from: [out(tx)], to: [1000], op: 'nft', payload })
      const [earlier, top, other] = [commit(), commit(), commit()]
      await chain.mine(earlier, top, other)
      await chain.mine(reveal(top, realm('top')), reveal(other, realm('other')))
      const subs = [commit(), commit()] as const
      const mints = [reveal(subs[0], claim(compactAt(top))), reveal(subs[1], claim(compactAt(other)))]
      const payments = () => subs.map((sub) => payment(chain, idAt(sub)))
      // Two blocks after the commits of the realms.
      expect(await paid(chain, ...subs, ...mints, ...payments())).toEqual(Array.from({ length: 6 }, () => false))
      expect(await paid(chain, reveal(earlier, realm('top')), ...payments())).toEqual([false, false, true])
    }),
  )

  it(
    'does not count for a mint that its parent made',
    on(async (chain) => {
      const top = await held(chain)
      const direct = await chain.mint('nft', claim(top.compact, 'sub', 'direct'), { also: [out(top.tx)] })
      expect(await paid(chain, payment(chain, direct.id))).toEqual([false])
      const rows = await chain.rows(PAYMENTS)
      expect(rows.map(({ value }) => value.kind)).toEqual(['parent'])
    }),
  )

  it(
    'is the first one, and stands at its marker',
    on(async (chain) => {
      const top = await held(chain)
      const sub = await chain.mint('nft', claim(top.compact))
      const txs = [payment(chain, sub.id), payment(chain, sub.id)]
      expect(await paid(chain, ...txs)).toEqual([true, true])
      expect(await paid(chain, payment(chain, sub.id))).toEqual([true])
      const [row, ...others] = await chain.rows(PAYMENTS)
      expect(others).toEqual([])
      expect(row?.value).toMatchObject({ kind: 'output', location: idText(txs[0]!.txid, 1) })
    }),
  )

  it(
    'is judged by the rules of the block before the commit, not by those of today',
    on(async (chain) => {
      const top = await held(chain)
      const sub = await chain.mint('nft', claim(top.compact))
      const dearer = { subrealms: { rules: [{ p: '.*', o: { [toHex(PRICE.script)]: { v: 5001 } } }] } }
      await chain.mine(spend({ from: [out(top.tx)], to: [1000], op: 'mod', payload: dearer }))
      const next = await chain.mint('nft', claim(top.compact, 'next'))
      expect(await paid(chain, payment(chain, sub.id), payment(chain, next.id))).toEqual([true, false])
    }),
  )

  it(
    'may be made by a split that counts for nothing behind an empty payload',
    on(async (chain) => {
      const top = await held(chain)
      const sub = await chain.mint('nft', claim(top.compact))
      const input = ({ txid, vout }: Outpoint, op: string, payload: Uint8Array) => ({
        prevTxid: txid,
        prevIndex: vout,
        script: new Uint8Array(0),
        sequence: 0xffff_fffd,
        witness: envelopeWitness(op, payload),
      })
      const inputs = [
        input(chain.fund(), 'dat', new Uint8Array(0)),
        input(chain.fund(), 'y', encodeCbor({ [compactAt(top.tx)]: 0 })),
      ]
      const tx = buildTx(inputs, [PRICE, markerOutput('p', sub.id)])
      expect(await paid(chain, tx)).toEqual([true])
    }),
  )
})
