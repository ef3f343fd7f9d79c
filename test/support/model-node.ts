import { hashXOf, isUnspendable } from '../../src/chain/script.ts'
import { parseWholeTx, serializeTx, type Tx } from '../../src/chain/tx.ts'
import type { DaemonNotice } from '../../src/daemon/daemon.ts'
import { UtxoList } from '../../src/db/utxo-list.ts'
import type { ChainView, HistoryItem, OutputInfo, OutputSum, Tip, TxPosition, Utxo } from '../../src/db/view.ts'
import { concat, equalBytes, fromHex, toDisplayHex, toHex, toLatin1, writeUint32LE } from '../../src/lib/bytes.ts'
import { sha256d } from '../../src/lib/hash.ts'
import type { MempoolItem, MempoolUtxo } from '../../src/mempool/moment.ts'

/*
 * A node and its index as somebody would write them who does not care for speed: everything is computed from the list
 * of blocks and the list of unconfirmed transactions, each time anew. What the real ones answer is compared with it.
 */

export interface ModelBlock {
  readonly hash: Uint8Array
  readonly txs: readonly Tx[]
}

export interface Spendable {
  readonly txid: Uint8Array
  readonly vout: number
  readonly value: bigint
}

/** Script number `n` of the model's world; number 0 is unspendable. */
export function scriptNumber(n: number): Uint8Array {
  return n === 0 ? fromHex('6a0141') : concat(fromHex('51'), Uint8Array.of(1, n & 0xff, 1, (n >>> 8) & 0xff))
}

export function outpointBytes(txid: Uint8Array, vout: number): Uint8Array {
  const index = new Uint8Array(4)
  writeUint32LE(index, vout, 0)
  return concat(txid, index)
}

let serial = 0

/** A transaction that exists once: two calls with the same arguments give different ids. */
export function makeTx(
  spends: readonly { readonly txid: Uint8Array; readonly vout: number }[],
  pays: readonly { readonly script: number; readonly value: bigint }[],
  witnessBytes = 0,
): Tx {
  serial += 1
  const coinbase = { txid: new Uint8Array(32), vout: 0xffff_ffff }
  const inputs = (spends.length === 0 ? [coinbase] : spends).map(({ txid, vout }) => ({
    prevTxid: txid,
    prevIndex: vout,
    script: new Uint8Array(0),
    sequence: 0xffff_fffd,
    witness: witnessBytes > 0 ? [new Uint8Array(witnessBytes)] : [],
  }))
  const outputs = pays.map(({ script, value }) => ({ value, script: scriptNumber(script) }))
  return parseWholeTx(serializeTx({ version: 2, inputs, outputs, locktime: serial }))
}

const key = (txid: Uint8Array, vout: number): string => toLatin1(outpointBytes(txid, vout))

function fee(tx: Tx, lookup: (prevout: string) => { value: bigint } | undefined): bigint {
  let sum = 0n
  for (const input of tx.inputs) sum += lookup(key(input.prevTxid, input.prevIndex))?.value ?? 0n
  for (const output of tx.outputs) sum -= output.value
  return sum
}

export class ModelNode {
  blocks: ModelBlock[] = []
  mempool = new Map<string, Tx>()
  /** What a node would say over ZMQ of its mempool, in order: nothing of transactions that a block confirms. */
  readonly notices: (DaemonNotice & { readonly kind: 'tx-added' | 'tx-removed' })[] = []

  constructor() {
    this.connect([])
  }

  get height(): number {
    return this.blocks.length - 1
  }

  get tipHash(): string {
    return toDisplayHex(this.blocks.at(-1)!.hash)
  }

  /** Mines `txs` after a coinbase; what is in the mempool and now confirmed or in conflict leaves it. */
  connect(txs: readonly Tx[]): ModelBlock {
    const coinbase = makeTx(
      [],
      [
        { script: 1 + (this.blocks.length % 3), value: 50_0000_0000n },
        { script: 4, value: 25_0000_0000n },
      ],
    )
    const all = [coinbase, ...txs]
    const block = { hash: sha256d(concat(...all.map(({ txid }) => txid))), txs: all }
    this.blocks.push(block)
    for (const tx of txs) this.mempool.delete(toDisplayHex(tx.txid))
    const spent = new Set(txs.flatMap((tx) => tx.inputs.map((input) => key(input.prevTxid, input.prevIndex))))
    for (const tx of this.mempool.values()) {
      if (tx.inputs.some((input) => spent.has(key(input.prevTxid, input.prevIndex)))) this.evict(tx)
    }
    return block
  }

