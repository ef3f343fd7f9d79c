import { once } from 'node:events'
import type { Worker } from 'node:worker_threads'
import { InvariantError, type StorageCode, StorageError } from '../errors.ts'
import { startThread } from '../lib/thread.ts'
import { type Disk, storageErrorOf } from './disk.ts'
import type { FlushJob, FlushWriter, PreparedFlush } from './flush-writer.ts'

/** What the main thread tells the writing one; each order is answered before the next is given. */
export type WriterOrder =
  | { readonly kind: 'open' | 'write' | 'discard' | 'close' }
  | { readonly kind: 'prepare'; readonly job: FlushJob }
  | { readonly kind: 'gather'; readonly from: Uint8Array }

export type WriterAnswer =
  /** `gathered`: what gatherSome gives, of that order only. */
  | { readonly done: true; readonly gathered?: Uint8Array }
  | { readonly done: false; readonly code: StorageCode; readonly message: string }

type Done = Extract<WriterAnswer, { readonly done: true }>

/** A batch makes millions of objects that live for a moment. */
const SEMI_SPACE_MB = 4

/** Makes batches on a thread of its own, so that sorting and packing millions of rows holds nobody up. */
export class ThreadWriter implements FlushWriter {
  readonly #worker: Worker
  readonly #disk: Disk
  #waiting: { readonly resolve: (answer: Done) => void; readonly reject: (error: unknown) => void } | undefined
  /** Why the thread is no more. */
  #ended: StorageError | undefined

  private constructor(worker: Worker, disk: Disk) {
    this.#worker = worker
    this.#disk = disk
    worker.on('message', (answer: WriterAnswer) => {
      if (answer.done) this.#settle()?.resolve(answer)
      else this.#settle()?.reject(new StorageError(answer.code, answer.message))
    })
    worker.on('error', (error) => this.#end(new StorageError('io', 'the writing thread failed', { cause: error })))
    worker.on('exit', () => this.#end(new StorageError('io', 'the writing thread has ended')))
  }

  /** Opens the store in `directory`, which this thread has open as shared, on a thread of its own. */
  static async open(directory: string, disk: Disk): Promise<ThreadWriter> {
    const worker = startThread(new URL('./write-worker.js', import.meta.url), {
      workerData: { directory },
      semiSpaceMb: SEMI_SPACE_MB,
    })
    const writer = new ThreadWriter(worker, disk)
    try {
      await writer.#order({ kind: 'open' })
    } catch (error) {
      await worker.terminate()
      throw error
    }
    return writer
  }

  async prepare(job: FlushJob): Promise<PreparedFlush> {
    await this.#order({ kind: 'prepare', job })
    return {
      write: async () => void (await this.#commit({ kind: 'write' })),
      discard: async () => void (await this.#order({ kind: 'discard' })),
    }
  }

  async gather(from: Uint8Array): Promise<Uint8Array> {
    const { gathered } = await this.#commit({ kind: 'gather', from })
    if (gathered === undefined) throw new InvariantError('the writing thread does not say how far it has gathered')
    return gathered
  }

  async #commit(order: WriterOrder): Promise<Done> {
    let done: Done = { done: true }
    try {
      await this.#disk.commit(async () => {
        done = await this.#order(order)
      })
    } catch (error) {
      throw storageErrorOf(error, 'write')
    }
    return done
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return
    await this.#order({ kind: 'close' })
    const exited = once(this.#worker, 'exit')
    await this.#worker.terminate()
    await exited
  }

  #order(order: WriterOrder): Promise<Done> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) reject(this.#ended)
      else if (this.#waiting !== undefined) reject(new InvariantError('two orders at a time'))
      else {
        this.#waiting = { resolve, reject }
        this.#worker.postMessage(order)
      }
    })
  }

  #settle() {
    const waiting = this.#waiting
    this.#waiting = undefined
    return waiting
  }

  #end(error: StorageError): void {
    this.#ended ??= error
    this.#settle()?.reject(this.#ended)
  }
}
