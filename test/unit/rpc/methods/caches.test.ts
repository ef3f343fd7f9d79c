import { describe, expect, it } from 'vitest'
import { toDisplayHex } from '../../../../src/lib/bytes.ts'
import { sha256d } from '../../../../src/lib/hash.ts'
import { type CacheName, CacheTallies } from '../../../../src/metrics.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext, FakeMoment } from '../../../support/fake-context.ts'

/** A call that is asked twice: what was worked out for the first is there for the second. */
const ROWS: readonly { cache: CacheName; method: string; params: (ctx: FakeContext) => readonly unknown[] }[] = [
  { cache: 'block ids', method: 'blockchain.transaction.id_from_pos', params: () => [1, 7] },
  { cache: 'merkle trees', method: 'blockchain.transaction.id_from_pos', params: () => [1, 7, true] },
  { cache: 'headers', method: 'blockchain.block.headers', params: () => [0, 50] },
  { cache: 'transactions', method: 'blockchain.transaction.get', params: (ctx) => [txidIn(ctx)] },
  { cache: 'node facts', method: 'blockchain.estimatefee', params: () => [6] },
]

function txidIn(ctx: FakeContext): string {
  return toDisplayHex(ctx.moment.blocks[1]![7]!)
}

describe('caches of answers', () => {
  it.each(ROWS)('$cache: count what they had and what not', async ({ cache, method, params }) => {
    const caches = new CacheTallies()
    const registry = new MethodRegistry({}, electrumMethods({}, { caches }))
    const ctx = new FakeContext(new FakeMoment([1, 300, ...Array.from({ length: 60 }, () => 1)]))
    ctx.client.protocol = [1, 6, 0]
    const block = toDisplayHex(sha256d(ctx.moment.headerBytes[1]!))
    ctx.daemon.transactions.set(txidIn(ctx), { raw: 'c0ffee', block })
    const tally = caches.of(cache)
    const answers: unknown[] = []
    for (let i = 0; i < 3; i++) answers.push(await registry.dispatch(method, params(ctx), ctx))
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
    expect(tally).toMatchObject({ hits: 2, misses: 1 })
    if (cache !== 'node facts') expect(tally.bytes()).toBeGreaterThan(0)
  })

  it('give back the bytes of what they no longer keep', async () => {
    const caches = new CacheTallies()
    // Of 300 transactions each: room for one block with its tree.
    const registry = new MethodRegistry({}, electrumMethods({ proofCacheBytes: 22_000 }, { caches }))
    const ctx = new FakeContext(new FakeMoment([1, 300, 300, 300]))
    const bytes: number[][] = []
    for (const height of [1, 2, 3]) {
      await registry.dispatch('blockchain.transaction.id_from_pos', [height, 0, true], ctx)
      bytes.push([caches.of('block ids').bytes(), caches.of('merkle trees').bytes()])
    }
    expect(bytes[0]![0]).toBe(300 * 36)
    expect(bytes[1]).toEqual(bytes[0])
    expect(bytes[2]).toEqual(bytes[0])
  })
})
