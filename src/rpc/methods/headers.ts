import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { HEADER_SIZE } from '../../chain/headers.ts'
import type { ChainView, Tip } from '../../db/view.ts'
import { ERROR_CODES, InvariantError, RpcError } from '../../errors.ts'
import { toDisplayHex, toHex, toLatin1 } from '../../lib/bytes.ts'
import { LongText } from '../../lib/long-text.ts'
import type { CacheTally } from '../../metrics.ts'
import { RawJson } from '../json.ts'
import { defineMethod, type ProtocolVersion, type RpcContext, type RpcMethod } from '../method.ts'
import { Branch, Hash, Height, Hex, WholeNumber } from '../schemas.ts'
import { BEFORE_1_6, V1_6 } from '../versions.ts'

/** Headers in one answer: a difficulty period; wallets rely on no less. */
export const MAX_HEADERS = 2016

/** Bitcoin's first header, for the examples. */
const GENESIS = `01000000${'0'.repeat(64)}3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c`

export interface HeaderRequest {
  readonly protocol: ProtocolVersion
  /** Height that a proof leads to; 0 if none is asked for. */
  readonly checkpoint: number
}

/** How a coin shows its headers: those with proof of work of another chain are cut where a checkpoint covers them. */
export type HeaderPresenter = (raw: Uint8Array, ask: HeaderRequest) => Uint8Array

interface Proof {
  readonly branch: string[]
  readonly root: string
}

/** Throws RpcError 1 if `checkpoint` does not cover `height` or is above the tip. */
async function proofOf(view: ChainView, height: number, checkpoint: number): Promise<Proof> {
  if (height > checkpoint || checkpoint > view.tip.height) {
    const wanted = `header height ${height} <= cp_height ${checkpoint} <= chain height ${view.tip.height}`
    throw new RpcError(ERROR_CODES.badRequest.code, `require ${wanted}`)
  }
  const { branch, root } = await view.headerProof(height, checkpoint)
  return { branch: branch.map(toDisplayHex), root: toDisplayHex(root) }
}

const Checkpoint = WholeNumber('Height that a merkle proof over headers leads to; 0 for no proof.').optional()

function blockHeader(present: HeaderPresenter): RpcMethod {
  return defineMethod({
    name: 'blockchain.block.header',
    followsFrom: 'tip',
    summary: 'Header of a block, with the proof that it is under a checkpoint if one is named.',
    params: z.object({ height: Height, cp_height: Checkpoint }),
    result: z.union([Hex, z.object({ header: Hex, branch: Branch, root: Hash })]),
    cost: ({ cp_height: checkpoint = 0 }) => (checkpoint === 0 ? 0.25 : 1.25),
    since: [1, 3, 0],
    example: { params: [0], result: GENESIS },
    handler: async (ctx, { height, cp_height: checkpoint = 0 }) => {
      const raw = ctx.moment.view.header(height)
      if (raw === undefined) throw new RpcError(ERROR_CODES.badRequest.code, `height ${height} out of range`)
      const header = toHex(present(raw, { protocol: ctx.client.protocol, checkpoint }))
      return checkpoint === 0 ? header : { header, ...(await proofOf(ctx.moment.view, height, checkpoint)) }
    },
  })
}

const headersParams = z.object({
  start_height: Height,
  count: WholeNumber(`Headers wanted; at most ${MAX_HEADERS} are given.`),
  cp_height: Checkpoint,
})
const partOfHeaders = {
  count: z.int().min(0).max(MAX_HEADERS),
  max: z.int(),
  branch: Branch.optional(),
  root: Hash.optional(),
}

/** Fewer headers than this are quicker to read than to find. */
const WORTH_KEEPING = 32

function lengthOf(text: string | LongText): number {
  return typeof text === 'string' ? text.length : text.byteLength
}

/**
 * Long rows of headers as JSON. Named by the last of them, which commits to all before it, so that a reorganisation
 * makes nothing of it wrong.
 */
class KeptChunks {
  readonly #texts: LRUCache<string, RawJson> | undefined
  readonly #tally: CacheTally

  constructor(maxBytes: number, tally: CacheTally) {
    this.#tally = tally
    if (maxBytes === 0) return
    const sizeCalculation = ({ content }: RawJson): number => lengthOf(content)
    const texts = new LRUCache<string, RawJson>({ maxSize: maxBytes, sizeCalculation })
    this.#texts = texts
    tally.bytes = () => texts.calculatedSize
  }

