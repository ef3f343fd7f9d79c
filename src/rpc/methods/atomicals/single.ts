import { z } from 'zod'
import { MAX_MAX_MINTS } from '../../../atomicals/constants.ts'
import { maxSupply, scriptHashText } from '../../../atomicals/format/atomical.ts'
import { extend, type WireObject, wireOf } from '../../../atomicals/format/values.ts'
import { compactOfIdText, idTextOfCompact, indexOfIdText, txidOfIdText } from '../../../atomicals/id-text.ts'
import { atomicalRef } from '../../../atomicals/ids.ts'
import type { HeldRow } from '../../../atomicals/layout.ts'
import type { Ramp } from '../../../atomicals/mint/dft.ts'
import { rampedWork } from '../../../atomicals/mint/distributed.ts'
import type { Holding } from '../../../atomicals/queries.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { invariant } from '../../../errors.ts'
import { concat, fromHex, fromLatin1, isHex, toDisplayHex, toHex, writeUint64LE } from '../../../lib/bytes.ts'
import { sha256d } from '../../../lib/hash.ts'
import type { RpcMethod } from '../../method.ts'
import { Hash, Hex } from '../../schemas.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod, badCursor, nextCursor } from './kit.ts'
import {
  AtomicalIdParam,
  AtomicalRefParam,
  CursorParam,
  IntegerParam,
  type Limit,
  LimitParam,
  LocationParam,
  OffsetParam,
} from './params.ts'
import { AtHeightParam, UnusedParam } from './past.ts'
import {
  Atomical,
  AtomicalId,
  EXAMPLE_ID,
  exampleAtomical,
  exampleGlobal,
  exampleLocation,
  Global,
  Location,
  NextCursor,
} from './results.ts'

const MOST_HOLDERS = 1_000
const MOST_MINTS = 1_000
/** Outputs of a token that are added up while somebody waits. */
const FEW_LOCATIONS = 1_000
/** Mints or holders that are passed over at a time. */
const SKIP = 1_000

interface Detail {
  readonly name: string
  readonly summary: string
  /** Members that it adds to what `get` shows. */
  readonly example: WireObject
  readonly add: (answers: AtomicalsAnswers, id: IdText) => Promise<WireObject>
}

const exampleLocations = {
  location_info_obj: { locations: [exampleLocation] },
  location_info: [exampleLocation],
  location_counts: 1,
}

const exampleChange = { tx_num: 461, height: 117, txid: exampleLocation.txid, index: 0, data: { colour: 'red' } }

const DETAILS: readonly Detail[] = [
  {
    name: 'get',
    summary: 'An atomical: how it was minted, and what became of the name that it asked for.',
    example: {},
    add: () => Promise.resolve({}),
  },
  {
    name: 'get_location',
    summary: 'The same, and the outputs that it sits at: the first 50, and how many there are.',
    example: exampleLocations,
    add: (answers, id) => answers.locationInfo(id),
  },
  {
    name: 'get_state',
    summary: 'The same, and the state after all changes.',
    example: { state: { latest: { colour: 'red' } }, ...exampleLocations },
    add: async (answers, id) => ({
      state: { latest: wireOf(await answers.queries.state(id), answers.shown) },
      ...(await answers.locationInfo(id)),
    }),
  },
  {
    name: 'get_state_history',
    summary: 'The same, and every change of its state, the last first.',
    example: { state: { history: [exampleChange] }, ...exampleLocations },
    add: async (answers, id) => ({
      state: { history: answers.changes(await answers.queries.changes(id)) },
      ...(await answers.locationInfo(id)),
    }),
  },
  {
    name: 'get_events',
    summary: 'The same, and every event, the last first.',
    example: { events: { history: [exampleChange] }, ...exampleLocations },
    add: async (answers, id) => ({
      events: { history: answers.changes(await answers.queries.events(id)) },
      ...(await answers.locationInfo(id)),
    }),
  },
  {
    name: 'get_tx_history',
    summary: 'The same, and the transactions that it was minted and moved in, the last block first.',
    example: { tx: { history: [{ tx_hash: exampleLocation.txid, height: 113 }] } },
    add: async (answers, id) => ({
      tx: { history: [...(await answers.txHistory(id)), ...answers.pendingHistory(id)] },
    }),
  },
  {
    name: 'get_ft_info',
    summary: 'A token: its supply, its holders, its mints and the work that the next of them need.',
    example: { dft_info: { mint_count: 3 }, location_summary: { unique_holders: 2, circulating_supply: 3000 } },
    add: async (answers, id) => ({
      ...tokenInfo(answers, id),
      location_summary: await supplyOf(answers, id),
      // The one method that does not show the payload.
      mint_data: undefined,
    }),
  },
]

