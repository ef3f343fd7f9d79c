import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, unlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseWholeTx } from '../../../src/chain/tx.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { RegtestNode, type RegtestNodeCollaborators, type RegtestNodeOptions } from '../../../src/regtest/node.ts'
import { runRegtestNode } from '../../../src/regtest/run.ts'
import { HttpCaller, type NodeClient } from '../../support/node-contract.ts'
import { call } from '../../support/node-contract-chain.ts'

const ADDRESS = 'bcrt1qy8yqq0z854nu9g297ynlxg9twyrsxtsksy3zvv'
const signal = AbortSignal.timeout(60_000)

let directory = ''
let caller: HttpCaller
const running: RegtestNode[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regtest-node-'))
  caller = new HttpCaller()
})
afterEach(async () => {
  caller.close()
  for (const node of running.splice(0)) await node.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function start(
  options: Partial<RegtestNodeOptions> = {},
  collaborators: RegtestNodeCollaborators = {},
): Promise<RegtestNode> {
  const clock = { ...systemClock, now: () => 1_800_000_000_000 }
  const node = new RegtestNode({ directory, ...options }, { clock, ...collaborators })
  running.push(node)
  await node.start(signal)
  return node
}

function clientOf(node: RegtestNode): NodeClient {
  return { url: node.url, login: readFileSync(node.cookieFile, 'utf8') }
}

describe('the chain on disk', () => {
  it('is the same after a restart: tip, lost branches, coins, what was taken out', async () => {
    const node = await start({ initialBlocks: 105 })
    node.send(ADDRESS, 5_000_000n)
    node.mine(2)
    const lost = node.bestBlockHash
    node.reorganize(1)
    const [out] = node.mine(1)
    node.invalidate(out ?? '')
    const before = await Promise.all(
      ['getblockchaininfo', 'getchaintips'].map((method) => call(caller, clientOf(node), method)),
    )
    await node.stop()
    const again = await start()
    const after = await Promise.all(
      ['getblockchaininfo', 'getchaintips'].map((method) => call(caller, clientOf(again), method)),
    )
    expect(after).toEqual(before)
    expect(JSON.stringify(after)).toContain(lost)
    again.send(ADDRESS, 7_000_000n)
    expect(again.mine(1)).toHaveLength(1)
    again.reconsider(out ?? '')
    expect(again.height).toBe(109)
  })

  it('makes the same blocks of the same clock', async () => {
    const first = await start({ initialBlocks: 20 })
    const other = await start({ initialBlocks: 20, directory: join(directory, 'other') })
    expect(other.bestBlockHash).toBe(first.bestBlockHash)
  })

  it('loses no more than the block that a crash cut short', async () => {
    const node = await start({ initialBlocks: 12 })
    const whole = node.bestBlockHash
    await node.stop()
    const log = join(directory, 'blocks.log')
    appendFileSync(log, readFileSync(log).subarray(0, 100))
    expect((await start()).bestBlockHash).toBe(whole)
    await running.pop()?.stop()
    // The note of the tip, and then the last block itself.
    truncateSync(log, statSync(log).size - 1)
    expect((await start()).bestBlockHash).toBe(whole)
    await running.pop()?.stop()
    truncateSync(log, statSync(log).size - 100)
    expect((await start()).height).toBe(11)
  })

  it('reads the blocks where the snapshot of coins is lost, and has the same coins', async () => {
    const node = await start({ initialBlocks: 105 })
    node.send(ADDRESS, 5_000_000n)
    node.mine(1)
    await node.stop()
    unlinkSync(join(directory, 'coins.snapshot'))
    const again = await start()
    const txid = again.send(ADDRESS, 6_000_000n)
    await again.stop()
    const once = await start()
    expect(once.send(ADDRESS, 6_000_000n)).toBe(txid)
  })

  it('makes undo again where it was lost', async () => {
    const node = await start({ initialBlocks: 105 })
    node.send(ADDRESS, 5_000_000n)
    node.mine(1)
    await node.stop()
    unlinkSync(join(directory, 'undo.log'))
    const again = await start()
    expect(again.reorganize(2)).toHaveLength(3)
    expect(again.height).toBe(107)
    expect(again.mempool).toHaveLength(1)
  })
})

describe('the faucet', () => {
  it('pays many times between two blocks, and every payment is mined', async () => {
    const node = await start({ initialBlocks: 101 })
    const txids = Array.from({ length: 5 }, () => node.send(ADDRESS, 100_000_000n))
    const client = clientOf(node)
    node.mine(1)
    expect(node.mempool).toEqual([])
    const block = (await call(caller, client, 'getblock', node.bestBlockHash)) as { tx: string[] }
    expect(block.tx.slice(1).sort()).toEqual([...txids].sort())
    const paid = (await call(caller, client, 'gettxout', txids[4], 0)) as {
      value: number
      scriptPubKey: { address: string }
    }
    expect(paid).toMatchObject({ value: 1, scriptPubKey: { address: ADDRESS } })
  })

  it('says that it has not enough, and takes only addresses of regtest', async () => {
    const node = await start({ initialBlocks: 100 })
    expect(() => node.send(ADDRESS, 100_000_000n)).not.toThrow()
    expect(() => node.send(ADDRESS, 5_000_000_000n)).toThrow(RangeError)
    expect(() => node.send('bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq', 1000n)).toThrow('address')
  })

  it('has its coins back when the block of a payment is lost', async () => {
    const node = await start({ initialBlocks: 101 })
    const txid = node.send(ADDRESS, 100_000_000n)
    node.mine(1)
    node.reorganize(1)
    expect(node.mempool).toEqual([txid])
    node.mine(1)
    expect(node.mempool).toEqual([])
    node.send(ADDRESS, 100_000_000n)
  })
})

describe('calls that the recording does not have', () => {
  it('mine to addresses and descriptors, with the mempool or with given transactions only', async () => {
    const node = await start({ initialBlocks: 101 })
    const client = clientOf(node)
    const first = node.send(ADDRESS, 100_000n)
    const second = node.send(ADDRESS, 200_000n)
    const one = (await call(caller, client, 'generateblock', ADDRESS, [first])) as { hash: string }
    expect(one.hash).toBe(node.bestBlockHash)
    expect(node.mempool).toEqual([second])
    expect(await call(caller, client, 'generatetodescriptor', 1, 'raw(51)')).toEqual([node.bestBlockHash])
    expect(await call(caller, client, 'generatetoaddress', 2, ADDRESS)).toHaveLength(2)
    expect(await call(caller, client, 'generatetoaddress', 1, 'nonsense')).toBe('-5 Error: Invalid address')
    const early = await call(caller, client, 'generateblock', 'raw(51)', ['00'.repeat(32)])
    expect(early).toContain('not in mempool')
  })

  it('wait for a new block, and no longer than the node runs', async () => {
    const node = await start({ initialBlocks: 1 })
    const client = clientOf(node)
    const waiting = call(caller, client, 'waitfornewblock', 0, node.bestBlockHash)
    const [hash] = node.mine(1)
    expect(await waiting).toEqual({ hash, height: 2 })
    expect(await call(caller, client, 'waitfornewblock', 1)).toEqual({ hash, height: 2 })
    const forever = call(caller, client, 'waitfornewblock', 0)
    const settled = Promise.allSettled([forever])
    await node.stop()
    expect(await settled).toHaveLength(1)
  })

  it('answer a transaction of another witness by its own txid, and tell of help', async () => {
    const node = await start({ initialBlocks: 101 })
    const client = clientOf(node)
    const txid = node.send(ADDRESS, 100_000n)
    const raw = String(await call(caller, client, 'getrawtransaction', txid))
    const other = raw.replace(/01015100000000$/, '01015200000000')
    expect(other).not.toBe(raw)
    expect(await call(caller, client, 'sendrawtransaction', other)).toBe(txid)
    expect(node.submitTx(fromHex(raw))).toMatchObject({
      kind: 'rejected',
      reject: { reason: 'txn-already-in-mempool' },
    })
    expect(node.submitTx(fromHex(other))).toMatchObject({ reject: { reason: 'txn-same-nonwitness-data-in-mempool' } })
    expect(parseWholeTx(fromHex(raw)).outputs).toHaveLength(2)
    expect(await call(caller, client, 'help', 'getblock')).toBe('getblock "blockhash" ( verbosity )')
  })
})

describe('runRegtestNode', () => {
  it('runs until it is told to stop', async () => {
    const stop = new AbortController()
    const told: string[] = []
    await runRegtestNode({ directory, initialBlocks: 3 }, {}, stop.signal, ({ url, cookieFile, zmqEndpoint }) => {
      told.push(url, zmqEndpoint)
      expect(statSync(cookieFile).mode & 0o777).toBe(0o600)
      stop.abort()
    })
    expect(told[0]).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect(told[1]).toMatch(/^tcp:\/\/127\.0\.0\.1:\d+$/)
    await expect(caller.call(told[0] ?? '', 'GET', undefined, undefined)).rejects.toThrow('ECONNREFUSED')
  })
})
