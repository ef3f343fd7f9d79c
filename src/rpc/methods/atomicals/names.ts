import { z } from 'zod'
import type { Candidate as CandidateRow } from '../../../atomicals/candidates.ts'
import { wireOfCandidate, wireOfHolder, wireOfRule } from '../../../atomicals/format/names.ts'
import type { WireObject } from '../../../atomicals/format/values.ts'
import { compactOfIdText, txidOfIdText } from '../../../atomicals/id-text.ts'
import type { SubName, TopName } from '../../../atomicals/layout.ts'
import type { NameAnswer } from '../../../atomicals/queries.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { toDisplayHex } from '../../../lib/bytes.ts'
import type { RpcMethod } from '../../method.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { AtomicalRefParam, isAscii, NameParam } from './params.ts'
import { AtomicalId, Candidate, EXAMPLE_ID, exampleCandidate, NameHolder, PendingCandidate } from './results.ts'
import { searchMethods } from './search.ts'

/** Parts of a full name that are followed; the reference has no bound. */
const MOST_PARTS = 200

const NOBODY: NameAnswer<CandidateRow> = { candidates: [], holder: { status: 'none' } }

/** Who has a realm, container or ticker. */
export function topName({ queries }: AtomicalsAnswers, kind: TopName, name: string): Promise<NameAnswer<CandidateRow>> {
  return isAscii(name) ? queries.name(kind, name) : Promise.resolve(NOBODY)
}

/** Who has a subrealm or an item. */
export function subName(
  { queries }: AtomicalsAnswers,
  kind: SubName,
  parent: IdText,
  name: string,
): Promise<NameAnswer<CandidateRow>> {
  return isAscii(name) ? queries.claims(kind, parent, name) : Promise.resolve(NOBODY)
}

/** The answer of the methods that ask for one name. */
export function wireOfName(
  { queries }: AtomicalsAnswers,
  type: string,
  { candidates, holder }: NameAnswer<CandidateRow>,
) {
  const { status, candidate_atomical_id, atomical_id } = wireOfHolder(holder)
  const asking = candidates.map((candidate) => wireOfCandidate(candidate, (id) => queries.atomical(id)))
  return { status, candidate_atomical_id, atomical_id, candidates: asking, type }
}

/** A member of the same answers for claims whose reveals are in the mempool, in the order in which they would stand. */
export async function claimsInMempool(
  answers: AtomicalsAnswers,
  known: NameAnswer<CandidateRow>,
  ask: Ask,
): Promise<{ readonly unconfirmed?: { readonly candidates: z.input<typeof PendingCandidate>[] } }> {
  const pending = await answers.unconfirmed()
  if (pending === undefined) return {}
  const ids = new Set(known.candidates.map(({ id }) => id))
  const fresh = (await ask(pending)).candidates.filter(({ id }) => !ids.has(id))
  if (fresh.length === 0) return {}
  const candidates = fresh.map(({ id, txNum, commitHeight }) => ({
    atomical_id: compactOfIdText(id),
    txid: toDisplayHex(txidOfIdText(id)),
    commit_height: txNum < answers.view.tip.txCount ? commitHeight : null,
  }))
  return { unconfirmed: { candidates } }
}

export function exampleHolder(type: string) {
  return {
    status: 'verified',
    candidate_atomical_id: EXAMPLE_ID,
    atomical_id: EXAMPLE_ID,
    candidates: [exampleCandidate],
    type,
  }
}

function getByName(kit: AtomicalsKit, kind: TopName): RpcMethod {
  return atomicalsMethod({
    name: `get_by_${kind}`,
    summary: `Who has a ${kind}, and everybody who asked for it.`,
    params: z.object({ name: NameParam }),
    result: z.object({ result: NameHolder }),
    cost: () => 0.25,
    example: { params: ['example'], result: { result: exampleHolder(kind) } },
    handler: async (ctx, { name }) => {
      const answers = kit.answers(ctx)
      const known = await topName(answers, kind, name)
      const claims = await claimsInMempool(answers, known, (pending) => topName(pending, kind, name))
      return { result: { ...wireOfName(answers, kind, known), ...claims } }
    },
  })
}

function getBySubname(kit: AtomicalsKit, kind: SubName, parentWord: string): RpcMethod {
  return atomicalsMethod({
    name: `get_by_${kind}`,
    summary: `Who has a ${kind} of a ${parentWord}, and everybody who asked for it.`,
    params: z.object({ parent: AtomicalRefParam, name: NameParam }),
    result: z.object({ result: NameHolder }),
    cost: () => 0.25,
    example: { params: [EXAMPLE_ID, 'example'], result: { result: exampleHolder(kind) } },
    handler: async (ctx, { parent, name }) => {
      const answers = kit.answers(ctx)
      const id = answers.idOf(parent)
      const known = await subName(answers, kind, id, name)
      const claims = await claimsInMempool(answers, known, (pending) => subName(pending, kind, id, name))
      return { result: { ...wireOfName(answers, kind, known), ...claims } }
    },
  })
}

// Full names of realms

/** Asks for a name, of the chain or of the mempool on top of it. */
type Ask = (from: AtomicalsAnswers) => Promise<NameAnswer<CandidateRow>>

interface FoundRealm {
  readonly id: IdText
  readonly name: string
}

