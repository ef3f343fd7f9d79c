import { type ParsedBlock, txAt, txidAt } from '../chain/block.ts'
import type { BlockContext } from '../db/indexer.ts'
import { TXID_KEY_SIZE } from '../db/layout.ts'
import { asBuffer, readUint32LE, toLatin1 } from '../lib/bytes.ts'
import { applyTx } from './apply-tx.ts'
import type { AtomicalsHeights } from './constants.ts'
import type { PlaceFilter } from './filter.ts'
import { type AtomicalsRules, rulesAt } from './height-rules.ts'
import { historyKey } from './id-text.ts'
import { MARKER } from './interest.ts'
import { ACTIVITY, LOCATIONS, type PlaceKey } from './layout.ts'
import { type Ledger, type PlacedTx, placeText } from './ledger.ts'
import { findOperation } from './operation.ts'
import type { TickerMemory } from './steps/distribute.ts'
import { type CommitPlace, knownCommit } from './steps/mint.ts'

/** One block on its way through the rules: only the transactions that can matter are looked at. */
export class BlockRun {
  readonly #context: BlockContext
  readonly #ledger: Ledger
  readonly #heights: AtomicalsHeights
  readonly #rules: AtomicalsRules
  readonly #tickers: TickerMemory = new Map()
  /** Positions of the block's transactions by id, once one is asked for. */
  #positions: Map<string, number> | undefined

  constructor(heights: AtomicalsHeights, context: BlockContext, ledger: Ledger) {
    this.#heights = heights
    this.#rules = rulesAt(heights, context.height)
    this.#context = context
    this.#ledger = ledger
  }

  /**
   * Applies the block; positions of the transactions that its hash has. `filter`: outputs made before that may carry
   * something; all of them without it.
   */
  async apply(filter: PlaceFilter | undefined): Promise<number[]> {
    const { block } = this.#context
    const relevant = markedTxs(block)
    await this.#addSpenders(relevant, filter)
    const counted: number[] = []
    for (let tx = 0; tx < block.txCount; tx++) {
      if (!relevant.has(tx) && !this.#spendsOwnCarrier(tx)) continue
      if (await this.#applyTx(tx)) counted.push(tx)
    }
    return counted
  }

  /** Adds transactions that spend, of outputs made before this block, some that carry something. */
  async #addSpenders(relevant: Set<number>, filter: PlaceFilter | undefined): Promise<void> {
    const { block, overlay } = this.#context
    const found: { readonly tx: number; readonly key: string }[] = []
    for (let tx = 1; tx < block.txCount; tx++) {
      const end = block.inputStart[tx + 1] ?? 0
      for (let input = block.inputStart[tx] ?? 0; input < end; input++) {
        const offset = block.inputOffsets[input] ?? 0
        if (filter?.mayHave(block.raw, offset) === false) continue
        found.push({ tx, key: LOCATIONS.keyText(placeAt(block.raw, offset)) })
      }
    }
    if (found.length === 0) return
    await overlay.prefetch(found.map(({ key }) => key))
    for (const { tx, key } of found) if (overlay.getText(key) !== undefined) relevant.add(tx)
  }

  /** True if a transaction spends what carries something since this very block. */
  #spendsOwnCarrier(tx: number): boolean {
    const { carriers } = this.#ledger
    const { block } = this.#context
    if (carriers.size === 0) return false
    const end = block.inputStart[tx + 1] ?? 0
    for (let input = block.inputStart[tx] ?? 0; input < end; input++) {
      if (carriers.has(placeText(placeAt(block.raw, block.inputOffsets[input] ?? 0)))) return true
    }
    return false
  }

  /** True if the block hash has the transaction. */
  async #applyTx(index: number): Promise<boolean> {
    const { block, firstTxNum, height, overlay } = this.#context
    const tx = txAt(block, index)
    const placed: PlacedTx = { tx, txid: txidAt(block, index), txNum: firstTxNum + index, height }
    const found = findOperation(tx, { argsMayHaveBytes: this.#rules.density })
    const spent = index === 0 ? [] : this.#ledger.spendInputs(placed)
    const input = { placed, spent, operation: found, commitOf: () => this.#commitOf(index) }
    const result = await applyTx(this.#ledger, input, this.#tickers, this.#rules)
    const { counts, activity, operation, listedUnder } = result
    if (activity !== undefined) overlay.insert(ACTIVITY, { txNum: placed.txNum }, activity)
    if (!counts) return false
    if (operation !== undefined) this.#ledger.keepPayload(placed.txNum, operation)
    for (const id of listedUnder) this.#list(id, placed.txNum)
    return true
  }

  /** Lists a transaction in the ordinary history: see historyKey. */
  #list(id: string, txNum: number): void {
    const hashX = toLatin1(historyKey(id))
    this.#context.list(hashX, txNum)
    this.#context.touched.add(hashX)
  }

  /** Where the transaction stands whose output the first input of a transaction spends. */
  #commitOf(index: number): CommitPlace | undefined {
    const { block, firstTxNum, height } = this.#context
    if (index === 0) return undefined
    const input = block.inputStart[index] ?? 0
    const txNum = this.#context.fundedBy(input)
    if (txNum === undefined) {
      const position = this.#positionOf(input)
      const place = position === undefined ? undefined : { txNum: firstTxNum + position, height }
      return knownCommit(place, this.#heights.start)
    }
    return knownCommit({ txNum, height: this.#context.headers.heightOf(txNum) }, this.#heights.start)
  }

  /** Position of the transaction of this block whose output an input spends. */
  #positionOf(input: number): number | undefined {
    const { block } = this.#context
    if (this.#positions === undefined) {
      this.#positions = new Map()
      for (let tx = 0; tx < block.txCount; tx++) this.#positions.set(toLatin1(txidAt(block, tx)), tx)
    }
    const offset = block.inputOffsets[input] ?? 0
    return this.#positions.get(toLatin1(block.raw.subarray(offset, offset + 32)))
  }
}

/** Transactions with the bytes that every envelope and every payment marker has. */
function markedTxs(block: ParsedBlock): Set<number> {
  const raw = asBuffer(block.raw)
  const found = new Set<number>()
  let tx = 0
  for (let at = raw.indexOf(MARKER); at >= 0; ) {
    while ((block.txOffsets[tx + 1] ?? raw.length) <= at) tx += 1
    found.add(tx)
    // The rest of this transaction says nothing new.
    at = raw.indexOf(MARKER, block.txOffsets[tx + 1] ?? raw.length)
  }
  return found
}

/** Key of the output whose outpoint is at `offset`. */
function placeAt(raw: Uint8Array, offset: number): PlaceKey {
  return { txid: raw.subarray(offset, offset + TXID_KEY_SIZE), vout: readUint32LE(raw, offset + 32) }
}
