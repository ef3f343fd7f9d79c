import { z } from 'zod'
import type { AtomicalWire } from '../../../atomicals/format/atomical.ts'
import type { Wire, WireObject } from '../../../atomicals/format/values.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import type { HeldRow } from '../../../atomicals/layout.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { invariant } from '../../../errors.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { AtomicalsShape, RpcMethod } from '../../method.ts'
import { Hash, Satoshis, ScriptHash } from '../../schemas.ts'
import { type AtomicalsAnswers, badRequest, type ColouredUtxo, OUTPUT_COST, type OutputChanges } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { TruthParam } from './params.ts'
import { AtHeightParam, UnusedParam } from './past.ts'
import {
  Atomical,
  AtomicalId,
  EXAMPLE_ID,
  EXAMPLE_SCRIPTHASH,
  EXAMPLE_TXID,
  exampleAtomical,
  exampleGlobal,
  Global,
} from './results.ts'
import { HeldAmounts, MayCarryIds, mayCarryIds, shapedAmounts, shapeFor } from './shape.ts'

/** What a script holds of an atomical: what is confirmed, and what the mempool adds to it or takes away. */
interface Sum {
  confirmed: number
  /** Not there in answers that have no mempool. */
  unconfirmed?: number
  /** In none of the others; only where there is some. */
  may_carry?: number
}

interface Balances {
  readonly sums: ReadonlyMap<IdText, Sum>
  /** Those of which something is confirmed, whether the mempool takes it away or not. */
  readonly confirmed: ReadonlySet<IdText>
  readonly changes: OutputChanges
}

/** By id, in the order of the first outputs; confirmed ones before those of the mempool. */
async function balancesOf(
  answers: AtomicalsAnswers,
  hashX: Uint8Array,
  outputs: readonly ColouredUtxo[],
  wanted: (held: HeldRow) => boolean = () => true,
): Promise<Balances> {
  const changes = await answers.changesOf(hashX, outputs)
  answers.ctx.charge(changes.made.length * OUTPUT_COST)
  const sums = new Map<IdText, Sum>()
  const add = ({ held }: ColouredUtxo, confirmed: 0 | 1, unconfirmed: -1 | 0 | 1): void => {
    for (const row of held.filter(wanted)) {
      const sum = sums.get(row.id) ?? (answers.hasMempool ? { confirmed: 0, unconfirmed: 0 } : { confirmed: 0 })
      sum.confirmed += confirmed * row.value
      if (sum.unconfirmed !== undefined) sum.unconfirmed += unconfirmed * row.value
      sums.set(row.id, sum)
    }
  }
  for (const output of outputs) add(output, 1, changes.spent.has(output) ? -1 : 0)
  const confirmed = new Set(sums.keys())
  for (const output of changes.made) add(output, 0, 1)
  for (const row of changes.made.flatMap(({ mayHold = [] }) => mayHold).filter(wanted)) {
    const sum = sums.get(row.id) ?? { confirmed: 0, unconfirmed: 0 }
    sum.may_carry = (sum.may_carry ?? 0) + row.value
    sums.set(row.id, sum)
  }
  return { sums, confirmed, changes }
}

/** What is said of each, with turns for others between. */
async function* shownInTurns(
  answers: AtomicalsAnswers,
  { sums, confirmed }: Balances,
): AsyncGenerator<{
  readonly id: string
  /** Undefined for what nobody has minted in the order in which transactions came. */
  readonly wire: AtomicalWire | undefined
  readonly sum: Sum
  readonly isConfirmed: boolean
}> {
  for (const [id, sum] of sums) {
    answers.ctx.signal.throwIfAborted()
    // What is said of one may all be in memory.
    await answers.letOthers()
    const wire = await wireOfAny(answers, id)
    invariant(wire !== undefined || sum.may_carry !== undefined, 'an atomical is nowhere')
    yield { id: compactOfIdText(id), wire, sum, isConfirmed: confirmed.has(id) }
  }
}

/** The atomical as the chain has it, or as the mempool makes it; undefined where neither does. */
async function wireOfAny(answers: AtomicalsAnswers, id: IdText): Promise<AtomicalWire | undefined> {
  if (answers.queries.atomical(id) !== undefined) return answers.wireOf(id)
  const pending = await answers.unconfirmed()
  return pending?.queries.atomical(id) === undefined ? undefined : pending.wireOf(id)
}

const Unconfirmed = z
  .int()
  .meta({
    description:
      'What the mempool adds to it, negative where it takes away; to be added to `confirmed`. Not there with `at_height`.',
  })
  .optional()
const MayCarry = z
  .int()
  .meta({
    description:
      'What is at outputs in the mempool only if their transactions are mined in another order than they came in, or ' +
      'later; neither in `confirmed` nor in `unconfirmed`.',
  })
  .optional()
