/** What chunking needs of a transaction; `parents` outside of the list given count as mined. */
export interface Chunkable<T> {
  readonly fee: bigint
  readonly weight: number
  readonly parents: ReadonlySet<T>
}

/** Transactions that are best mined together. */
export interface Chunk<T> {
  readonly members: readonly T[]
  readonly fee: bigint
  readonly weight: number
}

/**
 * The chunks of a cluster in the order in which they would be mined: each is the smallest set, closed under parents, that
 * pays most per weight of what is left. That is what an optimal linearization amounts to (Core's cluster_linearize.h finds
 * it by other means); found here as a maximum closure, with minimum cuts over exact numbers.
 */
export function chunksOf<T extends Chunkable<T>>(cluster: readonly T[]): Chunk<T>[] {
  const chunks: Chunk<T>[] = []
  let rest = [...cluster]
  while (rest.length > 0) {
    const members = bestClosure(rest)
    chunks.push(total(members))
    const gone = new Set(members)
    rest = rest.filter((each) => !gone.has(each))
  }
  return chunks
}

function total<T extends Chunkable<T>>(members: readonly T[]): Chunk<T> {
  return {
    members,
    fee: members.reduce((sum, { fee }) => sum + fee, 0n),
    weight: members.reduce((sum, { weight }) => sum + weight, 0),
  }
}

/** Dinkelbach's iteration: raise the rate to that of the best closure until none is better, then take the smallest. */
function bestClosure<T extends Chunkable<T>>(rest: readonly T[]): readonly T[] {
  if (rest.length === 1) return rest
  let best = total(rest)
  for (;;) {
    const gains = rest.map((each) => gainAt(each, best))
    const closure = closureOf(rest, gains, undefined)
    if (closure.gain <= 0n) return smallest(rest, gains, best.members)
    best = total(closure.members)
  }
}

/** Of the closures that pay exactly the best rate, one with the fewest members. */
function smallest<T extends Chunkable<T>>(
  rest: readonly T[],
  gains: readonly bigint[],
  known: readonly T[],
): readonly T[] {
  let best = known
  for (const each of known) {
    const closure = closureOf(rest, gains, each)
    if (closure.gain === 0n && closure.members.length < best.length) best = closure.members
  }
  return best
}

/** What an entry pays above a rate, times the rate's weight. */
function gainAt<T extends Chunkable<T>>(each: T, rate: Chunk<T>): bigint {
  return each.fee * BigInt(rate.weight) - rate.fee * BigInt(each.weight)
}

/** The set closed under parents that gains most, as small as possible; with `forced` in it, if given. */
function closureOf<T extends Chunkable<T>>(
  rest: readonly T[],
  gains: readonly bigint[],
  forced: T | undefined,
): { readonly members: readonly T[]; readonly gain: bigint } {
  const index = new Map(rest.map((each, i) => [each, i]))
  const source = rest.length
  const sink = source + 1
  const infinite = gains.reduce((sum, gain) => sum + (gain < 0n ? -gain : gain), 1n)
  const flow = new FlowNetwork(sink + 1)
  rest.forEach((each, i) => {
    const gain = gains[i] ?? 0n
    if (each === forced) flow.set(source, i, infinite)
    else if (gain > 0n) flow.set(source, i, gain)
    if (gain < 0n) flow.set(i, sink, -gain)
    for (const parent of each.parents) {
      const to = index.get(parent)
      if (to !== undefined) flow.set(i, to, infinite)
    }
  })
  const chosen = flow.sourceSide(source, sink)
  const members = rest.filter((_, i) => chosen.has(i))
  return { members, gain: rest.reduce((sum, _, i) => sum + (chosen.has(i) ? (gains[i] ?? 0n) : 0n), 0n) }
}

/** A small flow network (Edmonds and Karp); clusters have at most 64 members. */
class FlowNetwork {
  readonly #capacity: Map<number, bigint>[]

  constructor(nodes: number) {
    this.#capacity = Array.from({ length: nodes }, () => new Map<number, bigint>())
  }

  set(from: number, to: number, capacity: bigint): void {
    this.#capacity[from]?.set(to, capacity)
    if (this.#capacity[to]?.has(from) === false) this.#capacity[to]?.set(from, 0n)
  }

  /** Saturates the network and returns what the source still reaches: the smaller side of a minimum cut. */
  sourceSide(source: number, sink: number): ReadonlySet<number> {
    for (;;) {
      const from = this.#search(source)
      if (!from.has(sink)) return new Set(from.keys())
      this.#push(from, source, sink)
    }
  }

  #search(source: number): Map<number, number> {
    const from = new Map<number, number>([[source, source]])
    for (const node of from.keys()) {
      for (const [to, left] of this.#capacity[node] ?? []) if (left > 0n && !from.has(to)) from.set(to, node)
    }
    return from
  }

  #push(from: ReadonlyMap<number, number>, source: number, sink: number): void {
    const path: [number, number][] = []
    for (let to = sink; to !== source; to = from.get(to) ?? source) path.push([from.get(to) ?? source, to])
    const amount = path.map(([a, b]) => this.#left(a, b)).reduce((least, left) => (left < least ? left : least))
    for (const [a, b] of path) {
      this.#capacity[a]?.set(b, this.#left(a, b) - amount)
      this.#capacity[b]?.set(a, this.#left(b, a) + amount)
    }
  }

  #left(from: number, to: number): bigint {
    return this.#capacity[from]?.get(to) ?? 0n
  }
}

/**
 * True if mining by `after` pays nowhere less and somewhere more than by `before`: fees over weight as two curves that go
 * flat at their end. Both in mining order of their own.
 */
export function improvesDiagram<T>(before: readonly Chunk<T>[], after: readonly Chunk<T>[]): boolean {
  const old = curveOf(before)
  const fresh = curveOf(after)
  let better = false
  for (const at of new Set([...old, ...fresh].map(([weight]) => weight))) {
    const [oldFee, oldScale] = feeAt(old, at)
    const [freshFee, freshScale] = feeAt(fresh, at)
    const difference = freshFee * oldScale - oldFee * freshScale
    if (difference < 0n) return false
    if (difference > 0n) better = true
  }
  return better
}

function curveOf<T>(chunks: readonly Chunk<T>[]): [bigint, bigint][] {
  const byRate = [...chunks].sort((a, b) => {
    const difference = b.fee * BigInt(a.weight) - a.fee * BigInt(b.weight)
    return difference > 0n ? 1 : difference < 0n ? -1 : 0
  })
  let weight = 0n
  let fee = 0n
  const points: [bigint, bigint][] = [[0n, 0n]]
  for (const chunk of byRate) points.push([(weight += BigInt(chunk.weight)), (fee += chunk.fee)])
  return points
}

/** Fee at a weight as a fraction: numerator and denominator. */
function feeAt(curve: readonly (readonly [bigint, bigint])[], weight: bigint): [bigint, bigint] {
  const next = curve.findIndex(([at]) => at >= weight)
  if (next < 0) return [curve.at(-1)?.[1] ?? 0n, 1n]
  const [toWeight, toFee] = curve[next] ?? [0n, 0n]
  const [fromWeight, fromFee] = curve[next - 1] ?? [toWeight, toFee]
  if (toWeight === weight || toWeight === fromWeight) return [toFee, 1n]
  const span = toWeight - fromWeight
  return [fromFee * span + (toFee - fromFee) * (weight - fromWeight), span]
}
