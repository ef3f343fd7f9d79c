import * as ecc from '@bitcoinerlab/secp256k1'
import { address as addresses, crypto, initEccLib, networks, payments, script, Transaction } from 'bitcoinjs-lib'
import { tapleafHash } from 'bitcoinjs-lib/src/payments/bip341'
import { concat, equalBytes, fromDisplayHex, toDisplayHex, writeUint32LE } from '../../src/lib/bytes.ts'
import { sha256d } from '../../src/lib/hash.ts'

/*
 * Keys, envelopes and signed transactions as wallets make them, by a library that the server does not use for any of it
 * (BIP340, BIP341, BIP342).
 */

initEccLib(ecc)

const network = networks.regtest
const OP_FALSE = 0x00
const OP_IF = 0x63
const OP_ENDIF = 0x68
const OP_CHECKSIG = 0xac
const OP_RETURN = 0x6a
const LEAF_VERSION = 0xc0
const MOST_PUSHED = 520

/** An output that somebody has. */
export interface Coin {
  /** As it is displayed. */
  readonly txid: string
  readonly vout: number
  /** Satoshis. */
  readonly value: number
}

/** Where satoshis go. */
export interface Payee {
  readonly script: Uint8Array
  readonly value: number
}

/** A key with its address of key path only. */
export class TaprootKey {
  readonly xOnly: Uint8Array
  readonly script: Uint8Array
  readonly address: string
  readonly scripthash: string
  readonly #secret: Uint8Array
  readonly #tweaked: Uint8Array

