import type { ChainView } from '../db/view.ts'
import { ERROR_CODES, invariant, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import { equalBytes } from '../lib/bytes.ts'
import type { CacheTallies } from '../metrics.ts'
import { LiveMoment, type LiveMomentOptions } from './live-moment.ts'
import type { Mempool } from './mempool.ts'
import type { Moment, MomentChange, MomentNews, MomentSource } from './moment.ts'
import { ScriptCache } from './script-cache.ts'

export interface MomentHubOptions extends LiveMomentOptions {
  /** Bytes of what is kept of scripts between questions. Default: 64 MiB, some 100,000 small scripts. */
  readonly scriptCacheBytes?: number
}

const SCRIPT_CACHE_BYTES = 64 * 2 ** 20

/** A view with those who hold it: the moment that is current, and every use of a moment that has it. */
interface HeldView {
  readonly view: ChainView
  holders: number
}

/**
 * Holds the current moment. What is published is there for the next use at once, view and mempool together; uses that
 * run keep the moment they began with, and its view is released after the last of them.
 */
export class MomentHub implements MomentSource {
  readonly #options: LiveMomentOptions
  readonly #scripts: ScriptCache
  readonly #mempool: Mempool
  readonly #listeners = new Set<(news: MomentNews) => void>()
  #current: { readonly moment: LiveMoment; readonly held: HeldView } | undefined
  #views = 0
  #uses = 0

  constructor(options: MomentHubOptions, collaborators: { readonly mempool: Mempool; readonly caches?: CacheTallies }) {
    this.#options = options
    const maxBytes = options.scriptCacheBytes ?? SCRIPT_CACHE_BYTES
    this.#scripts = new ScriptCache({ maxBytes }, collaborators.caches)
    this.#mempool = collaborators.mempool
  }

  get ready(): boolean {
    return this.#current !== undefined
  }

  /** Views that are not released yet, the current one among them. */
  get viewsHeld(): number {
    return this.#views
  }

  /** Bytes kept of scripts between questions, as estimated. */
  get scriptCacheBytes(): number {
    return this.#scripts.bytes
  }

  /** Uses that have not settled. */
  get usesRunning(): number {
    return this.#uses
  }

  /**
   * Makes `view`, with the mempool as it is now, the current moment and tells the listeners. The hub owns the view from
   * here on and releases it. What a script has in this view and had not in the one before must be touched by `change` or
   * by one that came with a renewal in between: what is not is answered as before. A view of the same tip says the same of
   * all scripts, however its rows lie.
   */
  publish(view: ChainView, change: MomentChange): void {
    this.#views += 1
    const before = this.#current?.held.view
    if (before !== undefined && equalBytes(view.tip.hash, before.tip.hash)) this.#scripts.touch(change.touched)
    else this.#scripts.advance(change.touched, before === undefined || standsOn(view, before) ? 'longer' : 'other')
    this.#replace({ view, holders: 0 }, change)
  }

  /** Publishes the mempool as it is now with the view that is current already. Throws InvariantError if there is none. */
  renew(change: MomentChange): void {
    invariant(this.#current !== undefined, 'no view was published yet')
    this.#scripts.touch(change.touched)
    this.#replace(this.#current.held, change)
  }

  async with<T>(use: (moment: Moment) => Awaitable<T>): Promise<T> {
    return this.use(use)
  }

  use<T>(use: (moment: Moment) => Awaitable<T>): Awaitable<T> {
    const current = this.#current
    if (current === undefined) {
      throw new RpcError(ERROR_CODES.busy.code, 'the index has not reached the tip of the chain yet')
    }
    const { moment, held } = current
    held.holders += 1
    this.#uses += 1
    let result: Awaitable<T>
    try {
      result = use(moment)
    } catch (error) {
      this.#used(held)
      throw error
    }
    if (result instanceof Promise) {
      // Not finally(), which makes three promises more.
      return result.then(
        (value: T) => {
          this.#used(held)
          return value
        },
        (error: unknown) => {
          this.#used(held)
          throw error
        },
      )
    }
    this.#used(held)
    return result
  }

  #used(held: HeldView): void {
    this.#uses -= 1
    this.#letGo(held)
  }

  listen(listener: (news: MomentNews) => void, signal: AbortSignal): void {
    if (signal.aborted) return
    // A function of its own each time, so that the same listener can listen twice.
    const entry = (news: MomentNews): void => listener(news)
    this.#listeners.add(entry)
    signal.addEventListener('abort', () => this.#listeners.delete(entry), { once: true })
  }

  /** Lets go of the current moment: nothing is served any more. Uses that run end as usual. */
  close(): void {
    const before = this.#current
    this.#current = undefined
    if (before !== undefined) this.#letGo(before.held)
  }

  #replace(held: HeldView, change: MomentChange): void {
    const before = this.#current
    held.holders += 1
    const mempool = this.#mempool.snapshot()
    this.#current = {
      moment: new LiveMoment(this.#options, { view: held.view, mempool, scripts: this.#scripts }),
      held,
    }
    if (before !== undefined) this.#letGo(before.held)
    const news = { ...change, stirred: this.#mempool.takeStirred() }
    for (const listener of this.#listeners) listener(news)
  }

  #letGo(held: HeldView): void {
    invariant(held.holders > 0, 'a view is let go of more often than it is held')
    held.holders -= 1
    if (held.holders > 0) return
    this.#views -= 1
    held.view.release()
  }
}

/** True if `view` has the tip of `before`, so that all that was confirmed then still is. */
function standsOn(view: ChainView, before: ChainView): boolean {
  const { height } = before.tip
  if (height < 0) return true
  const [one, other] = [view.header(height), before.header(height)]
  return one !== undefined && other !== undefined && equalBytes(one, other)
}
