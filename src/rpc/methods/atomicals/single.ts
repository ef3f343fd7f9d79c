import { z } from 'zod'
import { scriptHashText } from '../../../atomicals/format/atomical.ts'
import { extend, type WireObject } from '../../../atomicals/format/values.ts'
import { compactOfIdText, indexOfIdText, txidOfIdText } from '../../../atomicals/id-text.ts'
import { atomicalRef } from '../../../atomicals/ids.ts'
import type { HeldRow, LocationRow } from '../../../atomicals/layout.ts'
import type { Ramp } from '../../../atomicals/mint/dft.ts'
import { rampedWork } from '../../../atomicals/mint/distributed.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { invariant } from '../../../errors.ts'
import { fromLatin1, toDisplayHex, toHex } from '../../../lib/bytes.ts'
import type { RpcMethod } from '../../method.ts'
import { Hash } from '../../schemas.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { AtomicalRefParam, IntegerParam, LocationParam } from './params.ts'
import { AtHeightParam, UnusedParam } from './past.ts'
import {
  Atomical,
  AtomicalId,
  EXAMPLE_ID,
  exampleAtomical,
  exampleGlobal,
  exampleLocation,
  exampleRealm,
  Global,
  Location,
} from './results.ts'

interface Detail {
  readonly name: string
  readonly summary: string
  /** Members that the example has besides the least that is told of an atomical. */
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
    summary:
      'An atomical: how it was minted, and what became of the name that it asked for (its members: docs/ATOMICALS.md). ' +
      'The examples of other methods show the least of one.',
    example: exampleRealm,
    add: () => Promise.resolve({}),
  },
  {
    name: 'get_location',
    summary: 'As `get`, and the outputs that it sits at: the first 50, and how many there are.',
    example: exampleLocations,
    add: (answers, id) => answers.locationInfo(id),
  },
  {
    name: 'get_state',
    summary: 'As `get_location`, and the state after all changes.',
    example: { state: { latest: { colour: 'red' } }, ...exampleLocations },
    add: async (answers, id) => ({
      state: { latest: await answers.state(id) },
      ...(await answers.locationInfo(id)),
    }),
  },
  {
    name: 'get_state_history',
    summary: 'As `get_location`, and every change of its state, the last first.',
    example: { state: { history: [exampleChange] }, ...exampleLocations },
    add: async (answers, id) => ({
      state: { history: await answers.changes(await answers.queries.changes(id)) },
      ...(await answers.locationInfo(id)),
    }),
  },
  {
    name: 'get_events',
    summary: 'As `get_location`, and every event, the last first.',
    example: { events: { history: [exampleChange] }, ...exampleLocations },
    add: async (answers, id) => ({
      events: { history: await answers.changes(await answers.queries.events(id)) },
      ...(await answers.locationInfo(id)),
    }),
  },
  {
    name: 'get_tx_history',
    summary: 'As `get`, and the transactions that it was minted and moved in, the last block first.',
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
  const { atomical_id, atomical_number, atomical_ref, type } = exampleAtomical
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
        atomicals: [{ atomical_id, atomical_number, atomical_ref, type, value: 1000 }],
      },
    },
    handler: (ctx, { location: { id } }) => sittingAt(kit.answers(ctx), id),
  })
}

async function sittingAt(answers: AtomicalsAnswers, location: IdText) {
  const [txid, vout] = [txidOfIdText(location), indexOfIdText(location)]
  const { mempool } = answers.ctx.moment
  const made = mempool.has(toDisplayHex(txid))
  const spender = mempool.spenderOf(fromLatin1(location))
  if (made) answers.requireKnown([toDisplayHex(txid)])
  const pending = made ? await answers.unconfirmed() : undefined
  const row = (pending ?? answers).queries.location(location)
  const mayHold = pending?.mayHoldAt(txid, vout) ?? []
  const held = (row?.held ?? []).map((entry) => heldWire(answers, entry))
  const mayCarry = mayHold.map((entry) => ({ ...heldWire(answers, entry), may_carry: true as const }))
  const unconfirmed = { made, spent_by: spender?.txid ?? null }
  return {
    location_info: row === undefined ? {} : locationWire(location, row),
    atomicals: [...held, ...mayCarry],
    ...(made || spender !== undefined ? { unconfirmed } : {}),
  }
}

/** The reference takes an output of 0 satoshis for one that is not there. */
function locationWire(location: IdText, { held, satoshis, script }: LocationRow) {
  if (held.length === 0 || satoshis <= 0) return {}
  return {
    location: compactOfIdText(location),
    txid: toDisplayHex(txidOfIdText(location)),
    index: indexOfIdText(location),
    scripthash: scriptHashText(script),
    script: toHex(script),
    value: satoshis,
  }
}

/** -1 is the number of what is not in a block. */
function heldWire({ queries }: AtomicalsAnswers, { id, kind, value }: HeldRow) {
  return {
    atomical_id: compactOfIdText(id),
    atomical_number: queries.atomical(id)?.number ?? -1,
    atomical_ref: atomicalRef(txidOfIdText(id)),
    type: kind === 'token' ? ('FT' as const) : ('NFT' as const),
    value,
  }
}

/** Methods about one atomical or one place. */
export function singleMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [...DETAILS.map((detail) => detailMethod(kit, detail)), getGlobal(kit), atLocation(kit)]
}
