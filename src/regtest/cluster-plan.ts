import { toDisplayHex } from '../lib/bytes.ts'
import { type Chunk, chunksOf, improvesDiagram } from './chunks.ts'
import type { Mempool, MempoolEntry, NewEntry } from './mempool.ts'
import { CLUSTER_COUNT_LIMIT, CLUSTER_SIZE_LIMIT } from './policy.ts'

interface Node {
  readonly fee: bigint
  readonly weight: number
  readonly parents: Set<Node>
  readonly children: Set<Node>
}

/** The clusters that a change would touch, as they are and as they would be; nothing is changed. */
export class ClusterPlan {
  readonly #before: ReadonlySet<MempoolEntry>
  readonly #mempool: Mempool
  readonly #after: readonly (readonly Node[])[]

  /** `additions` in an order in which parents come before children. */
  constructor(mempool: Mempool, removed: ReadonlySet<MempoolEntry>, additions: readonly NewEntry[]) {
    this.#mempool = mempool
    const touched = [...removed, ...additions.flatMap(({ tx }) => [...mempool.parentsOf(tx)])]
    this.#before = mempool.clusterOf(touched)
    this.#after = components(this.#before, removed, additions)
  }

  /** True if no cluster would be larger than mempools allow. */
  get withinLimits(): boolean {
    return this.#after.every((cluster) => {
      const weight = cluster.reduce((sum, node) => sum + node.weight, 0)
      return cluster.length <= CLUSTER_COUNT_LIMIT && weight <= CLUSTER_SIZE_LIMIT * 4
    })
  }

  /** True if miners would earn nowhere less and somewhere more. */
  get improves(): boolean {
    const before = new Set<Chunk<MempoolEntry>>()
    for (const entry of this.#before) before.add(this.#mempool.chunkOf(entry))
    return improvesDiagram<unknown>([...before], this.#after.flatMap(chunksOf))
  }
}

function components(
  before: ReadonlySet<MempoolEntry>,
  removed: ReadonlySet<MempoolEntry>,
  additions: readonly NewEntry[],
): Node[][] {
  const nodes = new Map<string, Node>()
  for (const entry of [...before, ...additions]) {
    nodes.set(entry.txid, { fee: entry.fee, weight: entry.weight, parents: new Set(), children: new Set() })
  }
  for (const entry of removed) nodes.delete(entry.txid)
  for (const { txid, tx } of [...before, ...additions]) {
    const node = nodes.get(txid)
    if (node === undefined) continue
    for (const { prevTxid } of tx.inputs) {
      const parent = nodes.get(toDisplayHex(prevTxid))
      if (parent === undefined) continue
      node.parents.add(parent)
      parent.children.add(node)
    }
  }
  return split(nodes.values())
}

function split(nodes: Iterable<Node>): Node[][] {
  const seen = new Set<Node>()
  const clusters: Node[][] = []
  for (const node of nodes) {
    if (seen.has(node)) continue
    const cluster = new Set([node])
    for (const member of cluster) for (const other of [...member.parents, ...member.children]) cluster.add(other)
    for (const member of cluster) seen.add(member)
    clusters.push([...cluster])
  }
  return clusters
}