function detailMethod(kit: AtomicalsKit, { name, summary, example, add }: Detail): RpcMethod {
  return atomicalsMethod({
    name,
    summary,
    params: z.object({ atomical: AtomicalRefParam, verbose: UnusedParam, at_height: AtHeightParam }),
    result: z.object({ global: Global, result: Atomical }),
    cost: () => 0.5,
    example: { params: [EXAMPLE_ID], result: { global: exampleGlobal, result: { ...exampleAtomical, ...example } } },
    handler: async (ctx, { atomical, at_height: height }) => {
      const answers = await kit.answersAt(ctx, height)
      const id = await answers.knownId(atomical)
      if (answers.queries.atomical(id) === undefined) {
        return { global: answers.global(), result: await pendingMint(answers, id, add) }
      }
      const wire = await answers.wireOf(id)
      const result = extend(wire, await add(answers, id), await pendingChange(answers, id, add))
      return { global: answers.global(), result }
    },
  })
}

/**
 * A mint that is not in a block: what the reference shows of one, what the method adds, and under `unconfirmed` what
 * will be shown if it is mined now.
 */
async function pendingMint(answers: AtomicalsAnswers, id: IdText, add: Detail['add']) {
  const pending = await answers.unconfirmed()
  invariant(pending !== undefined, 'a mint is nowhere')
  const unconfirmed = await pending.wireOf(id)
  const { atomical_id, atomical_number, type, confirmed } = unconfirmed
  return { atomical_id, atomical_number, type, confirmed, ...(await add(pending, id)), unconfirmed }
}

/** What the mempool does to an atomical that is in a block: its transactions, and what the method will add once they are. */
async function pendingChange(
  answers: AtomicalsAnswers,
  id: IdText,
  add: Detail['add'],
): Promise<{ readonly unconfirmed?: WireObject }> {
  const pending = await answers.unconfirmed()
  const transactions = pending?.pendingHistory(id) ?? []
  if (pending === undefined || transactions.length === 0) return {}
  return { unconfirmed: { transactions, ...(await add(pending, id)) } }
}

/** Throws RpcError 1 for what is no token. */
function tokenInfo({ queries }: AtomicalsAnswers, id: IdText): WireObject {
  const row = queries.atomical(id)
  if (row === undefined || row.type === 'nft') throw badRequest('not a fungible token (FT)')
  if (row.terms === undefined) return { ft_info: {} }
  const { mode, maxMints } = row.terms
  const count = queries.mintCount(id)
  if (mode.kind === 'fixed') return { dft_info: { mint_count: count } }
  const works = (name: string, ramp: Ramp | undefined): WireObject => {
    if (ramp === undefined) return {}
    const next = count + maxMints - (count % maxMints)
    return {
      [`mint_${name}_current`]: rampedWork(mode.vector, ramp, count, maxMints),
      [`mint_${name}_next`]: rampedWork(mode.vector, ramp, next, maxMints),
      [`mint_${name}_next_next`]: rampedWork(mode.vector, ramp, next + maxMints, maxMints),
    }
  }
  return { dft_info: { mint_count: count, ...works('bitworkc', mode.commit), ...works('bitworkr', mode.reveal) } }
}

async function supplyOf(answers: AtomicalsAnswers, id: IdText): Promise<WireObject> {
  const { holders, supply } = await answers.queries.holderTotals(id)
  return { unique_holders: holders, circulating_supply: supply }
}

