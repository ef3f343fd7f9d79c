import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { ViewRows } from '../../../src/atomicals/rows.ts'
import type { IdText } from '../../../src/atomicals/transfer/holding.ts'
import { UnconfirmedBlock } from '../../../src/atomicals/unconfirmed.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { TXID_KEY_SIZE } from '../../../src/db/layout.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { toLatin1 } from '../../../src/lib/bytes.ts'
import {
  AtomicalsChain,
  compactAt,
  heightsFrom,
  idAt,
  type Outpoint,
  out,
  type PlainMap,
  spend,
} from '../../support/atomicals-chain.ts'
import { seededRandom } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const heights = heightsFrom()

/** What all crowds have in common: a chain with tokens, and commits with work, which takes time. */
interface Stage {
  readonly chain: AtomicalsChain
  readonly outputs: readonly Outpoint[]
  readonly ids: readonly string[]
  /** Confirmed. */
  readonly early: readonly Tx[]
  /** Not in a block; the last asks for a ticker that its token has three blocks later. */
  readonly worked: readonly Tx[]
  /** Of one block, three below the one that the crowd is for: a claim on a ticker, a deploy after it, mints. */
  readonly claims: readonly Tx[]
}

const AMOUNT = 1_000
const DEPLOY = { bitworkc: '1234', mint_amount: AMOUNT, mint_height: 1, max_mints: 1 }

async function stageOn(chain: AtomicalsChain): Promise<Stage> {
  const outputs: Outpoint[] = []
  const ids: string[] = []
  for (const ticker of ['aa', 'bb', 'cc']) {
    const args = { request_ticker: ticker, bitworkc: '1234' }
    const { tx, compact } = await chain.mint('ft', { args }, { work: '1234', value: 10_000 })
    ids.push(compact)
    const split = spend({ from: [out(tx)], to: [4_000, 3_000, 3_000] })
    await chain.mine(split)
    outputs.push(...split.outputs.map((_, vout) => out(split, vout)))
  }
  const args = { ...DEPLOY, request_ticker: 'mm', max_mints: 2 }
  const { compact } = await chain.mint('dft', { args }, { work: '1234' })
  const early = [await chain.commit(), await chain.commit()]
  const commitWith = (work: string): Tx => spend({ from: [chain.fund()], to: [50_000], work })
  const worked = Array.from({ length: 3 }, () => commitWith('1234'))
  const claims = ['1234', '1234', '0', '0'].map(commitWith)
  await chain.mine(...claims)
  await chain.mine()
  ids.push(compact, compactAt(claims[1]!), compactAt(worked[2]!))
  return { chain, outputs, ids, early, worked, claims }
}

/** Transactions that stand in one another's way, and what goes on from them. */
class Crowd {
  readonly txs: Tx[] = []
  readonly #chain: AtomicalsChain
  readonly #random: () => number
  readonly #outputs: Outpoint[]
  readonly #ids: readonly string[]

