import { compactSize, serializeTx, type TxFields } from '../../src/chain/tx.ts'
import { concat, fromHex, joined, writeUint32LE, writeUint64LE } from '../../src/lib/bytes.ts'

/** A field of a map: type, key data behind it, value. */
export function entry(type: number, value: Uint8Array, keyData: Uint8Array = new Uint8Array(0)): Uint8Array {
  return concat(compactSize(1 + keyData.length), Uint8Array.of(type), keyData, compactSize(value.length), value)
}

/** Further fields, ready to be put into maps. */
export interface PsbtExtras {
  readonly global?: Uint8Array
  readonly inputs?: readonly Uint8Array[]
  readonly outputs?: readonly Uint8Array[]
  /** In place of the true count; version 2. */
  readonly inputCount?: Uint8Array
}

const MAGIC = fromHex('70736274ff')
const END = Uint8Array.of(0)
const NOTHING = new Uint8Array(0)

/** Version 0 of a transaction without signatures. */
export function psbt0(tx: TxFields, { global = NOTHING, inputs = [], outputs = [] }: PsbtExtras = {}): Uint8Array {
  return joined([
    MAGIC,
    entry(0x00, serializeTx(tx, { witness: false })),
    global,
    END,
    ...tx.inputs.flatMap((_, i) => [inputs[i] ?? NOTHING, END]),
    ...tx.outputs.flatMap((_, i) => [outputs[i] ?? NOTHING, END]),
  ])
}

/** Version 2 of the same. */
export function psbt2(tx: TxFields, extras: PsbtExtras = {}): Uint8Array {
  const { global = NOTHING, inputs = [], outputs = [], inputCount = compactSize(tx.inputs.length) } = extras
  return joined([
    MAGIC,
    entry(0xfb, uint32(2)),
    entry(0x02, uint32(tx.version)),
    entry(0x03, uint32(tx.locktime)),
    entry(0x04, inputCount),
    entry(0x05, compactSize(tx.outputs.length)),
    global,
    END,
    ...tx.inputs.flatMap(({ prevTxid, prevIndex, sequence }, i) => [
      entry(0x0e, prevTxid),
      entry(0x0f, uint32(prevIndex)),
      entry(0x10, uint32(sequence)),
      inputs[i] ?? NOTHING,
      END,
    ]),
    ...tx.outputs.flatMap(({ value, script }, i) => [
      entry(0x03, uint64(value)),
      entry(0x04, script),
      outputs[i] ?? NOTHING,
      END,
    ]),
  ])
}

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeUint32LE(bytes, value >>> 0, 0)
  return bytes
}

function uint64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8)
  writeUint64LE(bytes, value, 0)
  return bytes
}

/** Two inputs, two outputs. */
export const SPENDING: TxFields = {
  version: 2,
  inputs: [1, 2].map((n) => ({
    prevTxid: new Uint8Array(32).fill(n),
    prevIndex: n,
    script: NOTHING,
    sequence: 0xffff_fffd,
    witness: [],
  })),
  outputs: [
    { value: 1000n, script: fromHex('51') },
    { value: 2000n, script: fromHex(`0014${'ab'.repeat(20)}`) },
  ],
  locktime: 7,
}
