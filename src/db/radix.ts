const BITS = 11
const BUCKETS = 1 << BITS
const MASK = BUCKETS - 1

/** The numbers 0 to keys.length - 1 in the order of the keys; where keys are equal, in their own order. */
export function radixOrder(keys: Uint32Array): Uint32Array {
  const count = keys.length
  let from = new Uint32Array(count)
  let to = new Uint32Array(count)
  for (let i = 0; i < count; i++) from[i] = i
  for (let shift = 0; shift < 32; shift += BITS) {
    const ends = startsOf(keys, shift)
    for (let i = 0; i < count; i++) {
      const index = from[i] ?? 0
      const bucket = ((keys[index] ?? 0) >>> shift) & MASK
      const at = ends[bucket] ?? 0
      to[at] = index
      ends[bucket] = at + 1
    }
    const other = from
    from = to
    to = other
  }
  return from
}

/** Where the indexes of each bucket begin. */
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
