import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { IndexDatabase } from '../../src/db/index-db.ts'
import type { BlockChange, IndexCollaborators, IndexOptions } from '../../src/db/index-options.ts'
import type { IndexView } from '../../src/db/index-view.ts'
import { MemoryStore } from '../../src/db/memory-store.ts'
import type { ChainView } from '../../src/db/view.ts'
import { readUint32LE, toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { readBlock } from '../../src/sync/parse.ts'
import { type BuiltBlock, outpointOf, type RandomChain, spentTxOuts } from './chain-builder.ts'
import type { ChainModel } from './chain-model.ts'

/** Runs `use` with a directory that is removed afterwards. */
export async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
  try {
    return await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Options of an index for a chain of RandomChain. */
export function indexOptions(directory: string, chain: RandomChain, changes: Partial<IndexOptions> = {}): IndexOptions {
  return {
    directory,
    coin: 'Bitcoin',
    net: 'regtest',
    genesisHash: chain.genesisHash,
    reorgLimit: 200,
    cacheBytes: 8 << 20,
    pendingBytes: 64 << 20,
    ...changes,
  }
}

/** Collaborators of an index whose rows stay in memory (its file of ids does not). */
export function inMemory(): IndexCollaborators {
  return { openStore: (_directory, _options, disk) => Promise.resolve(new MemoryStore(disk)) }
}

/** Whether the node tells what blocks spend, or the index looks it up. */
export type Spends = 'told' | 'looked up'

/** Advances by the last of `blocks`. */
export function advanceBy(
  db: IndexDatabase,
  blocks: readonly BuiltBlock[],
  nodeHeight: number,
  spends: Spends = 'looked up',
): Promise<BlockChange> {
  const { hash, raw } = blocks.at(-1)!
  const spent = spends === 'told' ? spentTxOuts(blocks) : undefined
  const { block, known } = readBlock({ hash: toDisplayHex(hash), raw, spent })
  return db.advance(block, nodeHeight, known)
}

/** The index as it is now; asks the model for unspent outputs if the index does not list them. */
export function viewOf(db: IndexDatabase, model: ChainModel): IndexView {
  return db.acquireView((outpoints, tip) => {
    expect(toHex(tip.hash)).toBe(toHex(model.blocks.at(-1)?.hash ?? new Uint8Array(32)))
    return Promise.resolve(
      outpoints.map((outpoint) => model.unspent(outpoint.subarray(0, 32), readUint32LE(outpoint, 32))),
    )
  })
}

/** Advances to the tip of `blocks`. Those below the index's own tip must be the same. */
export async function advanceTo(
  db: IndexDatabase,
  blocks: readonly BuiltBlock[],
  nodeHeight = blocks.length - 1,
  spends: Spends = 'looked up',
): Promise<void> {
  while (db.tip.height < blocks.length - 1) {
    await advanceBy(db, blocks.slice(0, db.tip.height + 2), nodeHeight, spends)
    await db.flushIfDue()
  }
}

/** Gathers all histories, whatever views are held; how many steps that took. */
export async function gather(db: IndexDatabase): Promise<number> {
  let steps = 0
  for await (const share of db.gatherHistories(() => undefined, new AbortController().signal)) {
    steps += 1
    // What is left is to give disk back, for which it would wait for the views.
    if (share === 1) break
  }
  return steps
}

export async function dumpOf(db: IndexDatabase): Promise<string[]> {
  const lines: string[] = []
  for await (const line of db.canonicalDump()) lines.push(line)
  return lines
}

export async function withIndex<T>(
  options: IndexOptions,
  use: (db: IndexDatabase) => Promise<T>,
  collaborators: IndexCollaborators = {},
): Promise<T> {
  const db = await IndexDatabase.open(options, collaborators)
  try {
    return await use(db)
  } finally {
    await db.close()
  }
}

/** Asks a view everything that can be asked and compares with the model. `all`: hashXs and blocks of any branch. */
export async function expectViewIs(view: ChainView, model: ChainModel, all: readonly BuiltBlock[]): Promise<void> {
  const top = model.blocks.length - 1
  expect(view.tip.height).toBe(top)
  expect(view.tip.txCount).toBe(model.txCount)
  expect(toHex(view.tip.hash)).toBe(toHex(model.blocks[top]?.hash ?? new Uint8Array(32)))
  for (let height = 0; height <= top + 1; height++) {
    expect(hexOf(view.header(height))).toBe(hexOf(model.header(height)))
    expect(hexOf(await view.blockTxids(height))).toBe(hexOf(model.blockTxids(height)))
  }
  for (const hashX of [...model.hashXs, new Uint8Array(11)]) {
    const history = model.history(hashX)
    expect(await view.history(hashX, 1_000_000)).toEqual(history)
    expect(await view.history(hashX, 1)).toEqual(history.slice(0, 2))
    expect(await view.utxos(hashX)).toEqual(model.utxos(hashX))
    const outputs = model.utxos(hashX).length
    expect(await view.balance(hashX)).toEqual({ value: model.balance(hashX), outputs })
    expect(await view.utxos(hashX, 1)).toHaveLength(Math.min(outputs, 2))
  }
  const txs = all.flatMap((block) => block.txs)
  for (const tx of txs) expect(await view.findTransaction(tx.txid)).toEqual(model.position(tx.txid))
  const outputs = txs.flatMap((tx) => tx.outputs.map((_, vout) => ({ txid: tx.txid, vout })))
  expect(await view.unspentOutputs(outputs.map(({ txid, vout }) => outpointOf(txid, vout)))).toEqual(
    outputs.map(({ txid, vout }) => model.unspent(txid, vout)),
  )
  for (const { hashX, outpoint, fundedBy, spender } of model.outputs) {
    expect(await view.findSpender(hashX, outpoint, fundedBy)).toEqual(spender)
  }
  for (const height of new Set([0, top >> 1, top])) {
    if (top < 0) continue
    expect(await view.headerProof(height, top)).toEqual(model.headerProof(height, top))
  }
}

function hexOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : toHex(bytes)
}