const Balance = z.looseObject({ id: AtomicalId, confirmed: z.int(), unconfirmed: Unconfirmed, may_carry: MayCarry })
type BalanceWire = WireObject & Sum & { readonly id: string }

/** Members of an NFT in a balance, where it has them. */
const NFT_MEMBERS = [
  'request_container',
  'container',
  'dmitem',
  'request_dmitem',
  'realm',
  'request_realm',
  'subrealm',
  'request_subrealm',
  'full_realm_name',
  'parent_container',
  'parent_realm',
  'parent_container_name',
  'bitwork',
  'parents',
]

function balances(kit: AtomicalsKit, type: 'FT' | 'NFT'): RpcMethod {
  const entry =
    type === 'FT' ? { ticker: 'example', confirmed: 1000 } : { subtype: 'realm', realm: 'example', confirmed: 546 }
  return atomicalsMethod({
    name: `get_${type.toLowerCase()}_balances_scripthash`,
    summary: `${type === 'FT' ? 'Tokens' : 'NFTs'} at the outputs of a script: how much, and under which names.`,
    params: z.object({ scripthash: ScriptHash, verbose: UnusedParam, at_height: AtHeightParam }),
    result: z.object({
      balances: z.record(z.string(), Balance),
      unconfirmed: z
        .record(z.string(), Balance)
        .meta({ description: 'The same of those of which nothing is confirmed here yet; absent if there are none.' })
        .optional(),
    }),
    cost: () => 1,
    example: {
      params: [EXAMPLE_SCRIPTHASH],
      result: { balances: { [EXAMPLE_ID]: { id: EXAMPLE_ID, ...entry, unconfirmed: 0 } } },
    },
    handler: async (ctx, { scripthash: { hashX }, at_height: height }) => {
      const answers = await kit.answersAt(ctx, height)
      const outputs = await answers.outputsOf(hashX, 'coloured')
      const isWanted = ({ kind }: HeldRow): boolean => (kind === 'token') === (type === 'FT')
      const found = await balancesOf(answers, hashX, outputs, isWanted)
      const own: [string, BalanceWire][] = []
      const others: [string, BalanceWire][] = []
      for await (const { id, wire, sum, isConfirmed } of shownInTurns(answers, found)) {
        const names = type === 'FT' ? { ticker: wire?.['$ticker'] ?? null } : nftMembers(wire)
        const list = isConfirmed ? own : others
        list.push([id, { id, ...names, ...sum }])
      }
      return {
        balances: Object.fromEntries(own),
        ...(others.length === 0 ? {} : { unconfirmed: Object.fromEntries(others) }),
      }
    },
  })
}

function nftMembers(wire: AtomicalWire | undefined): WireObject {
  if (wire === undefined) return {}
  const members = NFT_MEMBERS.map((name): [string, Wire | undefined] => [name, wire[`$${name}`]])
  return { subtype: wire.subtype, ...Object.fromEntries(members) }
}

/** What listscripthash says besides of what has a name, by its kind, and of what only asks for one. */
const HELD_MEMBERS: readonly (readonly [kind: string, members: readonly string[]])[] = [
  ['realm', ['request_realm_status', 'request_realm', 'realm', 'full_realm_name']],
  ['subrealm', ['request_subrealm_status', 'request_subrealm', 'parent_realm', 'subrealm', 'full_realm_name']],
  ['dmitem', ['request_dmitem_status', 'request_dmitem', 'parent_container', 'dmitem']],
  ['ticker', ['ticker_candidates', 'request_ticker_status', 'request_ticker', 'ticker']],
  ['container', ['request_container_status', 'container', 'request_container']],
]
const ASKED_MEMBERS: readonly (readonly [kind: string, members: readonly string[]])[] = [
  ['realm', ['request_realm_status', 'request_realm', 'realm_candidates']],
  [
    'subrealm',
    ['subrealm_candidates', 'request_subrealm_status', 'request_full_realm_name', 'request_subrealm', 'parent_realm'],
  ],
  ['dmitem', ['dmitem_candidates', 'request_dmitem_status', 'request_dmitem', 'parent_container']],
  ['container', ['container_candidates', 'request_container_status', 'request_container']],
  ['ticker', ['ticker_candidates', 'request_ticker_status', 'request_ticker']],
]

function nameMembers(wire: AtomicalWire): WireObject {
  const [, members] =
    HELD_MEMBERS.find(([kind]) => wire[`$${kind}`] !== undefined) ??
    ASKED_MEMBERS.find(([kind]) => wire[`$request_${kind}_status`] !== undefined) ??
    []
  if (members === undefined) return {}
  const entries = members.map((name): [string, Wire] => [name, wire[`$${name}`] ?? null])
  return { subtype: wire.subtype ?? null, ...Object.fromEntries(entries) }
}

