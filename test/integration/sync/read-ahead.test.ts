import { describe, expect, it } from 'vitest'
import { DaemonUnavailableError } from '../../../src/errors.ts'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import { readBlock } from '../../../src/sync/parse.ts'
import { PREFETCH_DEFAULTS, prefetchBlocks } from '../../../src/sync/prefetcher.ts'
import { ReadAhead } from '../../../src/sync/read-ahead.ts'
import { RandomChain, seededRandom } from '../../support/chain-builder.ts'
import { FakeDaemon } from '../../support/fake-daemon.ts'

const BLOCKS = 6

/** A daemon whose last block was announced, and who reads ahead. */
async function announced() {
  const chain = new RandomChain(seededRandom(7))
  for (let i = 0; i < BLOCKS; i++) chain.mine({ txs: 3, scripts: 3 })
  const daemon = new FakeDaemon(chain)
  // From here on it knows them by their hashes.
  const hashes = await daemon.blockHashes(0, BLOCKS + 1)
  daemon.calls.length = 0
  const ahead = new ReadAhead({ daemon, parse: readBlock })
  const { signal } = new AbortController()
  const follow = async (start = BLOCKS): Promise<string[]> => {
    const found: string[] = []
    const collaborators = { daemon, parse: readBlock, ahead }
    for await (const { block } of prefetchBlocks({ start, end: BLOCKS }, PREFETCH_DEFAULTS, collaborators, signal)) {
      found.push(toDisplayHex(block.hash))
    }
    return found
  }
  const fetched = (): number => daemon.calls.filter((call) => call === 'rawBlock').length
  return { daemon, ahead, hashes, follow, fetched, tip: hashes[BLOCKS] ?? '' }
}

describe('reading ahead', () => {
  it('fetches a block when it is announced, and not again when its turn comes', async () => {
    const { ahead, follow, fetched, tip } = await announced()
    ahead.begin(tip)
    expect(fetched()).toBe(1)
    ahead.begin(tip)
    expect(await follow()).toEqual([tip])
    expect(fetched()).toBe(1)
    // It was given away.
    expect(await follow()).toEqual([tip])
    expect(fetched()).toBe(2)
  })

  it('leaves the order of blocks alone', async () => {
    const { ahead, follow, hashes, tip } = await announced()
    ahead.begin(tip)
    expect(await follow(2)).toEqual(hashes.slice(2))
  })

  it('has a block asked for again that it could not read', async () => {
    const { daemon, ahead, follow, fetched, tip } = await announced()
    daemon.tamper = (raw) => (fetched() === 1 ? raw.subarray(0, -1) : raw)
    ahead.begin(tip)
    expect(await follow()).toEqual([tip])
    expect(fetched()).toBe(2)
  })

  it('lets what is wrong with a block be told by who asks for it in its turn', async () => {
    const { daemon, ahead, follow, tip } = await announced()
    daemon.tamper = (raw) => raw.subarray(0, -1)
    ahead.begin(tip)
    await expect(follow()).rejects.toThrow(DaemonUnavailableError)
  })

  it('gives up a block when another one is announced, and when it is dropped', async () => {
    const { daemon, ahead, hashes, tip } = await announced()
    const signals: (AbortSignal | undefined)[] = []
    const fetch = daemon.rawBlock.bind(daemon)
    daemon.rawBlock = (hash, signal) => {
      signals.push(signal)
      return fetch(hash, signal)
    }
    ahead.begin(hashes[BLOCKS - 1] ?? '')
    ahead.begin(tip)
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, false])
    expect(ahead.take(hashes[BLOCKS - 1] ?? '')).toBeUndefined()
    ahead.drop()
    expect(signals[1]?.aborted).toBe(true)
    expect(ahead.take(tip)).toBeUndefined()
  })
})
