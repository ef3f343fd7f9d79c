import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { DaemonNotice } from '../../../src/daemon/daemon.ts'
import { NoticeReader } from '../../../src/daemon/notice-reader.ts'
import { ParseError } from '../../../src/errors.ts'

interface Recorded {
  readonly step: string
  readonly topic: string
  readonly body: string
  readonly n: number
}

const FILE = join(import.meta.dirname, '../../fixtures/node-contract/zmq.jsonl.gz')
const RECORDED = gunzipSync(readFileSync(FILE))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Recorded)

const A = 'aa'.repeat(32)
const B = 'bb'.repeat(32)

function counter(n: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(n)
  return bytes
}

function message(topic: string, body: string, n: number): Uint8Array[] {
  return [Buffer.from(topic), Buffer.from(body, 'hex'), counter(n)]
}

const block = (hash: string, label: 'C' | 'D'): string => `${hash}${label === 'C' ? '43' : '44'}`

describe('NoticeReader', () => {
  it('reads all that a real bitcoind said, with one gap for each topic at its first message and none after', () => {
    const reader = new NoticeReader()
    // The counters begin anew where the node was started again.
    const run = RECORDED.filter(({ topic }) => topic === 'sequence')
    const restarts = run.filter(({ n }, index) => n !== (run[index - 1]?.n ?? -2) + 1).length
    const notices = run.flatMap(({ topic, body, n }) => reader.read(message(topic, body, n)))
    expect(notices.filter(({ kind }) => kind === 'gap')).toHaveLength(restarts)
    expect(notices).toHaveLength(run.length + restarts)
    expect(new Set(notices.map(({ kind }) => kind))).toEqual(
      new Set(['gap', 'block-connected', 'block-disconnected', 'tx-added', 'tx-removed']),
    )
  })

  it('says each block of the recording once, though it is on both topics', () => {
    const reader = new NoticeReader()
    const notices = RECORDED.flatMap(({ topic, body, n }) => reader.read(message(topic, body, n)))
    const connected = notices.filter(({ kind }) => kind === 'block-connected')
    const labels = RECORDED.filter(
      ({ topic, body }) => topic === 'sequence' && body.length === 66 && body.endsWith('43'),
    )
    expect(connected).toHaveLength(labels.length)
  })

  it('tells a replaced transaction with its mempool sequence', () => {
    const reader = new NoticeReader()
    const removed = reader.read(message('sequence', `${A}520102030405060708`, 5)).at(-1)
    expect(removed).toEqual({ kind: 'tx-removed', txid: A, sequence: 0x0807060504030201n })
  })

  it.each<[string, [string, string, number][], string[]]>([
    [
      'none is missing',
      [
        ['sequence', block(A, 'C'), 7],
        ['sequence', block(B, 'C'), 8],
      ],
      ['gap', A, B],
    ],
    [
      'one is missing',
      [
        ['sequence', block(A, 'C'), 7],
        ['sequence', block(B, 'C'), 9],
      ],
      ['gap', A, 'gap', B],
    ],
    [
      'one comes again',
      [
        ['sequence', block(A, 'C'), 7],
        ['sequence', block(B, 'C'), 7],
      ],
      ['gap', A, 'gap', B],
    ],
    [
      'the counter goes round',
      [
        ['sequence', block(A, 'C'), 0xffffffff],
        ['sequence', block(B, 'C'), 0],
      ],
      ['gap', A, B],
    ],
    [
      'hashblock is of no interest beside sequence',
      [
        ['sequence', block(A, 'C'), 5],
        ['hashblock', A, 9],
        ['sequence', block(B, 'C'), 6],
      ],
      ['gap', A, B],
    ],
    [
      'each topic counts for itself',
      [
        ['hashblock', A, 1],
        ['sequence', block(B, 'C'), 5],
      ],
      ['gap', A, 'gap', B],
    ],
  ])('knows lost messages by the counter: %s', (_what, messages, expected) => {
    const reader = new NoticeReader()
    const notices: DaemonNotice[] = messages.flatMap(([topic, body, n]) => reader.read(message(topic, body, n)))
    expect(notices.map((notice) => ('hash' in notice ? notice.hash : notice.kind))).toEqual(expected)
  })

  it('sees across a reconnection whether something was said meanwhile', () => {
    const reader = new NoticeReader()
    reader.read(message('sequence', block(A, 'C'), 1))
    expect(reader.connected()).toEqual([{ kind: 'gap' }])
    expect(reader.read(message('sequence', block(B, 'C'), 2))).toEqual([{ kind: 'block-connected', hash: B }])
    reader.connected()
    expect(reader.read(message('sequence', block(A, 'C'), 0)).map(({ kind }) => kind)).toEqual([
      'gap',
      'block-connected',
    ])
  })

  it.each<[string, [string, string][], number]>([
    [
      'hashblock first',
      [
        ['hashblock', A],
        ['sequence', block(A, 'C')],
      ],
      1,
    ],
    [
      'sequence first',
      [
        ['sequence', block(A, 'C')],
        ['hashblock', A],
      ],
      1,
    ],
    [
      'hashblock alone',
      [
        ['hashblock', A],
        ['hashblock', B],
      ],
      2,
    ],
    [
      'taken back and put on again',
      [
        ['sequence', block(A, 'C')],
        ['sequence', block(A, 'D')],
        ['sequence', block(A, 'C')],
      ],
      2,
    ],
    [
      'taken back after hashblock',
      [
        ['hashblock', A],
        ['sequence', block(A, 'D')],
        ['sequence', block(A, 'C')],
      ],
      2,
    ],
  ])('says a block as often as it was connected: %s', (_what, messages, times) => {
    const reader = new NoticeReader()
    const counters = new Map<string, number>()
    const notices = messages.flatMap(([topic, body]) => {
      const n = counters.get(topic) ?? 0
      counters.set(topic, n + 1)
      return reader.read(message(topic, body, n))
    })
    expect(notices.filter(({ kind }) => kind === 'block-connected')).toHaveLength(times)
  })

  it.each<[string, Uint8Array[]]>([
    ['no frames', []],
    ['no counter', message('sequence', block(A, 'C'), 0).slice(0, 2)],
    ['a short counter', [...message('sequence', block(A, 'C'), 0).slice(0, 2), Uint8Array.of(1)]],
    ['an unknown label', message('sequence', `${A}5a`, 0)],
    ['a block with a number', message('sequence', `${block(A, 'C')}00`, 0)],
    ['a transaction without one', message('sequence', `${A}41`, 0)],
    ['a short hash', message('sequence', 'aabb', 0)],
    ['a long hashblock', message('hashblock', `${A}00`, 0)],
    ['another topic', message('rawtx', A, 0)],
  ])('throws ParseError for %s', (_what, frames) => {
    expect(() => new NoticeReader().read(frames)).toThrow(ParseError)
  })
})
