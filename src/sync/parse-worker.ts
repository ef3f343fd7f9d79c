/** The thread that parses and hashes blocks. */
import { parentPort } from 'node:worker_threads'
import { DaemonUnavailableError, InvariantError } from '../errors.ts'
import { type FetchedBlock, readBlock } from './parse.ts'
import { buffersOf, type ParseAnswer } from './parse-thread.ts'

const port = parentPort
if (port === null) throw new InvariantError('parse-worker.ts is for a worker thread')

port.on('message', (fetched: FetchedBlock) => {
  const answer = attempt(fetched)
  port.postMessage(answer, answer.kind === 'block' ? buffersOf(answer.block) : [])
})

function attempt(fetched: FetchedBlock): ParseAnswer {
  try {
    return { kind: 'block', block: readBlock(fetched) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return error instanceof DaemonUnavailableError ? { kind: 'refused', message } : { kind: 'failed', message }
  }
}
