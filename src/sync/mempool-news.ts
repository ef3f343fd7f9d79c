import type { DaemonNotice } from '../daemon/daemon.ts'
import type { MempoolNews } from '../mempool/mempool.ts'

/** More news than this are not kept: asking for the whole list is cheaper then. */
const MOST_NEWS = 5_000

/**
 * What the node said by itself of its mempool since it was last asked, and whether that can be relied on. The whole list
 * of a large mempool is megabytes; while the notices are good it need not be asked for at every change.
 */
export class NewsDesk {
  /** The last word on each transaction, in the order of those words. */
  readonly #words = new Map<string, { readonly added: boolean; readonly sequence: bigint }>()
  /** Nothing was lost since the last list. */
  #complete = false
  /** The last list had nothing that was not heard of. */
  #good = false

  /** True if take() gives all that changed since the last list, as far as can be known. */
  get trusted(): boolean {
    return this.#good && this.#complete
  }

  hear(notice: DaemonNotice): void {
    switch (notice.kind) {
      case 'tx-added':
      case 'tx-removed':
        this.#words.delete(notice.txid)
        this.#words.set(notice.txid, { added: notice.kind === 'tx-added', sequence: notice.sequence })
        if (this.#words.size > MOST_NEWS) this.lose()
        break
      case 'gap':
        this.lose()
        break
      case 'silence':
        // Until it is shown again that what changes is heard of.
        this.#good = false
        this.lose()
        break
      case 'block-connected':
      case 'block-disconnected':
        break
    }
  }

  /** Takes out what was heard. */
  take(): MempoolNews {
    const news = { added: [] as string[], removed: [] as string[] }
    for (const [txid, { added }] of this.#words) (added ? news.added : news.removed).push(txid)
    this.#words.clear()
    return news
  }

  /** Something was lost: only a list can tell what is in the mempool now. */
  lose(): void {
    this.#complete = false
    this.#words.clear()
  }

  /** A list is about to be asked for: what is heard from here on comes after it, or is in it. */
  beginList(): void {
    this.#complete = true
  }

  /**
   * A list has been taken over: `sequence` is its place among the notices, if the node told it, and `changed` are the
   * transactions that it showed to have come or gone. If all of them were heard of, the notices are good; if not, they
   * are those of another node, or do not reach us.
   */
  endList(sequence: number | undefined, changed: readonly string[]): void {
    if (changed.some((txid) => !this.#words.has(txid))) this.#good = false
    else if (this.#words.size > 0) this.#good = true
    if (sequence === undefined) return
    // A notice bears the number that the sequence had before it.
    for (const [txid, word] of this.#words) if (word.sequence < BigInt(sequence)) this.#words.delete(txid)
  }
}