  /** The same key for the same words. */
  constructor(words: string) {
    this.#secret = crypto.sha256(Buffer.from(words))
    this.xOnly = ecc.xOnlyPointFromScalar(this.#secret)
    const paid = payments.p2tr({ internalPubkey: this.xOnly, network })
    this.script = paid.output!
    this.address = paid.address!
    this.scripthash = scripthashOf(this.script)
    const isOdd = ecc.pointFromScalar(this.#secret, true)![0] === 3
    const even = isOdd ? ecc.privateNegate(this.#secret) : this.#secret
    this.#tweaked = ecc.privateAdd(even, crypto.taggedHash('TapTweak', this.xOnly))!
  }

  signKeyPath(hash: Uint8Array): Uint8Array {
    return ecc.signSchnorr(hash, this.#tweaked)
  }

  signScriptPath(hash: Uint8Array): Uint8Array {
    return ecc.signSchnorr(hash, this.#secret)
  }
}

/** As Electrum's methods take it: reversed SHA-256 in hex. */
export function scripthashOf(output: Uint8Array): string {
  return toDisplayHex(crypto.sha256(output))
}

/** The address of a script of this network. Throws for scripts without one. */
export function addressOfScript(output: Uint8Array): string {
  return addresses.fromOutputScript(output, network)
}

export function scriptOfAddress(address: string): Uint8Array {
  return addresses.toOutputScript(address, network)
}

/** The output that binds an operation, and what spends it. */
export interface Commitment {
  readonly leaf: Uint8Array
  readonly controlBlock: Uint8Array
  readonly script: Uint8Array
  readonly address: string
  readonly scripthash: string
}

/** Binds an operation to a key: its envelope stands in the only leaf of a taproot output. */
export function commitTo(key: TaprootKey, op: string, payload: Uint8Array): Commitment {
  const pieces: Uint8Array[] = []
  for (let at = 0; at < payload.length; at += MOST_PUSHED) pieces.push(payload.subarray(at, at + MOST_PUSHED))
  const envelope = [OP_FALSE, OP_IF, Buffer.from('atom'), Buffer.from(op), ...pieces, OP_ENDIF]
  const leaf = script.compile([key.xOnly, OP_CHECKSIG, ...envelope])
  const redeem = { output: leaf, redeemVersion: LEAF_VERSION }
  const paid = payments.p2tr({ internalPubkey: key.xOnly, scriptTree: { output: leaf }, redeem, network })
  const output = paid.output!
  return {
    leaf,
    controlBlock: paid.witness!.at(-1)!,
    script: output,
    address: paid.address!,
    scripthash: scripthashOf(output),
  }
}

/** A coin with what it takes to spend it: by its leaf where it is a commitment, by the key otherwise. */
export interface SpentCoin {
  readonly coin: Coin
  readonly key: TaprootKey
  readonly commitment?: Commitment
}

export interface TransactionPlan {
  readonly from: readonly SpentCoin[]
  readonly to: readonly Payee[]
  /**
   * Hex digits that the txid has to begin with, and behind a dot the least that the next one may be (0 to 15). The sequence
   * of the first input is tried until it does.
   */
  readonly work?: string
}

export interface SignedTransaction {
  readonly txid: string
  readonly hex: string
}

/** The transaction, worked and signed. Of version 1, so that a sequence locks nothing. */
export function transactionOf({ from, to, work = '' }: TransactionPlan): SignedTransaction {
  const tx = new Transaction()
  tx.version = 1
  for (const { coin } of from) tx.addInput(fromDisplayHex(coin.txid), coin.vout, 0xffff_fffd)
  for (const payee of to) tx.addOutput(payee.script, BigInt(payee.value))
  if (work !== '') tx.ins[0]!.sequence = sequenceFor(tx, work)
  const scripts = from.map(({ key, commitment }) => (commitment ?? key).script)
  const values = from.map(({ coin }) => BigInt(coin.value))
  from.forEach(({ key, commitment }, i) => {
    if (commitment === undefined) {
      tx.setWitness(i, [key.signKeyPath(tx.hashForWitnessV1(i, scripts, values, Transaction.SIGHASH_DEFAULT))])
    } else {
      const { leaf, controlBlock } = commitment
      const hash = tx.hashForWitnessV1(i, scripts, values, Transaction.SIGHASH_DEFAULT, tapleafHash({ output: leaf }))
      tx.setWitness(i, [key.signScriptPath(hash), leaf, controlBlock])
    }
  })
  return { txid: tx.getId(), hex: tx.toHex() }
}

/** Behind the version, the count of inputs and the first outpoint with its empty script. */
const FIRST_SEQUENCE = 4 + 1 + 36 + 1
/** Enough for five digits, but for one time in three thousand. */
const MOST_TRIES = 8 << 20
/** So many bytes of a txid, as displayed, are more than work is asked for. */
const SHOWN_BYTES = 8

function sequenceFor(tx: Transaction, work: string): number {
  const [prefix = '', least = '0'] = work.split('.')
  // No witness yet, so these are the bytes that the txid is made of.
  const bytes = tx.toBuffer()
  for (let sequence = 0; sequence < MOST_TRIES; sequence++) {
    writeUint32LE(bytes, sequence, FIRST_SEQUENCE)
    const start = toDisplayHex(sha256d(bytes).subarray(-SHOWN_BYTES))
    if (start.startsWith(prefix) && Number.parseInt(start.charAt(prefix.length), 16) >= Number(least)) return sequence
  }
  throw new Error(`no work for ${work} within ${MOST_TRIES} tries`)
}

/** The output that marks a payment for a subrealm (p) or an item (d), after the commit that its id names. */
export function receiptOf(kind: 'p' | 'd', atomicalId: string): Payee {
  const [txid = '', index = ''] = atomicalId.split('i')
  const outpoint = concat(fromDisplayHex(txid), new Uint8Array(4))
  writeUint32LE(outpoint, Number(index), 32)
  return dataOutput(Buffer.from('atom'), Buffer.from(kind), outpoint)
}

/** An output that nobody can spend. */
export function dataOutput(...data: readonly Uint8Array[]): Payee {
  return { script: script.compile([OP_RETURN, ...data]), value: 0 }
}

/** True if `hash`, as displayed, is that of the header, as a wallet computes it. */
export function isHashOfHeader(hash: string, headerHex: string): boolean {
  return equalBytes(crypto.hash256(Buffer.from(headerHex, 'hex')), fromDisplayHex(hash))
}
