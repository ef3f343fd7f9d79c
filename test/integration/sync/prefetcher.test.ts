import { describe, expect, it } from 'vitest'
import type { ParsedBlock } from '../../../src/chain/block.ts'
import { DaemonUnavailableError, InvariantError } from '../../../src/errors.ts'
import { toHex } from '../../../src/lib/bytes.ts'
import { type ReadBlock, readBlock } from '../../../src/sync/parse.ts'
import { PREFETCH_DEFAULTS, prefetchBlocks } from '../../../src/sync/prefetcher.ts'
import { RandomChain, seededRandom } from '../../support/chain-builder.ts'
import { FakeDaemon } from '../../support/fake-daemon.ts'

function daemonOf(blocks: number): FakeDaemon {
  const chain = new RandomChain(seededRandom(blocks))
  for (let i = 0; i < blocks; i++) chain.mine({ txs: 3, scripts: 3 })
  return new FakeDaemon(chain)
}

function prefetch(daemon: FakeDaemon, start: number, end: number, options = {}, signal = new AbortController().signal) {
  return prefetchBlocks({ start, end }, { ...PREFETCH_DEFAULTS, ...options }, { daemon, parse: readBlock }, signal)
}

/** Lets everything happen that can happen without us. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function hashes(blocks: AsyncIterable<ReadBlock>): Promise<string[]> {
  const found: string[] = []
  for await (const { block } of blocks) found.push(toHex(block.hash))
  return found
}

describe('the prefetcher', () => {
  it('gives blocks in order although answers come in any', async () => {
    const daemon = daemonOf(40)
    let turn = 0
    daemon.before = async () => {
      for (let wait = (turn++ * 7) % 5; wait > 0; wait--) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(await hashes(prefetch(daemon, 3, 38))).toEqual(
      daemon.chain.blocks.slice(3, 39).map((block) => toHex(block.hash)),
    )
  })

  it('asks for hashes in several calls when there are many, and ends where the chain ends', async () => {
    const daemon = daemonOf(620)
    expect(await hashes(prefetch(daemon, 0, 5000))).toHaveLength(621)
    expect(daemon.calls.filter((call) => call === 'blockHashes')).toHaveLength(3)
  })

  it('does not ask what blocks spend that have nothing but a coinbase, and knows it of others', async () => {
    const chain = new RandomChain(seededRandom(1))
    for (let i = 0; i < 60; i++) chain.mine({ txs: 0, scripts: 3 })
    for (let i = 0; i < 20; i++) chain.mine({ txs: 3, scripts: 3 })
    const daemon = new FakeDaemon(chain)
    daemon.abilities = { rest: true, spentTxOuts: true, zmq: undefined }
    const spends: number[] = []
    for await (const { block, known } of prefetch(daemon, 0, 80)) {
      expect(known?.spent.values).toHaveLength(block.inputCount)
      if (block.txCount > 1) spends.push(known?.spent.values[1] ?? 0)
    }
    expect(spends).toHaveLength(20)
    expect(Math.min(...spends)).toBeGreaterThan(0)
    // The first ones were under way before it was known, the others spend something.
    expect(daemon.calls.filter((call) => call === 'spentTxOuts').length).toBeLessThan(
      20 + 2 * PREFETCH_DEFAULTS.parallel,
    )
  })

  it('holds no more than its bytes while nobody takes blocks', async () => {
    const daemon = daemonOf(60)
    const size = Math.max(...daemon.chain.blocks.map(({ raw }) => raw.length))
    const blocks = prefetch(daemon, 0, 60, { waitingBytes: 20 * size, parallel: 3 })
    await blocks.next()
    await settle()
    // As many as fit (a parsed block counts double), those under way, and the one that we have.
    const fetched = daemon.calls.filter((call) => call === 'rawBlock').length
    expect(fetched).toBeGreaterThan(5)
    expect(fetched).toBeLessThan(40)
    expect(daemon.mostUnderWay).toBe(3)
    expect(await hashes(blocks)).toHaveLength(60)
  })

  it('stops what is under way when the loop is left', async () => {
    const daemon = daemonOf(30)
    for await (const { block } of prefetch(daemon, 0, 30)) {
      expect(toHex(block.hash)).toBe(toHex(daemon.chain.genesisHash))
      break
    }
    const calls = daemon.calls.length
    await settle()
    expect([daemon.calls.length, daemon.underWay]).toEqual([calls, 0])
  })

  it('gives the blocks before a failure, then the failure, and does not wait for others that hang', async () => {
    const daemon = daemonOf(10)
    const original = daemon.rawBlock.bind(daemon)
    let fetched = 0
    daemon.rawBlock = (hash, signal) => {
      fetched += 1
      if (fetched < 5) return original(hash, signal)
      if (fetched === 5) return Promise.reject(new DaemonUnavailableError('away'))
      return new Promise(() => undefined)
    }
    const found: ParsedBlock[] = []
    const reading = (async () => {
      for await (const { block } of prefetch(daemon, 0, 10)) found.push(block)
    })()
    await expect(reading).rejects.toThrow('away')
    expect(found).toHaveLength(4)
  })

  it('ends at once on abort, while it waits for the node and while nobody takes blocks', async () => {
    const hanging = daemonOf(10)
    hanging.rawBlock = () => new Promise(() => undefined)
    const stop = new AbortController()
    const reading = hashes(prefetch(hanging, 0, 10, {}, stop.signal))
    await settle()
    stop.abort()
    await expect(reading).rejects.toThrow(/abort/i)

    const full = daemonOf(10)
    const again = new AbortController()
    const blocks = prefetch(full, 0, 10, { waitingBytes: 1 }, again.signal)
    await blocks.next()
    await settle()
    again.abort()
    await expect(blocks.next()).rejects.toThrow(/abort/i)
    expect(full.underWay).toBe(0)
  })

  it('tells of a bug in the parser as it is', async () => {
    const daemon = daemonOf(2)
    const parse = (): never => {
      throw new InvariantError('bug')
    }
    const blocks = prefetchBlocks(
      { start: 0, end: 2 },
      PREFETCH_DEFAULTS,
      { daemon, parse },
      new AbortController().signal,
    )
    await expect(blocks.next()).rejects.toThrow(InvariantError)
  })
})
