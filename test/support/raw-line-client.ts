import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/** JSON-RPC over TCP, a line a message, which gives the text of each answer as it came. One question at a time. */
export class RawLineClient {
  readonly #socket: Socket
  #parts: Buffer[] = []
  #waiting: { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (part: Buffer) => this.#take(part))
    socket.on('error', (error) => this.#waiting?.reject(error))
    socket.on('close', () => this.#waiting?.reject(new Error('connection closed')))
  }

  static async connect(port: number): Promise<RawLineClient> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawLineClient(socket)
  }

  ask(line: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#socket.write(`${line}\n`)
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(part: Buffer): void {
    this.#parts.push(part)
    if (part.at(-1) !== 0x0a) return
    const line = Buffer.concat(this.#parts).toString()
    this.#parts = []
    this.#waiting?.resolve(line)
    this.#waiting = undefined
  }
}
