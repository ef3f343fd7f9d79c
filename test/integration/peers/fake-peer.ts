import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { LoopbackServer } from '../outbound/loopback.ts'

export const GENESIS = 'ab'.repeat(32)

/** The header of every chain in these tests: a number that grows with the height. */
export function headerAt(height: number): Uint8Array {
  const header = new Uint8Array(80)
  new DataView(header.buffer).setUint32(0, height, true)
  return header
}

export function headerHex(height: number): string {
  return Buffer.from(headerAt(height)).toString('hex')
}

type Answer = (params: readonly unknown[]) => unknown

/** What it does instead of answering. */
export const SILENCE = Symbol('silence')
export const GARBAGE = Symbol('garbage')
export const HANG_UP = Symbol('hang up')

/** An Electrum server as far as other servers ask it, honest unless told otherwise. */
export class FakePeer {
  readonly host: string
  readonly asked: [method: string, params: readonly unknown[]][] = []
  height = 1000
  genesis = GENESIS
  knows: unknown[] = []
  readonly answers: Record<string, Answer>
  #server: LoopbackServer | undefined

  constructor(host: string, answers: Record<string, Answer> = {}) {
    this.host = host
    this.answers = {
      'server.version': () => ['Fake 1.0', '1.4'],
      'server.features': () => ({
        hosts: { [this.host]: { tcp_port: this.port } },
        genesis_hash: this.genesis,
        protocol_max: '1.4.2',
        protocol_min: '1.4',
        server_version: 'Fake 1.0',
      }),
      'server.peers.subscribe': () => this.knows,
      'server.add_peer': () => true,
      'blockchain.headers.subscribe': () => ({ height: this.height, hex: headerHex(this.height) }),
      'blockchain.block.header': ([height]) => headerHex(Number(height)),
      ...answers,
    }
  }

  async listen(address = '127.0.0.1'): Promise<void> {
    this.#server = await LoopbackServer.listen(
      createServer({ noDelay: true }, (socket) => this.#serve(socket)),
      address,
    )
  }

  get port(): number {
    if (this.#server === undefined) throw new Error('not listening')
    return this.#server.port
  }

  get name(): string {
    return `${this.host} v1.4 t${this.port}`
  }

  /** Connections that are open at the moment. */
  get open(): number {
    return this.#server?.sockets.size ?? 0
  }

  get methods(): string[] {
    return this.asked.map(([method]) => method)
  }

  async close(): Promise<void> {
    await this.#server?.close()
  }

  #serve(socket: Socket): void {
    createInterface({ input: socket }).on('line', (line) => {
      const { id, method, params } = JSON.parse(line) as { id: number; method: string; params: readonly unknown[] }
      this.asked.push([method, params])
      const result = this.answers[method]?.(params)
      if (result === SILENCE) return
      if (result === HANG_UP) socket.destroy()
      else if (result === GARBAGE) socket.write('HTTP/1.1 400 Bad Request\r\n\r\n')
      else if (result instanceof Error)
        socket.write(`${JSON.stringify({ id, error: { code: -32601, message: result.message } })}\n`)
      else socket.write(`${JSON.stringify({ jsonrpc: '2.0', id, result })}\n`)
    })
  }
}