  constructor({ chain, outputs, ids, early, worked, claims }: Stage, random: () => number) {
    this.#chain = chain
    this.#random = random
    this.#outputs = [...outputs]
    this.#ids = ids
    const late = Array.from({ length: 5 }, () => spend({ from: [chain.fund()], to: [50_000] }))
    this.txs.push(...worked, ...late)
    const [own, rival, ripening] = worked
    const [claim, deploy, ...mints] = claims
    const reveals = [
      ...[...early, ...late.slice(0, 3)].map((commit) => this.#revealing(commit, 'dmt', { mint_ticker: 'mm' })),
      ...[...mints, late[3]!].map((commit) => this.#revealing(commit, 'dmt', { mint_ticker: 'nn' })),
      ...[own!, rival!].map((commit) => this.#revealing(commit, 'nft', { request_realm: 'crowd', bitworkc: '1234' })),
      this.#revealing(claim!, 'ft', { request_ticker: 'nn', bitworkc: '1234' }),
      this.#revealing(deploy!, 'dft', { ...DEPLOY, request_ticker: 'nn' }),
      this.#revealing(late[4]!, 'dmt', { mint_ticker: 'oo' }),
      this.#revealing(ripening!, 'dft', { ...DEPLOY, request_ticker: 'oo' }),
    ]
    while (reveals.length > 0) {
      const [reveal] = reveals.splice(this.#below(reveals.length), 1)
      this.#add(reveal!())
      if (this.#random() < 0.6) this.#add(this.#move())
    }
    for (let i = this.#below(4); i > 0; i--) this.#add(this.#move())
  }

  /** What miners may take of it: some, or all, parents before children, in one block or in several. */
  blocks(): Tx[][] {
    const order = this.#order()
    if (this.#random() < 0.4) return [order]
    const blocks: Tx[][] = Array.from({ length: 2 + this.#below(4) }, () => [])
    let at = 0
    for (const tx of order) {
      if (at < blocks.length - 1 && this.#random() < 4 / order.length) at += 1
      blocks[at]!.push(tx)
    }
    return blocks
  }

  #order(): Tx[] {
    const left = this.#random() < 0.5 ? [] : this.txs.filter(() => this.#random() < 0.15)
    const gone = new Set(left.map(({ txid }) => toLatin1(txid)))
    const waiting: Tx[] = []
    for (const tx of this.txs) {
      if (gone.has(toLatin1(tx.txid)) || tx.inputs.some(({ prevTxid }) => gone.has(toLatin1(prevTxid)))) {
        gone.add(toLatin1(tx.txid))
      } else waiting.push(tx)
    }
    const block: Tx[] = []
    while (waiting.length > 0) {
      const open = new Set(waiting.map(({ txid }) => toLatin1(txid)))
      const free = waiting.filter(({ inputs }) => !inputs.some(({ prevTxid }) => open.has(toLatin1(prevTxid))))
      const next = free[this.#below(free.length)]!
      waiting.splice(waiting.indexOf(next), 1)
      block.push(next)
    }
    return block
  }

  #add(tx: Tx): void {
    this.txs.push(tx)
    this.#outputs.push(...tx.outputs.map((_, vout) => out(tx, vout)))
  }

  #revealing(commit: Tx, op: string, args: PlainMap): () => Tx {
    return () => this.#reveal(commit, op, args)
  }

  #reveal(commit: Tx, op: string, args: PlainMap): Tx {
    const also = this.#random() < 0.3 ? this.#take(1) : []
    return spend({ from: [out(commit), ...also], to: [AMOUNT, ...this.#values()], op, payload: { args } })
  }

  #move(): Tx {
    const from = [...this.#take(1 + this.#below(5)), this.#chain.fund()]
    const op = ['', '', '', '', 'x', 'y', 'z', 'sl'][this.#below(8)]!
    if (op === '') return spend({ from, to: this.#values() })
    const payload: Record<string, PlainMap | number> = { n: 1 }
    for (const id of this.#ids) {
      if (op === 'y') payload[id] = this.#below(3_000)
      // Amounts that are no map are no operation, for who has the token.
      if (op === 'z' && this.#random() < 0.8) {
        payload[id] = this.#random() < 0.2 ? 5 : { [String(this.#below(4))]: this.#below(4_000) }
      }
    }
    return spend({ from, to: this.#values(), op, payload })
  }

  #values(): number[] {
    return Array.from({ length: 1 + this.#below(5) }, () => [0, 400, 600, 1_000, 2_500][this.#below(5)]!)
  }

  #take(count: number): Outpoint[] {
    const taken: Outpoint[] = []
    for (let i = 0; i < count && this.#outputs.length > 0; i++) {
      // Mostly of what came last.
      const last = this.#random() < 0.6 ? Math.max(0, this.#outputs.length - 6) : 0
      taken.push(...this.#outputs.splice(last + this.#below(this.#outputs.length - last), 1))
    }
    return taken
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

async function applied(view: ChainView, txs: readonly Tx[]): Promise<UnconfirmedBlock> {
  const block = UnconfirmedBlock.on(view, heights)
  if (block === undefined) throw new Error('the protocol has not begun')
  await applyAll(block, view, txs)
  if (!block.missesDeploys) return block
  const again = block.again(view)
  await applyAll(again, view, txs)
  expect(again.missesDeploys).toBe(false)
  return again
}

async function applyAll(block: UnconfirmedBlock, view: ChainView, txs: readonly Tx[]): Promise<void> {
  const orders = new Map(txs.map(({ txid }, i) => [toLatin1(txid), i + 1]))
  for (const [i, tx] of txs.entries()) {
    const commitOrder = orders.get(toLatin1(tx.inputs[0]?.prevTxid ?? new Uint8Array(0)))
    await block.apply({ tx, order: i + 1, commitOrder }, view)
  }
}

/** Ids that sit at an output by rows, in order. */
function idsAt(queries: AtomicalsQueries, location: IdText): IdText[] {
  return (queries.location(location)?.held ?? []).map(({ id }) => id)
}

describe('outputs in the mempool', () => {
  it('are never told without what a miner can bring there, whatever he takes in whichever order and when', async () => {
    /** Outputs that were coloured as told, and those by what was told as unsure: of all, and of tokens not confirmed. */
    const seen = { sure: 0, unsure: 0, deployed: 0 }
    await withDirectory(async (directory) => {
      const stage = await stageOn(await AtomicalsChain.open(directory, heights))
      const { chain, claims, worked } = stage
      const deploys = new Set([idAt(claims[1]!), idAt(worked[2]!)])
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), async (seed) => {
          await chain.mine()
          const crowd = new Crowd(stage, seededRandom(seed))
          const view = chain.db.acquireView()
          const block = await applied(view, crowd.txs)
          const rows = block.rows(new ViewRows(view), block.applied)
          const queries = new AtomicalsQueries({ height: chain.height + 1 }, rows)
          for (let i = 0; i < 6; i++) {
            const blocks = crowd.blocks()
            for (const mined of blocks) await chain.mine(...mined)
            const after = chain.db.acquireView()
            const now = new AtomicalsQueries({ height: chain.height }, new ViewRows(after))
            for (const tx of blocks.flat()) {
              for (const vout of tx.outputs.keys()) {
                const location = idText(tx.txid, vout)
                const place = { txid: tx.txid.subarray(0, TXID_KEY_SIZE), vout }
                const told = idsAt(queries, location)
                const mayHold = block.mayHold(place, block.applied).map(({ id }) => id)
                for (const id of idsAt(now, location)) {
                  expect([...told, ...mayHold], compactOfIdText(location)).toContain(id)
                  seen[told.includes(id) ? 'sure' : 'unsure'] += 1
                  if (mayHold.includes(id) && deploys.has(id)) seen.deployed += 1
                }
              }
            }
            after.release()
            for (const _ of blocks) await chain.rollBack()
          }
          view.release()
          await chain.rollBack()
        }),
        { numRuns: 12, endOnFailure: true },
      )
      await chain.close()
    })
    expect(seen.sure).toBeGreaterThan(0)
    expect(seen.unsure).toBeGreaterThan(0)
    expect(seen.deployed).toBeGreaterThan(0)
  })
})
