import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { type KitOptions, SessionKit } from '../../support/session-kit.ts'
import { LIMITS } from '../../support/transport-kit.ts'

const HOST = '127.0.0.1'
const LISTENERS = (['tcp', 'ws', 'http'] as const).map((kind) => ({ kind, host: HOST, port: 0 }))
/** Ten bytes cost as much as a request, and nothing has to wait for the clock. */
const DEAR_BYTES = { ...DEFAULT_COSTS, bandwidthUnit: 10, requestSleep: 0 }
/** Who does not say goodbye is not waited for. */
const CUT = { connection: { ...LIMITS, closeTimeout: 50 } }

describe('a client beyond its hard limit', () => {
  let kit: SessionKit | undefined
  const sockets: Socket[] = []

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    kit = await new SessionKit({ listeners: LISTENERS, ...options }).start()
    return kit
  }

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await kit?.stop()
    kit = undefined
  })

  function socketTo(kind: 'tcp' | 'ws' | 'http'): Socket {
    const socket = connect(kit!.port(kind), HOST)
    socket.on('error', () => {}) // It is expected to be cut.
    sockets.push(socket)
    return socket
  }

  /** A socket on which frames may be written as they are. */
  async function upgraded(): Promise<Socket> {
    const socket = socketTo('ws')
    const key = Buffer.alloc(16).toString('base64')
    socket.write(
      `GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    )
    await once(socket, 'data')
    return socket
  }

  it('is refused pages over HTTP, too', async () => {
    await start({ shared: { costs: DEAR_BYTES }, manager: CUT })
    const socket = socketTo('http')
    let text = ''
    socket.on('data', (part: Buffer) => (text += part.toString()))
    socket.write('GET /openrpc.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(200))
    await once(socket, 'close')
    expect(text).toContain('"code":-101')
    expect(text.split('HTTP/1.1 200').length).toBeLessThan(100)
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })

  it('has to go also if nothing that it sends is ever a message: pings of a WebSocket', async () => {
    await start({ shared: { costs: DEAR_BYTES }, manager: CUT })
    const socket = await upgraded()
    socket.resume()
    const pings = Buffer.alloc(2000 * 131, Buffer.from([0x89, 0x80 | 125, ...Buffer.alloc(129)]))
    socket.write(pings)
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })

  it('has to go also if nothing that it sends is ever a message: frames without an end', async () => {
    await start({ shared: { costs: DEAR_BYTES }, manager: CUT })
    const socket = await upgraded()
    const first = Buffer.from([0x01, 0x81, 0, 0, 0, 0, 0x20])
    const further = Buffer.alloc(15_000 * 7, Buffer.from([0x00, 0x81, 0, 0, 0, 0, 0x20]))
    // So many that the number of parts is not what ends it.
    socket.write(Buffer.concat([first, further]))
    const pongs = Buffer.alloc(20_000 * 6, Buffer.from([0x8a, 0x80, 0, 0, 0, 0]))
    socket.write(pongs)
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })

  it('has to go also if nothing that it sends is ever a message: a line without an end', async () => {
    // That the line is too long is told, and charged, long before the limit.
    await start({ shared: { costs: { ...DEAR_BYTES, bandwidthUnit: 100 } }, manager: CUT })
    const socket = socketTo('tcp')
    socket.write('x'.repeat(2_000_000))
    await kit!.until(() => kit!.manager.counts.closed['excessive usage'] === 1)
  })
})
