import { WebSocket } from 'ws'
import type { ServerProcess } from '../../support/server-process.ts'
import { within } from '../waits.ts'

/** Bytes. */
export interface HeapFigures {
  readonly heapUsed: number
  /** Outside of the heap, buffers mostly. */
  readonly external: number
}

/** Flags of Node with which probeHeap() works. */
export const PROBE_FLAGS = ['--inspect=127.0.0.1:0'] as const
/** What Node says on standard error because of it. */
export const PROBE_CHATTER = /^(Debugger |For help, see|$)/

const ADDRESS = /ws:\/\/\S+/
const LIMIT_MS = 30_000

interface Reply {
  readonly id?: number
  readonly result?: { readonly result?: { readonly value?: unknown } }
  readonly error?: { readonly message: string }
}

/**
 * Collects all garbage of a server's main thread and says what is left, over the inspector of Node: nothing of the server
 * knows of it.
 */
export async function probeHeap(server: ServerProcess): Promise<HeapFigures> {
  const [address] = ADDRESS.exec(server.errors) ?? []
  if (address === undefined) throw new Error('the server was not started with PROBE_FLAGS')
  const socket = new WebSocket(address, { perMessageDeflate: false })
  try {
    return await within(LIMIT_MS, 'the inspector', measure(socket))
  } finally {
    socket.terminate()
  }
}

async function measure(socket: WebSocket): Promise<HeapFigures> {
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  await call(socket, 1, 'HeapProfiler.collectGarbage')
  await call(socket, 2, 'HeapProfiler.collectGarbage')
  const expression = 'JSON.stringify(process.memoryUsage())'
  const { result } = await call(socket, 3, 'Runtime.evaluate', { expression, returnByValue: true })
  return JSON.parse(String(result?.result?.value)) as HeapFigures
}

function call(socket: WebSocket, id: number, method: string, params: object = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const take = (data: Buffer): void => {
      const reply = JSON.parse(data.toString()) as Reply
      if (reply.id !== id) return
      socket.off('message', take)
      if (reply.error === undefined) resolve(reply)
      else reject(new Error(`${method}: ${reply.error.message}`))
    }
    socket.on('message', take)
    socket.once('close', () => reject(new Error('the inspector is gone')))
    socket.send(JSON.stringify({ id, method, params }))
  })
}
