import { outpointAt, type ParsedBlock, txidAt } from '../chain/block.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { HeaderTable } from '../db/header-table.ts'
import type { IndexDatabase } from '../db/index-db.ts'
import { type AnyKeySpace, HEADERS, OUTPUTS, STATE, TX_LOOKUP_SIZE, TXID_KEY_SIZE, TXS, UTXOS } from '../db/layout.ts'
import type { RebuiltRows } from '../db/rebuilt-rows.ts'
import type { SpentOutputs } from '../db/spent.ts'
import { SpentTexts } from '../db/spent-texts.ts'
import type { Store } from '../db/store.ts'
import type { ChainView, Tip, TxPosition } from '../db/view.ts'
import { ChainError } from '../errors.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { equalBytes, fromHex, fromLatin1, readUint32LE, toDisplayHex, toHex } from '../lib/bytes.ts'
import { readBlock } from '../sync/parse.ts'
import { PREFETCH_DEFAULTS, prefetchBlocks } from '../sync/prefetcher.ts'
import { asSpentOutputs, type Output, outputsOf, spentAt, startsOf, tagsOf, unreversed } from './block-rows.ts'
import { RebuiltOutputs } from './rebuilt-outputs.ts'
import { KINDS, type Kind, type Place, Sums, type Take } from './sums.ts'

export interface Difference {
  /** Undefined for rows that name transactions which the chain does not have, 'any' for those that belong to no height. */
  readonly height: number | 'any' | undefined
  readonly kind: string
  /** Rows that the node's blocks want and the index does not have; only for the first differences, and not all of them. */
  readonly missing: readonly string[]
  /** Rows that the index has and the node's blocks do not want. */
  readonly extra: readonly string[]
}

export interface CheckResult {
  readonly blocks: number
  readonly transactions: number
  readonly differences: readonly Difference[]
  /** Rows of no index that is known. */
  readonly unknownRows: number
}

export interface CheckCollaborators {
  readonly db: IndexDatabase
  readonly daemon: Daemon
  /** What the coin adds to the indexes that every coin has. */
  readonly own: OwnIndexes
  /** An empty store for the time of the check. */
  readonly openStore: () => Promise<Store>
  readonly progress: (step: string) => void
}

export interface OwnIndexes {
  readonly spaces: readonly AnyKeySpace[]
  /** Begins to make them anew, from nothing. */
  readonly rebuild: () => Promise<RebuiltRows>
}

/** Places (kind and height) whose rows are told one by one, and rows told of each. */
const MOST_PLACES = 8
const MOST_ROWS = 5
const LOOKUPS_AT_ONCE = 256

/**
 * Compares everything that the index has with what the blocks of the node say it should have. Both are turned into rows of
 * text; for each height and kind the sum of 64 bits of each row's hash is kept, wanted rows added and stored ones
 * subtracted, so that memory grows with the number of blocks and not with what is in them. Where a sum is not zero the
 * rows of that place are collected by a second pass.
 */
export class IndexCheck {
  readonly #db: IndexDatabase
  readonly #daemon: Daemon
  readonly #own: OwnIndexes
  readonly #openStore: CheckCollaborators['openStore']
  readonly #progress: (step: string) => void
  /** Transactions up to and with each block, as the node's blocks have them. */
  #txCounts: number[] = []
  #unknownRows = 0
  /** Differences of what is not a row: what a query answers. */
  readonly #answers: Difference[] = []

  constructor({ db, daemon, own, openStore, progress }: CheckCollaborators) {
    this.#db = db
    this.#own = own
    this.#openStore = openStore
    this.#daemon = daemon
    this.#progress = progress
  }

