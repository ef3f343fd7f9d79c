import type { WitnessedTx } from '../../src/atomicals/operation.ts'
import { concat, fromHex } from '../../src/lib/bytes.ts'

const KEY = new Uint8Array(33).fill(0x11)
KEY[0] = 0x20

/** A push of up to 75 bytes. */
export function push(bytes: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(bytes.length), bytes)
}

export function pushText(text: string): Uint8Array {
  return push(Buffer.from(text, 'latin1'))
}

/** A tapscript with an operation: `script` is what follows the marker. */
export function scriptOf(...script: readonly Uint8Array[]): Uint8Array {
  return concat(KEY, fromHex('ac0063'), pushText('atom'), ...script)
}

/** A tapscript as wallets make it, with a payload of up to 75 bytes in hex. */
export function operationScript(op: string, payloadHex: string): Uint8Array {
  const payload = fromHex(payloadHex)
  return scriptOf(pushText(op), ...(payload.length === 0 ? [] : [push(payload)]), fromHex('68'))
}

/** A transaction whose input i spends output 100 + i of a txid of bytes i + 1 and has the witness item given, or none. */
export function txOf(...scripts: readonly (Uint8Array | undefined)[]): WitnessedTx {
  return {
    inputs: scripts.map((script, i) => ({
      prevTxid: new Uint8Array(32).fill(i + 1),
      prevIndex: 100 + i,
      witness: script === undefined ? [] : [new Uint8Array(64), script, fromHex('c0')],
    })),
  }
}
