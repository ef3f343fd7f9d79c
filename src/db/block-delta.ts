import type { ParsedBlock } from '../chain/block.ts'
import { HASHX_SIZE } from '../chain/script.ts'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { TXID_KEY_SIZE } from './layout.ts'
import type { SpentOutputs } from './spent.ts'

/** Bytes of a tag: see outpointTag. */
export const TAG_SIZE = 8
/** First TXID_KEY_SIZE bytes of a txid, and the output index (u32 LE): what an output is told apart by in memory. */
export const PLACE_SIZE = TXID_KEY_SIZE + 4

/** What the files keep of a block besides its ids. */
export interface InputRows {
  /** Number of each transaction's first input inside the block: an entry for each transaction. */
  readonly inputStarts: Uint32Array
  /** TAG_SIZE bytes for each input, that of the coinbase among them. */
  readonly inputTags: Uint8Array
}

/**
 * What a block changes in the indexes that every coin has, as flat arrays: `txs` count inside the block. Plain data that
 * crosses to another thread as it is.
 */
export interface BlockDelta extends InputRows {
  readonly txCount: number
  readonly inputCount: number
  /** Outputs that can be spent, in the order of the block. */
  readonly outs: {
    readonly hashXs: Uint8Array
    readonly txs: Uint32Array
    readonly indexes: Uint32Array
    /** Satoshis. */
    readonly values: Float64Array
  }
  /** Inputs but those of the coinbase, in the order of the block. */
  readonly spends: {
    readonly hashXs: Uint8Array
    readonly txs: Uint32Array
    /** PLACE_SIZE bytes each: the output spent. */
    readonly places: Uint8Array
  }
  /** Each pair of a transaction and a script that it pays to or spends from, once, in the order of transactions. */
  readonly touches: Scripts
  /** Those of them that only an index of the coin has named. */
  readonly listed: Scripts
}

interface Scripts {
  readonly hashXs: Uint8Array
  readonly txs: Uint32Array
}

const NO_SCRIPTS = { hashXs: new Uint8Array(0), txs: new Uint32Array(0) }

/** Of genesis, whose transaction is in no index. */
export const EMPTY_DELTA: BlockDelta = {
  txCount: 0,
  inputCount: 0,
  inputStarts: new Uint32Array(0),
  inputTags: new Uint8Array(0),
  outs: { ...NO_SCRIPTS, indexes: new Uint32Array(0), values: new Float64Array(0) },
  spends: { ...NO_SCRIPTS, places: new Uint8Array(0) },
  touches: NO_SCRIPTS,
  listed: NO_SCRIPTS,
}

/** What `block` changes, where its inputs spend `spent`. */
export function blockDelta(block: ParsedBlock, spent: SpentOutputs): BlockDelta {
  return {
    txCount: block.txCount,
    inputCount: block.inputCount,
    ...inputRows(block),
    outs: outsOf(block),
    spends: spendsOf(block, spent),
    touches: new Touches(block, spent).collect(),
    listed: NO_SCRIPTS,
  }
}

export function inputRows(block: ParsedBlock): InputRows {
  return { inputStarts: block.inputStart.slice(0, block.txCount), inputTags: tagsOf(block) }
}

/**
 * Eight bytes that an input is found by among others: the first of the txid that it spends, the last four of them mixed
 * with the output index. Outputs with equal tags can be made on purpose (2^32 hashes), so a tag found is a hint.
 */
export function outpointTag(outpoint: Uint8Array): Uint8Array {
  const tag = new Uint8Array(TAG_SIZE)
  writeTag(tag, 0, outpoint, 0)
  return tag
}

function writeTag(target: Uint8Array, at: number, source: Uint8Array, offset: number): void {
  for (let i = 0; i < 4; i++) {
    target[at + i] = source[offset + i] ?? 0
    target[at + 4 + i] = (source[offset + 4 + i] ?? 0) ^ (source[offset + 32 + i] ?? 0)
  }
}

function tagsOf({ raw, inputCount, inputOffsets }: ParsedBlock): Uint8Array {
  const tags = new Uint8Array(inputCount * TAG_SIZE)
  for (let input = 0; input < inputCount; input++) writeTag(tags, input * TAG_SIZE, raw, inputOffsets[input] ?? 0)
  return tags
}

function outsOf(block: ParsedBlock): BlockDelta['outs'] {
  let count = 0
  for (let output = 0; output < block.outputCount; output++) if (block.unspendable[output] === 0) count += 1
  const hashXs = new Uint8Array(count * HASHX_SIZE)
  const txs = new Uint32Array(count)
  const indexes = new Uint32Array(count)
  const values = new Float64Array(count)
  let at = 0
  for (let tx = 0; tx < block.txCount; tx++) {
    const start = block.outputStart[tx] ?? 0
    const end = block.outputStart[tx + 1] ?? 0
    for (let output = start; output < end; output++) {
      if (block.unspendable[output] !== 0) continue
      copyHashX(hashXs, at, block.hashXs, output)
      txs[at] = tx
      indexes[at] = output - start
      values[at] = block.outputValues[output] ?? 0
      at += 1
    }
  }
  return { hashXs, txs, indexes, values }
}