/** Realms along a full name as far as they have their names, and who asked for the first that has not. */
async function followName(
  answers: AtomicalsAnswers,
  parts: readonly string[],
): Promise<{ readonly found: readonly FoundRealm[]; readonly last: NameAnswer<CandidateRow>; readonly ask: Ask }> {
  const found: FoundRealm[] = []
  let last = NOBODY
  let ask: Ask = () => Promise.resolve(NOBODY)
  for (const name of parts) {
    const parent = found.at(-1)?.id
    ask = (from) => (parent === undefined ? topName(from, 'realm', name) : subName(from, 'subrealm', parent, name))
    last = await ask(answers)
    if (last.holder.status !== 'verified') break
    found.push({ id: last.holder.id, name })
  }
  return { found, last, ask }
}

/** Members of candidates of subrealms, which the reference leaves empty here. */
const NO_PAYMENT = { payment: null, payment_type: null, payment_subtype: null, applicable_rule: null }

async function realmInfo(answers: AtomicalsAnswers, fullName: string): Promise<WireObject> {
  const parts = fullName.split('.', MOST_PARTS + 1)
  if (parts.length > MOST_PARTS) throw badRequest(`full_name: has more than ${MOST_PARTS} parts`)
  const { found, last: asked, ask } = await followName(answers, parts)
  const claims = await claimsInMempool(answers, asked, ask)
  const wire = asked.candidates.map((candidate) => wireOfCandidate(candidate, (id) => answers.queries.atomical(id)))
  const [top] = found
  if (top === undefined) {
    return {
      atomical_id: null,
      top_level_realm_atomical_id: null,
      top_level_realm_name: null,
      nearest_parent_realm_atomical_id: null,
      nearest_parent_realm_name: null,
      request_full_realm_name: fullName,
      found_full_realm_name: null,
      missing_name_parts: fullName,
      candidates: wire,
      ...claims,
    }
  }
  const whole = found.length === parts.length
  const parent = (whole && found.length > 1 ? found.at(-2) : whole ? top : found.at(-1)) ?? top
  const last = found.at(-1)
  return {
    atomical_id: whole && last !== undefined ? compactOfIdText(last.id) : null,
    top_level_realm_atomical_id: compactOfIdText(top.id),
    top_level_realm_name: top.name,
    nearest_parent_realm_atomical_id: compactOfIdText(parent.id),
    nearest_parent_realm_name: parent.name,
    request_full_realm_name: fullName,
    found_full_realm_name: found.map(({ name }) => name).join('.'),
    missing_name_parts: whole ? null : parts.slice(found.length).join('.'),
    final_subrealm_name: whole ? undefined : parts.at(-1),
    candidates: whole ? wire : wire.map((candidate) => ({ ...candidate, ...NO_PAYMENT })),
    ...claims,
    ...(await mintRules(answers, parent.id)),
  }
}

async function mintRules({ queries, height, shown }: AtomicalsAnswers, parent: IdText): Promise<WireObject> {
  const rules = await queries.rules('subrealm', parent)
  return {
    nearest_parent_realm_subrealm_mint_rules: {
      nearest_parent_realm_atomical_id: compactOfIdText(parent),
      current_height: height,
      current_height_rules: rules?.map((rule) => wireOfRule(rule, shown)) ?? null,
    },
    nearest_parent_realm_subrealm_mint_allowed: rules !== undefined,
  }
}

function getRealmInfo(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_realm_info',
    summary: 'How much of a full name there is (`realm.sub.sub`), and the rules for what would be minted below it.',
    params: z.object({ full_name: NameParam }),
    result: z.object({
      result: z.looseObject({
        atomical_id: AtomicalId.nullable(),
        request_full_realm_name: z.string(),
        found_full_realm_name: z.string().nullable(),
        missing_name_parts: z.string().nullable(),
        candidates: z.array(Candidate),
        unconfirmed: z
          .object({ candidates: z.array(PendingCandidate) })
          .meta({ description: 'Claims on the first part that is missing whose reveals are in the mempool.' })
          .optional(),
      }),
    }),
    cost: () => 0.5,
    example: {
      params: ['example'],
      result: {
        result: {
          atomical_id: EXAMPLE_ID,
          top_level_realm_atomical_id: EXAMPLE_ID,
          top_level_realm_name: 'example',
          nearest_parent_realm_atomical_id: EXAMPLE_ID,
          nearest_parent_realm_name: 'example',
          request_full_realm_name: 'example',
          found_full_realm_name: 'example',
          missing_name_parts: null,
          candidates: [exampleCandidate],
        },
      },
    },
    handler: async (ctx, { full_name: name }) => {
      if (name === '') throw badRequest('full_name: is empty')
      const info = await realmInfo(kit.answers(ctx), name.toLowerCase())
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- both shapes above have these members
      return { result: info as RealmInfo }
    },
  })
}

type RealmInfo = WireObject & {
  readonly atomical_id: string | null
  readonly request_full_realm_name: string
  readonly found_full_realm_name: string | null
  readonly missing_name_parts: string | null
  readonly candidates: z.input<typeof Candidate>[]
}

/** Methods about names; those about items of containers are in containers.ts. */
export function nameMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [
    getByName(kit, 'realm'),
    getByName(kit, 'ticker'),
    getByName(kit, 'container'),
    getBySubname(kit, 'subrealm', 'realm'),
    getBySubname(kit, 'dmitem', 'container'),
    getRealmInfo(kit),
    ...searchMethods(kit),
  ]
}
