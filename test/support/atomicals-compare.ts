import type { Json } from '../../src/rpc/json.ts'

/** What a row of the corpus lets an answer be instead of what was recorded. */
export type Accept = 'error' | 'result' | 'reordered' | 'uncoloured' | 'any'

type Members = { readonly [name: string]: Json }

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}

function isMembers(value: Json): value is Members {
  return typeof value === 'object' && value !== null && !isList(value)
}

/** Names of members that say nothing of the chain. */
const VOLATILE = new Set(['server_time'])
/** Size of an empty bytes object in Python. */
const BYTES_OVERHEAD = 33

/**
 * Text that is the same for equal answers: members by name, numbers by value, `$len` with or without what Python adds.
 * `isRow`: entries of lists that are to be compared in no order.
 */
export function canonical(value: Json, unordered = false): string {
  if (isList(value)) {
    const items = value.map((item) => canonical(item, unordered))
    return `[${(unordered ? items.sort() : items).join()}]`
  }
  if (!isMembers(value)) return typeof value === 'bigint' ? value.toString() : JSON.stringify(value)
  const isBytes = typeof value['$b'] === 'string' && value['$auto'] === true
  const names = Object.keys(value)
    .filter((name) => !VOLATILE.has(name) && name !== 'unconfirmed')
    .sort()
  return `{${names
    .map((name) => {
      const member = value[name] ?? null
      const plain = isBytes && name === '$len' ? lengthOf(value, member) : member
      return `${JSON.stringify(name)}:${canonical(plain, unordered)}`
    })
    .join()}}`
}

function lengthOf({ $b: hex }: Members, length: Json): Json {
  const bytes = typeof hex === 'string' ? hex.length / 2 : 0
  return length === bytes + BYTES_OVERHEAD ? bytes : length
}

/** Lists of outputs and histories: entries that are not confirmed have no order. */
export function sortUnconfirmed(value: Json): Json {
  if (!isList(value)) return value
  const heightOf = (entry: Json): number => (isMembers(entry) ? Number(entry['height'] ?? 1) : 1)
  const confirmed = value.filter((entry) => heightOf(entry) > 0)
  const others = value.filter((entry) => heightOf(entry) <= 0)
  return [...confirmed, ...others.sort((a, b) => (canonical(a) < canonical(b) ? -1 : 1))]
}

/** The same without what sits at outputs that are not confirmed. */
export function uncoloured(value: Json): Json {
  if (!isList(value)) return value
  return value.map((entry) =>
    isMembers(entry) && Number(entry['height'] ?? 1) <= 0 ? { ...entry, atomicals: {} } : entry,
  )
}
