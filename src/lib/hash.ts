import { createHash, hash } from 'node:crypto'

/*
 * crypto.hash into 'binary' (latin1) and back is 2-3 times as fast as into a Buffer, whose allocation costs more than the hash
 * (measured, test/bench/hash).
 */
function digest(algorithm: string, bytes: Uint8Array): Uint8Array {
  const buffer = Buffer.from(hash(algorithm, bytes, 'binary'), 'latin1')
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
}

/** SHA-256, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return digest('sha256', bytes)
}

/** SHA-256 of SHA-256: transaction and block ids, merkle nodes, checksums. 32 bytes, internal order. */
export function sha256d(bytes: Uint8Array): Uint8Array {
  return digest('sha256', digest('sha256', bytes))
}

/** RIPEMD-160 of SHA-256: what P2PKH, P2SH and P2WPKH commit to. 20 bytes. */
export function hash160(bytes: Uint8Array): Uint8Array {
  return createHash('ripemd160').update(digest('sha256', bytes)).digest()
}
