import { createHash, type Hash, hash } from 'node:crypto'

/*
 * crypto.hash into 'binary' (latin1) and back costs 1.4 to 1.7 times less than into a Buffer, whose allocation costs more
 * than the hash; HashWriter saves the rest of it (measured, test/bench/hash).
 */
function digest(algorithm: string, bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(hash(algorithm, bytes, 'binary'), 'latin1')
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

/** SHA-256, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return digest('sha256', bytes)
}

/** SHA-256 as 64 hex digits in its own order. */
export function sha256Hex(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex')
}

/** SHA-256 over what comes in parts. Each part makes a new value, so that whoever has one can go on from it again. */
export class RunningSha256 {
  static readonly EMPTY = new RunningSha256(createHash('sha256'), 0)
  readonly #state: Hash
  /** Bytes so far. */
  readonly length: number

  private constructor(state: Hash, length: number) {
    this.#state = state
    this.length = length
  }

  with(bytes: Uint8Array): RunningSha256 {
    return new RunningSha256(this.#state.copy().update(bytes), this.length + bytes.length)
  }

  /** 64 hex digits. */
  hex(): string {
    return this.#state.copy().digest('hex')
  }
}

/** SHA-256 of SHA-256: transaction and block ids, merkle nodes, checksums. 32 bytes, internal order. */
export function sha256d(bytes: Uint8Array): Uint8Array {
  return digest('sha256', digest('sha256', bytes))
}

/** RIPEMD-160 of SHA-256: what P2PKH, P2SH and P2WPKH commit to. 20 bytes. */
export function hash160(bytes: Uint8Array): Uint8Array {
  return createHash('ripemd160').update(digest('sha256', bytes)).digest()
}

/** Hashes into memory that is there already: no buffer per hash where thousands of them stand side by side. */
export class HashWriter {
  readonly #inner = Buffer.alloc(32)

  /** Writes the first `length` bytes (at most 32) of the SHA-256 of `bytes` at `offset` of `target`. */
  sha256(bytes: Uint8Array, target: Buffer, offset: number, length = 32): void {
    target.write(hash('sha256', bytes, 'binary'), offset, length, 'latin1')
  }

  /** Writes the 32 bytes of the SHA-256 of the SHA-256 of `bytes` at `offset` of `target`. */
  sha256d(bytes: Uint8Array, target: Buffer, offset: number): void {
    this.#inner.write(hash('sha256', bytes, 'binary'), 0, 32, 'latin1')
    target.write(hash('sha256', this.#inner, 'binary'), offset, 32, 'latin1')
  }
}
