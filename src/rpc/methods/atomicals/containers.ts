import { z } from 'zod'
import { RULES_DELAY } from '../../../atomicals/constants.ts'
import { wireOfRule } from '../../../atomicals/format/names.ts'
import { keyText, type Wire, type WireObject, wireBytes, wireOf, wireOfMap } from '../../../atomicals/format/values.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import { ID_SIZE } from '../../../atomicals/ids.ts'
import { type ProofStep, provenLeaf } from '../../../atomicals/mint/dmitem.ts'
import { bytesFromHex, mapOf, textOf } from '../../../atomicals/python.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { fromLatin1, toHex, toLatin1 } from '../../../lib/bytes.ts'
import { CborMap } from '../../../lib/cbor/values.ts'
import type { RpcMethod } from '../../method.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod, badCursor, nextCursor } from './kit.ts'
import { claimsInMempool, exampleHolder, subName, topName, wireOfName } from './names.ts'
import { CursorParam, isAscii, LimitParam, NameParam, OffsetParam, TruthParam } from './params.ts'
import { Atomical, EXAMPLE_ID, exampleAtomical, NameHolder, NextCursor } from './results.ts'

const MOST_ITEMS = 100
/** Candidates that are read at a time. */
const SCAN = 200
/** Steps of a proof: a tree of more items than there are satoshis. */
const MOST_STEPS = 64

const ContainerParam = NameParam.meta({ description: 'Name of a container.' })

/** The container of a name. Throws RpcError 1 unless somebody has it. */
async function containerOf(answers: AtomicalsAnswers, name: string): Promise<IdText> {
  const { holder } = await topName(answers, 'container', name)
  if (holder.status !== 'verified') throw badRequest('Container does not exist')
  return holder.id
}

function getByContainerItem(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_by_container_item',
    summary: 'Who has an item of a container that is named, and everybody who asked for it.',
    params: z.object({ container: ContainerParam, item: NameParam }),
    result: z.object({ result: NameHolder }),
    cost: () => 0.5,
    example: { params: ['example', 'item-1'], result: { result: exampleHolder('item') } },
    handler: async (ctx, { container, item }) => {
      const answers = kit.answers(ctx)
      const parent = await containerOf(answers, container)
      return { result: await itemOf(answers, parent, item) }
    },
  })
}

/** Who has an item, and who asks for it in the mempool. */
async function itemOf(answers: AtomicalsAnswers, container: IdText, item: string) {
  const ask = (from: AtomicalsAnswers) => subName(from, 'dmitem', container, item)
  const known = await ask(answers)
  return { ...wireOfName(answers, 'item', known), ...(await claimsInMempool(answers, known, ask)) }
}

/** `[{p: true if the sibling is on the right, d: 64 hex}]`; anything that Python takes for true is true. */
const ProofParam = z
  .unknown()
  .transform((value, ctx): readonly ProofStep[] => {
    const list: readonly unknown[] = Array.isArray(value) ? value : []
    const steps = list.slice(0, MOST_STEPS + 1).map(readStep)
    const read = steps.filter((step) => step !== undefined)
    if (read.length > 0 && read.length === steps.length && read.length <= MOST_STEPS) return read
    ctx.addIssue({ code: 'custom', message: 'should be a list of {p, d}, the siblings from the leaf up' })
    return z.NEVER
  })
  .meta({
    type: 'array',
    description: 'Siblings from the leaf up: `d` the hash in hex, `p` true if it is on the right.',
  })

function readStep(value: unknown): ProofStep | undefined {
  if (typeof value !== 'object' || value === null || !('p' in value) || !('d' in value)) return undefined
  if (typeof value.d !== 'string' || bytesFromHex(value.d) === undefined) return undefined
  return { right: Boolean(value.p), sibling: value.d }
}

