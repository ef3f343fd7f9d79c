import { compactSize } from '../chain/tx.ts'
import { concat, fromDisplayHex, toHex, writeUint32LE, writeUint64LE } from '../lib/bytes.ts'
import type { BlockNode } from './block-tree.ts'
import { spentCoins } from './coin-changes.ts'
import type { Coin } from './coins.ts'
import type { RegtestCore } from './core.ts'
import { type Json, toJson } from './json.ts'
import { chainInfoJson } from './rpc-chain.ts'
import { mempoolInfoJson, mempoolJson } from './rpc-node.ts'
import { confirmedTxJson, lookUp } from './rpc-transactions.ts'
import { blockJson, headerJson, outputJson, scriptJson } from './shapes.ts'

/** An answer over HTTP. */
export interface RestAnswer {
  readonly status: number
  readonly type: string
  readonly body: Uint8Array | string
}

export interface RestOptions {
  /** False: as before Core 30, which brought spenttxouts. */
  readonly spentTxOuts: boolean
}

const MAX_HEADERS = 2000
const MAX_OUTPOINTS = 15

type Format = 'bin' | 'hex' | 'json' | undefined

/** A path after its prefix: what is asked for, and how. */
interface Question {
  readonly subject: string
  readonly format: Format
  readonly query: URLSearchParams
}

class RestFault extends Error {
  override readonly name = 'RestFault'
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

type Handler = (core: RegtestCore, question: Question) => RestAnswer | Promise<RestAnswer>

const HANDLERS: readonly (readonly [string, Handler])[] = [
  ['/rest/tx/', restTx],
  ['/rest/block/notxdetails/', (core, question) => restBlock(core, question, 'ids')],
  ['/rest/block/', (core, question) => restBlock(core, question, 'prevouts')],
  ['/rest/blockpart/', restBlockPart],
  ['/rest/chaininfo', (core, question) => onlyJson(question, () => chainInfoJson(core.chain))],
  ['/rest/mempool/', restMempool],
  ['/rest/headers/', restHeaders],
  ['/rest/getutxos', restUtxos],
  ['/rest/blockhashbyheight/', restBlockHash],
  ['/rest/spenttxouts/', restSpent],
]

/** Answers a GET below /rest/ as Core does; undefined if there is nothing of that name. `target` is path and query. */
export async function answerRest(
  core: RegtestCore,
  options: RestOptions,
  target: string,
): Promise<RestAnswer | undefined> {
  const handler = HANDLERS.find(([prefix]) => target.startsWith(prefix))
  if (handler === undefined || (!options.spentTxOuts && handler[1] === restSpent)) return undefined
  try {
    return await handler[1](core, parse(target.slice(handler[0].length)))
  } catch (error) {
    if (!(error instanceof RestFault)) throw error
    return { status: error.status, type: 'text/plain', body: `${error.message}\r\n` }
  }
}

function parse(rest: string): Question {
  const mark = rest.indexOf('?')
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : rest.slice(mark + 1))
  const match = /^(.*)\.(bin|hex|json)$/s.exec(path)
  const suffix = match?.[2]
  const format = suffix === 'bin' || suffix === 'hex' || suffix === 'json' ? suffix : undefined
  return { subject: match?.[1] ?? path, format, query }
}

function hashOf(text: string): string {
  if (!/^[0-9a-f]{64}$/i.test(text)) throw new RestFault(400, `Invalid hash: ${text}`)
  return text.toLowerCase()
}

function nodeOf(core: RegtestCore, id: string): BlockNode {
  const node = core.chain.tree.get(id)
  if (node === undefined) throw new RestFault(404, `${id} not found`)
  return node
}

function noFormat(formats: string): RestFault {
  return new RestFault(404, `output format not found (available: ${formats})`)
}

function json(value: Json): RestAnswer {
  return { status: 200, type: 'application/json', body: `${toJson(value)}\n` }
}

function text(body: string): RestAnswer {
  return { status: 200, type: 'text/plain', body: `${body}\n` }
}

function bytes(body: Uint8Array): RestAnswer {
  return { status: 200, type: 'application/octet-stream', body }
}

