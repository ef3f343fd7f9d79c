import { createHash } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseBlock } from '../../../src/chain/block.ts'
import { hashXOf } from '../../../src/chain/script.ts'
import { blockDelta } from '../../../src/db/block-delta.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import { toDisplayHex, toLatin1 } from '../../../src/lib/bytes.ts'
import { sha256, sha256d } from '../../../src/lib/hash.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
import { writeJson } from '../../../src/rpc/json.ts'
import { atomicalsMethods } from '../../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../src/rpc/registry.ts'
import { CORPUS_SETTINGS } from '../../support/atomicals-host.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { FakeContext } from '../../support/fake-context.ts'

/** Transactions of the script: a tenth of the largest there are, so that the test stays short. LONG_HISTORY=1000000. */
const COUNT = Number(process.env['LONG_HISTORY'] ?? 100_000)
const PER_BLOCK = 5000
const VALUE = 546
/** OP_TRUE. */
const SCRIPT = Uint8Array.of(0x51)
const HASHX = hashXOf(SCRIPT)
/** Of the cache: some times less than the history would take as objects, or as rows. */
const CACHE_BYTES = 2 << 20
/** Others have a turn at least after so many transactions. */
const PER_TURN = 2048

/** 36 bytes that nothing else has. */
function outpoint(number: number): Buffer {
  return Buffer.concat([sha256(Buffer.from(`outpoint ${number}`)), Buffer.alloc(4)])
}

/** A block of transactions with one input each that pay the script, and their ids. */
function makeBlock(
  prevHash: Uint8Array,
  first: number,
  count: number,
): { raw: Buffer; hash: Uint8Array; txids: Uint8Array[] } {
  const header = Buffer.alloc(80)
  header.set(prevHash, 4)
  header.writeUInt32LE(first, 76)
  const size = count < 0xfd ? Buffer.from([count]) : Buffer.from([0xfd, count & 0xff, count >>> 8])
  const txs = Array.from({ length: count }, (_, i) => {
    const spends = i === 0 ? Buffer.concat([Buffer.alloc(32), Buffer.alloc(4, 0xff)]) : outpoint(first + i)
    const tx = Buffer.alloc(4 + 1 + 36 + 1 + 4 + 1 + 8 + 1 + 1 + 4)
    tx.writeUInt32LE(1, 0)
    tx[4] = 1
    tx.set(spends, 5)
    tx[46] = 1
    tx.writeUInt32LE(VALUE, 47)
    tx.set([1, ...SCRIPT], 55)
    tx.writeUInt32LE(first + i, 57)
    return tx
  })
  return { raw: Buffer.concat([header, size, ...txs]), hash: sha256d(header), txids: txs.map((tx) => sha256d(tx)) }
}

/** What others get to see while something runs: turns, and how long the longest took; and how much memory it needed. */
async function watched<T>(work: () => Promise<T>) {
  let turns = 0
  let longest = 0
  let before = performance.now()
  const start = process.memoryUsage()
  let peak = 0
  let running = true
  const look = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - before)
    before = now
    turns += 1
    if (turns % 8 === 0) {
      const { heapUsed, external } = process.memoryUsage()
      peak = Math.max(peak, heapUsed + external - start.heapUsed - start.external)
    }
    if (running) setImmediate(look)
  }
  setImmediate(look)
  const begun = performance.now()
  const result = await work()
  running = false
  return { result, turns, longest, peakMb: peak / 2 ** 20, ms: performance.now() - begun }
}

