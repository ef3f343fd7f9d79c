import { ParseError } from '../errors.ts'
import { readUint32LE, readUint64LE, toHex } from '../lib/bytes.ts'
import type { DaemonNotice } from './daemon.ts'

/** Topics that are listened to. `sequence` says more; `hashblock` is there for nodes that publish nothing else. */
export const TOPICS = ['sequence', 'hashblock'] as const

const HASH_BYTES = 32
const GAP: DaemonNotice = { kind: 'gap' }

/**
 * Makes notices of ZMQ messages (topic, body, counter of the topic: 4 bytes, little-endian) and finds out from the
 * counters whether any were lost. Hashes are in display order on this wire, unlike everywhere else.
 */
export class NoticeReader {
  readonly #expected = new Map<string, number>()
  #hasSequence = false
  #toldByHash: string | undefined
  #toldBySequence: string | undefined

  /** To be told of every connection that is made: what was said meanwhile is lost. */
  connected(): DaemonNotice[] {
    this.#hasSequence = false
    return [GAP]
  }

  /** Notices of one message, with a gap before them if messages are missing. Throws ParseError if it is malformed. */
  read(frames: readonly Uint8Array[]): DaemonNotice[] {
    const [topicFrame, body, counterFrame] = frames
    if (topicFrame === undefined || body === undefined || counterFrame?.length !== 4) {
      throw new ParseError('ZMQ message without topic, body and counter', 0)
    }
    const topic = Buffer.from(topicFrame).toString('latin1')
    const notice = this.#noticeOf(topic, body)
    const counter = readUint32LE(counterFrame, 0)
    // What hashblock lost is of no interest where sequence tells the same.
    const matters = topic === 'sequence' || !this.#hasSequence
    const lost = matters && this.#expected.get(topic) !== counter
    this.#expected.set(topic, (counter + 1) >>> 0)
    return [...(lost ? [GAP] : []), ...(notice === undefined ? [] : [notice])]
  }

  #noticeOf(topic: string, body: Uint8Array): DaemonNotice | undefined {
    if (topic === 'sequence') return this.#fromSequence(body)
    if (topic === 'hashblock') return this.#fromHashBlock(body)
    throw new ParseError(`ZMQ topic ${JSON.stringify(topic)} was not asked for`, 0)
  }

  #fromSequence(body: Uint8Array): DaemonNotice | undefined {
    const hash = toHex(body.subarray(0, HASH_BYTES))
    const label = String.fromCharCode(body[HASH_BYTES] ?? 0)
    const isBlock = label === 'C' || label === 'D'
    if (!isBlock && label !== 'A' && label !== 'R') throw new ParseError('ZMQ sequence label unknown', HASH_BYTES)
    if (body.length !== HASH_BYTES + (isBlock ? 1 : 9)) throw new ParseError('ZMQ sequence of a wrong length', 0)
    this.#hasSequence = true
    if (!isBlock) {
      return {
        kind: label === 'A' ? 'tx-added' : 'tx-removed',
        txid: hash,
        sequence: readUint64LE(body, HASH_BYTES + 1),
      }
    }
    if (label === 'D') {
      this.#toldByHash = undefined
      return { kind: 'block-disconnected', hash }
    }
    this.#toldBySequence = hash
    // hashblock was quicker: say it once.
    if (this.#toldByHash === hash) {
      this.#toldByHash = undefined
      return undefined
    }
    return { kind: 'block-connected', hash }
  }

  /** Only where there is no sequence topic, which tells the same and more. */
  #fromHashBlock(body: Uint8Array): DaemonNotice | undefined {
    if (body.length !== HASH_BYTES) throw new ParseError('ZMQ hashblock of a wrong length', 0)
    const hash = toHex(body)
    if (this.#hasSequence || this.#toldBySequence === hash) return undefined
    this.#toldByHash = hash
    return { kind: 'block-connected', hash }
  }
}