  /** The answer to a call without a proof; `shape` tells answers apart that differ in form. */
  get(ctx: RpcContext, shape: string, params: z.output<typeof headersParams>, write: () => string): RawJson {
    const { view } = ctx.moment
    const { start_height: start, count: wanted } = params
    const count = Math.min(wanted, MAX_HEADERS, view.tip.height + 1 - start)
    const last = count < WORTH_KEEPING ? undefined : view.header(start + count - 1)
    if (this.#texts === undefined || last === undefined) return new RawJson(write(), true)
    const name = `${shape} ${ctx.client.protocol.join('.')} ${start} ${count} ${toLatin1(last)}`
    const kept = this.#texts.get(name)
    if (kept !== undefined) {
      this.#tally.hits++
      return kept
    }
    this.#tally.misses++
    const text = new RawJson(LongText.ofAscii(write()), true)
    this.#texts.set(name, text)
    return text
  }
}

interface Chunk {
  readonly headers: readonly string[]
  readonly proof: Proof | undefined
}

/** Fewer headers than asked for are no error, none at all neither; the proof is that of the last one given. */
async function readProved(
  ctx: RpcContext,
  present: HeaderPresenter,
  params: z.output<typeof headersParams>,
): Promise<Chunk> {
  const headers = readHeaders(ctx, present, params)
  if (headers.length === 0) return { headers, proof: undefined }
  ctx.charge(1)
  const { start_height: start, cp_height: checkpoint = 0 } = params
  return { headers, proof: await proofOf(ctx.moment.view, start + headers.length - 1, checkpoint) }
}

function readHeaders(
  ctx: RpcContext,
  present: HeaderPresenter,
  { start_height: start, count: wanted, cp_height: checkpoint = 0 }: z.output<typeof headersParams>,
): readonly string[] {
  const { view } = ctx.moment
  const { count, bytes } = view.headers(start, Math.min(wanted, MAX_HEADERS))
  const ask = { protocol: ctx.client.protocol, checkpoint }
  return splitHeaders(view, start, count, bytes).map((header) => toHex(present(header, ask)))
}

function splitHeaders(view: ChainView, start: number, count: number, bytes: Uint8Array): Uint8Array[] {
  if (bytes.length === count * HEADER_SIZE) {
    return Array.from({ length: count }, (_, i) => bytes.subarray(i * HEADER_SIZE, (i + 1) * HEADER_SIZE))
  }
  return Array.from({ length: count }, (_, i) => {
    const header = view.header(start + i)
    if (header === undefined) throw new InvariantError(`no header ${start + i} below the tip`)
    return header
  })
}

function isProved({ cp_height: checkpoint = 0 }: z.output<typeof headersParams>): boolean {
  return checkpoint !== 0
}

/** As ElectrumX: what is asked for is paid for, even above what is given. */
const headersCost = ({ count }: { readonly count: number }): number => Math.max(count / 50, 0.02)

function blockHeadersInOne(present: HeaderPresenter, kept: KeptChunks): RpcMethod {
  return defineMethod({
    name: 'blockchain.block.headers',
    followsFrom: 'tip',
    summary: 'Headers of blocks in a row, as one text.',
    params: headersParams,
    result: z.object({ ...partOfHeaders, hex: Hex }),
    cost: headersCost,
    since: [1, 2, 0],
    until: BEFORE_1_6,
    example: { params: [0, 1], result: { count: 1, max: MAX_HEADERS, hex: GENESIS } },
    handler: (ctx, params) => {
      const answer = (headers: readonly string[]) => ({
        hex: headers.join(''),
        count: headers.length,
        max: MAX_HEADERS,
      })
      if (isProved(params)) {
        return readProved(ctx, present, params).then(({ headers, proof }) => ({ ...answer(headers), ...proof }))
      }
      return kept.get(ctx, 'text', params, () => JSON.stringify(answer(readHeaders(ctx, present, params))))
    },
  })
}

function blockHeadersAsList(present: HeaderPresenter, kept: KeptChunks): RpcMethod {
  return defineMethod({
    name: 'blockchain.block.headers',
    followsFrom: 'tip',
    summary: 'Headers of blocks in a row, as a list.',
    params: headersParams,
    result: z.object({ ...partOfHeaders, headers: z.array(Hex) }),
    cost: headersCost,
    since: V1_6,
    example: { params: [0, 1], result: { count: 1, max: MAX_HEADERS, headers: [GENESIS] } },
    handler: (ctx, params) => {
      const answer = (headers: readonly string[]) => ({
        headers: [...headers],
        count: headers.length,
        max: MAX_HEADERS,
      })
      if (isProved(params)) {
        return readProved(ctx, present, params).then(({ headers, proof }) => ({ ...answer(headers), ...proof }))
      }
      return kept.get(ctx, 'list', params, () => JSON.stringify(answer(readHeaders(ctx, present, params))))
    },
  })
}

function headersSubscribe(): RpcMethod {
  const kept = new WeakMap<Tip, RawJson>()
  const answer = (view: ChainView): RawJson => {
    const { tip } = view
    let text = kept.get(tip)
    if (text === undefined) {
      text = new RawJson(JSON.stringify(tipOf(view)), true)
      kept.set(tip, text)
    }
    return text
  }
  return defineMethod({
    name: 'blockchain.headers.subscribe',
    summary: 'The tip now, and a notification for every new one.',
    params: z.object({}),
    result: z.object({ hex: Hex, height: z.int().min(0) }),
    cost: () => 0.25,
    since: [1, 0, 0],
    over: 'stream',
    example: { params: [], result: { hex: GENESIS, height: 0 } },
    handler: (ctx) => {
      const text = answer(ctx.moment.view)
      ctx.client.subscribeHeaders()
      return text
    },
  })
}

/** What headers.subscribe answers and notifies. */
export function tipOf(view: ChainView): { hex: string; height: number } {
  const { height } = view.tip
  const header = view.header(height)
  if (header === undefined) throw new InvariantError(`no header at the tip ${height}`)
  return { hex: toHex(header), height }
}

export interface HeaderMethodsOptions {
  readonly presentHeader: HeaderPresenter
  /** Bytes of long rows of headers that are kept as they were answered. */
  readonly cacheBytes: number
  readonly tally: CacheTally
}

export function headerMethods({ presentHeader, cacheBytes, tally }: HeaderMethodsOptions): readonly RpcMethod[] {
  const kept = new KeptChunks(cacheBytes, tally)
  return [
    blockHeader(presentHeader),
    blockHeadersInOne(presentHeader, kept),
    blockHeadersAsList(presentHeader, kept),
    headersSubscribe(),
  ]
}
