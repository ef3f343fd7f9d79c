/** What the rows of a layer have in common, whatever they are: how they are put in order, and where they go. */

/** Rows between two turns: a few milliseconds. */
export const ROWS_PER_TURN = 4000
/** Runs of equal keys that are put in order by insertion; longer ones by the library. */
const SHORT_RUN = 40

/** Takes rows; keys and values are copied at once. */
export interface RowSink {
  put(key: Uint8Array, value: Uint8Array): void
  del(key: Uint8Array): void
}

/** Number of the last block that begins at or before `tx`. */
export function blockOf(starts: Uint32Array, tx: number): number {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((starts[middle] ?? 0) <= tx) low = middle
    else high = middle - 1
  }
  return low
}

/** The first four bytes of each row as a number that sorts as they do. */
export function leadingBytes(rows: Uint8Array, rowSize: number): Uint32Array {
  const view = viewOf(rows)
  const keys = new Uint32Array(rows.length / rowSize)
  for (let i = 0; i < keys.length; i++) keys[i] = view.getUint32(i * rowSize)
  return keys
}

/** Where the keys end that are the same as the one at `start`. */
export function endOfRun(keys: Uint32Array, start: number): number {
  const key = keys[start]
  let end = start + 1
  while (end < keys.length && keys[end] === key) end += 1
  return end
}

export function sortRun(
  order: Uint32Array,
  start: number,
  end: number,
  compare: (a: number, b: number) => number,
): void {
  if (end - start > SHORT_RUN) {
    order.subarray(start, end).sort(compare)
    return
  }
  for (let i = start + 1; i < end; i++) {
    const event = order[i] ?? 0
    let at = i
    for (; at > start && compare(order[at - 1] ?? 0, event) > 0; at--) order[at] = order[at - 1] ?? 0
    order[at] = event
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