  /** Throws ChainError if the index is at no block of the node's chain, and what node and index throw. */
  async run(signal: AbortSignal): Promise<CheckResult> {
    const { height, txCount } = this.#db.tip
    await this.#requireSameTip(signal)
    const sums = new Sums(height + 2, this.#own.spaces.length)
    const add: Take = (kind, at, row, sign) => sums.add(kind, at, row, sign)
    await this.#wanted(add, signal)
    await this.#stored(add, signal)
    await this.#requireSameTip(signal)
    const places = sums.places()
    const differences = places.length === 0 ? [] : await this.#explain(places, signal)
    const transactions = this.#txCounts.at(-1) ?? 0
    if (transactions !== txCount) {
      differences.push(difference(height, 'number of transactions', [String(transactions)], [String(txCount)]))
    }
    return {
      blocks: height + 1,
      transactions,
      differences: [...differences, ...this.#answers],
      unknownRows: this.#unknownRows,
    }
  }

  async #requireSameTip(signal: AbortSignal): Promise<void> {
    const { height, hash } = this.#db.tip
    if (height < 0) return
    const [own] = await this.#daemon.blockHashes(height, 1, signal)
    if (own === toDisplayHex(hash)) return
    throw new ChainError(
      `the index is at block ${toDisplayHex(hash)} (height ${height}), which is not in the node's chain: let the server ` +
        'catch up first',
    )
  }

  /** Rows that the node's blocks want. */
  async #wanted(take: Take, signal: AbortSignal): Promise<void> {
    const view = this.#db.acquireView()
    const end = view.tip.height
    this.#txCounts = []
    let inputCount = 0
    const headers = new HeaderTable()
    const rebuilt = await this.#own.rebuild()
    let outputs: RebuiltOutputs | undefined
    try {
      if (!this.#daemon.abilities.spentTxOuts) outputs = new RebuiltOutputs(await this.#openStore())
      const range = { start: 0, end }
      const collaborators = { daemon: this.#daemon, parse: readBlock }
      for await (const { block, known } of prefetchBlocks(range, PREFETCH_DEFAULTS, collaborators, signal)) {
        throwIfAborted(signal)
        const height = this.#txCounts.length
        const first = this.#txCounts[height - 1] ?? 0
        // The transaction of genesis is in no index: it cannot be spent.
        const listed = height === 0 ? 0 : block.txCount
        this.#txCounts.push(first + listed)
        inputCount += height === 0 ? 0 : block.inputCount
        take('header', height, `${toHex(block.header)} ${first + listed} ${inputCount}`, 1)
        take('ids', height, height === 0 ? '' : toHex(block.txids), 1)
        take('starts', height, height === 0 ? '' : startsOf(block), 1)
        take('inputs', height, height === 0 ? '' : tagsOf(block), 1)
        if (height > 0) {
          const base: Tip = { height: height - 1, hash: block.prevHash, txCount: first }
          const spent = outputs === undefined ? known?.spent : await outputs.apply(block)
          if (spent === undefined) throw new ChainError('the node no longer tells what blocks spend: check again')
          await this.#blockRows({ block, height, first, view, spent, base, headers, rebuilt }, take)
        }
        headers.append(block.header, first + listed, inputCount)
        this.#progress(`read block ${height} of ${end}`)
      }
      if (this.#txCounts.length !== end + 1) throw new ChainError("the node's chain changed meanwhile: check again")
      for await (const rows of rebuilt.rows()) for (const [key, value] of rows) this.#ownRow(key, value, take, 1)
    } finally {
      await rebuilt.close()
      await outputs?.close()
      view.release()
    }
  }

  async #blockRows(parts: BlockParts, take: Take): Promise<void> {
    const { block, height, first, view } = parts
    const places = await lookUp(view, block.txCount, (tx) => txidAt(block, tx))
    const { spent, funding } = await this.#spentBy(parts)
    const named = await this.#namedIn(parts, spent, funding)
    for (let tx = 0; tx < block.txCount; tx++) {
      const txNum = first + tx
      const txid = txidAt(block, tx)
      take('tx', height, `${toHex(txid.subarray(0, TX_LOOKUP_SIZE))} ${txNum}`, 1)
      const found = places[tx]
      // A later place is right for the two coinbases that exist twice (BIP30): outputs of the first are no more.
      const replaced = found !== undefined && found.txNum > txNum
      if (found === undefined || found.txNum < txNum || (replaced && !(await this.#isTwice(view, found, txid)))) {
        const answer = found === undefined ? 'not found' : `height ${found.height}, position ${found.position}`
        const right = `${toDisplayHex(txid)}: height ${height}, position ${tx}`
        this.#answers.push(difference(height, 'answer to a transaction', [right], [answer]))
      }
      const scripts = new Set<string>(named.get(tx))
      for (const output of outputsOf(block, tx)) {
        scripts.add(output.hashX)
        if (!replaced) this.#outputRows(take, height, { ...output, txid, txNum }, 1)
      }
      for (const output of spent[tx] ?? []) {
        scripts.add(output.hashX)
        this.#outputRows(take, this.#heightOf(output.txNum), output, -1)
      }
      for (const hashX of scripts) take('history', height, `${hashX} ${txNum}`, 1)
    }
  }

  #outputRows(take: Take, height: number, output: Output, sign: 1 | -1): void {
    const place = `${toHex(output.txid.subarray(0, TXID_KEY_SIZE))}:${output.vout}`
    take('utxo', height, `${output.hashX} ${place} ${output.txNum} ${output.value}`, sign)
    if (this.#db.listsOutputs) take('output', height, `${place} ${output.hashX} ${output.value}`, sign)
  }

  async #isTwice(view: ChainView, { height, position }: TxPosition, txid: Uint8Array): Promise<boolean> {
    const ids = await view.blockTxids(height)
    return position === 0 && ids !== undefined && equalBytes(ids.subarray(0, 32), txid)
  }

  /** Gives a block to the coin's own indexes; the hashXs in whose history they put transactions. */
  async #namedIn(
    { block, base, headers, rebuilt }: BlockParts,
    spent: readonly (readonly Output[])[],
    funding: readonly (number | undefined)[],
  ): Promise<ReadonlyMap<number, readonly string[]>> {
    const named = new Map<number, string[]>()
    const outputs = spent.flat()
    const first = block.inputStart[1] ?? 0
    const listed = await rebuilt.apply({
      block,
      base,
      headers: headers.list(),
      spent: new SpentTexts(block, asSpentOutputs(first, outputs)),
      fundedBy: (input) => funding[input],
    })
    for (const { hashX, tx } of listed) {
      const list = named.get(tx)
      const text = toHex(fromLatin1(hashX))
      if (list === undefined) named.set(tx, [text])
      else list.push(text)
    }
    return named
  }

  /** What each transaction of a block spends, nothing for the coinbase; and by input which transaction made it. */
  async #spentBy(parts: BlockParts): Promise<{ readonly spent: Output[][]; readonly funding: (number | undefined)[] }> {
    const { block, height, view } = parts
    const offset = block.inputStart[1] ?? 0
    const count = block.inputCount - offset
    const places = await lookUp(view, count, (i) => outpointAt(block, offset + i).subarray(0, 32))
    const spent: Output[][] = [[]]
    const funding: (number | undefined)[] = []
    for (let tx = 1; tx < block.txCount; tx++) {
      const list: Output[] = []
      for (let input = block.inputStart[tx] ?? 0; input < (block.inputStart[tx + 1] ?? 0); input++) {
        const outpoint = outpointAt(block, input)
        const txid = outpoint.subarray(0, 32)
        const vout = readUint32LE(outpoint, 32)
        const place = places[input - offset]
        if (place === undefined || place.height > height) {
          this.#answers.push(difference(height, 'lookup of what is spent', [toDisplayHex(txid)], []))
          continue
        }
        // What the block itself makes is nobody's before it.
        if (place.height < height) funding[input] = place.txNum
        list.push({ ...spentAt(parts.spent, input), txid, vout, txNum: place.txNum })
      }
      spent.push(list)
    }
    return { spent, funding }
  }

  /** Rows that the index has, subtracted. */
  async #stored(take: Take, signal: AbortSignal): Promise<void> {
    const beyond = this.#txCounts.length
    let lines = 0
    this.#unknownRows = 0
    for await (const line of this.#db.canonicalDump()) {
      if (lines % 1000 === 0) {
        throwIfAborted(signal)
        this.#progress(`read row ${lines} of the index`)
      }
      lines += 1
      const [what, name = '', ...rest] = line.split(' ')
      if (what === 'history') {
        for (const txNum of rest) take('history', this.#heightOf(Number(txNum)), `${name} ${txNum}`, -1)
      } else if (what === 'withheld') {
        take('utxo', this.#heightOf(Number(rest[0])), `${name} is said to have none`, -1)
      } else if (what === 'row') {
        this.#storedRow(fromHex(name), fromHex(rest[0] ?? ''), take)
      } else {
        const kind = FILES.get(what ?? '')
        const height = Number(name)
        if (kind === undefined) this.#unknownRows += 1
        else take(kind, Math.min(height, beyond), unreversed(rest[0] ?? ''), -1)
      }
    }
  }

  #storedRow(key: Uint8Array, value: Uint8Array, take: Take): void {
    switch (key[0]) {
      case STATE.prefix:
        return
      case HEADERS.prefix: {
        const { header, txCount, inputCount } = HEADERS.readValue(value)
        const { height } = HEADERS.readKey(key)
        take('header', Math.min(height, this.#txCounts.length), `${toHex(header)} ${txCount} ${inputCount}`, -1)
        return
      }
      case TXS.prefix: {
        const { txid, txNum } = TXS.readKey(key)
        take('tx', this.#heightOf(txNum), `${toHex(txid)} ${txNum}`, -1)
        return
      }
      case UTXOS.prefix: {
        const { hashX, txid, vout } = UTXOS.readKey(key)
        const { txNum, value: satoshis } = UTXOS.readValue(value)
        take('utxo', this.#heightOf(txNum), `${toHex(hashX)} ${toHex(txid)}:${vout} ${txNum} ${satoshis}`, -1)
        return
      }
      case OUTPUTS.prefix: {
        // The row does not say where its transaction is: all of them are compared as one.
        const { txid, vout } = OUTPUTS.readKey(key)
        const { hashX, value: satoshis } = OUTPUTS.readValue(value)
        take('output', 0, `${toHex(txid)}:${vout} ${toHex(hashX)} ${satoshis}`, -1)
        return
      }
      default:
        this.#ownRow(key, value, take, -1)
    }
  }

  #ownRow(key: Uint8Array, value: Uint8Array, take: Take, sign: 1 | -1): void {
    const space = this.#own.spaces.findIndex(({ prefix }) => prefix === key[0])
    if (space === -1) this.#unknownRows += 1
    else take('own', space, `${toHex(key)} ${toHex(value)}`, sign)
  }

  /** Height of a transaction number; one above the tip if there is no such transaction. */
  #heightOf(txNum: number): number {
    let [low, high] = [0, this.#txCounts.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#txCounts[middle] ?? 0) > txNum) high = middle
      else low = middle + 1
    }
    return low
  }

  /** The rows themselves of the first places where sums differ. */
  async #explain(places: readonly Place[], signal: AbortSignal): Promise<Difference[]> {
    const told = places.slice(0, MOST_PLACES)
    const rows = new Map(told.map((place) => [`${place.kind} ${place.height}`, new Map<string, number>()]))
    const collect: Take = (kind, height, row, sign) => {
      const found = rows.get(`${kind} ${kind === 'output' ? 0 : height}`)
      if (found === undefined) return
      const count = (found.get(row) ?? 0) + sign
      if (count === 0) found.delete(row)
      else found.set(row, count)
    }
    const answered = this.#answers.length
    await this.#wanted(collect, signal)
    this.#answers.length = answered
    await this.#stored(collect, signal)
    const tip = this.#db.tip.height
    return places.map(({ kind, height }) => {
      const left = [...(rows.get(`${kind} ${height}`) ?? [])]
      const pick = (sign: number): string[] =>
        left
          .filter(([, count]) => Math.sign(count) === sign)
          .map(([row]) => row.slice(0, 200))
          .slice(0, MOST_ROWS)
      if (kind === 'own') return difference('any', this.#own.spaces[height]?.name ?? KINDS.own, pick(1), pick(-1))
      return difference(height > tip ? undefined : height, KINDS[kind], pick(1), pick(-1))
    })
  }
}

interface BlockParts {
  readonly block: ParsedBlock
  readonly height: number
  /** Number of its first transaction. */
  readonly first: number
  readonly view: ChainView
  readonly spent: SpentOutputs
  readonly base: Tip
  /** The chain below. */
  readonly headers: HeaderTable
  readonly rebuilt: RebuiltRows
}

const FILES: ReadonlyMap<string, Kind> = new Map([
  ['txids', 'ids'],
  ['inputstarts', 'starts'],
  ['inputs', 'inputs'],
])

/** Where transactions are, some looked up at a time. */
async function lookUp(
  view: ChainView,
  count: number,
  txidOf: (i: number) => Uint8Array,
): Promise<(TxPosition | undefined)[]> {
  const found: (TxPosition | undefined)[] = []
  for (let start = 0; start < count; start += LOOKUPS_AT_ONCE) {
    const some = Array.from({ length: Math.min(LOOKUPS_AT_ONCE, count - start) }, (_, i) => txidOf(start + i))
    found.push(...(await Promise.all(some.map((txid) => view.findTransaction(txid)))))
  }
  return found
}

function difference(
  height: Difference['height'],
  kind: string,
  missing: readonly string[],
  extra: readonly string[],
): Difference {
  return { height, kind, missing, extra }
}
