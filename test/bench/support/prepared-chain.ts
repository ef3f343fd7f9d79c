import { constants } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex } from '../../../src/lib/bytes.ts'
import { ChainGenerator } from '../chain/generator.ts'
import type { Manifest } from '../chain/manifest.ts'
import { DEFAULT_TIP, isDefault, keyOf } from '../chain/parameters.ts'
import { atExit, exitOnSignals } from './at-exit.ts'
import { type NodeProcess, startNode } from './node-process.ts'
import type { BenchOptions } from './options.ts'
import { note } from './report.ts'

export interface PreparedChain {
  readonly manifest: Manifest
  readonly node: NodeProcess
  /** Where the node has its files. */
  readonly directory: string
  /** Stops the node and removes its directory. */
  stop(): Promise<void>
}

/**
 * A node that has the chain, in a directory of its own that is gone after stop(). The chain itself is made once for each
 * seed, parameters and kind of node, and kept in the cache.
 */
export async function startPreparedChain(options: BenchOptions): Promise<PreparedChain> {
  exitOnSignals()
  const kept = join(options.cache, keyOf(options.chain), options.bitcoind === undefined ? 'built-in' : 'bitcoind')
  const manifest = (await readManifest(kept)) ?? (await prepare(options, kept))
  const directory = await mkdtemp(join(tmpdir(), 'valence-bench-node-'))
  const remove = () => rm(directory, { recursive: true, force: true })
  try {
    // Blocks do not change any more: where the file system can share them between copies, it may.
    await cp(join(kept, 'node'), directory, { recursive: true, mode: constants.COPYFILE_FICLONE })
    const node = await startNode(options, directory)
    const forget = atExit(() => node.kill(), directory)
    const stop = async (): Promise<void> => {
      await node.stop()
      forget()
      await remove()
    }
    const hash = await node.rpc.call<string>('getbestblockhash')
    if (hash === manifest.tip.hash) return { manifest, node, directory, stop }
    await stop()
    throw new Error(`the chain kept in ${kept} ends with ${hash}, not ${manifest.tip.hash}: remove it`)
  } catch (error) {
    await remove()
    throw error
  }
}

async function readManifest(kept: string): Promise<Manifest | undefined> {
  try {
    return JSON.parse(await readFile(join(kept, 'manifest.json'), 'utf8')) as Manifest
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes the chain beside its place and moves it there when it is whole. */
async function prepare(options: BenchOptions, kept: string): Promise<Manifest> {
  const making = `${kept}.${process.pid}`
  await mkdir(making, { recursive: true })
  try {
    const manifest = await feed(options, join(making, 'node'))
    await writeFile(join(making, 'manifest.json'), JSON.stringify(manifest))
    await rename(making, kept)
    return manifest
  } finally {
    await rm(making, { recursive: true, force: true })
  }
}

async function feed(options: BenchOptions, directory: string): Promise<Manifest> {
  const generator = new ChainGenerator(options.chain)
  const node = await startNode(options, directory)
  const forget = atExit(() => node.kill(), directory)
  try {
    // One block under way while the next one is made.
    let submitted: Promise<void> = Promise.resolve()
    for (const { height, raw } of generator.blocks()) {
      await submitted
      submitted = submit(node, height, raw)
      submitted.catch(() => {})
      if (height % 100 === 0) note(`making the chain: block ${height} of ${generator.lastHeight}`)
    }
    await submitted
  } finally {
    await node.stop()
    forget()
  }
  const manifest = generator.manifest()
  if (isDefault(options.chain) && manifest.tip.hash !== DEFAULT_TIP) {
    throw new Error(`the default chain ends with ${manifest.tip.hash}: it is not the one of other days`)
  }
  return manifest
}

async function submit(node: NodeProcess, height: number, raw: Uint8Array): Promise<void> {
  const refusal = await node.rpc.call<string | null>('submitblock', toHex(raw))
  if (refusal !== null) throw new Error(`block ${height} refused: ${refusal}`)
}
