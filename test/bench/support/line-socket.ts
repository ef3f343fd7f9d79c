import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

const NEWLINE = 10
const QUOTE = 34
const LETTER_I = 105
const LETTER_D = 100

/** A line as a place in a buffer, without its newline. The buffer is only good until the handler returns. */
export type LineHandler = (buffer: Buffer, start: number, end: number) => void

/** A connection that hands out lines without making text of them. */
export class LineSocket {
  readonly #socket: Socket
  readonly #onLine: LineHandler
  #parts: Buffer[] = []
  #partsLength = 0
  #bytes = 0
  #closed = false

  private constructor(socket: Socket, onLine: LineHandler) {
    this.#socket = socket
    this.#onLine = onLine
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('close', () => {
      this.#closed = true
    })
    // What matters of an error is that the connection closes, which is counted.
    socket.on('error', () => {})
  }

  static async connect(port: number, onLine: LineHandler): Promise<LineSocket> {
    const socket = connect({ host: '127.0.0.1', port, noDelay: true })
    await once(socket, 'connect')
    return new LineSocket(socket, onLine)
  }

  /** Bytes received. */
  get bytes(): number {
    return this.#bytes
  }

  get closed(): boolean {
    return this.#closed
  }

  write(text: string): void {
    this.#socket.write(text, 'latin1')
  }

  end(): void {
    this.#socket.destroy()
  }

  #read(chunk: Buffer): void {
    this.#bytes += chunk.length
    let start = 0
    let end = chunk.indexOf(NEWLINE)
    if (end >= 0 && this.#partsLength > 0) {
      this.#parts.push(chunk.subarray(0, end))
      const line = Buffer.concat(this.#parts, this.#partsLength + end)
      this.#parts = []
      this.#partsLength = 0
      this.#onLine(line, 0, line.length)
      start = end + 1
      end = chunk.indexOf(NEWLINE, start)
    }
    for (; end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#onLine(chunk, start, end)
      start = end + 1
    }
    if (start < chunk.length) {
      this.#parts.push(start === 0 ? chunk : chunk.subarray(start))
      this.#partsLength += chunk.length - start
    }
  }
}

/**
 * The number behind "id" in a reply, looked for at its two ends only, where servers write it; -1 if there is none. Meant
 * for replies to numbered requests: what results say is far from both ends or has no such member.
 */
export function replyId(buffer: Buffer, start: number, end: number): number {
  const ahead = afterId(buffer, start, Math.min(end, start + 160))
  const at = ahead >= 0 ? ahead : afterId(buffer, Math.max(start, end - 48), end)
  if (at < 0) return -1
  let id = -1
  for (let i = at; i < end; i++) {
    const digit = buffer[i]! - 48
    if (digit >= 0 && digit <= 9) id = (id < 0 ? 0 : id * 10) + digit
    else if (id >= 0) break
  }
  return id
}

function afterId(buffer: Buffer, start: number, end: number): number {
  for (let i = start; i + 4 < end; i++) {
    const found =
      buffer[i] === QUOTE && buffer[i + 1] === LETTER_I && buffer[i + 2] === LETTER_D && buffer[i + 3] === QUOTE
    if (found) return i + 4
  }
  return -1
}

/** True if a reply is an error: such replies are short, or say so at their beginning. */
export function isErrorReply(buffer: Buffer, start: number, end: number): boolean {
  const head = buffer.toString('latin1', start, Math.min(end, start + 120))
  return /"error"\s*:\s*[^n\s]/.test(head)
}