/** Bytes, their hex, or JSON, as the path ends. */
function inFormat({ format }: Question, raw: () => Uint8Array, asJson: () => Json): RestAnswer {
  if (format === 'bin') return bytes(raw())
  if (format === 'hex') return text(toHex(raw()))
  if (format === 'json') return json(asJson())
  throw noFormat('.bin, .hex, .json')
}

function onlyJson({ format }: Question, asJson: () => Json): RestAnswer {
  if (format === 'json') return json(asJson())
  throw noFormat('json')
}

function restTx(core: RegtestCore, question: Question): RestAnswer {
  const txid = hashOf(question.subject)
  const found = lookUp(core, txid)
  if (found === undefined) throw new RestFault(404, `${txid} not found`)
  return inFormat(
    question,
    () => found.tx.raw,
    () => {
      const { confirmations: _count, time: _time, blocktime: _blocktime, ...tx } = confirmedTxJson(core, found, false)
      return tx
    },
  )
}

async function restBlock(core: RegtestCore, question: Question, detail: 'ids' | 'prevouts'): Promise<RestAnswer> {
  const node = nodeOf(core, hashOf(question.subject))
  const raw = await core.chain.store.block(node)
  return inFormat(
    question,
    () => raw,
    () => blockJson(core.chain, node, core.chain.readBlock(node), detail),
  )
}

function restBlockPart(core: RegtestCore, question: Question): RestAnswer {
  const number = (name: string): number => {
    const value = question.query.get(name) ?? ''
    if (!/^\d{1,12}$/.test(value)) throw new RestFault(400, `Block part ${name} missing or invalid`)
    return Number(value)
  }
  const offset = number('offset')
  const size = number('size')
  const node = nodeOf(core, hashOf(question.subject))
  const part = core.chain.store.blockPart(node, offset, size)
  if (part === undefined) throw new RestFault(400, `Bad block part offset/size ${offset}/${size} for ${node.id}`)
  return inFormat(
    question,
    () => part,
    () => {
      throw new RestFault(400, 'JSON output is not supported for this request type')
    },
  )
}

function restMempool(core: RegtestCore, question: Question): RestAnswer {
  const { subject, query } = question
  if (subject !== 'info' && subject !== 'contents') {
    throw new RestFault(400, 'Invalid URI format. Expected /rest/mempool/<info|contents>.json')
  }
  return onlyJson(question, () => {
    if (subject === 'info') return mempoolInfoJson(core.mempool, core.acceptor.policy)
    const verbose = flag(query, 'verbose', 'true')
    const sequence = flag(query, 'mempool_sequence', 'false')
    if (verbose && sequence) {
      const hint = '(hint: set "verbose=false")'
      throw new RestFault(400, `Verbose results cannot contain mempool sequence values. ${hint}`)
    }
    return mempoolJson(core.mempool, verbose, sequence)
  })
}

function flag(query: URLSearchParams, name: string, otherwise: string): boolean {
  const value = query.get(name) ?? otherwise
  if (value === 'true' || value === 'false') return value === 'true'
  throw new RestFault(400, `The "${name}" query parameter must be either "true" or "false".`)
}

function restHeaders(core: RegtestCore, question: Question): RestAnswer {
  const parts = question.subject.split('/')
  const [first = '', second] = parts
  if (parts.length > 2) {
    throw new RestFault(400, 'Invalid URI format. Expected /rest/headers/<hash>.<ext>?count=<count>')
  }
  const rawCount = second === undefined ? (question.query.get('count') ?? '5') : first
  const count = /^\d{1,9}$/.test(rawCount) ? Number(rawCount) : 0
  if (count < 1 || count > MAX_HEADERS) {
    const message = `Header count is invalid or out of acceptable range (1-${MAX_HEADERS}): ${rawCount}`
    throw new RestFault(400, message)
  }
  const { chain } = core
  const nodes: BlockNode[] = []
  const start = chain.tree.get(hashOf(second ?? first))
  if (start !== undefined && chain.isActive(start)) {
    for (let node: BlockNode | undefined = start; node !== undefined && nodes.length < count; ) {
      nodes.push(node)
      node = chain.at(node.height + 1)
    }
  }
  return inFormat(
    question,
    () => concat(...nodes.map(({ rawHeader }) => rawHeader)),
    () => nodes.map((node) => headerJson(chain, node)),
  )
}

