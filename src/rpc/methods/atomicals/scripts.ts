import { z } from 'zod'
import type { AtomicalWire } from '../../../atomicals/format/atomical.ts'
import type { Wire, WireObject } from '../../../atomicals/format/values.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { RpcMethod } from '../../method.ts'
import { Hash, Satoshis, ScriptHash } from '../../schemas.ts'
import { type AtomicalsAnswers, amountsOf, type ColouredUtxo } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { TruthParam } from './params.ts'
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

/** Cost of an output, as of those that listunspent reads. */
const OUTPUT_COST = 1 / 50

const Amounts = z.record(AtomicalId, z.int()).meta({ description: 'Units of a token, satoshis of an NFT, by id.' })

/** Outputs of a script, each charged. */
async function outputsOf(answers: AtomicalsAnswers, hashX: Uint8Array): Promise<ColouredUtxo[]> {
  const outputs = await answers.outputsOf(hashX)
  answers.ctx.charge(outputs.length * OUTPUT_COST)
  return outputs
}

/** Sums of what outputs hold by id, in the order of their first outputs. */
function sumsOf(outputs: readonly ColouredUtxo[]): Map<IdText, number> {
  const sums = new Map<IdText, number>()
  for (const { held } of outputs) for (const { id, value } of held) sums.set(id, (sums.get(id) ?? 0) + value)
  return sums
}

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
    summary: `${type === 'FT' ? 'Tokens' : 'NFTs'} at the confirmed outputs of a script: how much, and under which names.`,
    params: z.object({ scripthash: ScriptHash }),
    result: z.object({ balances: z.record(z.string(), z.looseObject({ id: AtomicalId, confirmed: z.int() })) }),
    cost: () => 1,
    example: { params: [EXAMPLE_SCRIPTHASH], result: { balances: { [EXAMPLE_ID]: { id: EXAMPLE_ID, ...entry } } } },
    handler: async (ctx, { scripthash: { hashX } }) => {
      const answers = kit.answers(ctx)
      const outputs = await outputsOf(answers, hashX)
      const wanted = outputs.map(({ utxo, held }) => ({
        utxo,
        held: held.filter(({ kind }) => (kind === 'token') === (type === 'FT')),
      }))
      const found: [string, WireObject & { readonly id: string; readonly confirmed: number }][] = []
      for (const [id, confirmed] of sumsOf(wanted)) {
        ctx.signal.throwIfAborted()
        const wire = await answers.wireOf(id)
        const names = type === 'FT' ? { ticker: wire['$ticker'] ?? null } : nftMembers(wire)
        found.push([wire.atomical_id, { id: wire.atomical_id, ...names, confirmed }])
      }
      return { balances: Object.fromEntries(found) }
    },
  })
}

function nftMembers(wire: AtomicalWire): WireObject {
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

function listScripthash(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'listscripthash',
    summary: 'Atomicals at the confirmed outputs of a script, as `get` shows them, and the outputs that they sit at.',
    params: z.object({
      scripthash: ScriptHash,
      verbose: TruthParam('List outputs that nothing sits at too.').optional(),
    }),
    result: z.object({
      global: Global,
      atomicals: z.record(
        z.string(),
        z.looseObject({
          atomical_id: AtomicalId,
          atomical_number: z.int(),
          type: z.enum(['FT', 'NFT']),
          confirmed: z.int(),
          data: Atomical,
        }),
      ),
      utxos: z.array(
        z.object({
          txid: Hash,
          index: z.int(),
          vout: z.int(),
          height: z.int(),
          value: Satoshis,
          atomicals: Amounts,
        }),
      ),
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
            data: exampleAtomical,
          },
        },
        utxos: [
          { txid: EXAMPLE_TXID, index: 0, vout: 0, height: 850000, value: 1000, atomicals: { [EXAMPLE_ID]: 1000 } },
        ],
      },
    },
    handler: async (ctx, { scripthash: { hashX }, verbose = false }) => {
      const answers = kit.answers(ctx)
      const outputs = await outputsOf(answers, hashX)
      const atomicals: [string, ListedAtomical][] = []
      for (const [id, confirmed] of sumsOf(outputs)) {
        ctx.signal.throwIfAborted()
        const data = await answers.wireOf(id)
        const { atomical_id, atomical_number, type } = data
        const names = nameMembers(data)
        atomicals.push([atomical_id, { atomical_id, atomical_number, type, confirmed, data, ...names }])
      }
      const listed = verbose ? outputs : outputs.filter(({ held }) => held.length > 0)
      return { global: answers.global(), atomicals: Object.fromEntries(atomicals), utxos: listed.map(wireOfUtxo) }
    },
  })
}

interface ListedAtomical extends WireObject {
  readonly atomical_id: string
  readonly atomical_number: number
  readonly type: 'FT' | 'NFT'
  readonly confirmed: number
  readonly data: AtomicalWire
}

function wireOfUtxo({ utxo: { txid, vout, height, value }, held }: ColouredUtxo) {
  return { txid: toDisplayHex(txid), index: vout, vout, height, value: Number(value), atomicals: amountsOf(held) }
}

/** Methods about what scripts hold. */
export function scriptMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [balances(kit, 'FT'), balances(kit, 'NFT'), listScripthash(kit)]
}
