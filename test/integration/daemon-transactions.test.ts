import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseBlock, txRawAt } from '../../src/chain/block.ts'
import { parseWholeTx } from '../../src/chain/tx.ts'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import type { BitcoindOptions } from '../../src/daemon/bitcoind-options.ts'
import { fromHex, toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { NodeProxy, type Trick } from '../support/node-proxy.ts'

/** Confirmed transactions by every way that there is to them, of nodes that can more or less, and of one that lies. */
const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080'

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const notThere = (): Promise<{ status: number; body: string }> => Promise.resolve({ status: 404, body: '' })
const without =
  (path: string): Trick =>
  (ask) =>
    ask.path.startsWith(path) ? notThere() : undefined
const KINDS: readonly (readonly [string, boolean, readonly Trick[]])[] = [
  ['with an index of transactions', true, []],
  ['without one, that gives parts of blocks', false, []],
  ['without one, that gives whole blocks', false, [without('/rest/blockpart')]],
  ['without one and without REST', false, [without('/rest/')]],
]

interface World {
  readonly proxy: NodeProxy
  readonly daemon: Bitcoind
  readonly blockHash: string
  readonly txids: readonly string[]
  readonly raws: readonly Uint8Array[]
}

/** A node with a block of 41 transactions, and a client of it. */
async function world(
  txindex: boolean,
  tricks: readonly Trick[] = [],
  options: Partial<BitcoindOptions> = {},
): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'daemon-transactions-'))
  undo.push(() => rm(directory, { recursive: true }))
  const node = new RegtestNode({ directory, initialBlocks: 110, txindex })
  await node.start(new AbortController().signal)
  undo.push(() => node.stop())
  for (let i = 0; i < 40; i += 1) node.send(ADDRESS, 10_000n + BigInt(i))
  const [blockHash = ''] = node.mine(1)
  const proxy = await NodeProxy.before(node.url)
  undo.push(() => proxy.close())
  proxy.tricks = [...tricks]
  const times = { call: 5000, bulk: 5000, patience: 0, returnAfter: 60_000 }
  const daemon = new Bitcoind(
    { urls: [proxy.url], cookieFile: node.cookieFile, times, ...options },
    { log: silentLogger(), clock: systemClock },
  )
  undo.push(() => daemon.stop())
  await daemon.start(new AbortController().signal)
  const block = parseBlock(await daemon.rawBlock(blockHash))
  const raws = Array.from({ length: block.txCount }, (_, i) => txRawAt(block, i).slice())
  const txids = raws.map((raw) => toDisplayHex(parseWholeTx(raw).txid))
  expect(txids).toHaveLength(41)
  proxy.asked.length = 0
  return { proxy, daemon, blockHash, txids, raws }
}

const all = ({ daemon, txids, blockHash }: World): Promise<Uint8Array[]> =>
  Promise.all(txids.map((txid, position) => daemon.confirmedTransaction(txid, { blockHash, position })))

