import { setImmediate as turn } from 'node:timers/promises'

/** Sorted in one go: about a millisecond's work. */
const IN_ONE_GO = 4096
/** Steps of a merge between turns for others. */
const STEPS_PER_TURN = 32_768

/**
 * The numbers 0 to `count` - 1 in the order of `compare`, of which many are sorted part by part with turns for others
 * between. What `compare` looks at must stay as it is meanwhile.
 */
export async function sortedInTurns(count: number, compare: (a: number, b: number) => number): Promise<Uint32Array> {
  const numbers = Uint32Array.from({ length: count }, (_, i) => i)
  if (count <= IN_ONE_GO) return numbers.sort(compare)
  for (let start = 0; start < count; start += IN_ONE_GO) {
    numbers.subarray(start, start + IN_ONE_GO).sort(compare)
    await turn()
  }
  let from = numbers
  let to = new Uint32Array(count)
  for (let run = IN_ONE_GO; run < count; run *= 2) {
    await mergeRuns(from, to, run, compare)
    ;[from, to] = [to, from]
  }
  return from
}

/** Merges sorted runs of `from`, two and two, into `to`. */
async function mergeRuns(
  from: Uint32Array,
  to: Uint32Array,
  run: number,
  compare: (a: number, b: number) => number,
): Promise<void> {
  const count = from.length
  for (let start = 0; start < count; start += 2 * run) {
    const middle = Math.min(start + run, count)
    const end = Math.min(start + 2 * run, count)
    let left = start
    let right = middle
    for (let at = start; at < end; ) {
      for (const stop = Math.min(end, at + STEPS_PER_TURN); at < stop; at++) {
        const a = from[left] ?? 0
        const b = from[right] ?? 0
        const takesLeft = left < middle && (right >= end || compare(a, b) <= 0)
        to[at] = takesLeft ? a : b
        if (takesLeft) left += 1
        else right += 1
      }
      await turn()
    }
  }
}
