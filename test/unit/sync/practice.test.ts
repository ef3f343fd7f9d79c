import { describe, expect, it } from 'vitest'
import { DaemonUnavailableError } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/log.ts'
import type { FetchedBlock, ReadBlock } from '../../../src/sync/parse.ts'
import { readBlock } from '../../../src/sync/parse.ts'
import { Practice } from '../../../src/sync/practice.ts'
import { RandomChain, seededRandom } from '../../support/chain-builder.ts'
import { FakeDaemon } from '../../support/fake-daemon.ts'

const BLOCKS = 5

/** Practice on a chain whose parser says when it is done with a block. */
async function practised() {
  const chain = new RandomChain(seededRandom(5))
  for (let i = 0; i < BLOCKS; i++) chain.mine({ txs: 2, scripts: 3 })
  const daemon = new FakeDaemon(chain)
  const hashes = await daemon.blockHashes(1, BLOCKS)
  const parsed: { readonly hash: string; readonly finish: () => void }[] = []
  let arrived = (): void => {}
  const parse = (fetched: FetchedBlock): Promise<ReadBlock> =>
    new Promise((resolve) => {
      parsed.push({ hash: fetched.hash, finish: () => resolve(readBlock(fetched)) })
      arrived()
    })
  const practice = new Practice({ daemon, parse, log: silentLogger() })
  /** Settles once so many blocks have come to the parser. */
  const atParser = async (count: number): Promise<void> => {
    while (parsed.length < count) await new Promise<void>((resolve) => (arrived = resolve))
  }
  const fetched = (): number => daemon.calls.filter((call) => call === 'rawBlock').length
  return { daemon, hashes, practice, parsed, atParser, fetched }
}

describe('practice of the parser', () => {
  it('gives it one block after the other, and asks for none before the last is done', async () => {
    const { hashes, practice, parsed, atParser, fetched } = await practised()
    practice.begin(hashes)
    for (let count = 1; count <= BLOCKS; count++) {
      await atParser(count)
      expect(fetched()).toBe(count)
      parsed[count - 1]?.finish()
    }
    await practice.end()
    expect(parsed.map(({ hash }) => hash)).toEqual(hashes)
  })

  it('ends with the block at the parser, whatever was to come', async () => {
    const { hashes, practice, parsed, atParser, fetched } = await practised()
    practice.begin(hashes)
    await atParser(1)
    const ended = practice.end()
    parsed[0]?.finish()
    await ended
    expect(parsed).toHaveLength(1)
    expect(fetched()).toBe(1)
  })

  it('does not parse what comes after its end', async () => {
    const { daemon, hashes, practice, parsed } = await practised()
    let answer = (): void => {}
    const asked = new Promise<void>((resolve) => {
      daemon.tamper = (raw) => {
        resolve()
        return new Promise((settle) => (answer = () => settle(raw)))
      }
    })
    practice.begin(hashes)
    await asked
    const ended = practice.end()
    answer()
    await ended
    expect(parsed).toHaveLength(0)
  })

  it('is done once, and an end before it began takes nothing from it', async () => {
    const { hashes, practice, parsed, atParser } = await practised()
    await practice.end()
    practice.begin(hashes.slice(0, 1))
    practice.begin(hashes)
    await atParser(1)
    parsed[0]?.finish()
    await practice.end()
    practice.begin(hashes)
    await practice.end()
    expect(parsed).toHaveLength(1)
  })

  it('ends where the node does not answer, which is nobody’s failure', async () => {
    const { daemon, hashes, practice, parsed } = await practised()
    daemon.tamper = () => Promise.reject(new DaemonUnavailableError('away'))
    practice.begin(hashes)
    await practice.end()
    expect(parsed).toHaveLength(0)
  })
})
