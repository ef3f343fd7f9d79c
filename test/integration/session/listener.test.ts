import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/log.ts'
import type { SocketListener } from '../../../src/session/transports/listener.ts'
import { listenLines } from '../../../src/session/transports/tcp.ts'
import { LIMITS, TestDoorkeeper, testCertificate } from '../../support/transport-kit.ts'

describe('a listener at several addresses of ours', () => {
  let listener: SocketListener | undefined
  const sockets: Socket[] = []

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await listener?.close()
  })

  async function dial(port: number, host: string, localPort?: number): Promise<Socket> {
    const from = { localAddress: '127.0.0.1', ...(localPort === undefined ? {} : { localPort }) }
    const socket = connect({ host, port, ...from })
    sockets.push(socket)
    await once(socket, 'connect')
    return socket
  }

  async function secured(socket: Socket): Promise<TLSSocket> {
    const secure = connectTls({ socket, rejectUnauthorized: false })
    sockets.push(secure)
    await once(secure, 'secureConnect')
    return secure
  }

  // Only Linux has all of 127.0.0.0/8 without being told to.
  it.runIf(process.platform === 'linux')(
    'knows two connections apart that come to two of them from one port of a client',
    async () => {
      const doorkeeper = new TestDoorkeeper()
      const tls = await testCertificate()
      const options = { kind: 'ssl', host: '0.0.0.0', port: 0, handshakeTimeout: LIMITS.handshakeTimeout, tls } as const
      listener = await listenLines(options, LIMITS, doorkeeper, silentLogger())
      const { port } = listener.address
      const one = await dial(port, '127.0.0.1')
      const other = await dial(port, '127.0.0.2', one.localPort)
      for (const socket of [one, other]) {
        const secure = await secured(socket)
        secure.write('{"n":1}\n')
        const accepted = await doorkeeper.arrival()
        await accepted.until(({ messages }) => messages.length === 1)
      }
      expect([doorkeeper.admitted, doorkeeper.released]).toEqual([2, 0])
    },
  )
})