  /** Takes the best block back; its transactions return to the mempool, but for what is not valid any more. */
  disconnect(): ModelBlock {
    const block = this.blocks.pop()!
    const before = [...this.mempool]
    this.mempool = new Map()
    for (const tx of block.txs.slice(1)) {
      this.mempool.set(toDisplayHex(tx.txid), tx)
      this.#say('tx-added', toDisplayHex(tx.txid))
    }
    for (const [txid, tx] of before) this.mempool.set(txid, tx)
    for (const tx of this.mempool.values()) {
      if (this.mempool.has(toDisplayHex(tx.txid)) && !this.#inputsExist(tx)) this.evict(tx)
    }
    return block
  }

  /** Takes a transaction in; what it is in conflict with is replaced. */
  accept(tx: Tx): void {
    const spent = new Set(tx.inputs.map((input) => key(input.prevTxid, input.prevIndex)))
    for (const other of this.mempool.values()) {
      if (other.inputs.some((input) => spent.has(key(input.prevTxid, input.prevIndex)))) this.evict(other)
    }
    if (!this.#inputsExist(tx)) return
    this.mempool.set(toDisplayHex(tx.txid), tx)
    this.#say('tx-added', toDisplayHex(tx.txid))
  }

  /** Removes a transaction and all that depend on it. */
  evict(tx: Tx): void {
    const txid = toDisplayHex(tx.txid)
    if (!this.mempool.delete(txid)) return
    this.#say('tx-removed', txid)
    for (const other of this.mempool.values()) {
      if (other.inputs.some((input) => toDisplayHex(input.prevTxid) === txid)) this.evict(other)
    }
  }

  #say(kind: 'tx-added' | 'tx-removed', txid: string): void {
    this.notices.push({ kind, txid, sequence: BigInt(this.notices.length) })
  }

  #inputsExist(tx: Tx): boolean {
    const confirmed = this.confirmedUnspent()
    return tx.inputs.every(
      (input) =>
        confirmed.has(key(input.prevTxid, input.prevIndex)) ||
        this.mempool.get(toDisplayHex(input.prevTxid))?.outputs[input.prevIndex] !== undefined,
    )
  }

  /** Outputs unspent at the tip, whatever the mempool spends. */
  confirmedUnspent(): Map<string, Utxo & { readonly hashX: string }> {
    const unspent = new Map<string, Utxo & { readonly hashX: string }>()
    let txNum = 0
    for (const [height, { txs }] of this.blocks.entries()) {
      for (const { txid, inputs, outputs } of txs) {
        for (const input of inputs) unspent.delete(key(input.prevTxid, input.prevIndex))
        for (const [vout, { script, value }] of outputs.entries()) {
          if (isUnspendable(script)) continue
          unspent.set(key(txid, vout), { txid, vout, txNum, height, value, hashX: toLatin1(hashXOf(script)) })
        }
        txNum += 1
      }
    }
    return unspent
  }

  /** Outputs that a new transaction could spend, confirmed or not. */
  spendable(): Spendable[] {
    const spent = new Set<string>()
    for (const tx of this.mempool.values()) {
      for (const input of tx.inputs) spent.add(key(input.prevTxid, input.prevIndex))
    }
    const found: Spendable[] = [...this.confirmedUnspent().values()]
    for (const tx of this.mempool.values()) {
      for (const [vout, { value, script }] of tx.outputs.entries()) {
        if (!isUnspendable(script)) found.push({ txid: tx.txid, vout, value })
      }
    }
    return found.filter(({ txid, vout }) => !spent.has(key(txid, vout)))
  }

  /** Mempool transactions parents first, of which the first few make a block. */
  minable(): Tx[] {
    const left = new Map(this.mempool)
    const sorted: Tx[] = []
    while (left.size > 0) {
      for (const [txid, tx] of left) {
        if (tx.inputs.some((input) => left.has(toDisplayHex(input.prevTxid)))) continue
        left.delete(txid)
        sorted.push(tx)
      }
    }
    return sorted
  }

