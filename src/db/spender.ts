import { setImmediate as nextTurn } from 'node:timers/promises'
import { equalBytes, readUint32LE } from '../lib/bytes.ts'
import { outpointTag, TAG_SIZE } from './block-delta.ts'
import type { FilesReader } from './files.ts'
import type { HeaderList } from './header-table.ts'

/** Transactions whose inputs are looked through at the same time. */
const AT_ONCE = 32
/** Of these, before others get a turn: a millisecond's work, where nothing has to be waited for. */
const PER_TURN = 4

/** Looks through the inputs of transactions for the one that spends an outpoint. */
export class SpenderSearch {
  readonly #files: FilesReader
  readonly #headers: HeaderList
  readonly #tag: Uint8Array
  readonly #looked: (transactions: number) => void
  #rounds = 0

  constructor(
    files: FilesReader,
    headers: HeaderList,
    outpoint: Uint8Array,
    looked: (transactions: number) => void = () => {},
  ) {
    this.#files = files
    this.#headers = headers
    this.#tag = outpointTag(outpoint)
    this.#looked = looked
  }

  /** The first of these transactions with an input that has the tag of the outpoint. */
  async firstOf(txNums: readonly number[]): Promise<number | undefined> {
    for (let at = 0; at < txNums.length; at += AT_ONCE) {
      const some = txNums.slice(at, at + AT_ONCE)
      if (++this.#rounds % PER_TURN === 0) await nextTurn()
      this.#looked(some.length)
      const spends = await Promise.all(some.map((txNum) => this.#spends(txNum)))
      const found = spends.indexOf(true)
      if (found !== -1) return some[found]
    }
    return undefined
  }

  async #spends(txNum: number): Promise<boolean> {
    const { inputStarts, inputTags } = this.#files
    const headers = this.#headers
    const height = headers.heightOf(txNum)
    const isLast = txNum + 1 === headers.txCount(height)
    const starts = await inputStarts.rows(txNum, isLast ? 1 : 2)
    const below = headers.inputCount(height - 1)
    const start = below + readUint32LE(starts, 0)
    const end = isLast ? headers.inputCount(height) : below + readUint32LE(starts, 4)
    const tags = await inputTags.rows(start, end - start)
    for (let input = 0; input < end - start; input++) {
      if (equalBytes(tags.subarray(input * TAG_SIZE, (input + 1) * TAG_SIZE), this.#tag)) return true
    }
    return false
  }
}
