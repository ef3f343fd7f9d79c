import * as fc from 'fast-check'
import { serializeHeader } from '../../../src/chain/headers.ts'
import { compactSize, serializeTx, type TxFields, type TxInput, type TxOutput } from '../../../src/chain/tx.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import { merkleRoot } from '../../../src/lib/merkle.ts'

export const hash32 = fc.uint8Array({ minLength: 32, maxLength: 32 })
export const uint32 = fc.nat({ max: 0xffff_ffff })
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })

/** Scripts of any bytes, some of them long enough for a length of three bytes. */
export const script = fc.oneof(
  { weight: 8, arbitrary: fc.uint8Array({ maxLength: 80 }) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 250, maxLength: 260 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3 }).map((head) => concat(Uint8Array.of(0x6a), head)) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3 }).map((head) => concat(Uint8Array.of(0, 0x6a), head)) },
)

const witness = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Uint8Array[]>([]) },
  { weight: 1, arbitrary: fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 4 }) },
)

const input: fc.Arbitrary<TxInput> = fc.record({
  prevTxid: hash32,
  prevIndex: uint32,
  script,
  sequence: uint32,
  witness,
})

const output: fc.Arbitrary<TxOutput> = fc.record({
  value: fc.oneof(fc.bigInt(0n, 21_000_000_0000_0000n), fc.constant(2n ** 53n - 1n)),
  script,
})

export const txFields: fc.Arbitrary<TxFields> = fc.record({
  version: int32,
  inputs: fc.array(input, { minLength: 1, maxLength: 5 }),
  outputs: fc.array(output, { maxLength: 5 }),
  locktime: uint32,
})

/** A block of random transactions under a header that commits to them. */
export const blockOf: fc.Arbitrary<{ readonly txs: readonly TxFields[]; readonly raw: Uint8Array }> = fc
  .record({
    txs: fc.array(txFields, { minLength: 1, maxLength: 8 }),
    version: int32,
    prevHash: hash32,
    time: uint32,
    bits: uint32,
    nonce: uint32,
  })
  .map(({ txs, ...header }) => {
    const txids = concat(...txs.map((tx) => sha256d(serializeTx(tx, { witness: false }))))
    const head = serializeHeader({ ...header, merkleRoot: merkleRoot(txids) })
    return { txs, raw: concat(head, compactSize(txs.length), ...txs.map((tx) => serializeTx(tx))) }
  })
