import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseBlock, txRawAt } from '../../../src/chain/block.ts'
import { parseWholeTx } from '../../../src/chain/tx.ts'
import type { Bitcoind } from '../../../src/daemon/bitcoind.ts'
import type { IndexDatabase } from '../../../src/db/index-db.ts'
import { toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import type { RegtestNode } from '../../../src/regtest/node.ts'
import { dumpOf } from '../../support/chain-index.ts'
import { FollowedNode, NOBODY, never, PAYEE } from '../../support/followed-node.ts'
import { olderNode } from '../../support/older-node.ts'

/** Everything that is asked of a node, of nodes that have no more than Bitcoin Core of their version had. */
const TIMES = { call: 10_000, bulk: 10_000, patience: 0, returnAfter: 60_000 }

let stage: FollowedNode
let node: RegtestNode

beforeAll(async () => {
  // Without an index of transactions: those of blocks are asked for by the block that has them.
  stage = await FollowedNode.start({ initialBlocks: 105, blocks: 5, payments: 3, txindex: false })
  node = stage.node
})

afterEach(() => stage.leave())

afterAll(() => stage.stop())

interface Run {
  readonly daemon: Bitcoind
  readonly db: IndexDatabase
  toTip(): Promise<void>
}

async function follow(url: string): Promise<Run> {
  const { daemon, db, processor } = await stage.follow([url], { times: TIMES }, 50)
  const toTip = async (): Promise<void> => {
    await processor.catchUp(NOBODY, never())
    await processor.persist()
  }
  return { daemon, db, toTip }
}

/** Rows of the index, with outputs listed: it depends on the node whether they are. */
async function rowsOf({ db }: Run): Promise<string[]> {
  await db.listOutputs()
  return dumpOf(db)
}

async function undisturbed(): Promise<string[]> {
  const run = await follow(node.url)
  await run.toTip()
  return rowsOf(run)
}

describe.each([
  // 0.20
  [0.2, true],
  [0.2, false],
  [0.21, true],
  [22, true],
  [22, false],
  [23, true],
  [24, true],
  [25, true],
  [25, false],
  [26, true],
  [27, true],
  [29, true],
  [30, true],
  [31, true],
  [31, false],
])('a node that has what Bitcoin Core %d has, with REST: %s', (version, hasRest) => {
  const run = async (): Promise<Run> => follow((await stage.proxy(olderNode(version, hasRest))).url)

  it('is followed to its tip and through a reorganisation, to the same index', async () => {
    const made = await run()
    await made.toTip()
    expect(made.daemon.abilities).toMatchObject({ rest: hasRest, spentTxOuts: hasRest && version >= 30 })
    expect(made.db.listsOutputs).toBe(!(hasRest && version >= 30))
    expect(made.db.tip.height).toBe(node.height)
    const [left = ''] = await made.daemon.blockHashes(node.height - 2, 1)
    node.invalidate(left)
    node.mine(5)
    await made.toTip()
    expect(made.db.tip.height).toBe(node.height)
    expect(await rowsOf(made)).toEqual(await undisturbed())
  })

  it('gives transactions, confirmed and unconfirmed, and takes them', async () => {
    const { daemon } = await run()
    const txid = node.send(PAYEE, 12_345n)
    expect((await daemon.mempoolIds()).txids).toContain(txid)
    expect((await daemon.mempoolIds()).sequence === undefined).toBe(version < 0.21)
    const [raw] = await daemon.mempoolTransactions([txid])
    expect(toDisplayHex(parseWholeTx(raw!).txid)).toBe(txid)
    node.mine(1)
    const [blockHash = ''] = await daemon.blockHashes(node.height, 1)
    const block = parseBlock(await daemon.rawBlock(blockHash))
    for (let position = 0; position < block.txCount; position += 1) {
      const own = txRawAt(block, position)
      const id = toDisplayHex(parseWholeTx(own).txid)
      expect(toHex(await daemon.confirmedTransaction(id, { blockHash, position }))).toBe(toHex(own))
      expect(JSON.parse(await daemon.verboseTransaction(id, blockHash))).toMatchObject({ txid: id })
    }
    await expect(daemon.broadcast(toHex(raw!))).rejects.toMatchObject({ daemonCode: -27 })
  })

  it('tells of itself and its mempool', async () => {
    const { daemon } = await run()
    expect(Math.floor((await daemon.networkInfo()).version / 10_000)).toBe(version < 1 ? version * 100 : version)
    expect((await daemon.chainInfo()).blocks).toBe(node.height)
    expect((await daemon.mempoolInfo()).incrementalRelayFee).toBeGreaterThan(0)
    expect(await daemon.estimateFee(6)).toBeUndefined()
  })

  it('takes packages, or says that there is no such thing', async () => {
    const { daemon } = await run()
    const [raw] = await daemon.mempoolTransactions([node.send(PAYEE, 23_456n)])
    const answer = daemon.broadcastPackage([toHex(raw!)])
    if (version < 26) await expect(answer).rejects.toMatchObject({ daemonCode: version < 24 ? -32601 : -1 })
    else expect(await answer).toMatchObject({ packageMessage: 'success', errors: [] })
    if (version < 26) return
    await expect(daemon.broadcastPackage(['00'])).rejects.toMatchObject({ daemonCode: -22 })
  })
})
