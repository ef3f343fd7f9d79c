import { describe, expect, it } from 'vitest'
import { type Chunk, chunksOf, improvesDiagram } from '../../../src/regtest/chunks.ts'
import { seededRandom } from '../../support/chain-builder.ts'

interface Node {
  readonly fee: bigint
  readonly weight: number
  readonly parents: Set<Node>
}

const node = (fee: number, weight: number, ...parents: Node[]): Node => ({
  fee: BigInt(fee),
  weight,
  parents: new Set(parents),
})

/** The best rate that any set closed under parents has, by trying them all. */
function bestRate(nodes: readonly Node[]): number {
  let best = -1
  for (let bits = 1; bits < 2 ** nodes.length; bits++) {
    const set = new Set(nodes.filter((_, i) => ((bits >> i) & 1) === 1))
    const closed = [...set].every(({ parents }) =>
      [...parents].every((parent) => set.has(parent) || !nodes.includes(parent)),
    )
    if (!closed) continue
    const fee = [...set].reduce((sum, each) => sum + Number(each.fee), 0)
    best = Math.max(best, fee / [...set].reduce((sum, { weight }) => sum + weight, 0))
  }
  return best
}

const rate = ({ fee, weight }: Chunk<Node>): number => Number(fee) / weight

describe('chunksOf', () => {
  it('finds the best closed set each time, as trying all of them does', () => {
    const random = seededRandom(11)
    for (let round = 0; round < 150; round++) {
      const nodes: Node[] = []
      const size = 1 + Math.floor(random() * 8)
      for (let i = 0; i < size; i++) {
        const parents = nodes.filter(() => random() < 0.35)
        nodes.push(node(Math.floor(random() * 6) * 10, 100 + Math.floor(random() * 3) * 50, ...parents))
      }
      let rest: Node[] = nodes
      for (const chunk of chunksOf(nodes)) {
        expect(rate(chunk)).toBeCloseTo(bestRate(rest), 10)
        expect(chunk.members.length).toBeGreaterThan(0)
        rest = rest.filter((each) => !chunk.members.includes(each))
      }
      expect(rest).toEqual([])
    }
  })

  it('lets a child pay for its parent, and keeps apart what pays the same', () => {
    const poor = node(0, 400)
    const rich = node(2000, 400, poor)
    expect(chunksOf([poor, rich]).map(({ members }) => members)).toEqual([[poor, rich]])
    const first = node(1000, 400)
    const second = node(1000, 400, first)
    expect(chunksOf([first, second]).map(({ members }) => members)).toEqual([[first], [second]])
  })
})

describe('improvesDiagram', () => {
  const chunk = (fee: number, weight: number): Chunk<Node> => ({ members: [], fee: BigInt(fee), weight })

  it.each([
    ['more fee for the same weight', [chunk(100, 400)], [chunk(101, 400)], true],
    ['the same', [chunk(100, 400)], [chunk(100, 400)], false],
    ['more fee, but later', [chunk(100, 400)], [chunk(150, 800)], false],
    ['a better start and a worse end', [chunk(100, 400), chunk(90, 400)], [chunk(150, 400)], false],
    ['a better start and the same end', [chunk(100, 400), chunk(50, 400)], [chunk(150, 400)], true],
    ['something where nothing was', [], [chunk(1, 400)], true],
  ])('%s', (_what, before, after, better) => {
    expect(improvesDiagram(before, after)).toBe(better)
  })
})
