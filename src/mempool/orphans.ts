import type { Candidate } from './entry.ts'

/**
 * Candidates of which a parent is not known yet: not fetched so far, or in a block that the index does not have. At
 * most `limit` are kept; one that does not fit is fetched again at the next round.
 */
export class Orphans {
  readonly #limit: number
  readonly #byTxid = new Map<string, { readonly candidate: Candidate; readonly parent: string }>()
  readonly #byParent = new Map<string, Set<Candidate>>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#byTxid.size
  }

  has(txid: string): boolean {
    return this.#byTxid.has(txid)
  }

  txids(): MapIterator<string> {
    return this.#byTxid.keys()
  }

  /** False if there is no room. `parent` is the id, as displayed, of one that is missing. */
  add(candidate: Candidate, parent: string): boolean {
    if (this.#byTxid.size >= this.#limit) return false
    this.#byTxid.set(candidate.txid, { candidate, parent })
    const siblings = this.#byParent.get(parent)
    if (siblings === undefined) this.#byParent.set(parent, new Set([candidate]))
    else siblings.add(candidate)
    return true
  }

  delete(txid: string): void {
    const orphan = this.#byTxid.get(txid)
    if (orphan === undefined) return
    this.#byTxid.delete(txid)
    const siblings = this.#byParent.get(orphan.parent)
    siblings?.delete(orphan.candidate)
    if (siblings?.size === 0) this.#byParent.delete(orphan.parent)
  }

  /** Takes out those that waited for `parent`. */
  takeChildren(parent: string): readonly Candidate[] {
    const children = [...(this.#byParent.get(parent) ?? [])]
    for (const child of children) this.delete(child.txid)
    return children
  }

  takeAll(): readonly Candidate[] {
    const all = Array.from(this.#byTxid.values(), ({ candidate }) => candidate)
    this.#byTxid.clear()
    this.#byParent.clear()
    return all
  }
}
