import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { parseBlock, txAt } from '../../src/chain/block.ts'
import { serializeTx } from '../../src/chain/tx.ts'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import type { BitcoindOptions } from '../../src/daemon/bitcoind-options.ts'
import type { DaemonNotice } from '../../src/daemon/daemon.ts'
import { fromHex, toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { createLogger } from '../../src/log.ts'
import { RegtestNode, type RegtestNodeOptions } from '../../src/regtest/node.ts'

/** The client against the built-in node, which is held against recordings of a real one. */
const ADDRESS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080'

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

const never = (): AbortSignal => new AbortController().signal

async function regtest(options: Partial<RegtestNodeOptions> = {}): Promise<RegtestNode> {
  const directory = await mkdtemp(join(tmpdir(), 'daemon-'))
  undo.push(() => rm(directory, { recursive: true }))
  const node = new RegtestNode({ directory, initialBlocks: 110, ...options })
  await node.start(never())
  undo.push(() => node.stop())
  return node
}

interface Client {
  readonly daemon: Bitcoind
  readonly log: { readonly level: number; readonly msg: string; readonly kind?: string }[]
}

async function client(node: RegtestNode, options: Partial<BitcoindOptions> = {}): Promise<Client> {
  const log: Client['log'] = []
  const logger = createLogger('debug', { write: (line) => log.push(JSON.parse(line) as Client['log'][number]) })
  const daemon = new Bitcoind(
    { urls: [node.url], cookieFile: node.cookieFile, ...options },
    { log: logger, clock: systemClock },
  )
  undo.push(() => daemon.stop())
  await daemon.start(never())
  return { daemon, log }
}

class Notices {
  readonly all: DaemonNotice[] = []
  #watchers: (() => void)[] = []

  constructor(daemon: Bitcoind) {
    daemon.notices?.listen((notice) => {
      this.all.push(notice)
      for (const watch of this.#watchers.splice(0)) watch()
    }, never())
  }

  async until(matches: (all: readonly DaemonNotice[]) => boolean): Promise<void> {
    while (!matches(this.all)) await new Promise<void>((resolve) => this.#watchers.push(resolve))
  }

  /** Notices without the gaps, as words. */
  get words(): string[] {
    return this.all.flatMap((notice) =>
      notice.kind === 'gap' || notice.kind === 'silence'
        ? []
        : [`${notice.kind} ${'hash' in notice ? notice.hash : notice.txid}`],
    )
  }
}

describe('the chain', () => {
  it('is told as the node has it', async () => {
    const node = await regtest()
    const { daemon, log } = await client(node)
    expect(daemon.abilities).toEqual({ rest: true, spentTxOuts: true, zmq: undefined })
    expect(await daemon.height()).toBe(110)
    expect(await daemon.chainInfo()).toMatchObject({
      chain: 'regtest',
      blocks: 110,
      headers: 110,
      bestBlockHash: node.bestBlockHash,
      pruned: false,
    })
    expect(await daemon.networkInfo()).toMatchObject({ relayFee: expect.any(Number) as unknown })
    const hashes = await daemon.blockHashes(0, 500)
    expect(hashes).toHaveLength(111)
    expect(hashes.at(-1)).toBe(node.bestBlockHash)
    expect(log.filter(({ level }) => level >= 40)).toEqual([])
  })

  it('has the same blocks over REST and over JSON-RPC', async () => {
    const node = await regtest()
    node.send(ADDRESS, 100_000n)
    node.mine(1)
    const other = await regtest({ rest: false, initialBlocks: 0 })
    const { daemon } = await client(node)
    const { daemon: plain } = await client(other)
    expect(plain.abilities).toMatchObject({ rest: false, spentTxOuts: false })
    for (const hash of await daemon.blockHashes(1, 200)) {
      const raw = await daemon.rawBlock(hash)
      expect(other.submitBlock(raw)).toBeNull()
      expect(toHex(await plain.rawBlock(hash))).toBe(toHex(raw))
    }
    expect(other.bestBlockHash).toBe(node.bestBlockHash)
    // The block pays from one coin of the faucet: two transactions, the first of which spends nothing.
    const spent = await daemon.spentTxOuts(node.bestBlockHash)
    expect(toHex(spent.subarray(0, 3))).toBe('020001')
  })

  it('keeps the blocks of a lost branch', async () => {
    const node = await regtest()
    const { daemon } = await client(node)
    const lost = node.bestBlockHash
    node.reorganize(3)
    expect(await daemon.height()).toBe(111)
    expect(await daemon.blockHashes(110, 5)).not.toContain(lost)
    expect((await daemon.rawBlock(lost)).length).toBeGreaterThan(80)
  })

  it('has no spenttxouts with a node that is too old for them', async () => {
    const node = await regtest({ spentTxOuts: false })
    const { daemon } = await client(node)
    expect(daemon.abilities).toMatchObject({ rest: true, spentTxOuts: false })
    expect((await daemon.rawBlock(node.bestBlockHash)).length).toBeGreaterThan(80)
  })

  it('lacks a block that nobody mined', async () => {
    const node = await regtest()
    const { daemon } = await client(node)
    const error = { name: 'DaemonError', daemonCode: -5 }
    await expect(daemon.rawBlock('ab'.repeat(32))).rejects.toMatchObject(error)
    await expect(daemon.spentTxOuts('ab'.repeat(32))).rejects.toMatchObject(error)
  })
})

describe('transactions', () => {
  it('are found in the mempool, then in their block', async () => {
    const node = await regtest()
    const { daemon } = await client(node)
    const txids = [node.send(ADDRESS, 10_000n), node.send(ADDRESS, 20_000n)]
    const ids = await daemon.mempoolIds()
    expect([...ids.txids].sort()).toEqual([...txids].sort())
    expect(ids.sequence).toBeGreaterThan(0)
    expect(await daemon.mempoolInfo()).toMatchObject({ size: 2 })
    const [first, none, second] = await daemon.mempoolTransactions([txids[0] ?? '', 'ab'.repeat(32), txids[1] ?? ''])
    expect(none).toBeUndefined()
    expect(toHex(await daemon.rawTransaction(txids[0] ?? ''))).toBe(toHex(first ?? fromHex('')))
    expect(second).toBeDefined()
    const [hash] = node.mine(1)
    expect((await daemon.mempoolIds()).txids).toEqual([])
    const raw = await daemon.rawTransaction(txids[0] ?? '', hash)
    expect(toHex(raw)).toBe(toHex(first ?? fromHex('')))
    expect(JSON.parse(await daemon.verboseTransaction(txids[1] ?? '', hash))).toMatchObject({
      txid: txids[1],
      confirmations: 1,
      blockhash: hash,
    })
    await expect(daemon.rawTransaction(txids[0] ?? '')).rejects.toMatchObject({ daemonCode: -5 })
  })

  it('are broadcast, and refused with the words of the node', async () => {
    const node = await regtest()
    const other = await regtest({ initialBlocks: 0 })
    const { daemon } = await client(node)
    const { daemon: to } = await client(other)
    for (const hash of await daemon.blockHashes(1, 200)) other.submitBlock(await daemon.rawBlock(hash))
    const txid = node.send(ADDRESS, 10_000n)
    const hex = toHex(await daemon.rawTransaction(txid))
    expect(await to.testMempoolAccept([hex])).toMatchObject([{ txid, allowed: true, reason: undefined }])
    expect(await to.broadcast(hex)).toBe(txid)
    expect(other.mempool).toEqual([txid])
    await expect(to.broadcast('00')).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -22 })
    const next = node.send(ADDRESS, 20_000n)
    const nextHex = toHex(await daemon.rawTransaction(next))
    expect(await to.broadcastPackage([nextHex])).toMatchObject({ packageMessage: 'success', errors: [] })
    expect(other.mempool).toContain(next)
  })

  it('have outputs that are unspent until a block spends them, whatever the mempool does', async () => {
    const node = await regtest()
    const { daemon } = await client(node)
    const [hash = ''] = node.mine(1, ADDRESS)
    const block = parseBlock(await daemon.rawBlock(hash))
    const coinbase = txAt(block, 0)
    const minted = { txid: toDisplayHex(coinbase.txid), vout: 0 }
    node.mine(100)
    const script = fromHex('0014'.padEnd(44, 'b'))
    const value = (coinbase.outputs[0]?.value ?? 0n) - 10_001n
    const spend = serializeTx({
      version: 2,
      inputs: [
        { prevTxid: coinbase.txid, prevIndex: 0, script: new Uint8Array(0), sequence: 0xffff_ffff, witness: [] },
      ],
      outputs: [{ value, script }],
      locktime: 0,
    })
    const spender = await daemon.broadcast(toHex(spend))
    const unknown = { txid: 'ab'.repeat(32), vout: 0 }
    const asked = [unknown, minted, { ...minted, vout: 9 }, { txid: spender, vout: 0 }]
    const [first] = coinbase.outputs
    const paid = { script: first?.script.slice(), value: first?.value }
    // What only the mempool has spent is unspent, what only the mempool has made is not there.
    const before = await daemon.unspentOutputs(asked)
    expect(before).toEqual([undefined, { ...paid, bestBlock: node.bestBlockHash }, undefined, undefined])
    node.mine(1)
    expect(await daemon.unspentOutputs(asked)).toEqual([
      undefined,
      undefined,
      undefined,
      { script, value, bestBlock: node.bestBlockHash },
    ])
    expect(await daemon.unspentOutputs([])).toEqual([])
  })

  it('are not estimated a fee for where nobody pays any', async () => {
    const { daemon } = await client(await regtest())
    expect(await daemon.estimateFee(2)).toBeUndefined()
    await expect(daemon.estimateFee(5000)).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -8 })
  })
})

