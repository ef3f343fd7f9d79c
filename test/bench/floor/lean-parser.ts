import { hash } from 'node:crypto'

/** What the parser finds; texts have one character a byte. */
export interface Findings {
  /** Once for each pair of a hashX and a transaction that touches it. */
  history(hashX: string, txNumber: string): void
  /** An output: `valueAt` is where its eight bytes of satoshis stand. */
  made(hashX: string, txid: string, index: number, block: Buffer, valueAt: number): void
  /** An input: `at` is where its outpoint stands. */
  spent(hashX: string, block: Buffer, at: number): void
}

const HASHX_LENGTH = 11
const OP_RETURN = 0x6a
const HEADER_SIZE = 80
const LARGEST_TX = 4 << 20

const sha256 = (bytes: Uint8Array): string => hash('sha256', bytes, 'binary')

/**
 * Reads blocks with the least that any index needs: ids, and hashXs of what is made and spent. It checks nothing and is
 * no parser to use anywhere else: it stands here, apart from the server's own, so that the floor stays where it is.
 */
export class LeanParser {
  inputs = 0
  outputs = 0
  txs = 0
  readonly #findings: Findings
  readonly #scratch = Buffer.alloc(LARGEST_TX)
  readonly #digest = Buffer.alloc(32)
  readonly #number = Buffer.alloc(5)

  constructor(findings: Findings) {
    this.#findings = findings
  }

  block(bytes: Buffer, spentBytes: Buffer): void {
    const block = new Cursor(bytes, HEADER_SIZE)
    const spent = new Cursor(spentBytes, 0)
    spent.compactSize()
    for (let left = block.compactSize(); left > 0; left--) this.#transaction(block, spent)
  }

  #transaction(block: Cursor, spent: Cursor): void {
    const { bytes } = block
    const start = block.at
    block.at += 4
    const segwit = bytes[block.at] === 0
    if (segwit) block.at += 2
    const body = block.at
    const inputs = block.compactSize()
    const inputsAt = block.at
    for (let i = 0; i < inputs; i++) {
      block.at += 36
      block.skipPrefixed()
      block.at += 4
    }
    const outputs = block.compactSize()
    const outputsAt = block.at
    for (let i = 0; i < outputs; i++) {
      block.at += 8
      block.skipPrefixed()
    }
    const bodyEnd = block.at
    if (segwit) {
      for (let i = 0; i < inputs; i++) for (let items = block.compactSize(); items > 0; items--) block.skipPrefixed()
    }
    block.at += 4
    const end = block.at
    const txid = this.#txid(bytes, { start, body, bodyEnd, end, segwit })
    this.#number.writeUIntBE(this.txs, 0, 5)
    const touched = new Touched(this.#number.toString('latin1', 0, 5), this.#findings)
    block.at = inputsAt
    this.#inputs(block, spent, inputs, touched)
    block.at = outputsAt
    this.#outputs(block, outputs, txid, touched)
    block.at = end
    this.txs += 1
    this.inputs += inputs
    this.outputs += outputs
  }

  #txid(
    bytes: Buffer,
    tx: {
      readonly start: number
      readonly body: number
      readonly bodyEnd: number
      readonly end: number
      readonly segwit: boolean
    },
  ): string {
    let first: string
    if (tx.segwit) {
      const length = tx.bodyEnd - tx.body
      bytes.copy(this.#scratch, 0, tx.start, tx.start + 4)
      bytes.copy(this.#scratch, 4, tx.body, tx.bodyEnd)
      bytes.copy(this.#scratch, 4 + length, tx.end - 4, tx.end)
      first = sha256(this.#scratch.subarray(0, 8 + length))
    } else {
      first = sha256(bytes.subarray(tx.start, tx.end))
    }
    this.#digest.write(first, 'latin1')
    return sha256(this.#digest)
  }

  #inputs(block: Cursor, spent: Cursor, count: number, touched: Touched): void {
    const known = spent.compactSize()
    for (let i = 0; i < count; i++) {
      const at = block.at
      block.at += 36
      block.skipPrefixed()
      block.at += 4
      // A coinbase spends nothing.
      if (i >= known) continue
      spent.at += 8
      const length = spent.compactSize()
      const hashX = hashXOf(spent.bytes, spent.at, length)
      spent.at += length
      touched.add(hashX)
      this.#findings.spent(hashX, block.bytes, at)
    }
  }

  #outputs(block: Cursor, count: number, txid: string, touched: Touched): void {
    for (let i = 0; i < count; i++) {
      const valueAt = block.at
      block.at += 8
      const length = block.compactSize()
      const at = block.at
      block.at += length
      if (length > 0 && block.bytes[at] === OP_RETURN) continue
      const hashX = hashXOf(block.bytes, at, length)
      touched.add(hashX)
      this.#findings.made(hashX, txid, i, block.bytes, valueAt)
    }
  }
}

function hashXOf(bytes: Buffer, at: number, length: number): string {
  return sha256(bytes.subarray(at, at + length)).slice(0, HASHX_LENGTH)
}

/** Tells of each hashX of a transaction once. Most transactions have so few that a list is faster than a set. */
class Touched {
  readonly #txNumber: string
  readonly #findings: Findings
  readonly #list: string[] = []
  #set: Set<string> | undefined

  constructor(txNumber: string, findings: Findings) {
    this.#txNumber = txNumber
    this.#findings = findings
  }

  add(hashX: string): void {
    if (this.#set === undefined ? this.#list.includes(hashX) : this.#set.has(hashX)) return
    if (this.#set !== undefined) this.#set.add(hashX)
    else if (this.#list.push(hashX) > 8) this.#set = new Set(this.#list)
    this.#findings.history(hashX, this.#txNumber)
  }
}

class Cursor {
  readonly bytes: Buffer
  at: number

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  compactSize(): number {
    const first = this.bytes[this.at++]!
    if (first < 0xfd) return first
    if (first === 0xfd) {
      this.at += 2
      return this.bytes.readUInt16LE(this.at - 2)
    }
    this.at += 4
    const low = this.bytes.readUInt32LE(this.at - 4)
    if (first === 0xfe) return low
    this.at += 4
    return low + this.bytes.readUInt32LE(this.at - 4) * 2 ** 32
  }

  skipPrefixed(): void {
    const length = this.compactSize()
    this.at += length
  }
}
