import { z } from 'zod'
import { MAX_MAX_MINTS } from '../../../atomicals/constants.ts'
import { maxSupply } from '../../../atomicals/format/atomical.ts'
import { compactOfIdText, idTextOfCompact } from '../../../atomicals/id-text.ts'
import type { Holding } from '../../../atomicals/queries.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { concat, fromHex, isHex, toHex, writeUint64LE } from '../../../lib/bytes.ts'
import { sha256d } from '../../../lib/hash.ts'
import type { RpcMethod } from '../../method.ts'
import { Hex } from '../../schemas.ts'
import type { AtomicalsAnswers } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod, badCursor, nextCursor } from './kit.ts'
import { AtomicalIdParam, CursorParam, type Limit, LimitParam, OffsetParam } from './params.ts'
import { AtHeightParam } from './past.ts'
import { EXAMPLE_ID, exampleGlobal, Global, NextCursor } from './results.ts'

const MOST_HOLDERS = 1_000
const MOST_MINTS = 1_000
/** Outputs of a token that are added up while somebody waits. */
const FEW_LOCATIONS = 1_000
/** Mints or holders that are passed over at a time. */
const SKIP = 1_000

const HolderEntry = z.object({
  percent: z.number().optional().meta({ description: 'Of the highest supply, 1 for all; only of tokens.' }),
  address: z.string().nullable(),
  holding: z.int(),
})

function getHolders(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_holders',
    summary:
      'Who holds an atomical, the largest first; equal ones by their first outputs, or in an order of their scripts ' +
      'where there are over 1,000 outputs, or with a cursor. With a cursor the list is under `result`.',
    params: z.object({
      atomical_id: AtomicalIdParam,
      limit: LimitParam(0, MOST_HOLDERS).optional(),
      offset: OffsetParam.optional(),
      cursor: CursorParam,
      at_height: AtHeightParam,
    }),
    result: z.union([z.array(HolderEntry), z.object({ result: z.array(HolderEntry), next_cursor: NextCursor })]),
    cost: () => 0.5,
    example: { params: [EXAMPLE_ID], result: [{ percent: 0.25, address: null, holding: 1000 }] },
    handler: async (ctx, { atomical_id: ref, limit: page, offset = 0, cursor, at_height: height }) => {
      const answers = await kit.answersAt(ctx, height)
      const id = await answers.knownId(ref)
      const { limit } = page ?? { limit: 50 }
      const entry = holderEntry(answers, id)
      if (cursor === undefined) return (await holdersFrom(answers, id, Math.max(0, offset), limit)).map(entry)
      // One more than is shown, to see whether there is a next page.
      const left = await answers.queries.holdings(id, limit + 1, holderOf(cursor))
      const shown = left.slice(0, limit)
      const last = left.length === shown.length ? undefined : shown.at(-1)
      const next = last === undefined ? undefined : `${last.value}:${toHex(last.script)}`
      return { result: shown.map(entry), ...nextCursor(cursor, next) }
    },
  })
}

/**
 * Holders behind so many. Where a token sits at few outputs they are added up, so that equal holders are in the order of
 * their first locations, as the reference has them; of others the index keeps the order.
 */
async function holdersFrom(
  { queries, ctx }: AtomicalsAnswers,
  id: IdText,
  offset: number,
  limit: number,
): Promise<readonly Holding[]> {
  const { holders, locations } = await queries.holderTotals(id)
  if (offset >= holders) return []
  if (locations <= FEW_LOCATIONS) return (await queries.summedHoldings(id, FEW_LOCATIONS)).slice(offset, offset + limit)
  let at: Holding | undefined
  for (let left = offset; left > 0; left -= SKIP) {
    ctx.signal.throwIfAborted()
    at = (await queries.holdings(id, Math.min(left, SKIP), at)).at(-1)
  }
  return queries.holdings(id, limit, at)
}

function holderOf(cursor: string): Holding | undefined {
  if (cursor === '') return undefined
  const [, value, script = ''] = /^(\d{1,16}):([0-9a-f]*)$/.exec(cursor) ?? []
  if (!Number.isSafeInteger(Number(value)) || !isHex(script)) throw badCursor()
  return { value: Number(value), script: fromHex(script) }
}

function holderEntry(answers: AtomicalsAnswers, id: IdText): (holding: Holding) => z.input<typeof HolderEntry> {
  const row = answers.queries.atomical(id)
  if (row === undefined || row.type === 'nft') {
    return ({ script, value }) => ({ address: answers.address(script), holding: value })
  }
  const most = row.terms === undefined ? row.satoshis : maxSupply(row.terms)
  // A perpetual token without an end is measured by the most mints that any token can have.
  const whole = most < 0 ? Number(MAX_MAX_MINTS) * (row.terms?.mintAmount ?? 0) : most
  return ({ script, value }) => {
    const holder = { address: answers.address(script), holding: value }
    return whole > 0 ? { percent: value / whole, ...holder } : holder
  }
}

function getDftMints(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_dft_mints',
    summary:
      'Mints of a distributed token by location: each the SHA-256d of the script and the units (8 bytes LE) in hex.',
    params: z.object({
      atomical_id: AtomicalIdParam,
      limit: LimitParam(1, MOST_MINTS).optional(),
      offset: OffsetParam.optional(),
      cursor: CursorParam,
    }),
    result: z.object({ global: Global, result: z.array(Hex), next_cursor: NextCursor }),
    cost: () => 0.5,
    example: {
      params: [EXAMPLE_ID, 1],
      result: {
        global: exampleGlobal,
        result: ['0e4982a00c06e767aedbe4e40da45b593b6ba08329d86880c4be02f3860e4b5be803000000000000'],
      },
    },
    handler: async (ctx, { atomical_id: { id }, limit: page, offset = 0, cursor }) => {
      const answers = kit.answers(ctx)
      const { limit }: Pick<Limit, 'limit'> = page ?? { limit: 100 }
      const beyond = cursor === undefined ? await mintBefore(answers, id, offset) : mintOf(cursor)
      // With a cursor one more than is shown, to see whether there is a next page.
      const most = cursor === undefined ? limit : limit + 1
      const mints = beyond === null ? [] : await answers.queries.mintsPage(id, most, beyond)
      const shown = mints.slice(0, limit)
      const result = shown.map(({ script, value }) => {
        const units = new Uint8Array(8)
        writeUint64LE(units, BigInt(value), 0)
        return toHex(concat(sha256d(script), units))
      })
      const last = mints.length > limit ? shown.at(-1) : undefined
      const next = last === undefined ? undefined : compactOfIdText(last.location)
      return { global: answers.global(), result, ...nextCursor(cursor, next) }
    },
  })
}

/** Location of the last mint that is passed over; null if there are not so many. */
async function mintBefore(
  { queries, ctx }: AtomicalsAnswers,
  id: IdText,
  offset: number,
): Promise<IdText | undefined | null> {
  let at: IdText | undefined
  for (let left = offset; left > 0; left -= SKIP) {
    ctx.signal.throwIfAborted()
    const count = Math.min(left, SKIP)
    const page = await queries.mintsPage(id, count, at)
    if (page.length < count) return null
    at = page.at(-1)?.location
  }
  return at
}

function mintOf(cursor: string): IdText | undefined {
  if (cursor === '') return undefined
  const location = idTextOfCompact(cursor)
  if (location === undefined) throw badCursor()
  return location
}

/** Methods about who holds an atomical, and about the mints of a token. */
export function holderMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [getHolders(kit), getDftMints(kit)]
}