function restBlockHash(core: RegtestCore, question: Question): RestAnswer {
  const { subject } = question
  if (!/^\d{1,9}$/.test(subject)) throw new RestFault(400, `Invalid height: ${subject}`)
  const node = core.chain.at(Number(subject))
  if (node === undefined) throw new RestFault(404, 'Block height out of range')
  if (question.format === 'hex') return text(node.id)
  return inFormat(
    question,
    () => fromDisplayHex(node.id),
    () => ({ blockhash: node.id }),
  )
}

async function restSpent(core: RegtestCore, question: Question): Promise<RestAnswer> {
  if (question.subject.includes('/')) {
    throw new RestFault(400, 'Invalid URI format. Expected /rest/spenttxouts/<hash>.<ext>')
  }
  const node = nodeOf(core, hashOf(question.subject))
  const spent = await core.chain.store.spent(node)
  if (spent === undefined) throw new RestFault(404, `${node.id} undo not available`)
  return inFormat(
    question,
    () => spent,
    () => {
      const undo = core.chain.store.undoSync(node)
      return undo === undefined ? [] : spentCoins(undo).map((coins) => coins.map(outputJson))
    },
  )
}

function restUtxos(core: RegtestCore, question: Question): RestAnswer {
  const parts = question.subject
    .slice(1)
    .split('/')
    .filter((part) => part !== '')
  const withMempool = parts[0] === 'checkmempool'
  const outpoints = (withMempool ? parts.slice(1) : parts).map(parseOutpoint)
  if (outpoints.length === 0) throw new RestFault(400, 'Error: empty request')
  if (outpoints.length > MAX_OUTPOINTS) {
    throw new RestFault(400, `Error: max outpoints exceeded (max: ${MAX_OUTPOINTS}, tried: ${outpoints.length})`)
  }
  const coins = outpoints.map(({ txid, index }) => {
    if (!withMempool) return core.chain.coins.get(txid, index)
    return core.mempool.spenderOf(txid, index) === undefined ? core.acceptor.coin(txid, index) : undefined
  })
  const found = coins.filter((coin) => coin !== undefined)
  return inFormat(
    question,
    () => utxosBytes(core, coins, found),
    () => ({
      chainHeight: core.chain.height,
      chaintipHash: core.chain.tip.id,
      bitmap: coins.map((coin) => (coin === undefined ? '0' : '1')).join(''),
      utxos: found.map(({ height, value, script }) => ({ height, value, scriptPubKey: scriptJson(script) })),
    }),
  )
}

function parseOutpoint(part: string): { readonly txid: Uint8Array; readonly index: number } {
  const match = /^([0-9a-f]{64})-(\d{1,9})$/i.exec(part)
  if (match === null) throw new RestFault(400, 'Parse error')
  return { txid: fromDisplayHex(match[1] ?? ''), index: Number(match[2]) }
}

/** BIP64: height, tip, bitmap, then of each coin a version of 0, height and output. */
function utxosBytes(core: RegtestCore, coins: readonly (Coin | undefined)[], found: readonly Coin[]): Uint8Array {
  const bitmap = new Uint8Array(Math.ceil(coins.length / 8))
  coins.forEach((coin, i) => {
    if (coin !== undefined) bitmap[i >> 3] = (bitmap[i >> 3] ?? 0) | (1 << (i & 7))
  })
  const outs = found.map(({ height, value, script }) => {
    const head = new Uint8Array(16)
    writeUint32LE(head, height, 4)
    writeUint64LE(head, value, 8)
    return concat(head, compactSize(script.length), script)
  })
  const height = new Uint8Array(4)
  writeUint32LE(height, core.chain.height, 0)
  const tip = fromDisplayHex(core.chain.tip.id)
  return concat(height, tip, compactSize(bitmap.length), bitmap, compactSize(outs.length), ...outs)
}
