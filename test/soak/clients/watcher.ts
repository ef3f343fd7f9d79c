import { createHash } from 'node:crypto'
import type { TaprootKey } from '../../support/taproot.ts'
import { WireClient, type WireKind, type WireMessage } from '../../support/wire-client.ts'
import type { Expected, Oracle } from '../chain/oracle.ts'
import { within } from '../waits.ts'

interface HistoryRow {
  readonly tx_hash: string
  readonly height: number
}

interface UnspentRow {
  readonly tx_hash: string
  readonly tx_pos: number
  readonly value: number
}

/** What a topic is subscribed to with, and what its notifications begin with. */
export interface Topic {
  readonly method: string
  readonly params: readonly unknown[]
}

export interface WatcherOptions {
  readonly kind: WireKind
  readonly port: number
  readonly keys: readonly TaprootKey[]
  readonly answerMs: number
}

/**
 * A client that stays, reads everything it is sent, and compares it with what it should be: half of them speak protocol
 * 1.6, half 1.7.
 */
export class Watcher {
  readonly name: string
  readonly keys: readonly TaprootKey[]
  answers = 0
  readonly #client: WireClient
  readonly #answerMs: number
  readonly #speaks17: boolean
  readonly #told: Map<string, unknown>
  readonly #tip: { header?: string }
  #ends = false

  private constructor(
    client: WireClient,
    { kind, keys, answerMs }: WatcherOptions,
    name: string,
    heard: { readonly told: Map<string, unknown>; readonly tip: { header?: string } },
  ) {
    this.name = `${kind} watcher ${name}`
    this.#speaks17 = name.endsWith('(1.7)')
    this.#client = client
    this.#answerMs = answerMs
    this.keys = keys
    this.#told = heard.told
    this.#tip = heard.tip
  }

  static async connect(options: WatcherOptions, number: number, onLost: (watcher: Watcher) => void): Promise<Watcher> {
    const { kind, port, keys, answerMs } = options
    const told = new Map<string, unknown>()
    const tip: { header?: string } = {}
    const onMessage = ({ method = '', params = [] }: WireMessage): void => {
      const list = params as readonly unknown[]
      if (method === 'blockchain.headers.subscribe') tip.header = (list[0] as { hex: string }).hex
      else told.set(`${method} ${JSON.stringify(list.slice(0, -1))}`, list.at(-1))
    }
    const client = await within(answerMs, `${kind}: to be connected`, WireClient.connect({ kind, port, onMessage }))
    const version = number % 2 === 0 ? '1.6' : '1.7'
    const watcher = new Watcher(client, options, `${number} (${version})`, { told, tip })
    void client.closed.finally(() => watcher.#ends || onLost(watcher))
    await watcher.ask('server.version', 'soak', version)
    tip.header = ((await watcher.ask('blockchain.headers.subscribe')) as { hex: string }).hex
    for (const key of keys) await watcher.#follow(key)
    return watcher
  }

  /** Rejects with WireError for an error, and if nothing comes in time. */
  ask(method: string, ...params: unknown[]): Promise<unknown> {
    this.answers += 1
    return within(this.#answerMs, `${this.name}: ${method}`, this.#client.request(method, params))
  }

  /** Follows something besides scripts; what it is told is compared with what others are told who come anew. */
  async followTopic({ method, params }: Topic): Promise<void> {
    const key = topicKey({ method, params })
    const now = await this.ask(method, ...params)
    if (!this.#told.has(key)) this.#told.set(key, now)
  }

  toldOf(topic: Topic): unknown {
    return this.#told.get(topicKey(topic))
  }

  /** The header that it was told last is the oracle's; what it was told else. */
  checkTip(oracle: Oracle): string | undefined {
    if (this.#tip.header === oracle.header(oracle.height)) return undefined
    return `${this.name} was not told of block ${oracle.height}`
  }

  /** All that this client can ask about a script, held against the oracle, and the status that it was told. */
  async check(key: TaprootKey, oracle: Oracle): Promise<string | undefined> {
    const { balance, unspent, ...expected } = oracle.expected(key.scripthash)
    const history = (await this.#script('get_history', key)) as readonly HistoryRow[]
    const found =
      checkHistory(history, expected) ??
      unlike('balance', await this.#script('get_balance', key), balance) ??
      unlike('outputs', outpointsOf((await this.#script('listunspent', key)) as readonly UnspentRow[]), unspent) ??
      unlike('status', this.#told.get(`${this.#method('subscribe')} ["${key.scripthash}"]`), statusOf(history))
    return found === undefined ? undefined : `${this.name}, script ${key.scripthash}: ${found}`
  }

  /** Asks for the status anew on the side, which ends nothing. */
  async close(): Promise<void> {
    this.#ends = true
    await this.#client.close()
  }

  async #follow(key: TaprootKey): Promise<void> {
    const told = `${this.#method('subscribe')} ["${key.scripthash}"]`
    const status = await this.#script('subscribe', key)
    if (!this.#told.has(told)) this.#told.set(told, status)
  }

  #method(name: string): string {
    return `blockchain.${this.#speaks17 ? 'scriptpubkey' : 'scripthash'}.${name}`
  }

  async #script(name: string, key: TaprootKey): Promise<unknown> {
    const asked = this.#speaks17 ? Buffer.from(key.script).toString('hex') : key.scripthash
    const answer = await this.ask(this.#method(name), asked)
    if (!this.#speaks17) return answer
    if (name === 'get_history') return (answer as { readonly history: unknown }).history
    return name === 'listunspent' ? (answer as { readonly utxos: unknown }).utxos : answer
  }
}

function topicKey({ method, params }: Topic): string {
  return `${method} ${JSON.stringify(params)}`
}

function checkHistory(
  rows: readonly HistoryRow[],
  { confirmed, mempool }: Pick<Expected, 'confirmed' | 'mempool'>,
): string | undefined {
  const lines = (list: readonly (readonly [string, number])[]) => list.map(([txid, height]) => `${txid}:${height}`)
  const split = rows.findIndex(({ height }) => height <= 0)
  const [mined, waiting] = split < 0 ? [rows, []] : [rows.slice(0, split), rows.slice(split)]
  const pairs = (list: readonly HistoryRow[]) => lines(list.map(({ tx_hash, height }) => [tx_hash, height] as const))
  return (
    unlike('history', pairs(mined), lines(confirmed.map(({ txid, height }) => [txid, height] as const))) ??
    unlike('mempool', pairs(waiting).sort(), lines([...mempool]).sort())
  )
}

/** The status of protocol-basics: over ids and heights in the order of the history. */
function statusOf(rows: readonly HistoryRow[]): string | null {
  if (rows.length === 0) return null
  const text = rows.map(({ tx_hash, height }) => `${tx_hash}:${height}:`).join('')
  return createHash('sha256').update(text).digest('hex')
}

function outpointsOf(rows: readonly UnspentRow[]): string[] {
  return rows.map(({ tx_hash, tx_pos, value }) => `${tx_hash}:${tx_pos}:${value}`).sort()
}

const SHOWN = 300

function unlike(what: string, found: unknown, expected: unknown): string | undefined {
  const [is, should] = [JSON.stringify(found) ?? 'nothing', JSON.stringify(expected) ?? 'nothing']
  if (is === should) return undefined
  let at = 0
  while (is[at] === should[at]) at++
  const part = (text: string) => text.slice(Math.max(0, at - 80), at - 80 + SHOWN)
  return `${what} is …${part(is)}…, should be …${part(should)}…`
}
