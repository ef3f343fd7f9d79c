import { describe, expect, it } from 'vitest'
import { ACTIVITY_CODES } from '../../../src/atomicals/layout.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import { AtomicalsChain, type Outpoint, out, spend } from '../../support/atomicals-chain.ts'
import { AtomicalsHost, CORPUS_SETTINGS, CorpusNode } from '../../support/atomicals-host.ts'
import { CORPUS_HEIGHTS } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'

type Moved = Readonly<Record<string, readonly { readonly atomical_id: string }[]>>

async function asked(chain: AtomicalsChain, method: string, params: readonly unknown[]): Promise<unknown> {
  const view = chain.db.acquireView()
  try {
    const host = await AtomicalsHost.over(view, new CorpusNode())
    return (await host.ask(`blockchain.atomicals.${method}`, params)).result
  } finally {
    view.release()
  }
}

/** Ids at output 0, in the order of the answer. */
async function shownAt0(chain: AtomicalsChain, tx: Tx): Promise<readonly string[]> {
  const answer = await asked(chain, 'transaction', [toDisplayHex(tx.txid)])
  const { outputs } = (answer as { transfers: { outputs: Moved } }).transfers
  return (outputs['0'] ?? []).map(({ atomical_id: id }) => id)
}

interface Nft {
  readonly id: string
  readonly compact: string
  readonly at: Outpoint
}

/** Two NFTs; the first has the larger id. */
async function twoNfts(chain: AtomicalsChain): Promise<readonly [Nft, Nft]> {
  const [one, other] = [await chain.mint('nft', { n: 1 }), await chain.mint('nft', { n: 2 })]
  const nfts: [Nft, Nft] = [
    { ...one, at: out(one.tx) },
    { ...other, at: out(other.tx) },
  ]
  return one.id > other.id ? nfts : [nfts[1], nfts[0]]
}

describe('answers about transactions', () => {
  it('show what a z moved before CUSTOM_COLORING by input, and from then on by id', () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory, CORPUS_HEIGHTS)
      for (const [height, expected] of [
        [CORPUS_HEIGHTS.customColoring - 20, 'by input'],
        [CORPUS_HEIGHTS.customColoring, 'by id'],
      ] as const) {
        await chain.mineEmpty(height - chain.height)
        const [large, small] = await twoNfts(chain)
        const z = spend({
          from: [large.at, small.at],
          to: [1_000],
          op: 'z',
          payload: { [large.compact]: { '0': 1_000 }, [small.compact]: { '0': 1_000 } },
        })
        await chain.mine(z)
        const byInput = [large.compact, small.compact]
        expect(await shownAt0(chain, z)).toEqual(expected === 'by input' ? byInput : byInput.toReversed())
      }
      await chain.close()
    }))

  it('count nothing for an operation that no transaction has, and everything for a word that is none', () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      await chain.mineEmpty(CORPUS_SETTINGS.heights.start)
      const { compact } = await chain.mint('nft', { n: 1 })
      const total = async (word: string): Promise<number> => {
        const page = await asked(chain, 'transaction_by_atomical_id', [compact, 10, 0, word])
        return (page as { total: number }).total
      }
      expect(Object.hasOwn(ACTIVITY_CODES, 'burn')).toBe(false)
      expect([await total('mint-nft'), await total('dat'), await total('burn'), await total('invalid-mint')]).toEqual([
        1, 0, 0, 0,
      ])
      expect([await total('anything'), await total('toString'), await total('none')]).toEqual([1, 1, 1])
      await chain.close()
    }))
})
