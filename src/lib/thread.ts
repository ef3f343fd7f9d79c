import { setFlagsFromString } from 'node:v8'
import { Worker, type WorkerOptions } from 'node:worker_threads'

/**
 * A thread whose heap has little room for young objects: for work on flat arrays, whose objects live for a moment. More
 * room is no faster there, only larger. The limit goes by a flag, since a `--max-semi-space-size` on the command line,
 * meant for the main thread, counts for all threads and more than their own resourceLimits; heaps that are there already
 * do not look at it again.
 */
export function startThread(file: URL, options: WorkerOptions & { readonly semiSpaceMb: number }): Worker {
  const { semiSpaceMb, ...others } = options
  setFlagsFromString(`--max-semi-space-size=${semiSpaceMb}`)
  return new Worker(file, others)
}
