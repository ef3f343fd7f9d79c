import { hash160, sha256 } from '../../../src/lib/hash.ts'
import { fillFor, mix32 } from './random.ts'

/**
 * Output scripts that can be spent without keys. Blocks need consensus validity only, so most outputs use rules that
 * consensus leaves open, in exactly the bytes of today's common types:
 *   open20  OP_2 and 20 bytes  size of P2WPKH, any witness will do
 *   open32  OP_3 and 32 bytes  size of P2TR, any witness will do
 *   bare25  25 bytes           size of P2PKH, drops what the input script pushed
 *   nested  P2SH of open20     size of P2SH-P2WPKH
 *   wsh     P2WSH of `DROP <33 bytes> DROP TRUE`, which a mempool's stricter flags take too
 * and some are the real types with keys that nobody has: they are never spent.
 */
export const KIND = {
  open20: 0,
  open32: 1,
  bare25: 2,
  nested: 3,
  wsh: 4,
  p2wpkh: 5,
  p2tr: 6,
  p2pkh: 7,
  p2wsh: 8,
} as const

export type Kind = (typeof KIND)[keyof typeof KIND]

/** Addresses in a thousand that are of a kind, about as on mainnet. */
const SHARES: readonly (readonly [share: number, kind: Kind])[] = [
  [400, KIND.open20],
  [240, KIND.open32],
  [100, KIND.bare25],
  [90, KIND.nested],
  [60, KIND.wsh],
  [40, KIND.p2wpkh],
  [40, KIND.p2tr],
  [15, KIND.p2pkh],
  [15, KIND.p2wsh],
]
const KIND_OF_THOUSANDTH: readonly Kind[] = SHARES.flatMap(([share, kind]) => new Array<Kind>(share).fill(kind))

/** Kinds of the busy addresses, in turn: all can be spent. */
const BUSY_KINDS: readonly Kind[] = [KIND.open20, KIND.open32, KIND.bare25, KIND.nested, KIND.wsh]

const LONGEST_SCRIPT = 34
const DROP = 0x75
const TRUE = 0x51
const NOP = 0x61

export function isSpendable(kind: Kind): boolean {
  return kind <= KIND.wsh
}

export function busyKind(address: number): Kind {
  return BUSY_KINDS[address % BUSY_KINDS.length]!
}

/** Scripts of numbered addresses: functions of the number and a 32-bit salt. */
export class Scripts {
  readonly #salt: number
  readonly #redeem = Buffer.alloc(22)
  readonly #witness = Buffer.alloc(37)

  constructor(salt: number) {
    this.#salt = salt
    this.#redeem.set([0x52, 20])
    this.#witness.set([DROP, 33])
    this.#witness.set([DROP, TRUE], 35)
  }

  /** Kind of an address that was nobody's choice. */
  kindOf(address: number): Kind {
    return KIND_OF_THOUSANDTH[mix32(address, this.#salt ^ 0x5bd1_e995) % 1000]!
  }

  /** The script that a `nested` address is the hash of; overwritten by the next call. */
  redeemScript(address: number): Buffer {
    fillFor(this.#redeem, 2, 20, this.#salt, address)
    return this.#redeem
  }

  /** The script that a `wsh` address is the hash of; overwritten by the next call. */
  witnessScript(address: number): Buffer {
    fillFor(this.#witness, 2, 33, this.#salt, address)
    return this.#witness
  }

  script(address: number, kind: Kind): Uint8Array {
    const script = Buffer.alloc(LONGEST_SCRIPT)
    return script.subarray(0, this.write(script, 0, address, kind))
  }

  /** Writes the output script of an address; returns its length. */
  write(target: Uint8Array, offset: number, address: number, kind: Kind): number {
    switch (kind) {
      case KIND.open20:
        return this.#program(target, offset, 0x52, 20, address)
      case KIND.open32:
        return this.#program(target, offset, 0x53, 32, address)
      case KIND.p2wpkh:
        return this.#program(target, offset, 0x00, 20, address)
      case KIND.p2wsh:
        return this.#program(target, offset, 0x00, 32, address)
      case KIND.p2tr:
        return this.#program(target, offset, 0x51, 32, address)
      case KIND.bare25:
        target.set([0x6d, 20], offset)
        fillFor(target, offset + 2, 20, this.#salt, address)
        target.set([DROP, TRUE, NOP], offset + 22)
        return 25
      case KIND.p2pkh:
        target.set([0x76, 0xa9, 20], offset)
        fillFor(target, offset + 3, 20, this.#salt, address)
        target.set([0x88, 0xac], offset + 23)
        return 25
      case KIND.nested:
        target.set([0xa9, 20], offset)
        target.set(hash160(this.redeemScript(address)), offset + 2)
        target[offset + 22] = 0x87
        return 23
      case KIND.wsh:
        target.set([0x00, 32], offset)
        target.set(sha256(this.witnessScript(address)), offset + 2)
        return 34
      default:
        throw new RangeError(`no kind ${String(kind satisfies never)}`)
    }
  }

  #program(target: Uint8Array, offset: number, version: number, length: number, address: number): number {
    target[offset] = version
    target[offset + 1] = length
    fillFor(target, offset + 2, length, this.#salt, address)
    return length + 2
  }
}
