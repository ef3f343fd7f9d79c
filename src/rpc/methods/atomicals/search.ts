import { z } from 'zod'
import type { Candidate as CandidateRow, NameStatus } from '../../../atomicals/candidates.ts'
import type { WireObject } from '../../../atomicals/format/values.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import type { TopName } from '../../../atomicals/layout.ts'
import type { NameAnswer, NameEntry } from '../../../atomicals/queries.ts'
import { byText } from '../../../atomicals/transfer/holding.ts'
import { toHex } from '../../../lib/bytes.ts'
import { sortedInTurns } from '../../../lib/sort.ts'
import type { RpcMethod } from '../../method.ts'
import type { AtomicalsAnswers } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod, badCursor, nextCursor } from './kit.ts'
import { AtomicalIdParam, CursorParam, isAscii, LimitParam, OffsetParam, TextOrNull, TruthParam } from './params.ts'
import { AtomicalId, EXAMPLE_ID, NextCursor } from './results.ts'

const MOST_NAMES = 1_000
/**
 * Entries that are read before others get their turn. A page is full however many are passed over for it: some 2.5 µs and
 * a row's charge each, none of them kept, and none read once the request has ended.
 */
const AT_ONCE = 1_000

/** How the entries of a search are read and judged. */
interface Search {
  readonly page: (limit: number, beyond: Pick<NameEntry, 'name' | 'txNum'> | undefined) => Promise<readonly NameEntry[]>
  readonly holder: (name: string) => Promise<NameAnswer<CandidateRow>>
  /** The same out of all that asked for a name, by commit: read already. */
  readonly holderAmong: (entries: readonly NameEntry[]) => NameStatus
  /** Claims that are not confirmed. */
  readonly pending: () => Promise<readonly NameEntry[]>
}

/** The search over the chain, or over the mempool on top of it. */
type SearchOver = (answers: AtomicalsAnswers) => Search

interface SearchOptions {
  readonly reverse: boolean
  readonly limit: number
  readonly offset: number
  readonly verifiedOnly: boolean
  readonly cursor: string | undefined
  /** What entries call the name. */
  readonly word: string
}

async function search(answers: AtomicalsAnswers, over: SearchOver, options: SearchOptions) {
  return { ...(await confirmedPage(answers, over, options)), ...(await pendingClaims(answers, over, options)) }
}

async function confirmedPage(answers: AtomicalsAnswers, over: SearchOver, options: SearchOptions) {
  const { ctx } = answers
  const source = over(answers)
  const { limit, offset, verifiedOnly, cursor } = options
  // One more than is shown, to see whether there is a next page.
  const most = cursor === undefined ? limit : limit + 1
  const found: FoundEntry[] = []
  let beyond = cursor === undefined || cursor === '' ? undefined : nameOf(cursor)
  let toSkip = cursor === undefined ? Math.max(0, offset) : 0
  for (;;) {
    ctx.signal.throwIfAborted()
    const size = Math.min(AT_ONCE, verifiedOnly ? AT_ONCE : toSkip + most - found.length)
    const entries = await source.page(size, beyond)
    const isLast = entries.length < size
    for (const group of groupsOf(entries, { beyond, isLast })) {
      // Names that are passed over unseen are not judged.
      if (!verifiedOnly && toSkip >= group.entries.length) {
        toSkip -= group.entries.length
        continue
      }
      const status = await statusOf(group, source, options.reverse)
      if (verifiedOnly && status !== 'verified') continue
      for (const entry of group.entries) {
        if (toSkip > 0) toSkip -= 1
        else found.push({ entry, status })
        if (found.length === most) return pageOf(found, options)
      }
    }
    beyond = entries.at(-1) ?? beyond
    if (isLast) return pageOf(found, options)
  }
}

interface FoundEntry {
  readonly entry: NameEntry
  readonly status: string | null
}

/** `found`: those of the page, and with a cursor the one behind it if there is one. */
function pageOf(found: readonly FoundEntry[], { limit, cursor, word }: SearchOptions) {
  const shown = found.slice(0, limit)
  const last = found.length > limit ? shown.at(-1) : undefined
  const next = last === undefined ? undefined : cursorOf(last.entry)
  return { result: shown.map(({ entry, status }) => wireOfEntry(entry, word, status)), ...nextCursor(cursor, next) }
}

/** Entries of a page that have one name. */
interface Group {
  readonly name: string
  readonly entries: readonly NameEntry[]
  /** False if there may be more in the pages before and behind. */
  readonly isWhole: boolean
}

