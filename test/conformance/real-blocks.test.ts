import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ecc from '@bitcoinerlab/secp256k1'
import {
  initEccLib,
  networks,
  Block as OracleBlock,
  Transaction as OracleTx,
  address as oracleAddress,
} from 'bitcoinjs-lib'
import { beforeAll, describe, expect, it } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES, scriptOfAddress } from '../../src/chain/address.ts'
import * as parsed from '../../src/chain/block.ts'
import { headerHash, meetsTarget, parseHeader, serializeHeader } from '../../src/chain/headers.ts'
import { hashXOf, isUnspendable, scriptKind } from '../../src/chain/script.ts'
import { parseWholeTx, serializeTx, type Tx } from '../../src/chain/tx.ts'
import { fromDisplayHex, fromHex, toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { merkleBranch, merkleRoot, rootFromBranch } from '../../src/lib/merkle.ts'

/** Blocks and transactions as bitcoind printed them: test/fixtures/blocks/README.md. */
const FIXTURES = join(import.meta.dirname, '../fixtures/blocks')

interface BlockFixture {
  readonly hash: string
  readonly merkleroot: string
  readonly previousblockhash: string
  readonly time: number
  readonly nonce: number
  readonly bits: string
  readonly version?: number
  readonly size?: number
  readonly strippedsize?: number
  readonly weight?: number
  readonly tx: readonly string[]
  readonly block: string
}

interface TxFixture {
  readonly txid: string
  readonly hash: string
  readonly version: number
  readonly size: number
  readonly vsize: number
  readonly weight: number
  readonly locktime: number
  readonly vin: readonly {
    readonly txid: string
    readonly vout: number
    readonly scriptSig: { readonly hex: string }
    readonly txinwitness?: readonly string[]
    readonly sequence: number
  }[]
  readonly vout: readonly {
    readonly value: number
    readonly n: number
    readonly scriptPubKey: { readonly hex: string; readonly address?: string; readonly type: string }
  }[]
  readonly hex: string
}

type Net = keyof typeof BITCOIN_ADDRESSES

const ORACLE_NETWORKS = {
  mainnet: networks.bitcoin,
  testnet: networks.testnet,
  testnet4: networks.testnet,
  signet: networks.testnet,
  regtest: networks.regtest,
} as const satisfies Record<Net, unknown>

/** The files of a folder: the network that each is of, and what is in it. */
function fixtures(folder: string): { file: string; net: Net; json: unknown }[] {
  return readdirSync(join(FIXTURES, folder)).map((file) => ({
    file,
    net: file.split('_')[1] as Net,
    json: JSON.parse(readFileSync(join(FIXTURES, folder, file), 'utf8')) as unknown,
  }))
}

const BLOCKS = fixtures('blocks').map((entry) => ({ ...entry, json: entry.json as BlockFixture }))
const TRANSACTIONS = fixtures('transactions').map((entry) => ({ ...entry, json: entry.json as TxFixture }))

beforeAll(() => {
  initEccLib(ecc)
})

it('the fixtures are there', () => {
  expect(BLOCKS.map(({ net }) => net).sort()).toEqual(['mainnet', 'signet', 'testnet4'])
  expect(TRANSACTIONS).toHaveLength(3)
})

describe.each(BLOCKS)('$file', ({ net, json }) => {
  const raw = fromHex(json.block)
  const block = parsed.parseBlock(raw)
  const txs = json.tx.map((_, i) => parsed.txAt(block, i))
  const oracle = OracleBlock.fromBuffer(Buffer.from(raw))

  it('has the header that bitcoind prints', () => {
    const header = parseHeader(raw)
    expect(toDisplayHex(block.hash)).toBe(json.hash)
    expect(toDisplayHex(headerHash(block.header))).toBe(json.hash)
    expect(toDisplayHex(block.prevHash)).toBe(json.previousblockhash)
    expect(toDisplayHex(block.merkleRoot)).toBe(json.merkleroot)
    expect(block.time).toBe(json.time)
    expect(header.nonce).toBe(json.nonce)
    expect(header.bits).toBe(Number.parseInt(json.bits, 16))
    if (json.version !== undefined) expect(header.version).toBe(json.version)
    expect(serializeHeader(header)).toEqual(block.header)
    expect(meetsTarget(block.hash, header.bits)).toBe(true)
  })

  it('has the transactions that bitcoind lists', () => {
    expect(block.txCount).toBe(json.tx.length)
    expect(json.tx.map((_, i) => toDisplayHex(parsed.txidAt(block, i)))).toEqual(json.tx)
    expect(txs.map((tx) => toDisplayHex(tx.txid))).toEqual(json.tx)
    expect(txs.map((tx) => tx.isCoinbase)).toEqual(json.tx.map((_, i) => i === 0))
  })

  it('has the sizes that bitcoind prints', () => {
    // 80 bytes of header and the count of transactions, of which there are as many with and without witnesses.
    const around = block.txOffsets[0]!
    const base = txs.reduce((sum, tx) => sum + tx.baseSize, around)
    const weight = txs.reduce((sum, tx) => sum + tx.weight, around * 4)
    expect(raw.length).toBe(json.size ?? raw.length)
    expect(base).toBe(json.strippedsize ?? base)
    expect(weight).toBe(json.weight ?? oracle.weight())
  })

  it('has the merkle root of its header, and every transaction a branch that leads there', () => {
    expect(parsed.checkMerkleRoot(block)).toBe(true)
    expect(toDisplayHex(merkleRoot(block.txids))).toBe(json.merkleroot)
    for (const i of json.tx.keys()) {
      const branch = merkleBranch(block.txids, i)
      expect(toDisplayHex(rootFromBranch(parsed.txidAt(block, i), branch, i))).toBe(json.merkleroot)
    }
  })

  it('has transactions that bitcoinjs-lib reads in the same way', () => {
    expect(oracle.transactions).toHaveLength(txs.length)
    for (const [i, expected] of oracle.transactions!.entries()) expectLike(txs[i]!, expected)
  })

  it('gives back the bytes of every transaction', () => {
    for (const [i, tx] of txs.entries()) {
      expect(serializeTx(tx)).toEqual(parsed.txRawAt(block, i))
      expect(parseWholeTx(serializeTx(tx, { witness: false })).txid).toEqual(tx.txid)
    }
  })

  it('has flat arrays that say what its transactions say', () => {
    for (const [i, tx] of txs.entries()) {
      const inputs = range(block.inputStart, i).map((input) => toHex(parsed.outpointAt(block, input)))
      expect(inputs).toEqual(tx.inputs.map((input) => toHex(input.prevTxid) + toHex(uint32(input.prevIndex))))
      const outputs = range(block.outputStart, i)
      expect(outputs.map((output) => parsed.outputScriptAt(block, output))).toEqual(tx.outputs.map((o) => o.script))
      expect(outputs.map((output) => BigInt(block.outputValues[output]!))).toEqual(tx.outputs.map((o) => o.value))
      expect(outputs.map((output) => parsed.hashXAt(block, output))).toEqual(tx.outputs.map((o) => hashXOf(o.script)))
      expect(outputs.map((output) => block.unspendable[output] === 1)).toEqual(
        tx.outputs.map((o) => isUnspendable(o.script)),
      )
    }
  })

  it('has output scripts whose addresses are those of bitcoinjs-lib', () => {
    const versions = BITCOIN_ADDRESSES[net]
    const scripts = txs.flatMap((tx) => tx.outputs.map((output) => output.script))
    expect(scripts.length).toBe(block.outputCount)
    for (const script of scripts) {
      // bitcoinjs-lib knows no address for pay-to-anchor; Core does.
      if (scriptKind(script) === 'anchor') continue
      const address = addressOf(script, versions)
      expect(address).toBe(oracleAddressOf(script, net))
      if (address !== undefined) expect(scriptOfAddress(address, versions)).toEqual(script)
    }
  })
})

it('the mainnet block has outputs of many kinds, so that the comparisons above compare something', () => {
  const { json } = BLOCKS.find(({ net }) => net === 'mainnet')!
  const block = parsed.parseBlock(fromHex(json.block))
  const kinds = new Set(
    Array.from({ length: block.outputCount }, (_, i) => scriptKind(parsed.outputScriptAt(block, i))),
  )
  for (const kind of ['pubkeyhash', 'scripthash', 'witness_v0_keyhash', 'witness_v1_taproot', 'nulldata'] as const) {
    expect(kinds).toContain(kind)
  }
})

describe.each(TRANSACTIONS)('$file', ({ net, json }) => {
  const tx = parseWholeTx(fromHex(json.hex))

  it('is read as bitcoind prints it', () => {
    expect(toDisplayHex(tx.txid)).toBe(json.txid)
    expect(toDisplayHex(tx.wtxid)).toBe(json.hash)
    const { version, locktime, size, vsize, weight } = json
    expect(tx).toMatchObject({ version, locktime, size, vsize, weight, hasWitness: json.txid !== json.hash })
    expect(tx.inputs).toEqual(
      json.vin.map((vin) => ({
        prevTxid: fromDisplayHex(vin.txid),
        prevIndex: vin.vout,
        script: fromHex(vin.scriptSig.hex),
        sequence: vin.sequence,
        witness: (vin.txinwitness ?? []).map(fromHex),
      })),
    )
    expect(tx.outputs).toEqual(
      json.vout.map((vout) => ({
        value: BigInt(Math.round(vout.value * 1e8)),
        script: fromHex(vout.scriptPubKey.hex),
      })),
    )
  })

  it('pays to the kinds of scripts and the addresses that bitcoind prints', () => {
    expect(tx.outputs.map(({ script }) => scriptKind(script))).toEqual(json.vout.map((vout) => vout.scriptPubKey.type))
    const addresses = tx.outputs.map(({ script }) => addressOf(script, BITCOIN_ADDRESSES[net]))
    expect(addresses).toEqual(json.vout.map((vout) => vout.scriptPubKey.address))
  })

  it('is written as it was read', () => {
    expect(toHex(serializeTx(tx))).toBe(json.hex)
  })
})

function expectLike(tx: Tx, expected: OracleTx): void {
  expect(toDisplayHex(tx.txid)).toBe(expected.getId())
  // For a coinbase bitcoinjs-lib gives the zero that BIP141 puts in its place, bitcoind the hash of its bytes.
  if (!tx.isCoinbase) expect(tx.wtxid).toEqual(new Uint8Array(expected.getHash(expected.hasWitnesses())))
  expect(tx).toMatchObject({
    version: expected.version,
    locktime: expected.locktime,
    weight: expected.weight(),
    vsize: expected.virtualSize(),
    size: expected.byteLength(),
    baseSize: expected.byteLength(false),
    hasWitness: expected.hasWitnesses(),
  })
  expect(tx.inputs.map(plainInput)).toEqual(
    expected.ins.map((input) =>
      plainInput({ ...input, prevTxid: input.hash, prevIndex: input.index, witness: input.witness }),
    ),
  )
  expect(tx.outputs.map(({ value, script }) => [value, toHex(script)])).toEqual(
    expected.outs.map(({ value, script }) => [value, toHex(script)]),
  )
}

function plainInput(input: Tx['inputs'][number]): unknown {
  const { prevTxid, prevIndex, script, sequence, witness } = input
  return [toHex(prevTxid), prevIndex, toHex(script), sequence, witness.map(toHex)]
}

function oracleAddressOf(script: Uint8Array, net: Net): string | undefined {
  try {
    return oracleAddress.fromOutputScript(script, ORACLE_NETWORKS[net])
  } catch {
    return undefined
  }
}

/** Numbers of the inputs or outputs of transaction `tx`. */
function range(start: Uint32Array, tx: number): number[] {
  const first = start[tx]!
  return Array.from({ length: start[tx + 1]! - first }, (_, i) => first + i)
}

function uint32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer)
}
