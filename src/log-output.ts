import { write, writeSync } from 'node:fs'

/** Bytes that cannot be written yet: what comes on top of them is lost. */
const LONGEST_BACKLOG = 4 * 1024 * 1024
/** Until what is not ready to take more is asked again, in milliseconds. */
const BUSY_WAIT = 50
/** The process does not wait longer at its end for somebody to take what is left. */
const LONGEST_FLUSH = 1000

const NOTHING = Buffer.alloc(0)

/**
 * Lines to an open file, in the background and in order. What cannot be written (a full disk) is tried again with the next
 * line, and up to 4 MiB of it wait; nothing is thrown and nothing waited for, for there is no other place to tell it. At
 * the end of the process what is left is written at once, or lost.
 */
export class LogOutput {
  readonly #file: number
  #waiting: string[] = []
  #bytes = 0
  /** What is being written, or could not be. */
  #current: Buffer = NOTHING
  /** The system is at it, or will be asked again in a moment. */
  #writing = false
  #inFlight = false
  /** Nobody will ever read it again. */
  #closed = false

  constructor(file: number) {
    this.#file = file
  }

  write(line: string): void {
    const size = Buffer.byteLength(line)
    if (this.#closed || this.#bytes + size > LONGEST_BACKLOG) return
    this.#waiting.push(line)
    this.#bytes += size
    if (!this.#writing) this.#writeMore()
  }

  /** The same without any waiting in the background. */
  writeSync(line: string): void {
    this.#waiting = [line]
    this.#writeAll()
    this.#waiting = []
    this.#current = NOTHING
    this.#bytes = 0
  }

  /**
   * The last that is written; bounded in time, whatever the file says. What the system is writing at this moment is not
   * written a second time.
   */
  flushSync(): void {
    if (this.#inFlight) this.#current = NOTHING
    this.#writeAll()
    this.#close()
  }

  #writeAll(): void {
    const until = performance.now() + LONGEST_FLUSH
    for (this.#next(); this.#current.length > 0 && !this.#closed; this.#next()) {
      try {
        this.#written(writeSync(this.#file, this.#current))
      } catch (error) {
        if (!isBusy(error) || performance.now() > until) return
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_WAIT)
      }
    }
  }

  #close(): void {
    this.#closed = true
    this.#waiting = []
    this.#current = NOTHING
  }

  #next(): void {
    if (this.#current.length > 0 || this.#waiting.length === 0) return
    this.#current = Buffer.from(this.#waiting.join(''))
    this.#waiting = []
  }

  #written(bytes: number): void {
    this.#current = this.#current.subarray(bytes)
    this.#bytes -= bytes
  }

  #writeMore(): void {
    this.#next()
    if (this.#current.length === 0 || this.#closed) return
    this.#writing = true
    this.#inFlight = true
    write(this.#file, this.#current, (error, bytes) => {
      this.#writing = false
      this.#inFlight = false
      if (this.#closed) return
      if (error === null) {
        this.#written(bytes)
        this.#writeMore()
      } else if (error.code === 'EPIPE') {
        this.#close()
      } else if (isBusy(error)) {
        this.#writing = true
        setTimeout(() => {
          this.#writing = false
          this.#writeMore()
        }, BUSY_WAIT)
      }
    })
  }
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'EAGAIN' || code === 'EBUSY'
}