describe.each(KINDS)('a node %s', (_what, txindex, tricks) => {
  it('gives each transaction of a block, at once and one by one', async () => {
    const here = await world(txindex, tricks)
    const expected = here.raws.map(toHex)
    expect((await all(here)).map(toHex)).toEqual(expected)
    for (const [position, txid] of here.txids.entries()) {
      const raw = await here.daemon.confirmedTransaction(txid, { blockHash: here.blockHash, position })
      expect(toHex(raw)).toBe(expected[position])
    }
  })

  it('is asked by the id alone only for what its own index has', async () => {
    const { daemon, txids, raws, proxy } = await world(txindex, tricks)
    const found = await Promise.all(txids.map((txid) => daemon.indexedTransaction(txid)))
    expect(found.map((raw) => raw && toHex(raw))).toEqual(raws.map((raw) => (txindex ? toHex(raw) : undefined)))
    if (!txindex) expect(proxy.asked).toEqual([])
    expect(await daemon.indexedTransaction('ab'.repeat(32))).toBeUndefined()
  })

  it('that gives another transaction is not believed', async () => {
    const here = await world(txindex, tricks)
    const lie = fromHex(toHex(here.raws[7] ?? new Uint8Array(0)))
    here.proxy.tricks.unshift(({ path, methods, body }, node) => {
      if (path.startsWith('/rest/blockpart')) return Promise.resolve({ status: 200, body: lie })
      if (path.startsWith('/rest/block/')) {
        return node().then(({ status, body: right }) => ({ status, body: withFirst(Buffer.from(right)) }))
      }
      if (methods[0] !== 'getrawtransaction') return undefined
      const calls = JSON.parse(body) as { id: number } | { id: number }[]
      const reply = ({ id }: { id: number }) => ({ result: toHex(lie), error: null, id })
      return Promise.resolve({
        status: 200,
        body: JSON.stringify(Array.isArray(calls) ? calls.map(reply) : reply(calls)),
      })
    })
    const { blockHash, txids, daemon } = here
    for (let round = 0; round < 2; round += 1) {
      await expect(daemon.confirmedTransaction(txids[0] ?? '', { blockHash, position: 0 })).rejects.toMatchObject({
        kind: 'wrong',
      })
    }
    here.proxy.tricks.shift()
    const raw = await daemon.confirmedTransaction(txids[0] ?? '', { blockHash, position: 0 })
    expect(toHex(raw)).toBe(toHex(here.raws[0] ?? new Uint8Array(0)))
  })

  it('lacks a block that nobody mined', async () => {
    const { daemon, txids } = await world(txindex, tricks)
    const blockHash = 'ab'.repeat(32)
    await expect(daemon.confirmedTransaction(txids[3] ?? '', { blockHash, position: 3 })).rejects.toMatchObject({
      daemonCode: -5,
    })
  })
})

/** The block with another amount in its first transaction. */
function withFirst(block: Buffer): Buffer {
  const { txOffsets, scriptOffsets } = parseBlock(block)
  const value = (scriptOffsets[0] ?? 0) - 9
  expect(value).toBeGreaterThan(txOffsets[0] ?? 0)
  block[value] = (block[value] ?? 0) ^ 1
  return block
}

describe('what a transaction costs the node', () => {
  it('is one batch after another while there is an index, not an exchange for each', async () => {
    const here = await world(true)
    await all(here)
    // Four go out at once, the others wait for them together.
    expect(here.proxy.asked.length).toBeLessThanOrEqual(8)
    expect(new Set(here.proxy.asked)).toEqual(new Set(['getrawtransaction']))
  })

  it('is one block for all that ask at once, then a part of it for each', async () => {
    const here = await world(false)
    await all(here)
    expect(here.proxy.asked).toEqual([`/rest/block/${here.blockHash}.bin`])
    await here.daemon.confirmedTransaction(here.txids[5] ?? '', { blockHash: here.blockHash, position: 5 })
    expect(here.proxy.asked[1]).toMatch(/^\/rest\/blockpart\//)
    expect(here.proxy.asked).toHaveLength(2)
  })

  it('is nothing once the block is kept, where the node gives no parts', async () => {
    const here = await world(false, [without('/rest/blockpart')])
    await all(here)
    await all(here)
    expect(here.proxy.asked).toEqual([`/rest/block/${here.blockHash}.bin`])
  })

  it('is the block each time where there is no memory to keep it', async () => {
    const here = await world(false, [without('/rest/blockpart')], { blockCacheBytes: 1000 })
    await all(here)
    await all(here)
    expect(here.proxy.asked).toHaveLength(2)
  })

  it('ends for one who goes, and not for the others who wait for the same block', async () => {
    const here = await world(false)
    const { daemon, txids, blockHash } = here
    const gone = new AbortController()
    const first = daemon.confirmedTransaction(txids[1] ?? '', { blockHash, position: 1 }, gone.signal)
    const second = daemon.confirmedTransaction(txids[2] ?? '', { blockHash, position: 2 })
    gone.abort()
    await expect(first).rejects.toMatchObject({ name: 'AbortError' })
    expect(toHex(await second)).toBe(toHex(here.raws[2] ?? new Uint8Array(0)))
  })
})
