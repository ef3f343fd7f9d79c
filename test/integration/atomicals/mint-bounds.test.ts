import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Tx } from '../../../src/chain/tx.ts'
import { concat, toHex } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { AtomicalsChain, idAt, markerOutput, out, type PlainMap, spend } from '../../support/atomicals-chain.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const WORK = '1234'

function on(use: (chain: AtomicalsChain) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      await use(chain)
      await chain.close()
    })
}

async function exists(chain: AtomicalsChain, id: string): Promise<boolean> {
  return (await chain.queries()).atomical(id) !== undefined
}

describe('mints of a token that begins at a height', () => {
  it(
    'are committed at it at the earliest, and may be revealed in the same block',
    on(async (chain) => {
      const terms = { mint_height: 12, mint_amount: 1000, max_mints: 9 }
      const args = { request_ticker: 'tok', bitworkc: WORK, ...terms }
      const { compact } = await chain.mint('dft', { args }, { work: WORK })
      await chain.mineEmpty(10 - chain.height)
      const [early, just] = [spend({ from: [chain.fund()], to: [9000] }), spend({ from: [chain.fund()], to: [9000] })]
      const dmt = (commit: Tx): Tx =>
        spend({ from: [out(commit)], to: [1000], op: 'dmt', payload: { args: { mint_ticker: 'tok' } } })
      await chain.mine(early)
      expect(chain.height).toBe(11)
      await chain.mine(just, dmt(just), dmt(early))
      expect(await chain.held(dmt(just))).toEqual({ [compact]: 1000 })
      expect(await chain.held(dmt(early))).toEqual({})
    }),
  )
})

describe('mints of a token that asks work', () => {
  it(
    'need that of the commit on the commit and that of the reveal on the reveal',
    on(async (chain) => {
      const work = { mint_bitworkc: '1', mint_bitworkr: '2' }
      const args = { request_ticker: 'tok', bitworkc: WORK, mint_height: 0, mint_amount: 1000, max_mints: 9, ...work }
      const { compact } = await chain.mint('dft', { args }, { work: WORK })
      await chain.mineEmpty(2)
      const pairs = [
        ['1', '2'],
        ['1', '1'],
        ['2', '2'],
        ['2', '1'],
      ] as const
      const held: PlainMap[] = []
      for (const [ofCommit, ofReveal] of pairs) {
        const commit = await chain.commit({ work: ofCommit })
        const plan = { op: 'dmt', payload: { args: { mint_ticker: 'tok' } }, work: ofReveal }
        const tx = spend({ from: [out(commit)], to: [1000], ...plan })
        await chain.mine(tx)
        held.push(await chain.held(tx))
      }
      expect(held).toEqual([{ [compact]: 1000 }, {}, {}, {}])
    }),
  )
})

