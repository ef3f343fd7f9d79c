import { sha256d } from '../../../src/lib/hash.ts'
import { heightPush } from '../../../src/regtest/block-check.ts'
import type { Random } from './random.ts'
import { KIND, type Kind, type Scripts } from './scripts.ts'

/** Bytes that stand for signatures and keys; drawn once, then cut from anywhere. */
const NOISE_SIZE = 1 << 20

export interface BuiltTx {
  /** Overwritten when the builder begins the next transaction. */
  readonly raw: Uint8Array
  /** Internal order. */
  readonly txid: Uint8Array
  /** Internal order. */
  readonly wtxid: Uint8Array
  readonly weight: number
}

/** A transaction whose bytes are its own, and what it leaves to the miner. */
export interface KeptTx extends BuiltTx {
  /** Satoshis. */
  readonly fee: number
}

export function keep(tx: BuiltTx, fee: number): KeptTx {
  return { ...tx, raw: Uint8Array.prototype.slice.call(tx.raw), fee }
}

/** Writes transactions into buffers that it uses again: begin(), then inputs and outputs in any order, then finish(). */
export class TxBuilder {
  inputs = 0
  outputs = 0
  readonly #scripts: Scripts
  readonly #noise: Buffer
  readonly #ins = new Writer(1 << 20)
  readonly #outs = new Writer(1 << 20)
  readonly #witnesses = new Writer(1 << 21)
  readonly #stripped = new Writer(1 << 21)
  readonly #whole = new Writer(1 << 22)
  #hasWitness = false

  /** `noise`: NOISE_SIZE random bytes, see noiseOf. */
  constructor(scripts: Scripts, noise: Buffer) {
    this.#scripts = scripts
    this.#noise = noise
  }

