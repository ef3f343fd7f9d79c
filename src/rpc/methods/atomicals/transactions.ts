import { setImmediate as nextTurn } from 'node:timers/promises'
import { z } from 'zod'
import { historyKey } from '../../../atomicals/id-text.ts'
import { ACTIVITY_CODES } from '../../../atomicals/layout.ts'
import { ERROR_CODES, RpcError } from '../../../errors.ts'
import { fromDisplayHex, isHex } from '../../../lib/bytes.ts'
import type { RpcMethod } from '../../method.ts'
import { ScriptHash, shown } from '../../schemas.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { Detail, type DetailWire, detailOf, NODE_COST, opOf } from './detail.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { type CountedTx, countedTxs } from './lists.ts'
import { AtomicalRefParam, HeightParam, type Limit, LimitParam, NameParam, OffsetParam, TruthParam } from './params.ts'
import { EXAMPLE_ID, EXAMPLE_SCRIPTHASH, EXAMPLE_TXID } from './results.ts'

const MOST_TXS = 1_000
/** Transactions that one call of `transactions` names. */
const MOST_NAMED = 100
const TXID_HEX_SIZE = 64
/** Transactions, or blocks, that are looked at before others get their turn. */
const PER_TURN = 500

const exampleDetail: DetailWire = {
  txid: EXAMPLE_TXID,
  height: 110,
  tx_num: 186,
  info: {},
  transfers: {
    inputs: { '0': [{ address: null, atomical_id: EXAMPLE_ID, type: 'FT', index: 0, value: 1000 }] },
    outputs: { '0': [{ address: null, atomical_id: EXAMPLE_ID, type: 'FT', index: 0, value: 1000 }] },
    is_burned: false,
    burned_fts: {},
    is_cleanly_assigned: true,
  },
  op: 'transfer',
}

const Page = z.object({ result: z.array(Detail), total: z.int(), limit: z.int(), offset: z.int() })

/**
 * Where a transaction stands. Throws RpcError 1 for one that is not confirmed, and what bitcoind says of one that it does
 * not know either (code 2), as the reference does.
 */
async function placeOf({ view, ctx }: AtomicalsAnswers, text: string): Promise<CountedTx> {
  const hex = text.toLowerCase()
  if (hex.length !== TXID_HEX_SIZE || !isHex(hex)) {
    throw new RpcError(ERROR_CODES.daemonError.code, `daemon error: ${shown(text)} is no transaction id`)
  }
  const txid = fromDisplayHex(hex)
  const found = await view.findTransaction(txid)
  if (found !== undefined) return { txid, txNum: found.txNum, height: found.height }
  ctx.charge(NODE_COST)
  await ctx.daemon.rawTransaction(hex, undefined, ctx.signal)
  throw badRequest(`transaction ${hex} is not confirmed`)
}

const TxIdText = NameParam.meta({ description: 'Transaction id, as displayed.' })

function transaction(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'transaction',
    summary: 'What a confirmed transaction did: its operation, and what it moved, burnt and minted.',
    params: z.object({ txid: TxIdText }),
    result: Detail,
    cost: () => 0.5,
    example: { params: [EXAMPLE_TXID], result: exampleDetail },
    handler: async (ctx, { txid }) => {
      const answers = kit.answers(ctx)
      return detailOf(answers, await placeOf(answers, txid))
    },
  })
}

const TxIds = NameParam.meta({ description: `Transaction ids with commas between them; at most ${MOST_NAMED}.` })

function transactions(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'transactions',
    summary: 'As `transaction`, for several transactions.',
    params: z.object({ txids: TxIds }),
    result: z.array(Detail),
    cost: ({ txids }) => 0.5 * (1 + Math.floor(txids.length / (TXID_HEX_SIZE + 1))),
    example: { params: [EXAMPLE_TXID], result: [exampleDetail] },
    handler: async (ctx, { txids }) => {
      const answers = kit.answers(ctx)
      const named = txids.split(',', MOST_NAMED + 1)
      if (named.length > MOST_NAMED) throw badRequest(`txids: more than ${MOST_NAMED}`)
      const details: DetailWire[] = []
      for (const txid of named) {
        ctx.signal.throwIfAborted()
        await answers.letOthers()
        details.push(await detailOf(answers, await placeOf(answers, txid)))
      }
      return details
    },
  })
}

const pageParams = {
  limit: LimitParam(0, MOST_TXS).optional(),
  offset: OffsetParam.optional(),
  op_type: z
    .unknown()
    .transform((value) => (typeof value === 'string' && value !== '' ? value : undefined))
    .meta({ type: 'string', description: 'Only transactions with this `op`; null for all.' })
    .optional(),
  reverse: TruthParam('The last transaction first; so it is unless false is given.').optional(),
}

interface PageRequest {
  readonly limit?: Limit | undefined
  readonly offset?: number | undefined
  readonly op_type?: string | undefined
  readonly reverse?: boolean | undefined
}

/** Which part of a list is asked for. */
interface Part {
  readonly first: number
  readonly limit: number
  readonly reverse: boolean
  readonly op: string | undefined
  /** Members of the answer that repeat what was asked. */
  readonly echo: { readonly limit: number; readonly offset: number }
}

