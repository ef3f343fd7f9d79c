import { crypto } from 'bitcoinjs-lib'

/** The root that a branch leads to, from a leaf at `position`; all hashes in internal byte order. */
export function rootOfBranch(leaf: Uint8Array, branch: readonly Uint8Array[], position: number): Uint8Array {
  let [hash, at] = [leaf, position]
  for (const other of branch) {
    hash = crypto.hash256(Buffer.concat((at & 1) === 0 ? [hash, other] : [other, hash]))
    at >>= 1
  }
  return hash
}