describe('items', () => {
  const file = Uint8Array.of(1, 2, 3)
  const sibling = createHash('sha256').update('sibling').digest()
  const leaf = createHash('sha256')
    .update(`one:any:any:m.png:${toHex(sha256d(file))}`)
    .digest()
  const root = createHash('sha256').update(leaf).update(sibling).digest('hex')
  const price = { value: 5000n, script: scriptOf(77) }
  const rules = [{ p: '.*', o: { [toHex(price.script)]: { v: 5000 } } }]

  /** A container, or a realm, that takes items from a height on, not sealed yet. */
  async function container(chain: AtomicalsChain, height: number, kind: 'container' | 'realm' = 'container') {
    const dmint = { v: '1', mint_height: height, merkle: root, rules }
    const args = { [`request_${kind}`]: 'box', bitworkc: WORK }
    const minted = await chain.mint('nft', { args, dmint, subrealms: { rules } }, { work: WORK })
    return minted
  }

  const seal = (tx: Tx): Tx => spend({ from: [out(tx)], to: [1000], op: 'sl', payload: { a: 1 } })

  const reveal = (commit: Tx, box: string): Tx => {
    const proof = [{ p: true, d: toHex(sibling) }]
    const args = { request_dmitem: 'one', parent_container: box, main: 'm.png', proof }
    return spend({ from: [out(commit)], to: [1000], op: 'nft', payload: { args, 'm.png': file } })
  }

  it(
    'are committed at the height of their container at the earliest',
    on(async (chain) => {
      const box = await container(chain, 10)
      await chain.mine(seal(box.tx))
      await chain.mineEmpty(8 - chain.height)
      const [early, just] = [await chain.commit(), await chain.commit()]
      expect(chain.height).toBe(10)
      await chain.mine(reveal(early, box.compact), reveal(just, box.compact))
      expect([await exists(chain, idAt(early)), await exists(chain, idAt(just))]).toEqual([false, true])
    }),
  )

  it(
    'stand under the rules before their commit and under the container as it is when they are revealed',
    on(async (chain) => {
      const box = await container(chain, 0)
      const changed = await chain.commit()
      const later = { dmint: { merkle: '0'.repeat(64) } }
      const change = spend({ from: [out(box.tx)], to: [1000], op: 'mod', payload: later })
      await chain.mine(change, seal(change))
      await chain.mine(reveal(changed, box.compact))
      expect(await exists(chain, idAt(changed))).toBe(false)
    }),
  )

  it(
    'are paid for by a marker of their own kind',
    on(async (chain) => {
      const box = await container(chain, 0)
      await chain.mine(seal(box.tx))
      const commit = await chain.commit()
      await chain.mine(reveal(commit, box.compact))
      const pay = (kind: 'p' | 'd'): Tx =>
        spend({ from: [chain.fund()], to: [price, markerOutput(kind, idAt(commit))] })
      const txs = [pay('p'), pay('d')] as const
      await chain.mine(...txs)
      expect(await chain.activity(txs[0])).toBe('payment-subrealm-failed')
      expect(await chain.activity(txs[1])).toBe('payment-dmitem')
    }),
  )

  it(
    'of a realm are minted but can never be paid for, nor can subrealms of a container',
    on(async (chain) => {
      const [top, box] = [await container(chain, 0, 'realm'), await container(chain, 0)]
      await chain.mine(seal(top.tx), seal(box.tx))
      const [item, sub] = [await chain.commit(), await chain.commit()]
      const args = { request_subrealm: 'sub', parent_realm: box.compact, claim_type: 'rule' }
      const reveals = [reveal(item, top.compact), spend({ from: [out(sub)], to: [1000], op: 'nft', payload: { args } })]
      await chain.mine(...reveals)
      expect([await exists(chain, idAt(item)), await exists(chain, idAt(sub))]).toEqual([true, true])
      const pay = (kind: 'p' | 'd', commit: Tx): Tx =>
        spend({ from: [chain.fund()], to: [price, markerOutput(kind, idAt(commit))] })
      const txs = [pay('d', item), pay('p', sub)] as const
      await chain.mine(...txs)
      expect(await chain.activity(txs[0])).toBe('payment-dmitem-failed')
      expect(await chain.activity(txs[1])).toBe('payment-subrealm-failed')
    }),
  )
})

describe('parents that a mint names', () => {
  it(
    'have to be asked for nothing or more',
    on(async (chain) => {
      const parent = await chain.mint('nft', { a: 1 })
      const ask = (least: PlainMap[string]): PlainMap => ({ args: { parents: { [parent.compact]: least } } })
      const refused = await chain.mint('nft', ask(-1), { also: [out(parent.tx)] })
      expect(await exists(chain, refused.id)).toBe(false)
      const taken = await chain.mint('nft', ask(0), { also: [out(refused.tx)] })
      expect(await chain.held(taken.tx)).toEqual({ [parent.compact]: 1000, [taken.compact]: 1000 })
    }),
  )
})

describe('payment markers', () => {
  it(
    'begin with 6a or 006a and with nothing else',
    on(async (chain) => {
      const nft = await chain.mint('nft', { a: 1 })
      const { script } = markerOutput('p', nft.id)
      const behind = (...bytes: number[]): Tx => {
        const output = { value: 0n, script: concat(Uint8Array.from(bytes), script) }
        return spend({ from: [chain.fund()], to: [1000, output] })
      }
      const txs = [behind(), behind(0), behind(0x51), behind(0, 0)]
      await chain.mine(...txs)
      const names: (string | undefined)[] = []
      for (const tx of txs) names.push(await chain.activity(tx))
      expect(names).toEqual(['payment-subrealm-failed', 'payment-subrealm-failed', undefined, undefined])
    }),
  )
})
