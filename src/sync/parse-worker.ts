/** The thread that parses and hashes blocks. */
import { parentPort } from 'node:worker_threads'
import { BlockScan } from '../chain/block-scan.ts'
import { DaemonUnavailableError, InvariantError, messageOf } from '../errors.ts'
import { type FetchedBlock, readBlock } from './parse.ts'
import { buffersOf, type ParseAnswer } from './parse-thread.ts'

const port = parentPort
if (port === null) throw new InvariantError('parse-worker.ts is for a worker thread')

const scan = new BlockScan()

port.on('message', (fetched: FetchedBlock) => {
  const answer = attempt(fetched)
  port.postMessage(answer, answer.kind === 'block' ? buffersOf(answer.block) : [])
})

function attempt(fetched: FetchedBlock): ParseAnswer {
  try {
    return { kind: 'block', block: readBlock(fetched, scan) }
  } catch (error) {
    const message = messageOf(error)
    return error instanceof DaemonUnavailableError ? { kind: 'refused', message } : { kind: 'failed', message }
  }
}