describe('a restart of the node', () => {
  /** libzmq gives a port free a moment after its socket was closed. */
  async function startWhenFree(node: RegtestNode): Promise<void> {
    for (;;) {
      try {
        await node.start(never())
        return
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'EADDRINUSE')) throw error
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }

  /** Stops the node, and starts it on the same chain and ports once `meanwhile` has settled. */
  async function restart(
    node: RegtestNode,
    changes: Partial<RegtestNodeOptions> = {},
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<void> {
    const [port, zmqPort] = [Number(new URL(node.url).port), Number(new URL(node.zmqEndpoint).port)]
    const directory = join(node.cookieFile, '..')
    await node.stop()
    await meanwhile()
    const next = new RegtestNode({ directory, port, zmqPort, ...changes })
    await startWhenFree(next)
    undo.push(() => next.stop())
  }

  it('with another cookie and other abilities is waited for', async () => {
    const node = await regtest({ rest: false })
    const { daemon, log } = await client(node)
    const tip = node.bestBlockHash
    const before = await readFile(node.cookieFile, 'utf8')
    let heights: Promise<number[]> | undefined
    await restart(node, { rest: true }, async () => {
      heights = Promise.all(Array.from({ length: 20 }, () => daemon.height()))
      while (!log.some(({ kind }) => kind !== undefined)) await new Promise((resolve) => setImmediate(resolve))
    })
    expect(await readFile(node.cookieFile, 'utf8')).not.toBe(before)
    expect(new Set(await heights)).toEqual(new Set([110]))
    expect(daemon.abilities).toMatchObject({ rest: true, spentTxOuts: true })
    expect((await daemon.rawBlock(tip)).length).toBeGreaterThan(80)
    expect(log.filter(({ level }) => level >= 50)).toEqual([])
  })

  it('is a silence and a gap in the notices, and they go on', async () => {
    const node = await regtest()
    const { daemon } = await client(node, { zmq: node.zmqEndpoint })
    const notices = new Notices(daemon)
    await notices.until((all) => all.length > 0)
    const before = notices.all.length
    await restart(node)
    await notices.until((all) => all.slice(before).some(({ kind }) => kind === 'gap'))
    expect(notices.all.slice(0, before).every(({ kind }) => kind === 'gap')).toBe(true)
    expect(notices.all.slice(before).map(({ kind }) => kind)).toEqual(['silence', 'gap'])
  })
})

describe('notices', () => {
  it('tell transactions, blocks and a reorganisation in order', async () => {
    const node = await regtest()
    const { daemon, log } = await client(node, { zmq: node.zmqEndpoint })
    expect(daemon.abilities.zmq).toBe(node.zmqEndpoint)
    expect(log.some(({ msg }) => msg === 'listening to bitcoind over ZMQ')).toBe(true)
    const notices = new Notices(daemon)
    await notices.until((all) => all.some(({ kind }) => kind === 'gap'))
    // The subscription takes effect a moment after the connection: mine until a block is told.
    while (notices.words.length === 0) {
      node.mine(1)
      await Promise.race([notices.until(() => notices.words.length > 0), new Promise((next) => setTimeout(next, 20))])
    }
    const told = (): Promise<void> => notices.until(() => notices.words.at(-1)?.endsWith(node.bestBlockHash) === true)
    await told()
    // Both topics have had their first message, and the gap that goes with it, once another block is told.
    node.mine(1)
    await told()
    notices.all.length = 0
    const txid = node.send(ADDRESS, 10_000n)
    const [mined] = node.mine(1)
    const chain = node.reorganize(1)
    await told()
    expect(notices.words).toEqual([
      `tx-added ${txid}`,
      `block-connected ${mined}`,
      `block-disconnected ${mined}`,
      `tx-added ${txid}`,
      ...chain.map((hash) => `block-connected ${hash}`),
    ])
    expect(notices.all.some(({ kind }) => kind === 'gap')).toBe(false)
  })
})
