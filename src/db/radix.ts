const BITS = 11
const BUCKETS = 1 << BITS
const MASK = BUCKETS - 1

/** Numbers in the order of keys, and those keys in that order. */
export interface Order {
  readonly numbers: Uint32Array
  readonly keys: Uint32Array
}

/**
 * The numbers 0 to keys.length - 1 in the order of the keys; where keys are equal, in their own order. The keys move along,
 * so that neither the next pass nor who looks for equal ones has to go back to where they came from.
 */
export function radixOrder(keys: Uint32Array): Order {
  const count = keys.length
  let from = { numbers: new Uint32Array(count), keys: keys.slice() }
  let to = { numbers: new Uint32Array(count), keys: new Uint32Array(count) }
  for (let i = 0; i < count; i++) from.numbers[i] = i
  for (let shift = 0; shift < 32; shift += BITS) {
    spread(from, to, shift)
    ;[from, to] = [to, from]
  }
  return from
}

function spread(from: Order, to: Order, shift: number): void {
  const ends = startsOf(from.keys, shift)
  for (let i = 0; i < from.keys.length; i++) {
    const key = from.keys[i] ?? 0
    const bucket = (key >>> shift) & MASK
    const at = ends[bucket] ?? 0
    to.numbers[at] = from.numbers[i] ?? 0
    to.keys[at] = key
    ends[bucket] = at + 1
  }
}

/** Where the places of each bucket begin. */
function startsOf(keys: Uint32Array, shift: number): Uint32Array {
  const starts = new Uint32Array(BUCKETS)
  for (const key of keys) {
    const bucket = (key >>> shift) & MASK
    starts[bucket] = (starts[bucket] ?? 0) + 1
  }
  let sum = 0
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const size = starts[bucket] ?? 0
    starts[bucket] = sum
    sum += size
  }
  return starts
}