  /** Everything a mempool view says of a script. */
  unconfirmed(hashX: string): ScriptAnswers {
    const confirmed = this.confirmedUnspent()
    const coin = (prevout: string): { hashX: string; value: bigint } | undefined => {
      const known = confirmed.get(prevout)
      if (known !== undefined) return known
      for (const tx of this.mempool.values()) {
        for (const [vout, { script, value }] of tx.outputs.entries()) {
          if (key(tx.txid, vout) === prevout) return { hashX: toLatin1(hashXOf(script)), value }
        }
      }
      return undefined
    }
    const items: MempoolItem[] = []
    const utxos: MempoolUtxo[] = []
    let delta = 0n
    const all = [...this.mempool.values()]
    const spent = new Set(all.flatMap((tx) => tx.inputs.map((input) => key(input.prevTxid, input.prevIndex))))
    for (const [txid, tx] of this.mempool) {
      let touches = false
      for (const input of tx.inputs) {
        const paid = coin(key(input.prevTxid, input.prevIndex))
        if (paid?.hashX !== hashX) continue
        touches = true
        delta -= paid.value
      }
      for (const [vout, { script, value }] of tx.outputs.entries()) {
        if (isUnspendable(script) || toLatin1(hashXOf(script)) !== hashX) continue
        touches = true
        delta += value
        if (!spent.has(key(tx.txid, vout))) utxos.push({ txid, vout, value })
      }
      const parents = tx.inputs.map((input) => toDisplayHex(input.prevTxid))
      const height = parents.some((parent) => this.mempool.has(parent)) ? -1 : 0
      if (touches) items.push({ txid, height, fee: fee(tx, coin) })
    }
    items.sort((a, b) => (a.height === b.height ? (a.txid < b.txid ? -1 : 1) : b.height - a.height))
    utxos.sort((a, b) => (a.txid === b.txid ? a.vout - b.vout : a.txid < b.txid ? -1 : 1))
    return { items, utxos, delta }
  }

  /** The index at this instant. */
  view(): ModelView {
    return new ModelView([...this.blocks], this.confirmedUnspent())
  }
}

export interface ScriptAnswers {
  readonly items: readonly MempoolItem[]
  readonly utxos: readonly MempoolUtxo[]
  readonly delta: bigint
}

/** hashXs that a block pays to or spends from, spent outputs looked up in the blocks before it. */
export function touchedBy(blocks: readonly ModelBlock[], block: ModelBlock): Set<string> {
  const touched = new Set<string>()
  const outputs = new Map<string, string>()
  for (const { txs } of blocks) {
    for (const tx of txs) {
      for (const [vout, { script }] of tx.outputs.entries()) outputs.set(key(tx.txid, vout), toLatin1(hashXOf(script)))
    }
  }
  for (const tx of block.txs) {
    for (const { script } of tx.outputs) if (!isUnspendable(script)) touched.add(toLatin1(hashXOf(script)))
    for (const input of tx.inputs) {
      const hashX = outputs.get(key(input.prevTxid, input.prevIndex))
      if (hashX !== undefined) touched.add(hashX)
    }
  }
  return touched
}

export function txidsOf(block: ModelBlock): Uint8Array {
  return concat(...block.txs.map(({ txid }) => txid))
}

export function spentBy(block: ModelBlock): Uint8Array[] {
  return block.txs.slice(1).flatMap((tx) => tx.inputs.map((i) => outpointBytes(i.prevTxid, i.prevIndex)))
}

/** A view with what the mempool and moments ask of it; the rest throws. */
export class ModelView implements ChainView {
  readonly tip: Tip
  released = 0
  readonly #blocks: readonly ModelBlock[]
  readonly #unspent: ReadonlyMap<string, Utxo & { readonly hashX: string }>

  constructor(blocks: readonly ModelBlock[], unspent: ReadonlyMap<string, Utxo & { readonly hashX: string }>) {
    this.#blocks = blocks
    this.#unspent = unspent
    const txCount = blocks.reduce((sum, { txs }) => sum + txs.length, 0)
    this.tip = { height: blocks.length - 1, hash: blocks.at(-1)!.hash, txCount }
  }