  begin(): void {
    this.inputs = 0
    this.outputs = 0
    this.#hasWitness = false
    for (const writer of [this.#ins, this.#outs, this.#witnesses]) writer.clear()
  }

  /** Adds an input that spends an output of `address`; `prevTxid` in internal order. */
  input(prevTxid: Uint8Array, prevIndex: number, address: number, kind: Kind, random: Random): void {
    this.inputs += 1
    this.#ins.bytes(prevTxid)
    this.#ins.uint32(prevIndex)
    if (kind === KIND.bare25) {
      this.#ins.byte(107)
      this.#push(this.#ins, 72, random)
      this.#push(this.#ins, 33, random)
      this.#witnesses.byte(0)
    } else {
      this.#hasWitness = true
      if (kind === KIND.nested) {
        this.#ins.byte(23)
        this.#ins.byte(22)
        this.#ins.bytes(this.#scripts.redeemScript(address))
      } else {
        this.#ins.byte(0)
      }
      this.#witness(address, kind, random)
    }
    this.#ins.uint32(0xffff_fffd)
  }

  coinbaseInput(height: number, tag: Uint8Array): void {
    this.inputs += 1
    this.#hasWitness = true
    this.#ins.zeros(32)
    this.#ins.uint32(0xffff_ffff)
    const push = heightPush(height)
    this.#ins.byte(push.length + 1 + tag.length)
    this.#ins.bytes(push)
    this.#ins.byte(tag.length)
    this.#ins.bytes(tag)
    this.#ins.uint32(0xffff_ffff)
    this.#witnesses.byte(1)
    this.#witnesses.byte(32)
    this.#witnesses.zeros(32)
  }

  output(satoshis: number, address: number, kind: Kind): void {
    this.outputs += 1
    this.#outs.uint64(satoshis)
    this.#outs.prefixed((target, offset) => this.#scripts.write(target, offset, address, kind))
  }

  outputScript(satoshis: number, script: Uint8Array): void {
    this.outputs += 1
    this.#outs.uint64(satoshis)
    this.#outs.compactSize(script.length)
    this.#outs.bytes(script)
  }

  /** An OP_RETURN output with 8 to 75 bytes. */
  dataOutput(random: Random): void {
    const length = random.fraction() < 0.7 ? random.whole(8, 32) : random.whole(33, 75)
    this.outputs += 1
    this.#outs.uint64(0)
    this.#outs.byte(length + 2)
    this.#outs.byte(0x6a)
    this.#push(this.#outs, length, random)
  }

  finish(): BuiltTx {
    const stripped = this.#stripped
    stripped.clear()
    stripped.uint32(2)
    stripped.compactSize(this.inputs)
    stripped.bytes(this.#ins.written)
    stripped.compactSize(this.outputs)
    stripped.bytes(this.#outs.written)
    stripped.uint32(0)
    const base = stripped.written
    const txid = sha256d(base)
    if (!this.#hasWitness) return { raw: base, txid, wtxid: txid, weight: base.length * 4 }
    const whole = this.#whole
    whole.clear()
    whole.uint32(2)
    whole.byte(0)
    whole.byte(1)
    whole.bytes(base.subarray(4, -4))
    whole.bytes(this.#witnesses.written)
    whole.uint32(0)
    const raw = whole.written
    return { raw, txid, wtxid: sha256d(raw), weight: base.length * 3 + raw.length }
  }

  #witness(address: number, kind: Kind, random: Random): void {
    const witnesses = this.#witnesses
    if (kind === KIND.open32) {
      this.#taprootLike(random)
      return
    }
    witnesses.byte(2)
    this.#push(witnesses, 72, random)
    if (kind === KIND.wsh) {
      witnesses.byte(37)
      witnesses.bytes(this.#scripts.witnessScript(address))
    } else {
      this.#push(witnesses, 33, random)
    }
  }

  /** Mostly the shape of a key path spend; else of a script path: signature, script, control block. */
  #taprootLike(random: Random): void {
    const witnesses = this.#witnesses
    const at = random.fraction()
    if (at < 0.85) {
      witnesses.byte(1)
      this.#push(witnesses, 64, random)
      return
    }
    const length = at < 0.98 ? random.whole(110, 250) : random.whole(600, 3000)
    witnesses.byte(3)
    this.#push(witnesses, 64, random)
    witnesses.compactSize(length)
    const script = this.#cut(length, random)
    // `<32-byte key> CHECKSIG`, the usual opening.
    witnesses.byte(32)
    witnesses.bytes(script.subarray(1, 33))
    witnesses.byte(0xac)
    witnesses.bytes(script.subarray(34))
    this.#push(witnesses, 33, random)
  }

  /** One length byte, then so much noise. */
  #push(writer: Writer, length: number, random: Random): void {
    writer.byte(length)
    writer.bytes(this.#cut(length, random))
  }

  #cut(length: number, random: Random): Buffer {
    const start = random.uint32() % (this.#noise.length - length)
    return this.#noise.subarray(start, start + length)
  }
}

export function noiseOf(random: Random): Buffer {
  return random.bytes(NOISE_SIZE)
}

/** Appends to one buffer. */
class Writer {
  readonly #buffer: Buffer
  #length = 0

  constructor(size: number) {
    this.#buffer = Buffer.allocUnsafe(size)
  }

  /** A view, until clear(). */
  get written(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  byte(value: number): void {
    this.#buffer[this.#length++] = value
  }

  bytes(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  zeros(count: number): void {
    this.#buffer.fill(0, this.#length, this.#length + count)
    this.#length += count
  }

  uint32(value: number): void {
    this.#length = this.#buffer.writeUInt32LE(value, this.#length)
  }

  uint64(value: number): void {
    this.uint32(value % 2 ** 32)
    this.uint32(Math.floor(value / 2 ** 32))
  }

  compactSize(value: number): void {
    if (value < 0xfd) {
      this.byte(value)
    } else if (value <= 0xffff) {
      this.byte(0xfd)
      this.#length = this.#buffer.writeUInt16LE(value, this.#length)
    } else {
      this.byte(0xfe)
      this.uint32(value)
    }
  }

  /** What `write` writes (less than 253 bytes), after its length. */
  prefixed(write: (target: Buffer, offset: number) => number): void {
    const length = write(this.#buffer, this.#length + 1)
    this.#buffer[this.#length] = length
    this.#length += 1 + length
  }
}
