import { serve } from '../support/child.ts'
import { NodeRpc } from '../support/node-rpc.ts'
import { memory } from '../support/process-stats.ts'
import { BlindStore } from './blind-store.ts'
import { blockHashes, blockStream } from './block-stream.ts'
import { LeanParser } from './lean-parser.ts'

/** Connections of the node that are used at a time. */
const CONNECTIONS = 4
const AHEAD = 8

export interface FloorQuestion {
  readonly step: 'fetch' | 'fetch with spent outputs' | 'index'
  readonly url: string
  readonly cookieFile: string
}

export interface FloorAnswer {
  readonly seconds: number
  readonly cpuSeconds: number
  readonly bytes: number
  readonly spentBytes: number
  /** Bytes of memory that the process ever held. */
  readonly peakMemory: number
  /** Of step `index` only. */
  readonly txs?: number
  readonly rows?: number
  readonly diskBytes?: number
}

serve(
  async (question) => {
    const { step, url, cookieFile } = question as FloorQuestion
    const rpc = new NodeRpc(url, cookieFile, CONNECTIONS)
    try {
      const hashes = await blockHashes(rpc)
      return step === 'index' ? await index(rpc, hashes) : await fetchAll(rpc, hashes, step !== 'fetch')
    } finally {
      rpc.close()
    }
  },
  () => Promise.resolve(),
)

async function fetchAll(rpc: NodeRpc, hashes: readonly string[], withSpent: boolean): Promise<FloorAnswer> {
  return measured(async (sizes) => {
    for await (const fetched of blockStream(rpc, hashes, { ahead: AHEAD, withSpent })) sizes.add(fetched)
    return {}
  })
}

async function index(rpc: NodeRpc, hashes: readonly string[]): Promise<FloorAnswer> {
  const store = await BlindStore.open()
  try {
    return await measured(async (sizes) => {
      const parser = new LeanParser(store)
      for await (const fetched of blockStream(rpc, hashes, { ahead: AHEAD, withSpent: true })) {
        sizes.add(fetched)
        parser.block(fetched.block, fetched.spent!)
        await store.settle()
      }
      const diskBytes = await store.finish()
      return { txs: parser.txs, rows: store.rowsWritten, diskBytes }
    })
  } finally {
    await store.close()
  }
}

class Sizes {
  bytes = 0
  spentBytes = 0

  add({ block, spent }: { readonly block: Buffer; readonly spent: Buffer | undefined }): void {
    this.bytes += block.length
    this.spentBytes += spent?.length ?? 0
  }
}

async function measured(work: (sizes: Sizes) => Promise<Partial<FloorAnswer>>): Promise<FloorAnswer> {
  const sizes = new Sizes()
  const cpu = process.cpuUsage()
  const begun = performance.now()
  const more = await work(sizes)
  const seconds = (performance.now() - begun) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const { bytes, spentBytes } = sizes
  const peakMemory = memory(process.pid).peak
  return { seconds, cpuSeconds: (user + system) / 1e6, bytes, spentBytes, peakMemory, ...more }
}
