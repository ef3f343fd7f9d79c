import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { HEADER_SIZE } from '../chain/headers.ts'
import { ByteReader } from '../chain/reader.ts'
import { ParseError } from '../errors.ts'
import { concat, fromDisplayHex, fromHex, readUint32LE, toDisplayHex, writeUint32LE } from '../lib/bytes.ts'
import { type BlockNode, BlockTree } from './block-tree.ts'
import type { BlockUndo } from './coin-changes.ts'
import { GENESIS_HEX } from './params.ts'
import { type Extent, RecordLog } from './record-log.ts'

/** What the files hold: blocks as they came; that the chain's tip, or a block's standing, changed; undo of blocks. */
const RECORD = { block: 1, tip: 2, invalid: 3, valid: 4, undo: 5 } as const

const GENESIS = fromHex(GENESIS_HEX)
/** One transaction that spent nothing. */
const GENESIS_SPENT = Uint8Array.of(1, 0)

/**
 * The chain on disk: `blocks.log` tells everything that happened, `undo.log` is derived from it and kept because REST
 * gives it out. Reading both in order makes the same tree with the same tip again.
 */
export class ChainStore {
  readonly tree = new BlockTree(GENESIS)
  /** The tip that was written down last; genesis at first. */
  readonly storedTip: BlockNode
  readonly #blocks: RecordLog
  readonly #undo: RecordLog

  /** Opens or makes the files. Throws StorageError. */
  constructor(directory: string) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    let tip = this.tree.genesis
    this.#blocks = RecordLog.open(join(directory, 'blocks.log'), (record, log) => {
      if (record.type === RECORD.block) {
        this.#learn(
          log.readSync({ position: record.position, length: Math.min(record.length, HEADER_SIZE + 9) }),
          record,
        )
        return
      }
      const node = this.tree.get(toDisplayHex(log.readSync(record)))
      if (node === undefined) return
      if (record.type === RECORD.tip) tip = node
      else this.tree.mark(node, record.type === RECORD.invalid ? 'invalid' : undefined)
    })
    this.#undo = RecordLog.open(join(directory, 'undo.log'), (record, log) => {
      const node = this.tree.get(toDisplayHex(log.readSync({ position: record.position, length: 32 })))
      if (node !== undefined) node.undo = record
    })
    this.storedTip = tip
  }

  /** Bytes of blocks on disk. */
  get size(): number {
    return this.#blocks.size
  }

  addBlock(raw: Uint8Array): BlockNode {
    return this.#learn(raw.subarray(0, HEADER_SIZE + 9), this.#blocks.append(RECORD.block, raw))
  }

  setTip(node: BlockNode): void {
    this.#blocks.append(RECORD.tip, fromDisplayHex(node.id))
  }

  /** Notes that a block failed (with the reason) or is good again. */
  mark(node: BlockNode, failed: string | undefined): void {
    this.tree.mark(node, failed)
    this.#blocks.append(failed === undefined ? RECORD.valid : RECORD.invalid, fromDisplayHex(node.id))
  }

  addUndo(node: BlockNode, undo: BlockUndo): void {
    if (node.undo !== undefined) return
    const head = new Uint8Array(36)
    head.set(fromDisplayHex(node.id))
    writeUint32LE(head, undo.spent.length, 32)
    node.undo = this.#undo.append(RECORD.undo, concat(head, undo.spent, undo.origins))
  }

  blockSync(node: BlockNode): Uint8Array {
    return node.extent === undefined ? GENESIS : this.#blocks.readSync(node.extent)
  }

  async block(node: BlockNode): Promise<Uint8Array> {
    if (node.extent === undefined) return GENESIS
    return this.#blocks.read(node.extent)
  }

  /** `size` bytes of a block from `offset`, or undefined if it has not that many. */
  blockPart(node: BlockNode, offset: number, size: number): Uint8Array | undefined {
    const { extent } = node
    const length = extent?.length ?? GENESIS.length
    if (size === 0 || offset + size > length) return undefined
    if (extent === undefined) return GENESIS.slice(offset, offset + size)
    return this.#blocks.readSync({ position: extent.position + offset, length: size })
  }

  /** Undefined for a block that never was part of the active chain. */
  undoSync(node: BlockNode): BlockUndo | undefined {
    if (node.extent === undefined) return { spent: GENESIS_SPENT, origins: new Uint8Array(0) }
    return node.undo === undefined ? undefined : splitUndo(this.#undo.readSync(node.undo))
  }

  /** Outputs that a block spent, as REST gives them; undefined for a block that never was part of the active chain. */
  async spent(node: BlockNode): Promise<Uint8Array | undefined> {
    if (node.extent === undefined) return GENESIS_SPENT
    return node.undo === undefined ? undefined : splitUndo(await this.#undo.read(node.undo)).spent
  }

  /** Waits for the disk and closes the files. */
  close(): void {
    this.#blocks.sync()
    this.#undo.sync()
    this.#blocks.close()
    this.#undo.close()
  }

  #learn(head: Uint8Array, extent: Extent): BlockNode {
    const txCount = new ByteReader(head, HEADER_SIZE).compactSize()
    return this.tree.add(head, txCount, { position: extent.position, length: extent.length })
  }
}

function splitUndo(record: Uint8Array): BlockUndo {
  const end = 36 + readUint32LE(record, 32)
  if (end > record.length) throw new ParseError('undo cut short', record.length)
  return { spent: record.subarray(36, end), origins: record.subarray(end) }
}
