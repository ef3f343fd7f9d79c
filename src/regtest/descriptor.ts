import { addressOf, BITCOIN_ADDRESSES } from '../chain/address.ts'
import { instructions, OP, scriptKind } from '../chain/script.ts'
import { toHex } from '../lib/bytes.ts'

/** The output descriptor that Core infers for a script it knows nothing else of, with its checksum (BIP380). */
export function descriptorOf(script: Uint8Array): string {
  const text = infer(script)
  return `${text}#${checksum(text)}`
}

function infer(script: Uint8Array): string {
  const kind = scriptKind(script)
  if (kind === 'pubkey') {
    const key = script.subarray(1, -1)
    if (isPlainKey(key)) return `pk(${toHex(key)})`
  }
  if (kind === 'multisig') {
    const keys = [...instructions(script)]
      .map(({ data }) => data)
      .filter((data) => data !== undefined && data.length > 1)
    const required = (script[0] ?? OP.RESERVED) - OP.RESERVED
    if (keys.length <= 3 && keys.every(isPlainKey)) return `multi(${[required, ...keys.map(keyHex)].join(',')})`
  }
  if (kind === 'witness_v1_taproot') {
    const key = script.subarray(2)
    if (isOnCurve(key)) return `rawtr(${toHex(key)})`
  }
  const address = addressOf(script, BITCOIN_ADDRESSES.regtest)
  return address === undefined ? `raw(${toHex(script)})` : `addr(${address})`
}

function keyHex(key: Uint8Array | undefined): string {
  return toHex(key ?? new Uint8Array(0))
}

/** Compressed or uncompressed; the hybrid form is in no descriptor. */
function isPlainKey(key: Uint8Array | undefined): boolean {
  return key?.[0] === 2 || key?.[0] === 3 || key?.[0] === 4
}

const FIELD = 2n ** 256n - 2n ** 32n - 977n

/** True if there is a point of secp256k1 with this x (BIP340): x^3 + 7 is a square, by Euler's criterion. */
export function isOnCurve(x: Uint8Array): boolean {
  const value = BigInt(`0x${toHex(x)}`)
  if (value >= FIELD) return false
  const square = (value ** 3n + 7n) % FIELD
  let result = 1n
  let base = square
  for (let exponent = (FIELD - 1n) / 2n; exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) result = (result * base) % FIELD
    base = (base * base) % FIELD
  }
  return result === 1n
}

const INPUT_CHARSET =
  '0123456789()[],\'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#"\\ '
const OUTPUT_CHARSET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'
const GENERATOR = [0xf5dee51989n, 0xa9fdca3312n, 0x1bab10e32dn, 0x3706b1677an, 0x644d626ffdn]

/** BIP380's checksum: eight characters of a BCH code over the text. */
export function checksum(text: string): string {
  let state = 1n
  const feed = (value: number): void => {
    const top = state >> 35n
    state = ((state & 0x7_ffff_ffffn) << 5n) ^ BigInt(value)
    GENERATOR.forEach((generator, bit) => {
      if (((top >> BigInt(bit)) & 1n) === 1n) state ^= generator
    })
  }
  let group = 0
  let count = 0
  for (const character of text) {
    const position = INPUT_CHARSET.indexOf(character)
    feed(position & 31)
    group = group * 3 + (position >> 5)
    count += 1
    if (count < 3) continue
    feed(group)
    group = 0
    count = 0
  }
  if (count > 0) feed(group)
  for (let i = 0; i < 8; i++) feed(0)
  state ^= 1n
  return Array.from({ length: 8 }, (_, i) => OUTPUT_CHARSET[Number((state >> BigInt(5 * (7 - i))) & 31n)]).join('')
}