function getGlobal(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_global',
    summary: 'Where the index stands, and the Atomicals hashes of the last blocks.',
    params: z.object({ hashes: IntegerParam('How many hashes; at most 100.').optional() }),
    result: z.object({ global: Global }),
    cost: () => 0.1,
    example: { params: [1], result: { global: exampleGlobal } },
    handler: (ctx, { hashes = 10 }) => ({ global: kit.answers(ctx).global(hashes) }),
  })
}

function atLocation(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'at_location',
    summary: 'What sits at an output, or sat there until it was spent.',
    params: z.object({ location: LocationParam }),
    result: z.object({
      location_info: z
        .union([Location, z.object({}).strict()])
        .meta({ description: 'Empty if nothing ever sat there, or only may come to.' }),
      unconfirmed: z
        .object({ made: z.boolean(), spent_by: Hash.nullable() })
        .meta({ description: 'Only where the mempool makes the output, or spends it.' })
        .optional(),
      atomicals: z.array(
        z.looseObject({
          atomical_id: AtomicalId,
          atomical_number: z.int(),
          atomical_ref: z.string(),
          type: z.enum(['FT', 'NFT']),
          value: z.int().meta({ description: 'Units of a token; satoshis of an NFT.' }),
          may_carry: z
            .literal(true)
            .meta({
              description:
                'Only of an output in the mempool: it sits there only if its transactions are mined in another order ' +
                'than they came in, or later.',
            })
            .optional(),
        }),
      ),
    }),
    cost: () => 0.25,
    example: {
      params: [EXAMPLE_ID],
      result: {
        location_info: exampleLocation,
        atomicals: [{ ...exampleAtomical, value: 1000 }],
      },
    },
    handler: async (ctx, { location: { id: location } }) => {
      const answers = kit.answers(ctx)
      const { mempool } = ctx.moment
      const made = mempool.has(toDisplayHex(txidOfIdText(location)))
      const spender = mempool.spenderOf(fromLatin1(location))
      if (made) answers.requireRegained()
      const pending = made ? await answers.unconfirmed() : undefined
      const { queries } = pending ?? answers
      const row = queries.location(location)
      const held = row?.held ?? []
      const mayHold = pending?.mayHoldAt(txidOfIdText(location), indexOfIdText(location)) ?? []
      // The reference takes an output of 0 satoshis for one that is not there.
      const isShown = row !== undefined && held.length > 0 && row.satoshis > 0
      const info = isShown
        ? {
            location: compactOfIdText(location),
            txid: toDisplayHex(txidOfIdText(location)),
            index: indexOfIdText(location),
            scripthash: scriptHashText(row.script),
            script: toHex(row.script),
            value: row.satoshis,
          }
        : {}
      const wireOf = ({ id, kind, value }: HeldRow) => ({
        atomical_id: compactOfIdText(id),
        atomical_number: answers.queries.atomical(id)?.number ?? -1,
        atomical_ref: atomicalRef(txidOfIdText(id)),
        type: kind === 'token' ? ('FT' as const) : ('NFT' as const),
        value,
      })
      const atomicals = [...held.map(wireOf), ...mayHold.map((row) => ({ ...wireOf(row), may_carry: true as const }))]
      const unconfirmed = { made, spent_by: spender?.txid ?? null }
      return { location_info: info, atomicals, ...(made || spender !== undefined ? { unconfirmed } : {}) }
    },
  })
}

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
      const mints = beyond === null ? [] : await answers.queries.mintsPage(id, limit, beyond)
      const result = mints.map(({ script, value }) => {
        const units = new Uint8Array(8)
        writeUint64LE(units, BigInt(value), 0)
        return toHex(concat(sha256d(script), units))
      })
      const last = mints.length < limit ? undefined : mints.at(-1)
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

/** Methods about one atomical or one place. */
export function singleMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [
    ...DETAILS.map((detail) => detailMethod(kit, detail)),
    getGlobal(kit),
    atLocation(kit),
    getHolders(kit),
    getDftMints(kit),
  ]
}
