import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { serve } from './child.ts'

const NEWLINE = 10

/**
 * What any Node server behind the same client can do at best: parses each line, answers it with null, and writes the
 * answers to what came together in one go. The question it is asked is nothing; it answers with its port.
 */
const sockets = new Set<Socket>()
const server = createServer({ noDelay: true }, (socket) => {
  sockets.add(socket)
  socket.on('close', () => sockets.delete(socket))
  // A client that goes away is no matter here.
  socket.on('error', () => {})
  let rest: Buffer | undefined
  socket.on('data', (chunk: Buffer) => {
    const data = rest === undefined ? chunk : Buffer.concat([rest, chunk])
    let start = 0
    let answers = ''
    for (let end = data.indexOf(NEWLINE); end >= 0; end = data.indexOf(NEWLINE, start)) {
      const { id } = JSON.parse(data.toString('latin1', start, end)) as { id: number }
      answers += `${JSON.stringify({ jsonrpc: '2.0', id, result: null })}\n`
      start = end + 1
    }
    rest = start < data.length ? data.subarray(start) : undefined
    if (answers !== '') socket.write(answers, 'latin1')
  })
})

serve(
  async () => {
    if (!server.listening) {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
    }
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return address.port
  },
  () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    return Promise.resolve()
  },
)