function partOf({ limit = { asked: 10, limit: 10 }, offset = 0, op_type: op, reverse = true }: PageRequest): Part {
  return { first: Math.max(0, offset), limit: limit.limit, reverse, op, echo: { limit: limit.asked, offset } }
}

/** Words for operations that the reference knows, and never gives to a transaction. */
const NEVER_GIVEN: ReadonlySet<string> = new Set([
  'mint-ft-failed',
  'mint-nft-failed',
  'mint-nft-realm-failed',
  'mint-nft-subrealm-failed',
  'mint-nft-container-failed',
  'mint-nft-dmitem-failed',
  'invalid-mint',
  'burn',
])

function isOperationWord(word: string): boolean {
  return (Object.hasOwn(ACTIVITY_CODES, word) && word !== 'none') || NEVER_GIVEN.has(word)
}

/** The part of a list of transactions that have an operation. */
async function pageOf(
  answers: AtomicalsAnswers,
  places: readonly CountedTx[],
  part: Part,
): Promise<z.input<typeof Page>> {
  const { queries, ctx } = answers
  const named: CountedTx[] = []
  for (const [i, place] of places.entries()) {
    if (i % PER_TURN === PER_TURN - 1) await nextTurn(undefined, { signal: ctx.signal })
    const op = opOf(queries.activity(place.txNum), () => queries.operation(place.txNum))
    if (part.op === undefined ? op !== '' : op === part.op) named.push(place)
  }
  named.sort((a, b) => (part.reverse ? b.txNum - a.txNum : a.txNum - b.txNum))
  const result: DetailWire[] = []
  for (const place of named.slice(part.first, part.first + part.limit)) {
    ctx.signal.throwIfAborted()
    await answers.letOthers()
    result.push(await detailOf(answers, place))
  }
  return { result, total: named.length, ...part.echo }
}

const examplePage = { result: [exampleDetail], total: 1, limit: 10, offset: 0 }

function byHeight(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'transaction_by_height',
    followsFrom: 'tip',
    summary: 'Transactions of a block that did something.',
    params: z.object({ height: HeightParam, ...pageParams }),
    result: Page,
    cost: () => 0.5,
    example: { params: [110], result: examplePage },
    handler: async (ctx, { height, ...page }) => {
      const answers = kit.answers(ctx)
      return pageOf(answers, await countedTxs(answers, height), partOf(page))
    },
  })
}

function byAtomicalId(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'transaction_by_atomical_id',
    summary: 'Transactions that an atomical was minted and moved in.',
    params: z.object({ atomical: AtomicalRefParam, ...pageParams }),
    result: Page,
    cost: () => 0.5,
    example: { params: [EXAMPLE_ID], result: examplePage },
    handler: (ctx, { atomical, ...page }) => {
      const answers = kit.answers(ctx)
      return historyPage(answers, historyKey(answers.idOf(atomical)), partOf(page))
    },
  })
}

function byScripthash(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'transaction_by_scripthash',
    summary: 'Transactions of a script that did something.',
    params: z.object({ scripthash: ScriptHash, ...pageParams }),
    result: Page,
    cost: () => 0.5,
    example: { params: [EXAMPLE_SCRIPTHASH], result: examplePage },
    handler: (ctx, { scripthash: { hashX }, ...page }) => historyPage(kit.answers(ctx), hashX, partOf(page)),
  })
}

/** The part of a history of transactions that the index has a name for. */
async function historyPage(answers: AtomicalsAnswers, hashX: Uint8Array, part: Part): Promise<z.input<typeof Page>> {
  const named: CountedTx[] = []
  // However long it is: every row is charged, so that a session's limit of cost ends it.
  for await (const some of answers.view.historyFrom(hashX, 0)) {
    await nextTurn(undefined, { signal: answers.ctx.signal })
    for (const item of some) if ((answers.queries.activity(item.txNum)?.op ?? 'none') !== 'none') named.push(item)
  }
  // As the reference counts: a word that names no operation does not narrow the total, but nothing has it.
  if (part.op !== undefined && !isOperationWord(part.op)) return { result: [], total: named.length, ...part.echo }
  return pageOf(answers, named, part)
}

function global(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'transaction_global',
    summary:
      'The last transactions that did something. Of as many blocks as have `offset` + `limit` transactions; `total` is of these.',
    params: z.object(pageParams),
    result: Page,
    cost: () => 0.5,
    example: { params: [], result: examplePage },
    handler: async (ctx, page) => {
      const answers = kit.answers(ctx)
      const part = partOf(page)
      const places: CountedTx[] = []
      for (let height = answers.height; height >= answers.settings.heights.start; height--) {
        ctx.signal.throwIfAborted()
        // Most blocks may have nothing, and to read that is no turn.
        if (height % PER_TURN === 0) await nextTurn(undefined, { signal: ctx.signal })
        places.push(...(await countedTxs(answers, height)))
        if (places.length >= part.first + part.limit) break
      }
      return pageOf(answers, places, part)
    },
  })
}

/** Methods about transactions. */
export function transactionMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [transaction(kit), transactions(kit), byHeight(kit), byAtomicalId(kit), byScripthash(kit), global(kit)]
}