function groupsOf(
  entries: readonly NameEntry[],
  { beyond, isLast }: { readonly beyond: Pick<NameEntry, 'name'> | undefined; readonly isLast: boolean },
): Group[] {
  const groups: Group[] = []
  for (let from = 0; from < entries.length; ) {
    const name = entries[from]?.name ?? ''
    let end = from + 1
    while (entries[end]?.name === name) end += 1
    const isWhole = name !== beyond?.name && (isLast || end < entries.length)
    groups.push({ name, entries: entries.slice(from, end), isWhole })
    from = end
  }
  return groups
}

async function statusOf({ name, entries, isWhole }: Group, source: Search, reverse: boolean): Promise<string | null> {
  const all = reverse ? [...entries].reverse() : entries
  const { status } = isWhole ? source.holderAmong(all) : (await source.holder(name)).holder
  return status === 'none' ? null : status
}

/** Claims of the mempool, beside the first page. None is verified before it is in a block. */
async function pendingClaims(
  answers: AtomicalsAnswers,
  over: SearchOver,
  { reverse, limit, offset, verifiedOnly, cursor, word }: SearchOptions,
): Promise<{ readonly unconfirmed?: WireObject[] }> {
  const isFirst = offset <= 0 && (cursor === undefined || cursor === '')
  const mempool = isFirst && !verifiedOnly ? await answers.unconfirmed() : undefined
  if (mempool === undefined) return {}
  const { pending, holder } = over(mempool)
  const unconfirmed: WireObject[] = []
  const claims = await pending()
  for (const at of await orderOf(claims, reverse)) {
    const claim = claims[at]
    if (claim === undefined || unconfirmed.length === limit) break
    answers.ctx.signal.throwIfAborted()
    await mempool.letOthers()
    if (answers.queries.atomical(claim.id) !== undefined) continue
    const { status } = (await holder(claim.name)).holder
    const wire = wireOfEntry(claim, word, status === 'none' ? null : status)
    unconfirmed.push({ ...wire, tx_num: claim.txNum < answers.view.tip.txCount ? claim.txNum : null })
  }
  return unconfirmed.length === 0 ? {} : { unconfirmed }
}

/** The order of claims by name and then by commit, found with turns for others between where they are many. */
function orderOf(claims: readonly NameEntry[], reverse: boolean): Promise<Uint32Array> {
  return sortedInTurns(claims.length, (one, other) => {
    const [a, b] = [claims[one], claims[other]]
    if (a === undefined || b === undefined) return 0
    return (byText(a.name, b.name) || a.txNum - b.txNum) * (reverse ? -1 : 1)
  })
}

function wireOfEntry({ id, txNum, name }: NameEntry, word: string, status: string | null): WireObject {
  return {
    atomical_id: compactOfIdText(id),
    tx_num: txNum,
    [`${word}_hex`]: toHex(new TextEncoder().encode(name)),
    [word]: name,
    status,
  }
}

function cursorOf({ txNum, name }: Pick<NameEntry, 'name' | 'txNum'>): string {
  return `${txNum}:${name}`
}

function nameOf(cursor: string): Pick<NameEntry, 'name' | 'txNum'> {
  const [, txNum, name] = /^(\d{1,12}):([\n -~]+)$/.exec(cursor) ?? []
  if (txNum === undefined || name === undefined) throw badCursor()
  return { txNum: Number(txNum), name }
}

const Entry = z.looseObject({ atomical_id: AtomicalId, tx_num: z.int(), status: z.string().nullable() })
const Found = z
  .object({
    result: z.array(z.looseObject({})),
    next_cursor: NextCursor,
    unconfirmed: z
      .array(z.looseObject({}))
      .meta({
        description:
          'Claims whose reveals are in the mempool, as many as `limit` at most, beside the first page only; `tx_num` is ' +
          'null if the commit is there too. Absent if there are none.',
      })
      .optional(),
  })
  .meta({
    description: 'Entries with `atomical_id`, `tx_num` (of the commit), the name, the same in hex, and `status`.',
  })

const searchParams = {
  reverse: TruthParam('From the last name to the first.').optional(),
  limit: LimitParam(1, MOST_NAMES).optional(),
  offset: OffsetParam.optional(),
  is_verified_only: TruthParam('Only names that are verified; such a page is full too.').optional(),
  cursor: CursorParam,
}

