import { headerHash, meetsTarget, serializeHeader } from '../../src/chain/headers.ts'
import { compactSize, parseWholeTx, serializeTx, type Tx, type TxFields, type TxOutput } from '../../src/chain/tx.ts'
import { concat, toDisplayHex } from '../../src/lib/bytes.ts'
import { sha256d } from '../../src/lib/hash.ts'
import { merkleRoot } from '../../src/lib/merkle.ts'

/** Blocks and transactions of regtest with every part open to be made wrong. Scripts are OP_TRUE: no signatures. */

export const OP_TRUE = Uint8Array.of(0x51)
export const EASIEST_BITS = 0x207f_ffff
const RESERVED = new Uint8Array(32)

export interface Place {
  /** Internal order. */
  readonly hash: Uint8Array
  readonly height: number
  readonly time: number
}

export interface Draft {
  readonly version: number
  readonly bits: number
  readonly time: number
  readonly txs: readonly Tx[]
  /** Undefined: that of the transactions. */
  readonly merkleRoot: Uint8Array | undefined
  /** False: a hash that is no proof of work. */
  readonly work: boolean
}

export interface CoinbaseDraft {
  readonly height: number
  readonly value: bigint
  /** Appended to the height, so that coinbases differ. */
  readonly extra: Uint8Array
  /** Bytes that take the place of height and extra. */
  readonly script: Uint8Array | undefined
  readonly witness: readonly Uint8Array[]
  /** Undefined: that of the other transactions; null: none. */
  readonly commitment: Uint8Array | null | undefined
  readonly others: readonly Tx[]
}

export function subsidy(height: number): bigint {
  return 5_000_000_000n >> BigInt(Math.floor(height / 150))
}

/** BIP34's beginning of a coinbase, for heights of 17 to 32767. */
export function heightScript(height: number): Uint8Array {
  if (height <= 16) return Uint8Array.of(0x50 + height)
  return height < 128 ? Uint8Array.of(1, height) : Uint8Array.of(2, height & 0xff, height >> 8)
}

export function coinbase(height: number, changes: Partial<CoinbaseDraft> = {}): Tx {
  const draft: CoinbaseDraft = {
    height,
    value: subsidy(height),
    extra: Uint8Array.of(1, 7),
    script: undefined,
    witness: [RESERVED],
    commitment: undefined,
    others: [],
    ...changes,
  }
  const commitment = draft.commitment === undefined ? commitmentTo(draft.others) : draft.commitment
  const outputs: TxOutput[] = [{ value: draft.value, script: OP_TRUE }]
  if (commitment !== null) {
    outputs.push({ value: 0n, script: concat(Uint8Array.of(0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed), commitment) })
  }
  const input = {
    prevTxid: new Uint8Array(32),
    prevIndex: 0xffff_ffff,
    script: draft.script ?? concat(heightScript(draft.height), draft.extra),
    sequence: 0xffff_ffff,
    witness: draft.witness,
  }
  return transaction({ inputs: [input], outputs })
}

function commitmentTo(others: readonly Tx[]): Uint8Array {
  const root = merkleRoot(concat(new Uint8Array(32), ...others.map((tx) => tx.wtxid)))
  return sha256d(concat(root, RESERVED))
}

export function transaction(fields: Partial<TxFields>): Tx {
  return parseWholeTx(serializeTx({ version: 2, inputs: [], outputs: [], locktime: 0, ...fields }))
}

export interface Outpoint {
  readonly txid: Uint8Array
  readonly index: number
}

/** A transaction of OP_TRUE outputs; inputs may be given as outpoints. Large enough to be relayed. */
export function spending(from: readonly Outpoint[], values: readonly bigint[], changes: Partial<TxFields> = {}): Tx {
  return transaction({
    inputs: from.map(({ txid, index }) => ({
      prevTxid: txid,
      prevIndex: index,
      script: new Uint8Array(0),
      sequence: 0xffff_fffd,
      witness: [],
    })),
    outputs: values.map((value) => ({ value, script: OP_TRUE })),
    ...changes,
  })
}

/** The bytes of a block on top of a place. */
export function block(parent: Place, changes: Partial<Draft> & { readonly txs: readonly Tx[] }): Uint8Array {
  const draft: Draft = {
    version: 0x2000_0000,
    bits: EASIEST_BITS,
    time: parent.time + 600,
    merkleRoot: undefined,
    work: true,
    ...changes,
  }
  const root = draft.merkleRoot ?? merkleRoot(concat(...draft.txs.map((tx) => tx.txid)))
  for (let nonce = 0; ; nonce++) {
    const { version, time, bits } = draft
    const header = serializeHeader({ version, prevHash: parent.hash, merkleRoot: root, time, bits, nonce })
    if (meetsTarget(headerHash(header), bits) !== draft.work) continue
    return concat(header, compactSize(draft.txs.length), ...draft.txs.map((tx) => tx.raw))
  }
}

/** Where the next block goes on top of one that was built. */
export function placeOf(raw: Uint8Array, parent: Place): Place {
  const header = raw.subarray(0, 80)
  const time = new DataView(raw.buffer, raw.byteOffset).getUint32(68, true)
  return { hash: headerHash(header), height: parent.height + 1, time }
}

export function idOf(place: Place): string {
  return toDisplayHex(place.hash)
}
