import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { DaemonUnavailableError, InvariantError } from '../errors.ts'
import { copyOf } from '../lib/bytes.ts'
import { startThread } from '../lib/thread.ts'
import type { FetchedBlock, ReadBlock } from './parse.ts'

/** What the parsing thread says of a block, in the order in which it was given them. */
export type ParseAnswer =
  | { readonly kind: 'block'; readonly block: ReadBlock }
  /** The node gave something wrong. */
  | { readonly kind: 'refused'; readonly message: string }
  /** A bug. */
  | { readonly kind: 'failed'; readonly message: string }

interface Waiting {
  readonly resolve: (block: ReadBlock) => void
  readonly reject: (error: unknown) => void
}

/** Texts of hashes live for a moment. */
const SEMI_SPACE_MB = 4

/** Parses blocks on a thread of its own. Memory moves there and back and is not copied. */
export class ParseThread {
  readonly #worker: Worker
  readonly #waiting: Waiting[] = []
  /** Why the thread is no more. */
  #ended: InvariantError | undefined

  /** Only where there is a compiled file for a thread to run: see `available`. */
  constructor() {
    this.#worker = startThread(new URL('./parse-worker.js', import.meta.url), { semiSpaceMb: SEMI_SPACE_MB })
    this.#worker.on('message', (answer: ParseAnswer) => this.#settle(answer))
    this.#worker.on('error', (error) => this.#end(new InvariantError('the parsing thread failed', { cause: error })))
    this.#worker.on('exit', () => this.#end(new InvariantError('the parsing thread has ended')))
  }

  /** False where sources are run as they are: Node has no file then that a thread could run. */
  static get available(): boolean {
    return !import.meta.url.endsWith('.ts')
  }

  /** As readBlock. The memory of `fetched` is given away. */
  parse({ hash, raw, spent }: FetchedBlock): Promise<ReadBlock> {
    const own = { hash, raw: ownMemory(raw), spent: spent === undefined ? undefined : ownMemory(spent) }
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended)
        return
      }
      this.#waiting.push({ resolve, reject })
      this.#worker.postMessage(own, buffersOf(own))
    })
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return
    const exited = once(this.#worker, 'exit')
    await this.#worker.terminate()
    await exited
  }

  #settle(answer: ParseAnswer): void {
    const waiting = this.#waiting.shift()
    if (answer.kind === 'block') waiting?.resolve(answer.block)
    else if (answer.kind === 'refused') waiting?.reject(new DaemonUnavailableError(answer.message))
    else waiting?.reject(new InvariantError(answer.message))
  }

  #end(error: InvariantError): void {
    this.#ended ??= error
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended)
  }
}

/**
 * Every buffer inside plain data that is worth giving away, once. Small ones of which only parts are used are copied: most
 * of them are the memory that Node shares among its small Buffers, which newer versions of it refuse to move. So they do
 * with what was moved once, as constants without a byte may have been.
 */
export function buffersOf(data: object): ArrayBuffer[] {
  const found = new Set<ArrayBuffer>()
  const walk = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      const { buffer, byteLength } = value
      const isOwn = byteLength === buffer.byteLength || buffer.byteLength > Buffer.poolSize
      if (buffer instanceof ArrayBuffer && isOwn && byteLength > 0) found.add(buffer)
    } else if (typeof value === 'object' && value !== null) {
      for (const part of Object.values(value)) walk(part)
    }
  }
  walk(data)
  return [...found]
}

/** `bytes` if they are all of their memory, so that it can be given away; else a copy. */
function ownMemory(bytes: Uint8Array): Uint8Array {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return bytes.buffer.byteLength === bytes.byteLength ? plain : copyOf(plain)
}