function exampleFound(word: string): z.input<typeof Found> {
  const entry: z.input<typeof Entry> = {
    atomical_id: EXAMPLE_ID,
    tx_num: 280,
    [`${word}_hex`]: '6578616d706c65',
    [word]: 'example',
    status: 'verified',
  }
  return { result: [entry] }
}

interface SearchParams {
  readonly reverse?: boolean | undefined
  readonly limit?: { readonly limit: number } | undefined
  readonly offset?: number | undefined
  readonly is_verified_only?: boolean | undefined
  readonly cursor?: string | undefined
}

function optionsOf(
  { limit, offset = 0, is_verified_only: verifiedOnly = false, cursor }: SearchParams,
  order: Pick<SearchOptions, 'reverse' | 'word'>,
): SearchOptions {
  return { ...order, limit: limit?.limit ?? 100, offset, verifiedOnly, cursor }
}

/** The answer of who asks for names that nobody can have. */
function nothingFound({ cursor }: SearchParams): z.input<typeof Found> {
  return { result: [], ...nextCursor(cursor, undefined) }
}

/** `word`: what the entries call the name. */
function findNames(kit: AtomicalsKit, kind: TopName, word: string): RpcMethod {
  return atomicalsMethod({
    name: `find_${kind}s`,
    summary: `${kind[0]?.toUpperCase()}${kind.slice(1)}s whose names begin with a text, by name and then by commit.`,
    params: z.object({ prefix: TextOrNull('Beginning of the names; null for all.').optional(), ...searchParams }),
    result: Found,
    cost: () => 0.5,
    example: { params: ['ex'], result: exampleFound(word) },
    handler: (ctx, { prefix, reverse = false, ...params }) => {
      const start = prefix ?? ''
      if (start !== '' && !isAscii(start)) return nothingFound(params)
      const over: SearchOver = (answers) => ({
        page: (limit, beyond) => answers.queries.namesPage(kind, start, { limit, reverse, beyond }),
        holder: (name) => answers.queries.name(kind, name),
        holderAmong: (entries) => answers.queries.holderAmong(entries),
        pending: () => answers.pendingNames(kind, start),
      })
      return search(kit.answers(ctx), over, optionsOf(params, { reverse, word }))
    },
  })
}

/** A prefix, or what callers send instead: a list of the prefix and of `reverse`. */
const PrefixOrList = z
  .unknown()
  .transform((value, ctx): { readonly prefix: string; readonly reverse: boolean | undefined } => {
    const list: readonly unknown[] = Array.isArray(value) ? value : [value]
    const [prefix = null, reverse] = list
    if (prefix === null || typeof prefix === 'string') {
      return { prefix: prefix ?? '', reverse: reverse === undefined ? undefined : Boolean(reverse) }
    }
    ctx.addIssue({ code: 'custom', message: 'should be a text or null' })
    return z.NEVER
  })
  .meta({ type: 'string', description: 'Beginning of the names; null for all. Also a list of that and of `reverse`.' })
  .optional()

function findSubrealms(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'find_subrealms',
    summary: 'Subrealms of a realm whose names begin with a text, by name and then by commit.',
    params: z.object({ parent: AtomicalIdParam, prefix: PrefixOrList, ...searchParams }),
    result: Found,
    cost: () => 0.5,
    example: { params: [EXAMPLE_ID, 'ex'], result: exampleFound('subrealm') },
    handler: (ctx, { parent: { id: parent }, prefix: asked, ...params }) => {
      const { prefix, reverse: listed } = asked ?? { prefix: '', reverse: undefined }
      if (prefix !== '' && !isAscii(prefix)) return nothingFound(params)
      const reverse = params.reverse ?? listed ?? false
      const over: SearchOver = (answers) => ({
        page: (limit, beyond) => answers.queries.subnamesPage('subrealm', parent, prefix, { limit, reverse, beyond }),
        holder: (name) => answers.queries.claims('subrealm', parent, name),
        holderAmong: (entries) => answers.queries.claimHolderAmong(entries),
        pending: () => answers.pendingSubnames('subrealm', parent, prefix),
      })
      return search(kit.answers(ctx), over, optionsOf(params, { reverse, word: 'subrealm' }))
    },
  })
}

/** Methods that search for names. */
export function searchMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [
    findNames(kit, 'ticker', 'ticker'),
    findNames(kit, 'realm', 'realm'),
    findNames(kit, 'container', 'collection'),
    findSubrealms(kit),
  ]
}
