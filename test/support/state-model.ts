import { concat, fromHex, toHex } from '../../src/lib/bytes.ts'
import type { OracleValue } from './cbor-oracle.ts'

/** A value to be written as CBOR: `hex` as bytes have it, `seen` as the oracle writes what it decodes to. */
export type DraftLeaf = {
  readonly kind: 'leaf'
  readonly hex: string
  readonly seen: OracleValue
  readonly set: boolean
}
export type Draft = DraftLeaf | DraftMap | { readonly kind: 'list'; readonly items: readonly Draft[] }
export interface DraftMap {
  readonly kind: 'map'
  readonly entries: readonly (readonly [key: DraftKey, value: Draft])[]
}
/** `name` is the same for keys that are one key to Python. */
export interface DraftKey {
  readonly name: string
  readonly hex: string
  readonly seen: OracleValue
}

/** A dict, as the language reference has it: a key that is there keeps its place and its spelling. */
type Dict = Map<string, { readonly key: OracleValue; value: Value }>
type Value = { readonly dict: Dict } | { readonly list: readonly Value[] } | DraftLeaf

/** CBOR of a draft. Maps of one byte's length at most. */
export function cborOf(draft: Draft): Uint8Array {
  if (draft.kind === 'leaf') return fromHex(draft.hex)
  if (draft.kind === 'list') return concat(headOf(0x98, draft.items.length), ...draft.items.map(cborOf))
  const parts = draft.entries.flatMap(([key, value]) => [fromHex(key.hex), cborOf(value)])
  return concat(headOf(0xb8, draft.entries.length), ...parts)
}

function headOf(lead: number, length: number): Uint8Array {
  return Uint8Array.of(lead, length)
}

/**
 * The state after changes of it as the reference makes it, from the description of its semantics and nothing of ours:
 * every change is read anew, dicts are altered where they are.
 */
export function modelState(changes: readonly DraftMap[]): OracleValue {
  const state: Dict = new Map()
  for (const change of changes) {
    const dict = dictOf(change)
    if (isDelete(dict)) removeFrom(state, dict, true)
    else setInto(state, dict, true)
  }
  return seen({ dict: state })
}

function valueOf(draft: Draft): Value {
  if (draft.kind === 'leaf') return draft
  return draft.kind === 'list' ? { list: draft.items.map(valueOf) } : { dict: dictOf(draft) }
}

function dictOf({ entries }: DraftMap): Dict {
  const dict: Dict = new Map()
  for (const [{ name, seen: key }, value] of entries) assign(dict, name, key, valueOf(value))
  return dict
}

function assign(dict: Dict, name: string, key: OracleValue, value: Value): void {
  dict.set(name, { key: dict.get(name)?.key ?? key, value })
}

function isDelete(change: Dict): boolean {
  const action = change.get('$a')?.value
  return action !== undefined && 'hex' in action && (action.hex === '01' || action.hex === 'f5')
}

function setInto(target: Dict, change: Dict, top: boolean): void {
  for (const [name, { key, value }] of change) {
    if (name === '$a' || (top && name === 'args')) continue
    const before = target.get(name)?.value
    if (before !== undefined && isSet(before) && 'dict' in before) {
      if ('dict' in value) setInto(before.dict, value.dict, false)
    } else assign(target, name, key, value)
  }
}

function removeFrom(target: Dict, change: Dict, top: boolean): void {
  for (const [name, { value }] of change) {
    if (name === '$a' || (top && name === 'args')) continue
    const before = target.get(name)?.value
    if ('hex' in value && value.hex === 'f5') target.delete(name)
    else if ('dict' in value && before !== undefined && 'dict' in before) removeFrom(before.dict, value.dict, false)
  }
}

function isSet(value: Value): boolean {
  if ('dict' in value) return value.dict.size > 0
  return 'list' in value ? value.list.length > 0 : value.set
}

function seen(value: Value): OracleValue {
  if ('list' in value) return ['list', value.list.map(seen)]
  if ('dict' in value) return ['map', Array.from(value.dict.values(), ({ key, value: of }) => [key, seen(of)])]
  return value.seen
}

/** A leaf by its CBOR in hex. `set`: whether Python's `if value` holds. */
export function leaf(hex: string, seenAs: OracleValue, set: boolean): DraftLeaf {
  return { kind: 'leaf', hex, seen: seenAs, set }
}

/** A text of less than 24 bytes as a key. */
export function textKey(text: string): DraftKey {
  const bytes = new TextEncoder().encode(text)
  return { name: text, hex: toHex(concat(Uint8Array.of(0x60 + bytes.length), bytes)), seen: ['text', text] }
}
