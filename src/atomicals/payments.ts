import type { Tx } from '../chain/tx.ts'
import { fromLatin1, toHex, toLatin1 } from '../lib/bytes.ts'
import type { CborMap } from '../lib/cbor/values.ts'
import { idTextOfCompact } from './id-text.ts'
import { integerOf, isTruthy, mapOf } from './python.ts'
import type { TokenColours } from './transfer/colours.ts'
import type { IdText } from './transfer/holding.ts'

/** An output that says which candidate a transaction pays for. */
export interface PaymentMarker {
  readonly kind: 'subrealm' | 'dmitem'
  /** Undefined for a marker that ends before its id does: it pays for nobody. */
  readonly id: IdText | undefined
  readonly output: number
}

const ATOM = '\x04atom'
const ID_SIZE = 36
/** The least that a script with a marker has: 6a, the marker's name and kind, and the push of an id. */
const MARKER_SIZE = 1 + ATOM.length + 3 + ID_SIZE
const KINDS = new Map([
  ['\x01p\x24', 'subrealm'],
  ['\x01d\x24', 'dmitem'],
] as const)

// CONSENSUS: only the first marker of a transaction counts.
/** The first payment marker of a transaction: `6a` or `006a`, `04 atom`, `01 p` or `01 d`, `24` and the id. */
export function paymentMarker(tx: Pick<Tx, 'outputs'>): PaymentMarker | undefined {
  for (const [output, { script }] of tx.outputs.entries()) {
    const marker = markerOf(script)
    if (marker !== undefined) return { output, ...marker }
  }
  return undefined
}

// CONSENSUS: a marker behind 006a may lack the last byte of its id. A split with one is in the block hash as a payment that
// failed; at every other transaction with one the reference stops for good.
function markerOf(script: Uint8Array): Omit<PaymentMarker, 'output'> | undefined {
  const start = script[0] === 0x6a ? 1 : script[0] === 0 && script[1] === 0x6a ? 2 : 0
  if (start === 0 || script.length < MARKER_SIZE) return undefined
  const text = toLatin1(script.subarray(start, start - 1 + MARKER_SIZE))
  if (!text.startsWith(ATOM)) return undefined
  for (const [push, kind] of KINDS) {
    if (!text.startsWith(push, ATOM.length)) continue
    const id = text.slice(ATOM.length + push.length)
    return { kind, id: id.length === ID_SIZE ? id : undefined }
  }
  return undefined
}

/**
 * True if outputs pay all that a rule asks: each script named gets at least `v` satoshis in one output, or, with `id`, at
 * least `v` units of that token.
 */
export function isPaid(asked: CborMap | undefined, tx: Pick<Tx, 'outputs'>, colours: TokenColours): boolean {
  if (asked === undefined || asked.size === 0) return false
  const met = new Map<string, boolean>()
  for (const { key, value } of asked.entries()) {
    const { valid, token } = tokenOf(mapOf(value))
    if (typeof key !== 'string' || !valid) return false
    met.set(demandName(key, token), false)
  }
  for (const [output, { script, value: satoshis }] of tx.outputs.entries()) {
    const hex = toHex(script)
    const price = mapOf(asked.get(hex))
    const least = integerOf(price?.get('v'))
    const { token } = tokenOf(price)
    if (least === undefined || least < 0n) continue
    const paid = token === undefined ? satoshis : colours.at(output, token)
    if (paid !== undefined && paid >= least) met.set(demandName(hex, token), true)
  }
  return [...met.values()].every((isMet) => isMet)
}

/** The token that a price is in; undefined for satoshis. */
function tokenOf(price: CborMap | undefined): { readonly valid: boolean; readonly token: IdText | undefined } {
  const id = price?.get('id')
  if (!isTruthy(id)) return { valid: true, token: undefined }
  const token = typeof id === 'string' ? idTextOfCompact(id) : undefined
  return { valid: token !== undefined, token }
}

// CONSENSUS: a demand is told by script and token as one text, so a script that ends in the token of another is the same.
function demandName(scriptHex: string, token: IdText | undefined): string {
  return token === undefined ? scriptHex : scriptHex + toHex(fromLatin1(token))
}
