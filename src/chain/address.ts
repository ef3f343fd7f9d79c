import { fromBase58Check, fromBech32, toBase58Check, toBech32 } from 'bitcoinjs-lib/src/address'
import { ParseError } from '../errors.ts'
import { concat } from '../lib/bytes.ts'
import { isPayToPubkeyHash, isPayToScriptHash, OP, pushOf, witnessProgram } from './script.ts'

/** What tells addresses of one network from those of another. */
export interface AddressVersions {
  /** First byte of a P2PKH address in base58check. */
  readonly pubKeyHash: number
  /** First byte of a P2SH address in base58check. */
  readonly scriptHash: number
  /** Human-readable part of segwit addresses (BIP173). */
  readonly bech32: string
}

const TEST_VERSIONS: AddressVersions = { pubKeyHash: 0x6f, scriptHash: 0xc4, bech32: 'tb' }

/** Bitcoin's networks; the test networks but regtest share theirs. */
export const BITCOIN_ADDRESSES = {
  mainnet: { pubKeyHash: 0x00, scriptHash: 0x05, bech32: 'bc' },
  testnet: TEST_VERSIONS,
  testnet4: TEST_VERSIONS,
  signet: TEST_VERSIONS,
  regtest: { ...TEST_VERSIONS, bech32: 'bcrt' },
} as const satisfies Record<string, AddressVersions>

/**
 * The address of an output script, as Core's ExtractDestination and EncodeDestination have it: P2PKH, P2SH and every
 * witness program, pay-to-anchor and versions to come among them. Undefined for scripts without one, P2PK too.
 */
export function addressOf(script: Uint8Array, versions: AddressVersions): string | undefined {
  if (isPayToPubkeyHash(script)) return toBase58Check(script.subarray(3, 23), versions.pubKeyHash)
  if (isPayToScriptHash(script)) return toBase58Check(script.subarray(2, 22), versions.scriptHash)
  const witness = witnessProgram(script)
  if (witness === undefined || !isDefined(witness.version, witness.program.length)) return undefined
  return toBech32(witness.program, witness.version, versions.bech32)
}

/** The output script of an address. Throws ParseError unless it is a whole and valid address of this network. */
export function scriptOfAddress(address: string, versions: AddressVersions): Uint8Array {
  const script = fromSegwit(address, versions) ?? fromBase58(address, versions)
  if (script === undefined) throw new ParseError('not an address of this network', 0)
  return script
}

/** Version 0 has two lengths and no other; what later versions may be is open (BIP141). */
function isDefined(version: number, length: number): boolean {
  if (version === 0) return length === 20 || length === 32
  return version <= 16 && length >= 2 && length <= 40
}

function fromSegwit(address: string, versions: AddressVersions): Uint8Array | undefined {
  const decoded = attempt(() => fromBech32(address))
  if (decoded === undefined || decoded.prefix !== versions.bech32) return undefined
  const { version, data } = decoded
  if (!isDefined(version, data.length)) return undefined
  return concat(Uint8Array.of(version === 0 ? OP.FALSE : OP.RESERVED + version), pushOf(data))
}

function fromBase58(address: string, versions: AddressVersions): Uint8Array | undefined {
  const decoded = attempt(() => fromBase58Check(address))
  if (decoded === undefined) return undefined
  const push = pushOf(decoded.hash)
  if (decoded.version === versions.pubKeyHash) {
    return concat(Uint8Array.of(OP.DUP, OP.HASH160), push, Uint8Array.of(OP.EQUALVERIFY, OP.CHECKSIG))
  }
  if (decoded.version === versions.scriptHash) {
    return concat(Uint8Array.of(OP.HASH160), push, Uint8Array.of(OP.EQUAL))
  }
  return undefined
}

/** The library refuses by throwing errors of several classes; all of them mean that this is no such address. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch {
    return undefined
  }
}
