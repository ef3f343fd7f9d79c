import type { Daemon } from '../daemon/daemon.ts'
import type { Logger } from '../log.ts'
import { type BlockParser, fetchBlock } from './parse.ts'

export interface PracticeCollaborators {
  readonly daemon: Daemon
  readonly parse: BlockParser
  readonly log: Logger
}

/**
 * Blocks that are parsed once more and thrown away, so that the parsing thread has run its code before the first new block
 * is there: clients of a server that was just restarted wait for that one as for any other. One block at a time, and it
 * ends as soon as there is a real one, which then waits for one parse at most.
 */
export class Practice {
  readonly #daemon: Daemon
  readonly #parse: BlockParser
  readonly #log: Logger
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined

  constructor(collaborators: PracticeCollaborators) {
    this.#daemon = collaborators.daemon
    this.#parse = collaborators.parse
    this.#log = collaborators.log
  }

  /** Begins with these blocks (hashes as displayed), beside everything else; only once. */
  begin(hashes: Iterable<string>): void {
    this.#running ??= this.#run(hashes)
  }

  /** Ends it if it has begun. Settles once nothing of it runs any more, and never rejects; nobody needs to wait for that. */
  async end(): Promise<void> {
    if (this.#running === undefined) return
    this.#stop.abort()
    await this.#running
  }

  async #run(hashes: Iterable<string>): Promise<void> {
    const { signal } = this.#stop
    try {
      for (const hash of hashes) {
        if (signal.aborted) return
        const fetched = await fetchBlock(this.#daemon, hash, signal)
        // It has come after all, and a real block may be at the parser.
        if (signal.aborted) return
        await this.#parse(fetched)
      }
    } catch (error) {
      // Nothing depends on it, and a node that is away is noticed by those who need it.
      if (!signal.aborted) this.#log.debug({ err: error }, 'parsing was not practised')
    }
  }
}
