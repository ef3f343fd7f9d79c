/** The thread that makes the batches of flushes: opens the store that the main thread has open, and never reads it. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { parentPort, workerData } from 'node:worker_threads'
import { InvariantError } from '../errors.ts'
import { realDisk, storageErrorOf } from './disk.ts'
import { type FlushJob, stageFlush } from './flush-writer.ts'
import { gatherSome } from './gather.ts'
import { openLevelStore } from './level-store.ts'
import type { Store, StoreBatch } from './store.ts'
import type { WriterAnswer, WriterOrder } from './thread-writer.ts'

const port = parentPort
if (port === null) throw new InvariantError('write-worker.ts is for a worker thread')

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as thread-writer.ts gives it
const { directory } = workerData as { readonly directory: string }

/** Blocks are read by the main thread; this one only writes. */
const CACHE_BYTES = 1 << 20

let store: Store | undefined
let batch: StoreBatch | undefined

async function carryOut(order: WriterOrder): Promise<Uint8Array | undefined> {
  if (order.kind === 'open') {
    store = await openLevelStore(directory, { cacheBytes: CACHE_BYTES, mustExist: true, shared: true }, realDisk)
  } else if (order.kind === 'prepare') {
    await prepare(order.job)
  } else if (order.kind === 'gather') {
    return gather(order.from)
  } else if (order.kind === 'write') {
    await batch?.write()
    batch = undefined
    freeBatch()
  } else if (order.kind === 'discard') {
    await batch?.discard()
    batch = undefined
  } else {
    await store?.close()
  }
  return undefined
}

/**
 * classic-level frees the memory of a batch, tens of megabytes outside the heap, when the batch is collected; and the
 * collector, which sees next to nothing in this thread's heap, would let many of them pile up (measured: 40 MB a flush).
 */
function freeBatch(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc()')
}

async function prepare(job: FlushJob): Promise<void> {
  if (store === undefined || batch !== undefined) throw new InvariantError('a flush is prepared out of turn')
  batch = await stageFlush(store, job)
}

function gather(from: Uint8Array): Promise<Uint8Array> {
  if (store === undefined || batch !== undefined) throw new InvariantError('histories are gathered out of turn')
  return gatherSome(store, from)
}

async function answer(order: WriterOrder): Promise<WriterAnswer> {
  try {
    const gathered = await carryOut(order)
    return gathered === undefined ? { done: true } : { done: true, gathered }
  } catch (error) {
    const { code, message } = storageErrorOf(error, 'write')
    return { done: false, code, message }
  }
}

async function serve(order: WriterOrder): Promise<void> {
  port?.postMessage(await answer(order))
}

port.on('message', (order: WriterOrder) => void serve(order))