describe(`a script with ${COUNT} transactions`, () => {
  const registry = new MethodRegistry({}, electrumMethods())
  const hub = new MomentHub(
    { historyLimit: 2 * COUNT, scriptCacheBytes: CACHE_BYTES },
    { mempool: new Mempool({}, { log: silentLogger() }) },
  )
  const entries: { readonly txid: string; readonly height: number }[] = []
  let db: IndexDatabase
  let prevHash: Uint8Array = new Uint8Array(32)
  let made = 0
  let end = (): void => undefined
  let ended: Promise<void>

  async function grow(count: number, nodeHeight: number): Promise<Set<string>> {
    const { raw, hash, txids } = makeBlock(prevHash, made, count)
    made += count
    prevHash = hash
    const block = parseBlock(raw)
    const spent = { hashXs: new Uint8Array(block.inputCount * 11), values: new Float64Array(block.inputCount) }
    const height = db.tip.height + 1
    const { touched } = await db.advance(block, nodeHeight, { spent, delta: blockDelta(block, spent) })
    if (height > 0) for (const txid of txids) entries.push({ txid: toDisplayHex(txid), height })
    return new Set(touched)
  }

  const noOutputs = () => Promise.resolve([])
  /** Not yet the text that a client gets, of which the transports make no copy. */
  const dispatch = (method: string, from = registry) =>
    hub.with(async (moment) => {
      const context = Object.assign(new FakeContext(), { moment })
      const scripthash = toDisplayHex(sha256(SCRIPT))
      return from.dispatch(method, [scripthash], context)
    })
  const ask = async (method: string) => writeJson(await dispatch(method))
  const naiveStatus = (): string => {
    const hash = createHash('sha256')
    for (const { txid, height } of entries) hash.update(`${txid}:${height}:`)
    return hash.digest('hex')
  }

  beforeAll(async () => {
    const ready = new Promise<void>((resolve) => {
      ended = withDirectory(async (directory) => {
        const stop = new Promise<void>((done) => {
          end = done
        })
        const genesis = makeBlock(prevHash, 0, 1)
        const options = { directory, coin: 'Bitcoin', net: 'regtest', genesisHash: genesis.hash, reorgLimit: 10 }
        db = await IndexDatabase.open({ ...options, cacheBytes: 8 << 20, pendingBytes: 64 << 20 })
        try {
          await grow(1, 1_000_000)
          while (entries.length < COUNT) {
            await grow(Math.min(PER_BLOCK, COUNT - entries.length), 1_000_000)
            await db.flushIfDue()
          }
          await db.flush()
          hub.publish(db.acquireView(noOutputs), { newTip: true, touched: new Set() })
          resolve()
          await stop
        } finally {
          hub.close()
          await db.close()
        }
      })
    })
    await Promise.race([ready, ended!])
  })

  afterAll(async () => {
    end()
    await ended
  })

  it('has a status, for which others get their turns, and of which little is kept', async () => {
    const { result, turns, ...times } = await watched(() => hub.with((moment) => moment.status(HASHX)))
    report('status', times)
    expect(result).toMatchObject({ status: naiveStatus(), confirmed: COUNT })
    expect(turns).toBeGreaterThan(COUNT / PER_TURN)
    expect(times.peakMb).toBeLessThan(64)
    expect(hub.scriptCacheBytes).toBeLessThan(2000)
  })

  it('has its next status at once when a block touches it', async () => {
    const touched = await grow(1, db.tip.height + 1)
    hub.publish(db.acquireView(noOutputs), { newTip: true, touched })
    const status = await hub.with((moment) => {
      const found = moment.status(HASHX)
      // Not a promise: nothing was read.
      expect(found).not.toBeInstanceOf(Promise)
      return found
    })
    expect(status).toMatchObject({ status: naiveStatus(), confirmed: COUNT + 1 })
    await db.flush()
    expect([...touched]).toEqual([toLatin1(HASHX)])
  })

  it('has a balance, for which nothing is piled up', async () => {
    const { result, ...times } = await watched(() => ask('blockchain.scripthash.get_balance'))
    report('balance', times)
    expect(result).toBe(JSON.stringify({ confirmed: (COUNT + 1) * VALUE, unconfirmed: 0 }))
    expect(times.peakMb).toBeLessThan(64)
  })

  it('has a history, written in parts', async () => {
    const { result, turns, ...times } = await watched(() => ask('blockchain.scripthash.get_history'))
    report('history', times)
    const naive = entries.map(({ txid, height }) => ({ tx_hash: txid, height }))
    expect(result === JSON.stringify(naive)).toBe(true)
    expect(turns).toBeGreaterThan(COUNT / PER_TURN)
    expect(hub.scriptCacheBytes).toBeLessThan(4000)
  })

  it('has outputs, which are refused where they cannot fit into an answer', async () => {
    const { result, turns, ...times } = await watched(() => dispatch('blockchain.scripthash.listunspent'))
    report('unspent', times)
    // Read, sorted, given their ids, and written.
    expect(turns).toBeGreaterThan((3 * COUNT) / PER_TURN)
    const found = JSON.parse(writeJson(result)) as { tx_hash: string; height: number; value: number }[]
    expect(found.map(({ tx_hash: txid, height }) => `${txid}:${height}`)).toEqual(
      entries.map(({ txid, height }) => `${txid}:${height}`),
    )
    const strict = new MomentHub({ historyLimit: 1000 }, { mempool: new Mempool({}, { log: silentLogger() }) })
    strict.publish(db.acquireView(noOutputs), { newTip: true, touched: new Set() })
    const refused = await watched(async () => {
      await expect(strict.with((moment) => moment.unspent(HASHX))).rejects.toMatchObject({ code: -32600 })
      await expect(strict.with((moment) => moment.status(HASHX))).rejects.toMatchObject({ code: 10001 })
    })
    strict.close()
    expect(refused.peakMb).toBeLessThan(32)
  })

  it('has outputs with what sits at them, looked up in parts', async () => {
    const own = new MethodRegistry({}, withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)))
    const { result, turns, ...times } = await watched(() => dispatch('blockchain.scripthash.listunspent', own))
    report('coloured', times)
    expect(turns).toBeGreaterThan(COUNT / 200)
    const found = JSON.parse(writeJson(result)) as { txid: string; height: number; atomicals: unknown }[]
    expect(found.map(({ txid, height }) => `${txid}:${height}`)).toEqual(
      entries.map(({ txid, height }) => `${txid}:${height}`),
    )
    expect(new Set(found.map(({ atomicals }) => JSON.stringify(atomicals)))).toEqual(new Set(['{}']))
  })

  function report(what: string, { ms, longest, peakMb }: { ms: number; longest: number; peakMb: number }): void {
    if (process.env['LONG_HISTORY'] === undefined) return
    process.stdout.write(
      `${what}: ${ms.toFixed(0)} ms, longest turn ${longest.toFixed(1)} ms, ${peakMb.toFixed(0)} MB\n`,
    )
  }
})
