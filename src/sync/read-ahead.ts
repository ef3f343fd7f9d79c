import type { Daemon } from '../daemon/daemon.ts'
import { type BlockParser, fetchBlock, type ReadBlock } from './parse.ts'

interface Kept {
  readonly hash: string
  /** Never rejects: whoever needs the block asks for it again, and hears what is wrong. */
  readonly read: Promise<ReadBlock | undefined>
  readonly stop: AbortController
}

/**
 * One block that the node has announced: fetched and parsed while it is still being found out whether it is the next one,
 * which takes three questions. Keeps the one that was announced last.
 */
export class ReadAhead {
  readonly #daemon: Daemon
  readonly #parse: BlockParser
  #kept: Kept | undefined

  constructor(collaborators: { readonly daemon: Daemon; readonly parse: BlockParser }) {
    this.#daemon = collaborators.daemon
    this.#parse = collaborators.parse
  }

  /** `hash` as displayed. */
  begin(hash: string): void {
    if (this.#kept?.hash === hash) return
    this.drop()
    const stop = new AbortController()
    this.#kept = { hash, read: this.#read(hash, stop.signal), stop }
  }

  /** The block, if it is the one that was begun last; once. Undefined, then or later, if it has to be asked for. */
  take(hash: string): Promise<ReadBlock | undefined> | undefined {
    if (this.#kept?.hash !== hash) return undefined
    const { read } = this.#kept
    this.#kept = undefined
    return read
  }

  drop(): void {
    this.#kept?.stop.abort()
    this.#kept = undefined
  }

  async #read(hash: string, signal: AbortSignal): Promise<ReadBlock | undefined> {
    try {
      return await this.#parse(await fetchBlock(this.#daemon, hash, signal))
    } catch {
      // Only tried: the block is asked for again in its turn, and whatever is wrong is told then.
      return undefined
    }
  }
}