const Listed = z.looseObject({
  atomical_id: AtomicalId,
  atomical_number: z.int(),
  type: z.enum(['FT', 'NFT']),
  confirmed: z.int(),
  unconfirmed: Unconfirmed,
  may_carry: MayCarry,
  data: Atomical,
})
const ListedUtxo = z.object({
  txid: Hash,
  index: z.int(),
  vout: z.int(),
  height: z.int(),
  value: Satoshis,
  atomicals: HeldAmounts,
  may_carry: MayCarryIds,
  unconfirmed: z
    .object({ spent_by: Hash })
    .meta({ description: 'Only of a confirmed output that the mempool spends.' })
    .optional(),
})

function listScripthash(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'listscripthash',
    summary: 'Atomicals at the outputs of a script, as `get` shows them, and the outputs that they sit at.',
    params: z.object({
      scripthash: ScriptHash,
      verbose: TruthParam('List outputs that nothing sits at too; not with at_height.').optional(),
      at_height: AtHeightParam,
    }),
    result: z.object({
      global: Global,
      atomicals: z.record(z.string(), Listed),
      utxos: z.array(ListedUtxo),
      unconfirmed: z
        .object({ atomicals: z.record(z.string(), Listed), utxos: z.array(ListedUtxo) })
        .meta({
          description: 'Atomicals that come with the mempool, and unspent outputs that it makes; absent if none.',
        })
        .optional(),
    }),
    cost: () => 1,
    example: {
      params: [EXAMPLE_SCRIPTHASH, true],
      result: {
        global: exampleGlobal,
        atomicals: {
          [EXAMPLE_ID]: {
            atomical_id: EXAMPLE_ID,
            atomical_number: 0,
            type: 'NFT',
            confirmed: 1000,
            unconfirmed: 0,
            data: exampleAtomical,
          },
        },
        utxos: [
          { txid: EXAMPLE_TXID, index: 0, vout: 0, height: 850000, value: 1000, atomicals: { [EXAMPLE_ID]: 1000 } },
        ],
      },
    },
    handler: async (ctx, { scripthash: { hashX }, verbose = false, at_height: height }) => {
      if (verbose && height !== undefined) throw badRequest('verbose: not with at_height')
      const answers = await kit.answersAt(ctx, height)
      const outputs = await answers.outputsOf(hashX, verbose ? 'all' : 'coloured')
      const found = await balancesOf(answers, hashX, outputs)
      const { changes } = found
      const own: [string, ListedAtomical][] = []
      const others: [string, ListedAtomical][] = []
      for await (const { wire: data, sum, isConfirmed } of shownInTurns(answers, found)) {
        // What only may be minted stands at its output, and can be shown no further.
        if (data === undefined) continue
        const { atomical_id, atomical_number, type } = data
        const entry = { atomical_id, atomical_number, type, ...sum, data, ...nameMembers(data) }
        const list = isConfirmed ? own : others
        list.push([atomical_id, entry])
      }
      const isListed = ({ held, mayHold = [] }: ColouredUtxo): boolean => verbose || held.length + mayHold.length > 0
      const shape = shapeFor(answers.ctx, kit)
      const made = changes.made.filter(isListed).map((output) => wireOfUtxo(output, shape))
      const pending = { atomicals: Object.fromEntries(others), utxos: made }
      return {
        global: answers.global(),
        atomicals: Object.fromEntries(own),
        utxos: outputs.filter(isListed).map((output) => wireOfUtxo(output, shape, changes.spent.get(output))),
        ...(others.length + made.length === 0 ? {} : { unconfirmed: pending }),
      }
    },
  })
}

interface ListedAtomical extends WireObject {
  readonly atomical_id: string
  readonly atomical_number: number
  readonly type: 'FT' | 'NFT'
  readonly confirmed: number
  readonly unconfirmed?: number
  readonly may_carry?: number
  readonly data: AtomicalWire
}

/** `spender`: the id of what spends it in the mempool. */
function wireOfUtxo({ utxo, held, mayHold = [] }: ColouredUtxo, shape: AtomicalsShape, spender?: string) {
  const { txid, vout, height, value } = utxo
  return {
    txid: toDisplayHex(txid),
    index: vout,
    vout,
    height,
    value: Number(value),
    atomicals: shapedAmounts([...held, ...mayHold], shape),
    ...mayCarryIds(mayHold),
    ...(spender === undefined ? {} : { unconfirmed: { spent_by: spender } }),
  }
}

/** Methods about what scripts hold. */
export function scriptMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [balances(kit, 'FT'), balances(kit, 'NFT'), listScripthash(kit)]
}
