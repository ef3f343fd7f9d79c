import type { ParsedBlock } from '../chain/block.ts'
import { ChainError, StorageError } from '../errors.ts'
import { equalBytes, toDisplayHex } from '../lib/bytes.ts'
import { inputRows } from './block-delta.ts'
import type { FileCounts, IndexFiles } from './files.ts'
import type { HeaderList, HeaderTable } from './header-table.ts'

/** Blocks whose rows are put back into the files in one go. */
const FILLED_AT_ONCE = 100

/**
 * Rows of blocks up to the tip that the files lack, since something has made one of them shorter than the last batch counts
 * on: they follow from the blocks, and are put back one block after the other. Until then no block is taken or taken back.
 */
export class FileGaps {
  readonly #directory: string
  readonly #headers: HeaderTable
  readonly #files: IndexFiles
  /** The first block whose rows are lacking. */
  #from: number | undefined

  constructor(directory: string, { headers, files }: { readonly headers: HeaderTable; readonly files: IndexFiles }) {
    this.#directory = directory
    this.#headers = headers
    this.#files = files
    const list = headers.list()
    this.#from = firstLacking(list, files.counts)
    if (this.#from === undefined) return
    files.shorten({ txCount: list.txCount(this.#from - 1), inputCount: list.inputCount(this.#from - 1) })
  }

  /** The first block whose rows are lacking; its hash is in internal order. */
  get first(): { readonly height: number; readonly hash: Uint8Array } | undefined {
    const height = this.#from
    return height === undefined ? undefined : { height, hash: this.#headers.list().hashes(height, 1) }
  }

  /** Throws StorageError 'corrupt' while there is a gap. */
  check(): void {
    if (this.#from === undefined) return
    const what = `its files lack the rows of blocks ${this.#from} to ${this.#tipHeight}`
    throw new StorageError('corrupt', `${this.#directory}: ${what}; the server takes them from its node again`)
  }

  /** Puts the rows of the first block back, with `durably` now and then. Throws ChainError for another block. */
  async fill(block: ParsedBlock, durably: (write: () => Promise<void>) => Promise<void>): Promise<void> {
    const { first } = this
    if (first === undefined || !equalBytes(block.hash, first.hash)) {
      throw new ChainError(`block ${toDisplayHex(block.hash)} is not the one that the files lack`)
    }
    this.#files.append(inputRows(block), block.txids)
    const isLast = first.height === this.#tipHeight
    if (isLast || first.height % FILLED_AT_ONCE === 0) await durably(() => this.#files.write())
    this.#from = isLast ? undefined : first.height + 1
  }

  /** No block comes or goes while there is a gap. */
  get #tipHeight(): number {
    return this.#headers.list().count - 1
  }
}

/** Height of the first block of which the files do not have all rows. */
function firstLacking(headers: HeaderList, { txCount, inputCount }: FileCounts): number | undefined {
  let whole = headers.count - 1
  while (whole >= 0 && (headers.txCount(whole) > txCount || headers.inputCount(whole) > inputCount)) whole--
  return whole === headers.count - 1 ? undefined : whole + 1
}
