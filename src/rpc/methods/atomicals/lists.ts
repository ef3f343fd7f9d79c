import { z } from 'zod'
import type { AtomicalWire } from '../../../atomicals/format/atomical.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { RpcMethod } from '../../method.ts'
import { Hash } from '../../schemas.ts'
import type { AtomicalsAnswers } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { HeightParam, IntegerParam, LimitParam, TruthParam } from './params.ts'
import { Atomical, AtomicalId, EXAMPLE_ID, EXAMPLE_TXID, exampleAtomical, exampleGlobal, Global } from './results.ts'

const MOST_ATOMICALS = 50
/** As many as fit into an answer of the largest size. */
const MOST_NUMBERS = 50_000
/** Numbers that are read before others get their turn. */
const NUMBERS_AT_ONCE = 1_000
const TXID_SIZE = 32

const From = IntegerParam('Number to begin at; a negative one counts back from the number of atomicals.')
const Ascending = TruthParam('Upwards; otherwise downwards.')

/**
 * Numbers of a page, in order. They are a cursor themselves: a block only adds numbers above all others, so the page
 * after number n begins at n + 1, or at n - 1 downwards.
 */
function numbersOf({ queries, height }: AtomicalsAnswers, limit: number, offset: number, ascending: boolean): number[] {
  const count = queries.block(height)?.count ?? 0
  const first = offset >= 0 ? offset : Math.max(0, count + offset)
  if (first >= count) return []
  const length = Math.min(limit, ascending ? count - first : first + 1)
  return Array.from({ length }, (_, i) => (ascending ? first + i : first - i))
}

function listAtomicals(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'list',
    summary: 'Atomicals in the order of their numbers, as `get` shows them.',
    params: z.object({ limit: LimitParam(0, MOST_ATOMICALS), offset: From, asc: Ascending }),
    result: z.object({
      global: Global,
      result: z.array(Atomical),
      unconfirmed: z
        .array(Atomical)
        .meta({
          description:
            'Mints in the mempool in the order in which they came, as many as `limit` at most, beside the page that has ' +
            'the newest; absent if there are none.',
        })
        .optional(),
    }),
    cost: () => 0.5,
    example: { params: [1, 0, true], result: { global: exampleGlobal, result: [exampleAtomical] } },
    handler: async (ctx, { limit: { limit }, offset, asc }) => {
      const answers = kit.answers(ctx)
      const result = []
      for (const number of numbersOf(answers, limit, offset, asc)) {
        ctx.signal.throwIfAborted()
        await answers.letOthers()
        result.push((await answers.atomical({ number, text: String(number) })).wire)
      }
      const global = answers.global()
      const newest = global.atomical_count - 1
      const hasNewest = newest < 0 || result.some(({ atomical_number: number }) => number === newest)
      return { global, result, ...(hasNewest ? await pendingMints(answers, limit) : {}) }
    },
  })
}

async function pendingMints(
  answers: AtomicalsAnswers,
  limit: number,
): Promise<{ readonly unconfirmed?: AtomicalWire[] }> {
  const pending = await answers.unconfirmed()
  if (pending === undefined) return {}
  const unconfirmed: AtomicalWire[] = []
  for (const id of await pending.pendingMints(limit)) {
    answers.ctx.signal.throwIfAborted()
    await pending.letOthers()
    unconfirmed.push(await pending.wireOf(id))
  }
  return unconfirmed.length === 0 ? {} : { unconfirmed }
}

function getNumbers(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_numbers',
    followsFrom: 'tip',
    summary: 'Ids of atomicals by number.',
    params: z.object({ limit: LimitParam(0, MOST_NUMBERS), offset: From, asc: Ascending }),
    result: z.object({ global: Global, result: z.record(z.string(), AtomicalId) }),
    cost: () => 0.25,
    example: { params: [1, 0, true], result: { global: exampleGlobal, result: { '0': EXAMPLE_ID } } },
    handler: async (ctx, { limit: { limit }, offset, asc }) => {
      const answers = kit.answers(ctx)
      const numbers = numbersOf(answers, limit, offset, asc)
      const first = Math.min(numbers.at(0) ?? 0, numbers.at(-1) ?? 0)
      const result: Record<string, string> = {}
      for (let at = 0; at < numbers.length; at += NUMBERS_AT_ONCE) {
        ctx.signal.throwIfAborted()
        const count = Math.min(NUMBERS_AT_ONCE, numbers.length - at)
        const rows = await answers.queries.numbersPage(first + at, count)
        for (const { number, id } of rows) result[number] = compactOfIdText(id)
      }
      return { global: answers.global(), result }
    },
  })
}

function getBlockHash(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_block_hash',
    followsFrom: 'tip',
    summary: 'Atomicals hash of a block: two servers with the same one agree on every atomical up to it.',
    params: z.object({ height: HeightOrTip }),
    result: z.object({ result: Hash.nullable() }),
    cost: () => 0.1,
    example: { params: [850000], result: { result: exampleGlobal.atomicals_block_tip } },
    handler: (ctx, { height }) => {
      const answers = kit.answers(ctx)
      return { result: answers.blockHash(height === 0 ? answers.height : height) }
    },
  })
}

/** 0 and null are the tip. */
const HeightOrTip = z
  .preprocess((value) => (value === null || value === '' ? 0 : value), HeightParam)
  .meta({ description: 'Height of a block; 0 is the tip.', type: 'integer' })

function getBlockTxs(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_block_txs',
    followsFrom: 'tip',
    summary: 'The transactions that the Atomicals hash of a block is made of, in the order of the block.',
    params: z.object({ height: HeightParam }),
    result: z.object({ global: Global, result: z.array(Hash) }),
    cost: () => 0.25,
    example: { params: [850000], result: { global: exampleGlobal, result: [EXAMPLE_TXID] } },
    handler: async (ctx, { height }) => {
      const answers = kit.answers(ctx)
      const txs = await countedTxs(answers, height)
      return { global: answers.global(), result: txs.map(({ txid }) => toDisplayHex(txid)) }
    },
  })
}

/** A transaction that the Atomicals hash of a block has. */
export interface CountedTx {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array
  readonly txNum: number
  readonly height: number
}

/** Transactions that the Atomicals hash of a block has, in its order. */
export async function countedTxs({ queries, view, ctx }: AtomicalsAnswers, height: number): Promise<CountedTx[]> {
  const row = queries.block(height)
  if (row === undefined || row.positions.length === 0) return []
  const txids = await view.blockTxids(height)
  if (txids === undefined) return []
  // Reading the ids of a whole block for some of them: as much as merkle calls charge for it.
  ctx.charge(txids.length / TXID_SIZE / 2_500)
  return row.positions.map((position) => ({
    txid: txids.subarray(position * TXID_SIZE, (position + 1) * TXID_SIZE),
    txNum: row.firstTxNum + position,
    height,
  }))
}

/** Methods about all atomicals, and about blocks. */
export function listMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [listAtomicals(kit), getNumbers(kit), getBlockHash(kit), getBlockTxs(kit)]
}
