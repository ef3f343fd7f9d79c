/** Something that has begun and not ended, as a link of the list it is in. The two neighbours are the list's to set. */
export interface InFlight {
  /** On the monotonic clock. */
  readonly started: number
  before: InFlight | undefined
  after: InFlight | undefined
  abort(error: Error): void
}

/**
 * What has begun, in that order. Of what an idle session holds, an empty Set would be the largest part, and one that is
 * filled and emptied a hundred thousand times a second leaves a table behind every few times; this is three words.
 */
export class InFlightList {
  #first: InFlight | undefined
  #last: InFlight | undefined
  #count = 0

  get count(): number {
    return this.#count
  }

  /** `entry` must be in no list. */
  add(entry: InFlight): void {
    entry.before = this.#last
    entry.after = undefined
    if (this.#last === undefined) this.#first = entry
    else this.#last.after = entry
    this.#last = entry
    this.#count++
  }

  /** False, and nothing changes, if it has gone already. */
  delete(entry: InFlight): boolean {
    if (this.#first !== entry && entry.before === undefined) return false
    const { before, after } = entry
    if (before === undefined) this.#first = after
    else before.after = after
    if (after === undefined) this.#last = before
    else after.before = before
    entry.before = undefined
    entry.after = undefined
    this.#count--
    return true
  }

  /** The oldest first; as they are now, whatever goes or comes meanwhile. */
  all(): readonly InFlight[] {
    const entries: InFlight[] = []
    for (let entry = this.#first; entry !== undefined; entry = entry.after) entries.push(entry)
    return entries
  }
}
