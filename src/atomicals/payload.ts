/** The payload of an operation: a CBOR map whose sections hold nothing but plain values. */

import { ParseError } from '../errors.ts'
import { CborMap, type CborValue } from '../lib/cbor/values.ts'
import { decodeCbor } from '../lib/cbor.ts'

export interface PayloadRules {
  /** From the density height on. */
  readonly argsMayHaveBytes: boolean
}

/** The payload, or undefined if it is none and the operation with it. */
export function parsePayload(bytes: Uint8Array, rules: PayloadRules): CborMap | undefined {
  const payload = decodedMap(bytes)
  if (payload === undefined) return undefined
  const sections: readonly [name: string, mayHaveBytes: boolean][] = [
    ['meta', false],
    ['args', rules.argsMayHaveBytes],
    ['ctx', false],
    ['init', true],
  ]
  const arePlain = sections.every(([name, mayHaveBytes]) => {
    const section = payload.get(name)
    return section === undefined || isPlain(section, mayHaveBytes)
  })
  return arePlain ? payload : undefined
}

// CONSENSUS: bytes behind the first CBOR item of a payload are ignored.
function decodedMap(bytes: Uint8Array): CborMap | undefined {
  try {
    const value = decodeCbor(bytes)
    return value instanceof CborMap ? value : undefined
  } catch (error) {
    if (error instanceof ParseError) return undefined
    throw error
  }
}

// CONSENSUS: the check of a section descends into the first nested map and takes its verdict; what stands behind that
// map is not looked at, and neither is what lists hold.
function isPlain(section: CborValue, mayHaveBytes: boolean): boolean {
  const seen = new Set<CborMap>()
  let value: CborValue | undefined = section
  while (value instanceof CborMap) {
    // A map in itself: the reference descends until it stops for good.
    if (seen.has(value)) return false
    seen.add(value)
    const verdict: CborMap | boolean = verdictOn(value, mayHaveBytes)
    if (typeof verdict === 'boolean') return verdict
    value = verdict
  }
  return false
}

/** Whether the values of a map are plain, or the map that decides instead. */
function verdictOn(map: CborMap, mayHaveBytes: boolean): CborMap | boolean {
  for (const { value } of map.entries()) {
    if (value instanceof CborMap) return value
    if (!isPlainValue(value, mayHaveBytes)) return false
  }
  return true
}

function isPlainValue(value: CborValue, mayHaveBytes: boolean): boolean {
  if (value instanceof Uint8Array) return mayHaveBytes
  if (Array.isArray(value)) return true
  return value !== null && typeof value !== 'object'
}