  history(hashX: Uint8Array, limit: number): Promise<readonly HistoryItem[]> {
    return Promise.resolve(this.#items(hashX).slice(0, limit + 1))
  }

  async *historyFrom(hashX: Uint8Array, from: number): AsyncGenerator<readonly HistoryItem[]> {
    const items = this.#items(hashX).filter(({ txNum }) => txNum >= from)
    while (items.length > 0) yield items.splice(0, 2)
    this.#check()
  }

  /** As if the last two blocks were not on disk. */
  recentHistory(hashX: Uint8Array, from: number): readonly HistoryItem[] | undefined {
    this.#check()
    const stored = this.#blocks.slice(0, -2).reduce((sum, { txs }) => sum + txs.length, 0)
    return from < stored ? undefined : this.#items(hashX).filter(({ txNum }) => txNum >= from)
  }

  #items(hashX: Uint8Array): HistoryItem[] {
    this.#check()
    const items: HistoryItem[] = []
    let txNum = 0
    for (const [height, block] of this.#blocks.entries()) {
      for (const tx of block.txs) {
        const one = { hash: block.hash, txs: [tx] }
        if (touchedBy(this.#blocks, one).has(toLatin1(hashX))) items.push({ txNum, height, txid: tx.txid })
        txNum += 1
      }
    }
    return items
  }

  utxos(hashX: Uint8Array): Promise<readonly Utxo[]> {
    this.#check()
    const utxos = [...this.#unspent.values()].filter((utxo) => utxo.hashX === toLatin1(hashX))
    return Promise.resolve(utxos.map(({ hashX: _, ...utxo }) => utxo))
  }

  async unspent(hashX: Uint8Array, limit: number): Promise<UtxoList | undefined> {
    const utxos = await this.utxos(hashX)
    return utxos.length > limit ? undefined : UtxoList.of(utxos)
  }

  async balance(hashX: Uint8Array): Promise<OutputSum> {
    const utxos = await this.utxos(hashX)
    return { value: utxos.reduce((sum, { value }) => sum + value, 0n), outputs: utxos.length }
  }

  findSpender(_hashX: Uint8Array, outpoint: Uint8Array): Promise<HistoryItem | undefined> {
    this.#check()
    const spent = toLatin1(outpoint)
    let txNum = 0
    for (const [height, { txs }] of this.#blocks.entries()) {
      for (const { txid, inputs } of txs) {
        if (inputs.some((input) => key(input.prevTxid, input.prevIndex) === spent)) {
          return Promise.resolve({ txNum, height, txid })
        }
        txNum += 1
      }
    }
    return Promise.resolve(undefined)
  }

  unspentOutputs(outpoints: readonly Uint8Array[]): Promise<readonly (OutputInfo | undefined)[]> {
    this.#check()
    return Promise.resolve(
      outpoints.map((outpoint) => {
        const utxo = this.#unspent.get(toLatin1(outpoint))
        return utxo && { hashX: Uint8Array.from(Buffer.from(utxo.hashX, 'latin1')), value: utxo.value }
      }),
    )
  }

  release(): void {
    this.released += 1
  }

  /** Stands for a header: it differs for each block, and that is all. */
  header(height: number): Uint8Array | undefined {
    const block = this.#blocks[height]
    return block === undefined ? undefined : concat(block.hash, new Uint8Array(48))
  }

  headers(): never {
    throw new Error('not in the model')
  }

  headerProof(): never {
    throw new Error('not in the model')
  }

  row(): never {
    throw new Error('not in the model')
  }

  rows(): never {
    throw new Error('not in the model')
  }

  blockTxids(): never {
    throw new Error('not in the model')
  }

  findTransaction(txid: Uint8Array): Promise<TxPosition | undefined> {
    this.#check()
    let found: TxPosition | undefined
    let txNum = 0
    for (const [height, { txs }] of this.#blocks.entries()) {
      for (const [position, tx] of txs.entries()) {
        if (equalBytes(tx.txid, txid)) found = { txNum, height, position }
        txNum += 1
      }
    }
    return Promise.resolve(found)
  }

  readonly lowestPast = 0

  rowsAt(): never {
    throw new Error('not in the model')
  }

  page(): never {
    throw new Error('not in the model')
  }

  #check(): void {
    if (this.released > 0) throw new Error(`view of ${toHex(this.tip.hash)} read after its release`)
  }
}