const WorkParam = z
  .unknown()
  .transform((value, ctx): string | undefined => {
    if (value === null || value === '' || value === false || value === 0) return undefined
    if (typeof value === 'string') return value
    ctx.addIssue({ code: 'custom', message: 'should be a text or null' })
    return z.NEVER
  })
  .meta({ type: 'string', description: 'Work that the mint would declare; null for none.' })

function validateItem(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_by_container_item_validate',
    summary:
      'As `get_by_container_item`, and whether an item could be minted: the rule for its name, and its proof against the container.',
    params: z.object({
      container: ContainerParam,
      item: NameParam,
      bitworkc: WorkParam,
      bitworkr: WorkParam,
      main: NameParam.meta({ description: 'Name of the file in the payload.' }),
      main_hash: NameParam.meta({ description: 'SHA-256d of the file, in hex as hashed.' }),
      proof: ProofParam,
      check_without_sealed: TruthParam('Pass over that the container is not sealed yet.'),
    }),
    result: z.object({ result: NameHolder.extend({ proof_valid: z.boolean() }) }),
    cost: () => 1,
    example: {
      params: [
        'example',
        'item-1',
        'any',
        'any',
        'image.png',
        '00'.repeat(32),
        [{ p: true, d: '11'.repeat(32) }],
        false,
      ],
      result: {
        result: {
          ...exampleHolder('item'),
          proof_valid: false,
          target_vector: null,
          target_hash: null,
          dmint: { v: '1' },
        },
      },
    },
    handler: async (ctx, { container, item, bitworkc, bitworkr, main, main_hash: mainHash, proof, ...rest }) => {
      const answers = kit.answers(ctx)
      const { queries, height, shown } = answers
      const parent = await containerOf(answers, container)
      const state = await dmintOf(answers, parent, rest.check_without_sealed)
      const rule = await queries.ruleFor('dmitem', parent, item, height - RULES_DELAY)
      if (rule === undefined) throw badRequest('no rule of the container fits the item')
      const root = textOf(mapOf(state.dmint)?.get('merkle')) ?? ''
      const leaf = provenLeaf(root, {
        name: item,
        commitWork: bitworkc,
        revealWork: bitworkr,
        main,
        mainHash,
        steps: proof,
      })
      const before = await queries.state(parent, height - RULES_DELAY)
      return {
        result: {
          ...(await itemOf(answers, parent, item)),
          applicable_rule: wireOfRule(rule, shown),
          proof_valid: leaf !== undefined,
          target_vector: leaf?.vector ?? null,
          target_hash: leaf === undefined ? null : toHex(leaf.hash),
          dmint: wireOf(before.get('dmint'), shown),
        },
      }
    },
  })
}

/** What a container says of its items. Throws RpcError 1 unless it is valid, but for a seal that is still to come. */
async function dmintOf({ queries }: AtomicalsAnswers, container: IdText, withoutSeal: boolean) {
  const dmint = await queries.dmint(container)
  if (dmint === undefined) throw badRequest('Container dmint status not exist')
  const open = dmint.errors.length === 1 && dmint.errors[0] === 'container not sealed'
  if (!dmint.valid && !(withoutSeal && open)) {
    throw badRequest(`Container dmint status is invalid: ${dmint.errors.join(', ')}`)
  }
  return dmint
}