function spendsOf(block: ParsedBlock, spent: SpentOutputs): BlockDelta['spends'] {
  const first = block.inputStart[1] ?? 0
  const count = block.inputCount - first
  const txs = new Uint32Array(count)
  const places = new Uint8Array(count * PLACE_SIZE)
  for (let tx = 1; tx < block.txCount; tx++) {
    const end = block.inputStart[tx + 1] ?? 0
    for (let input = block.inputStart[tx] ?? 0; input < end; input++) {
      txs[input - first] = tx
      writePlace(places, (input - first) * PLACE_SIZE, block.raw, block.inputOffsets[input] ?? 0)
    }
  }
  return { hashXs: spent.hashXs.subarray(first * HASHX_SIZE), txs, places }
}

/** Writes the place that an outpoint (36 bytes at `offset` of `source`) names. */
export function writePlace(target: Uint8Array, at: number, source: Uint8Array, offset: number): void {
  for (let i = 0; i < TXID_KEY_SIZE; i++) target[at + i] = source[offset + i] ?? 0
  for (let i = 0; i < 4; i++) target[at + TXID_KEY_SIZE + i] = source[offset + 32 + i] ?? 0
}

/** A transaction (counted inside the block) that is to be in the history of a hashX (one character a byte) as well. */
export interface ListedTx {
  readonly hashX: string
  readonly tx: number
}

/** `delta` with further touches, each of them once. */
export function withListed(delta: BlockDelta, listed: readonly ListedTx[]): BlockDelta {
  if (listed.length === 0) return delta
  const { touches } = delta
  const all = Array.from(touches.txs, (tx, at): ListedTx => {
    const bytes = touches.hashXs.subarray(at * HASHX_SIZE, (at + 1) * HASHX_SIZE)
    return { hashX: toLatin1(bytes), tx }
  })
  const seen = new Set<string>()
  const once = [...all, ...listed]
    .sort((a, b) => a.tx - b.tx)
    .filter(({ hashX, tx }) => {
      const text = `${tx} ${hashX}`
      return seen.has(text) ? false : seen.add(text)
    })
  return { ...delta, touches: scriptsOf(once), listed: scriptsOf(listed) }
}

function scriptsOf(listed: readonly ListedTx[]): Scripts {
  const hashXs = new Uint8Array(listed.length * HASHX_SIZE)
  for (const [at, { hashX }] of listed.entries()) hashXs.set(fromLatin1(hashX), at * HASHX_SIZE)
  return { hashXs, txs: Uint32Array.from(listed, ({ tx }) => tx) }
}

/** Scripts of one transaction that are looked through one by one; with more of them a Set is faster. */
const FEW = 24

/** Collects the scripts of each transaction without those that it touches again. */
class Touches {
  readonly #block: ParsedBlock
  readonly #spent: SpentOutputs
  readonly #hashXs: Uint8Array
  readonly #view: DataView
  readonly #txs: Uint32Array
  #count = 0
  /** Where the scripts of the transaction under way begin. */
  #start = 0
  #seen: Set<string> | undefined

  constructor(block: ParsedBlock, spent: SpentOutputs) {
    this.#block = block
    this.#spent = spent
    const most = block.inputCount + block.outputCount
    this.#hashXs = new Uint8Array(most * HASHX_SIZE)
    this.#view = new DataView(this.#hashXs.buffer)
    this.#txs = new Uint32Array(most)
  }

  collect(): BlockDelta['touches'] {
    const { txCount, inputStart, outputStart, unspendable, hashXs } = this.#block
    for (let tx = 0; tx < txCount; tx++) {
      const [inputs, inputsEnd] = [inputStart[tx] ?? 0, inputStart[tx + 1] ?? 0]
      const [outputs, outputsEnd] = [outputStart[tx] ?? 0, outputStart[tx + 1] ?? 0]
      this.#start = this.#count
      this.#seen = inputsEnd - inputs + outputsEnd - outputs > FEW ? new Set() : undefined
      // The coinbase spends nothing.
      if (tx > 0) for (let input = inputs; input < inputsEnd; input++) this.#note(this.#spent.hashXs, input, tx)
      for (let output = outputs; output < outputsEnd; output++) {
        if (unspendable[output] === 0) this.#note(hashXs, output, tx)
      }
    }
    return { hashXs: this.#hashXs.slice(0, this.#count * HASHX_SIZE), txs: this.#txs.slice(0, this.#count) }
  }

  #note(source: Uint8Array, index: number, tx: number): void {
    const at = this.#count
    copyHashX(this.#hashXs, at, source, index)
    if (this.#isSeen(at)) return
    this.#txs[at] = tx
    this.#count = at + 1
  }

  #isSeen(at: number): boolean {
    if (this.#seen !== undefined) {
      const start = at * HASHX_SIZE
      const text = String.fromCharCode(...this.#hashXs.subarray(start, start + HASHX_SIZE))
      if (this.#seen.has(text)) return true
      this.#seen.add(text)
      return false
    }
    const view = this.#view
    const offset = at * HASHX_SIZE
    const [a, b, c] = [view.getUint32(offset), view.getUint32(offset + 4), view.getUint32(offset + 7)]
    for (let other = this.#start * HASHX_SIZE; other < offset; other += HASHX_SIZE) {
      if (view.getUint32(other) === a && view.getUint32(other + 4) === b && view.getUint32(other + 7) === c) return true
    }
    return false
  }
}

function copyHashX(target: Uint8Array, at: number, source: Uint8Array, index: number): void {
  const to = at * HASHX_SIZE
  const from = index * HASHX_SIZE
  for (let i = 0; i < HASHX_SIZE; i++) target[to + i] = source[from + i] ?? 0
}
