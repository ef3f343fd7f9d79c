import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Where ports are looked for: below those that Linux (from 32768) and others (from 49152) give to who asks for any. What
 * listens on port 0 or dials meanwhile, in other tests at the same time, never takes one of these.
 */
const [LOWEST, COUNT] = [10_000, 22_000]

/**
 * A port where nobody listens: for programs that cannot be told to pick one and say which, and for those who are to find
 * nobody there.
 */
export async function freePort(host = '127.0.0.1'): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * COUNT)
    const server = createServer()
    try {
      server.listen(port, host)
      await once(server, 'listening')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EADDRINUSE') continue
      throw error
    }
    server.close()
    await once(server, 'close')
    return port
  }
}
