import type { MomentNews } from '../mempool/moment.ts'
import type { Topic, TopicStatus } from '../rpc/topic.ts'
import { append, common, remove } from './outpoint-watch.ts'

/** A status that time alone may change. */
interface Unsettled {
  /** Height that it was worked out at. */
  at: number
  settledAt: number
}

/** Topics that somebody follows, and what has to happen until one of them is looked at again. */
export class TopicWatch {
  readonly #topics = new Map<string, Topic>()
  readonly #byConcern = new Map<string, Set<string>>()
  readonly #unsettled = new Map<string, Unsettled>()
  /** Touched, but not by a new tip: of a block, perhaps, whose tip is yet to be published. */
  readonly #deferred = new Set<string>()

  get size(): number {
    return this.#topics.size
  }

  get(key: string): Topic | undefined {
    return this.#topics.get(key)
  }

  /** `found`: its status at `height`. */
  add(topic: Topic, found: TopicStatus, height: number): void {
    const { key, concern } = topic
    if (!this.#topics.has(key)) {
      this.#topics.set(key, topic)
      append(this.#byConcern, concern, key)
    }
    this.settle(key, found, height)
  }

  /** Notes what was found of a topic at a height. */
  settle(key: string, { settledAt }: TopicStatus, height: number): void {
    if (!this.#topics.has(key)) return
    if (settledAt <= 0) this.#unsettled.delete(key)
    else this.#unsettled.set(key, { at: height, settledAt })
  }

  delete(key: string): void {
    const topic = this.#topics.get(key)
    if (topic === undefined) return
    this.#topics.delete(key)
    remove(this.#byConcern, topic.concern, key)
    this.#unsettled.delete(key)
    this.#deferred.delete(key)
  }

  /** Keys of the topics that were touched: all of them once there is a new tip. */
  among({ newTip, touched }: MomentNews): readonly string[] {
    for (const concern of common(touched, this.#byConcern)) {
      for (const key of this.#byConcern.get(concern) ?? []) this.#deferred.add(key)
    }
    if (!newTip) return []
    const due = [...this.#deferred]
    this.#deferred.clear()
    return due
  }

  /** Keys of those whose status may be another one at `height` although nothing has touched them. */
  *unsettled(height: number): Iterable<string> {
    for (const [key, { at, settledAt }] of this.#unsettled) if (at < settledAt || height < settledAt) yield key
  }
}
