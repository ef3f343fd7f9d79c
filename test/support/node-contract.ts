import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { gunzipSync } from 'node:zlib'

/** Rows of test/fixtures/node-contract, and how an answer is held against one. */

export interface ContractRow {
  readonly id?: number
  readonly step: string
  readonly act?: 'feed' | 'submitblock' | 'invalidateblock' | 'what' | 'coins'
  readonly from?: number
  readonly to?: number
  readonly hex?: string
  readonly what?: string
  readonly via?: 'rpc' | 'rest' | 'http'
  readonly method?: string
  readonly params?: readonly unknown[]
  readonly path?: string
  readonly verb?: string
  readonly sent?: string
  readonly login?: 'none' | 'bad' | 'good'
  readonly status?: number
  readonly type?: string
  readonly www?: string
  readonly body?: string
}

export interface ZmqRow {
  readonly step: string
  readonly topic: string
  readonly body: string
  readonly n: number
}

export interface Reply {
  readonly status: number
  readonly type: string | undefined
  readonly www: string | undefined
  readonly body: Buffer
}

const FIXTURES = new URL('../fixtures/', import.meta.url)

function lines<T>(name: string): T[] {
  const text = gunzipSync(readFileSync(new URL(name, FIXTURES))).toString('utf8')
  // The fixture is ours: its form is what the interfaces say.
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

export const readContract = (): ContractRow[] => lines<ContractRow>('node-contract/contract.jsonl.gz')
export const readZmqContract = (): ZmqRow[] => lines<ZmqRow>('node-contract/zmq.jsonl.gz')
export const readCorpusBlocks = (): { readonly hash: string; readonly hex: string }[] =>
  lines<{ hash: string; hex: string }>('corpus-a/blocks.jsonl.gz')

/** A node as its clients see it. */
export interface NodeClient {
  /** http://127.0.0.1:port */
  readonly url: string
  /** `user:password` */
  readonly login: string
}

/** One connection that is kept, as the server has it. */
export class HttpCaller {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 })

  async call(url: string, verb: string, login: string | undefined, sent: string | undefined): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => {
      const headers = login === undefined ? {} : { Authorization: `Basic ${Buffer.from(login).toString('base64')}` }
      const length = sent === undefined ? {} : { 'Content-Length': Buffer.byteLength(sent) }
      const options = { method: verb, agent: this.#agent, headers: { ...headers, ...length }, timeout: 120_000 }
      const call = request(url, options, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('error', reject)
        response.on('end', () => {
          const www = response.headers['www-authenticate']
          resolve({
            status: response.statusCode ?? 0,
            type: response.headers['content-type'],
            www,
            body: Buffer.concat(parts),
          })
        })
      })
      call.on('timeout', () => call.destroy(new Error('no answer in two minutes')))
      call.on('error', reject)
      call.end(sent)
    })
  }

  async rpc(node: NodeClient, method: string, params: readonly unknown[]): Promise<Reply> {
    const sent = JSON.stringify({ jsonrpc: '1.0', id: 'c', method, params })
    return this.call(`${node.url}/`, 'POST', node.login, sent)
  }

  /** Asks what a row asks. */
  async ask(node: NodeClient, row: ContractRow): Promise<Reply> {
    if (row.via === 'rpc') return this.rpc(node, row.method ?? '', row.params ?? [])
    const login = row.login === 'good' ? node.login : row.login === 'bad' ? '__cookie__:wrong' : undefined
    return this.call(`${node.url}${row.path ?? '/'}`, row.verb ?? 'GET', login, row.sent)
  }

  close(): void {
    this.#agent.destroy()
  }
}

/** Members that differ from one run to the next, by call (the fixture's README). */
const VOLATILE: Readonly<Record<string, readonly string[]>> = {
  getblockchaininfo: ['size_on_disk', 'verificationprogress', 'warnings'],
  chaininfo: ['size_on_disk', 'verificationprogress', 'warnings'],
  getnetworkinfo: ['version', 'subversion', 'warnings', 'localaddresses', 'networks'],
  getmempoolinfo: ['usage'],
  mempool: ['usage'],
  getrawmempool: ['time'],
  getmempoolentry: ['time'],
  getmempoolancestors: ['time'],
  getmempooldescendants: ['time'],
  getzmqnotifications: ['address'],
}

/** Calls whose lists have no order. */
const UNORDERED = new Set(['getrawmempool', 'mempool', 'getmempoolancestors', 'getmempooldescendants'])

export function callOf(row: ContractRow): string {
  return row.method ?? row.path?.split(/[/?.]/)[2] ?? ''
}

/** What differs between a row and a reply; undefined if nothing does. */
export function differenceOf(row: ContractRow, reply: Reply): string | undefined {
  const problems: string[] = []
  if (reply.status !== row.status) problems.push(`status ${reply.status} instead of ${row.status}`)
  if (reply.type !== row.type) problems.push(`type ${reply.type} instead of ${row.type}`)
  if (reply.www !== row.www) problems.push(`WWW-Authenticate ${reply.www} instead of ${row.www}`)
  const body = bodyDifference(row, reply.body)
  if (body !== undefined) problems.push(body)
  if (problems.length === 0) return undefined
  const question = row.via === 'rpc' ? `${row.method} ${JSON.stringify(row.params)}` : `${row.what ?? ''} ${row.path}`
  return `row ${row.id} (${question.slice(0, 200)}): ${problems.join('; ')}`
}

function bodyDifference(row: ContractRow, body: Buffer): string | undefined {
  if (row.hex !== undefined) return body.toString('hex') === row.hex ? undefined : 'other bytes'
  const text = body.toString('utf8')
  const expected = row.body ?? ''
  if (row.type !== 'application/json')
    return text === expected ? undefined : `${show(text)} instead of ${show(expected)}`
  const call = callOf(row)
  const got = normal(call, JSON.parse(text))
  const want = normal(call, JSON.parse(expected))
  return got === want ? undefined : firstDifference(got, want)
}

function firstDifference(got: string, want: string): string {
  let at = 0
  while (at < got.length && got[at] === want[at]) at += 1
  const from = Math.max(0, at - 80)
  return `…${show(got.slice(from))} instead of …${show(want.slice(from))}`
}

function show(text: string): string {
  return JSON.stringify(text.length > 300 ? `${text.slice(0, 300)}…` : text)
}

/** A JSON value as text that is equal for equal meaning: members sorted, volatile ones gone, usage cut to its first line. */
function normal(call: string, value: unknown): string {
  const volatile = new Set(VOLATILE[call] ?? [])
  const walk = (each: unknown): unknown => {
    if (Array.isArray(each)) {
      const items = each.map(walk)
      return UNORDERED.has(call) && items.every((item) => typeof item === 'string') ? items.sort() : items
    }
    if (typeof each !== 'object' || each === null) return each
    const members = Object.entries(each)
      .filter(([name]) => !volatile.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => [name, walk(member)])
    return Object.fromEntries(members) as unknown
  }
  const walked = walk(value) as { result?: unknown; error?: { code?: number; message?: string } | null }
  if (call === 'uptime' && walked !== null && typeof walked === 'object') walked.result = typeof walked.result
  const { error } = walked ?? {}
  if (error?.code === -1 && error.message !== undefined) error.message = error.message.split('\n')[0] ?? ''
  return JSON.stringify(walked)
}
