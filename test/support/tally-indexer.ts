import { struct, u8, u32, varint } from '../../src/db/codec.ts'
import type { Indexer } from '../../src/db/indexer.ts'
import { KeySpace } from '../../src/db/layout.ts'
import type { ChainView } from '../../src/db/view.ts'
import { toHex } from '../../src/lib/bytes.ts'
import type { BuiltBlock } from './chain-builder.ts'

const SHARES = 8

const SHARE = new KeySpace<{ readonly share: number }, { readonly txs: number; readonly marks: number }>({
  name: 'share',
  prefix: 'n',
  key: struct({ share: u8 }),
  value: struct({ txs: varint, marks: varint }),
  sentence: 'Of tests: transactions of a share of all ids, and how many marks it had when the last of them came.',
})

const MARK = new KeySpace<{ readonly share: number; readonly mark: number }, { readonly txNum: number }>({
  name: 'mark',
  prefix: 'm',
  key: struct({ share: u8, mark: u8 }),
  value: struct({ txNum: u32 }),
  sentence: 'Of tests: set by one transaction, and taken away by the next one of its kind.',
  groupSize: 2,
})

/** Where a transaction is counted, and the mark that it sets or takes away. */
function kindOf(txid: Uint8Array): { readonly share: number; readonly mark: number } {
  return { share: (txid[0] ?? 0) % SHARES, mark: (txid[1] ?? 0) % 4 }
}

/**
 * An index that a coin might add, and in which every block depends on all before it: rows that are counted up, rows that
 * come and go, and rows that are read by their group. Whatever is not seen once is wrong for good.
 */
export const tally: Indexer = {
  name: 'tally',
  spaces: [SHARE, MARK],
  wantsGenesis: false,
  apply: async ({ block, overlay, firstTxNum }) => {
    for (let tx = 0; tx < block.txCount; tx++) {
      const { share, mark } = kindOf(block.txids.subarray(tx * 32, tx * 32 + 32))
      const { txs = 0 } = overlay.get(SHARE, { share }) ?? {}
      const marks = await overlay.rows(MARK, Uint8Array.of(share))
      overlay.put(SHARE, { share }, { txs: txs + 1, marks: marks.length })
      if (marks.some(({ key }) => key.mark === mark)) overlay.remove(MARK, { share, mark })
      else overlay.insert(MARK, { share, mark }, { txNum: firstTxNum + tx })
    }
  },
}

/** The rows of these blocks as a naive model has them, one line each. */
export function tallyOf(blocks: readonly BuiltBlock[]): string[] {
  const shares = Array.from({ length: SHARES }, () => ({ txs: 0, marksThen: 0, marks: new Map<number, number>() }))
  for (const [txNum, { txid }] of blocks
    .slice(1)
    .flatMap(({ txs }) => txs)
    .entries()) {
    const { share, mark } = kindOf(txid)
    const of = shares[share]!
    of.txs += 1
    of.marksThen = of.marks.size
    if (!of.marks.delete(mark)) of.marks.set(mark, txNum)
  }
  return shares.flatMap(({ txs, marksThen, marks }, share) => [
    ...(txs === 0 ? [] : [`share ${share}: ${txs} ${marksThen}`]),
    ...[...marks].sort(([a], [b]) => a - b).map(([mark, txNum]) => `mark ${share} ${mark}: ${txNum}`),
  ])
}

/** The same as a view has them: row by row, and as ranges. Throws where those two differ. */
export async function tallyIn(view: ChainView): Promise<string[]> {
  const lines: string[] = []
  for (let share = 0; share < SHARES; share++) {
    const row = view.row(SHARE, { share })
    if (row !== undefined) lines.push(`share ${share}: ${row.txs} ${row.marks}`)
    for (const { key, value } of await view.rows(MARK, Uint8Array.of(share))) {
      lines.push(`mark ${share} ${key.mark}: ${value.txNum}`)
      if (view.row(MARK, key)?.txNum !== value.txNum) throw new Error(`mark ${toHex(MARK.keyBytes(key))} is two rows`)
    }
  }
  return lines
}
