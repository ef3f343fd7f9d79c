import { DaemonError } from '../errors.ts'
import { asBuffer } from '../lib/bytes.ts'
import type { Endpoint } from './endpoint.ts'
import type { Bounds, HttpAnswer, HttpPeer } from './exchange.ts'
import { NodeFailure } from './failure.ts'
import { NOT_FOUND } from './replies.ts'

export interface RestAbilities {
  readonly rest: boolean
  readonly spentTxOuts: boolean
  /** Parts of blocks (Bitcoin Core 31 and later). */
  readonly blockParts: boolean
  /** Why not, where something is not there: for the log. */
  readonly remark: string
}

const NO_REST = { rest: false, spentTxOuts: false, blockParts: false } as const

/** Bytes of the part that is asked for to see whether there are parts: a header. */
const PROBED_PART = 80

/** REST of one node: the binary answers. It asks for no credentials and is sent none. */
export class RestClient {
  readonly #endpoint: Endpoint
  readonly #http: HttpPeer

  constructor(options: { readonly endpoint: Endpoint }, collaborators: { readonly http: HttpPeer }) {
    this.#endpoint = options.endpoint
    this.#http = collaborators.http
  }

  /** Tries what is there, with a block that the node has. Versions say nothing: forks and proxies have their own. */
  async probe(blockHash: string, bounds: Bounds): Promise<RestAbilities> {
    const info = await this.#get('chaininfo.json', bounds)
    if (info.status !== 200 || !isJsonObject(info.body)) {
      return { ...NO_REST, remark: `no REST (HTTP ${info.status}); rest=1 switches it on` }
    }
    const block = await this.#get(`block/${blockHash}.bin`, bounds)
    if (block.status !== 200) {
      return { ...NO_REST, remark: `REST gives no blocks (HTTP ${block.status})` }
    }
    const spent = await this.#get(`spenttxouts/${blockHash}.bin`, bounds)
    const part = await this.#get(`blockpart/${blockHash}.bin?offset=0&size=${PROBED_PART}`, bounds)
    const blockParts = part.status === 200 && part.body.equals(block.body.subarray(0, PROBED_PART))
    return spent.status === 200
      ? { rest: true, spentTxOuts: true, blockParts, remark: 'REST with spenttxouts' }
      : { rest: true, spentTxOuts: false, blockParts, remark: `REST without spenttxouts (HTTP ${spent.status})` }
  }

  /** Wire bytes of the block, or undefined where there is no REST any more. DaemonError -5 if there is no such block. */
  block(hash: string, bounds: Bounds): Promise<Uint8Array | undefined> {
    return this.#bytes(`block/${hash}.bin`, bounds)
  }

  /** `size` bytes of a block from `offset` on, or undefined where there is no such thing any more. DaemonError -5: no such block. */
  blockPart(hash: string, offset: number, size: number, bounds: Bounds): Promise<Uint8Array | undefined> {
    return this.#bytes(`blockpart/${hash}.bin?offset=${offset}&size=${size}`, bounds)
  }

  /** As the node serialises them, or undefined where there is no such thing any more. DaemonError -5: no such block. */
  spentTxOuts(hash: string, bounds: Bounds): Promise<Uint8Array | undefined> {
    return this.#bytes(`spenttxouts/${hash}.bin`, bounds)
  }

  async #bytes(path: string, bounds: Bounds): Promise<Uint8Array | undefined> {
    const { status, body } = await this.#get(path, bounds)
    if (status === 200) return new Uint8Array(body.buffer, body.byteOffset, body.length)
    const words = wordsOf(body)
    // bitcoind has a sentence for a block it lacks (or has pruned); a path it does not know gets none, or a page.
    if (status === 404 && words !== '') throw new DaemonError(NOT_FOUND, words)
    if (status < 500) return undefined
    throw this.#unavailable(status, words)
  }

  async #get(path: string, bounds: Bounds): Promise<HttpAnswer> {
    const answer = await this.#http.exchange({ verb: 'GET', path: `${this.#endpoint.path}rest/${path}` }, bounds)
    if (answer.status === 503) throw this.#unavailable(503, wordsOf(answer.body))
    return answer
  }

  #unavailable(status: number, words: string): NodeFailure {
    const said = words === '' ? '' : `: ${words}`
    return new NodeFailure('http', `bitcoind at ${this.#endpoint.address} answered HTTP ${status} to REST${said}`)
  }
}

/** A short plain sentence, or '' for markup and for what is too long to be one. */
function wordsOf(body: Uint8Array): string {
  const words = asBuffer(body.subarray(0, 300)).toString('utf8').trim()
  return words.startsWith('<') || body.length > 300 ? '' : words
}

function isJsonObject(body: Buffer): boolean {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null && 'chain' in value
  } catch {
    return false
  }
}
