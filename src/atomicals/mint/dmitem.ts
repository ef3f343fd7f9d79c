import { equalBytes, toHex } from '../../lib/bytes.ts'
import type { CborMap } from '../../lib/cbor/values.ts'
import { sha256, sha256d } from '../../lib/hash.ts'
import {
  bytesFromHex,
  characters,
  equalsInteger,
  integerOf,
  isTruthy,
  type MaybeValue,
  mapOf,
  textOf,
} from '../python.ts'
import { type Rule, rulesOf } from '../rules.ts'

/** What a container says of the items that may be minted from it. */
export interface Dmint {
  readonly mintHeight: bigint
  /** Root of the tree of items; 64 characters, which need not be hex. */
  readonly merkle: string
  readonly immutable: boolean
  readonly rules: readonly Rule[]
}

/** Why a container's `dmint` is not valid; the texts are those that answers of the API show. */
export type DmintError =
  | 'rules list is invalid'
  | 'mint_height is invalid'
  | 'v must be str 1'
  | 'immutable must be a bool'
  | 'merkle str must be 64 hex characters'
  | 'mint height invalid'
  | 'items cannot be set manually for dmint'
  | 'container not sealed'

/** Reads the `dmint` of a container's state. Undefined if the state has none. */
export function readDmint(
  state: CborMap,
  sealed: boolean,
): { readonly dmint: Dmint | undefined; readonly errors: readonly DmintError[] } | undefined {
  const value = state.get('dmint')
  if (!isTruthy(value)) return undefined
  const map = mapOf(value)
  const rules = rulesOf(value)
  const height = integerOf(map?.get('mint_height'))
  const badHeight = height === undefined || height < 0n
  const immutable = map?.get('immutable')
  const merkle = textOf(map?.get('merkle'))
  const errors: DmintError[] = []
  if (rules === undefined) errors.push('rules list is invalid')
  if (badHeight) errors.push('mint_height is invalid')
  if (map?.get('v') !== '1') errors.push('v must be str 1')
  if (isTruthy(immutable) && typeof immutable !== 'boolean') errors.push('immutable must be a bool')
  if (merkle === undefined || characters(merkle) !== 64) errors.push('merkle str must be 64 hex characters')
  if (badHeight && map?.get('mint_height') !== undefined) errors.push('mint height invalid')
  if (isTruthy(state.get('items'))) errors.push('items cannot be set manually for dmint')
  if (!sealed) errors.push('container not sealed')
  if (errors.length > 0 || rules === undefined || height === undefined || merkle === undefined) {
    return { dmint: undefined, errors }
  }
  return { dmint: { mintHeight: height, merkle, immutable: immutable === true, rules }, errors }
}

/** What an item's mint shows: the name, the work that it declares, its file, and how it is in the tree. */
export interface ItemProof {
  readonly name: string
  readonly commitWork: string | undefined
  readonly revealWork: string | undefined
  /** Name of the file in the payload. */
  readonly main: string
  /** sha256d of the file, in hex as hashed. */
  readonly mainHash: string
  readonly steps: readonly ProofStep[]
}

export interface ProofStep {
  readonly right: boolean
  readonly sibling: string
}

/** What the payload of an item's mint shows, or undefined if something is missing or malformed. */
export function itemProof(payload: CborMap, args: CborMap): ItemProof | undefined {
  const name = textOf(args.get('request_dmitem'))
  const steps = proofSteps(args.get('proof'))
  const main = textOf(args.get('main'))
  if (name === undefined || steps === undefined || main === undefined || main.length === 0) return undefined
  const file = payload.get(main)
  if (!(file instanceof Uint8Array) || file.length === 0) return undefined
  return {
    name,
    commitWork: declared(args.get('bitworkc')),
    revealWork: declared(args.get('bitworkr')),
    main,
    mainHash: toHex(sha256d(file)),
    steps,
  }
}

function declared(value: MaybeValue): string | undefined {
  return isTruthy(value) ? textOf(value) : undefined
}

// CONSENSUS: sides of a proof may be 1 and 0 (or 1.0 and 0.0) instead of true and false.
/** `[{p: right?, d: hash}]`, not empty; undefined if it is malformed. */
export function proofSteps(value: MaybeValue): readonly ProofStep[] | undefined {
  if (!Array.isArray(value) || value.length === 0) return undefined
  const steps: ProofStep[] = []
  for (const item of value) {
    const step = mapOf(item)
    const side = step?.get('p')
    const sibling = textOf(step?.get('d'))
    const right = equalsInteger(side, 1n)
    if (!right && !equalsInteger(side, 0n)) return undefined
    if (sibling === undefined || characters(sibling) !== 64) return undefined
    steps.push({ right, sibling })
  }
  return steps
}

/** The leaf that a proof leads from, if it leads to the root. */
export function provenLeaf(
  root: string,
  item: ItemProof,
): { readonly vector: string; readonly hash: Uint8Array } | undefined {
  const rootBytes = bytesFromHex(root)
  const siblings = item.steps.map(({ sibling }) => bytesFromHex(sibling))
  if (rootBytes === undefined || siblings.includes(undefined)) return undefined
  for (const vector of leaves(item)) {
    const hash = sha256(new TextEncoder().encode(vector))
    let node = hash
    for (const [i, { right }] of item.steps.entries()) {
      const sibling = siblings[i] ?? new Uint8Array(0)
      node = sha256(Buffer.concat(right ? [node, sibling] : [sibling, node]))
    }
    if (equalBytes(node, rootBytes)) return { vector, hash }
  }
  return undefined
}

/** The tree may have been made for any work or for the work that is declared. */
function leaves({ name, commitWork, revealWork, main, mainHash }: ItemProof): string[] {
  const leaf = (commit: string, reveal: string): string => `${name}:${commit}:${reveal}:${main}:${mainHash}`
  const found = [leaf('any', 'any')]
  if (commitWork !== undefined) found.push(leaf(commitWork, 'any'))
  if (revealWork !== undefined) found.push(leaf('any', revealWork))
  if (commitWork !== undefined && revealWork !== undefined) found.push(leaf(commitWork, revealWork))
  return found
}

/** True if an item may be minted from a container, as far as the tree and the file go. */
export function isProvenItem(dmint: Dmint, payload: CborMap, args: CborMap): boolean {
  if (dmint.immutable && args.get('i') !== true) return false
  const proof = itemProof(payload, args)
  return proof !== undefined && provenLeaf(dmint.merkle, proof) !== undefined
}