function getContainerItems(kit: AtomicalsKit): RpcMethod {
  return atomicalsMethod({
    name: 'get_container_items',
    summary: 'A container and its items: verified ones by name, or those that its state lists.',
    params: z.object({
      container: ContainerParam,
      limit: LimitParam(0, MOST_ITEMS),
      offset: OffsetParam,
      cursor: CursorParam,
    }),
    result: z.object({
      result: z.object({
        container: Atomical,
        item_data: z.object({
          limit: z.int(),
          offset: z.int(),
          type: z.enum(['dmint', 'regular']),
          items: z.record(z.string(), z.unknown()),
          next_cursor: NextCursor,
        }),
      }),
    }),
    cost: () => 0.5,
    example: {
      params: ['example', 10, 0],
      result: {
        result: {
          container: exampleAtomical,
          item_data: {
            limit: 10,
            offset: 0,
            type: 'dmint',
            items: { 'item-1': { status: 'verified', $id: EXAMPLE_ID } },
          },
        },
      },
    },
    handler: async (ctx, { container: name, limit, offset, cursor }) => {
      const answers = kit.answers(ctx)
      const id = await containerOf(answers, name)
      const container = await answers.wireOf(id)
      if ((await answers.queries.dmint(id)) === undefined) {
        // All of them at once, whatever page was asked for.
        const listed = { items: await regularItems(answers, id), ...nextCursor(cursor, undefined) }
        return { result: { container, item_data: { limit: limit.asked, offset, type: 'regular' as const, ...listed } } }
      }
      const first = Math.max(0, offset)
      const found = await dmintItems(answers, id, { limit: limit.limit, offset: first, cursor })
      const shown = Math.min(limit.asked, MOST_ITEMS)
      return { result: { container, item_data: { limit: shown, offset: first, type: 'dmint' as const, ...found } } }
    },
  })
}

interface ItemsPage {
  readonly limit: number
  /** Candidates that are passed over. */
  readonly offset: number
  readonly cursor: string | undefined
}

/** Of the names on a page, those that are verified. */
async function dmintItems(answers: AtomicalsAnswers, container: IdText, { limit, offset, cursor }: ItemsPage) {
  const { queries, ctx } = answers
  // With a cursor one more than is shown, to see whether there is a next page.
  const most = cursor === undefined ? limit : limit + 1
  const names: { readonly name: string; readonly txNum: number }[] = []
  let beyond = cursor === undefined || cursor === '' ? undefined : { name: cursorName(cursor), txNum: LAST_TX_NUM }
  let toSkip = cursor === undefined ? offset : 0
  for (let ended = limit === 0; !ended; ) {
    ctx.signal.throwIfAborted()
    const page = await queries.subnamesPage('dmitem', container, '', { limit: SCAN, reverse: false, beyond })
    for (const entry of page) {
      if (toSkip-- > 0 || names.at(-1)?.name === entry.name) continue
      if (names.length === most) break
      names.push(entry)
    }
    beyond = page.at(-1)
    ended = page.length < SCAN || names.length === most
  }
  const items: [string, WireObject][] = []
  for (const { name } of names.slice(0, limit)) {
    const { holder } = await queries.claims('dmitem', container, name)
    if (holder.status === 'verified') items.push([name, { status: 'verified', ...idMembers(holder.id) }])
  }
  const last = names.length > limit ? names[limit - 1]?.name : undefined
  return { items: Object.fromEntries(items), ...nextCursor(cursor, last) }
}

/** Above the number of every transaction: all candidates of a name stand before it. */
const LAST_TX_NUM = 0xff_ffff_ffff

function cursorName(cursor: string): string {
  if (!isAscii(cursor)) throw badCursor()
  return cursor
}

function idMembers(id: IdText): WireObject {
  return { id: wireBytes(fromLatin1(id)), $id: compactOfIdText(id) }
}

/** Items that the state of a container lists, with their ids where they name them. */
async function regularItems({ queries, shown }: AtomicalsAnswers, container: IdText): Promise<Record<string, Wire>> {
  const items = mapOf((await queries.state(container)).get('items')) ?? new CborMap()
  const entries: [string, Wire][] = []
  for (const { key, value } of items.entries()) {
    const item = mapOf(value)
    const id = item?.get('id')
    const isId = id instanceof Uint8Array && id.length === ID_SIZE
    const text = isId ? compactOfIdText(toLatin1(id)) : undefined
    const wire =
      item === undefined ? wireOf(value, shown) : { ...wireOfMap(item, shown), status: 'verified', $id: text }
    entries.push([keyText(key, shown), wire])
  }
  return Object.fromEntries(entries)
}

/** Methods about containers and their items. */
export function containerMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [getByContainerItem(kit), validateItem(kit), getContainerItems(kit)]
}
