import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { SeededRandom } from '../../support/crash-random.ts'
import { pause } from '../waits.ts'
import { Conversation } from './conversation.ts'
import { somebody, type Visit } from './visit.ts'

const BAD_MESSAGES: readonly string[] = [
  'a1'.repeat(100),
  '{',
  '[]',
  'null',
  '[1,2,{"id":[]}]',
  '{"jsonrpc":"2.0","id":"x","method":5}',
  '['.repeat(5_000),
  JSON.stringify(Array.from({ length: 1_500 }, (_, id) => ({ id: `x${id}`, method: 'server.ping', params: [] }))),
  `{"id":"x","method":"server.ping","params":${'{"a":'.repeat(300)}`,
  `"${'x'.repeat(1_200_000)}"`,
  '\u0000\u0001\ufffd',
  JSON.stringify({ id: 'x', method: 'server.version', params: ['x'.repeat(100_000), ['1.4', '1.4']] }),
  JSON.stringify({ id: 'x', method: 'server.version', params: ['soak', ['9', '99']] }),
]

const NO_CARRIERS: readonly string[] = [
  'GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'b2'.repeat(300),
  `\x16\x03\x01\x02\x00${'c3'.repeat(100)}`,
  'PROXY TCP4 what\r\n',
  `GET /proxy/${'d4'.repeat(4_000)} HTTP/1.1\r\n\r\n`,
  'POST / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{',
]

/** Sends what is no message, or does not even speak the carrier's language. */
export async function stranger(visit: Visit): Promise<void> {
  const { ports, known, tally, answerMs, signal } = visit
  const { random } = known
  if (random.chance(0.3)) {
    const kind = random.pick(['tcp', 'ssl', 'ws', 'wss', 'http', 'rpc', 'metrics'] as const)
    const socket = await dial(ports[kind])
    if (kind !== 'rpc' && kind !== 'metrics' && random.chance(0.5)) socket.write(proxyLine(random))
    socket.write(random.pick(NO_CARRIERS))
    await pause(random.between(0, 3_000), signal)
    leave(socket, random)
    return
  }
  const kind = random.pick(['tcp', 'ssl', 'ws', 'wss'] as const)
  const talk = await Conversation.open({ kind, port: ports[kind], from: somebody(random) }, tally, answerMs)
  if (random.chance(0.6)) talk.ask({ method: 'server.version', params: ['soak', '1.4'] })
  for (let i = random.between(1, 6); i > 0; i--) talk.sendRaw(random.pick(BAD_MESSAGES))
  await pause(random.between(0, 4_000), signal)
  if (random.chance(0.5)) talk.vanish()
  else await talk.end()
}

/** Comes and says nothing. */
export async function silent({ ports, known: { random }, signal }: Visit): Promise<void> {
  const socket = await dial(ports[random.pick(['tcp', 'ssl', 'ws', 'wss', 'http'] as const)])
  if (random.chance(0.7)) socket.write(proxyLine(random))
  await pause(random.between(0, 80_000), signal)
  leave(socket, random)
}

const CROWD = 70

/** More of one address than may come. */
export async function crowd({ ports, known: { random }, signal }: Visit): Promise<void> {
  const line = proxyLine(random)
  const dialled = await Promise.allSettled(Array.from({ length: CROWD }, () => dial(ports.tcp)))
  const sockets = dialled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  for (const socket of sockets) socket.write(line)
  await pause(1_500, signal)
  const hello = { id: 0, method: 'server.version', params: ['soak', '1.4'] }
  for (const socket of sockets.slice(0, 20)) socket.write(`${JSON.stringify(hello)}\n`)
  await pause(1_500, signal)
  for (const socket of sockets) leave(socket, random)
}

async function dial(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  socket.on('error', () => {}) // Who is cut has nobody to tell.
  socket.resume()
  return socket
}

function leave(socket: Socket, random: SeededRandom): void {
  if (random.chance(0.5)) socket.destroy()
  else socket.resetAndDestroy()
}

function proxyLine(random: SeededRandom): string {
  const { host, port } = somebody(random)
  return `PROXY TCP4 ${host} 192.0.2.1 ${port} 50001\r\n`
}
