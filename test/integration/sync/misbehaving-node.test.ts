import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseBlock, txRawAt } from '../../../src/chain/block.ts'
import { HEADER_SIZE } from '../../../src/chain/headers.ts'
import { compactSize } from '../../../src/chain/tx.ts'
import { Bitcoind } from '../../../src/daemon/bitcoind.ts'
import type { IndexDatabase } from '../../../src/db/index-db.ts'
import { DaemonError, DaemonUnavailableError } from '../../../src/errors.ts'
import { concat } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/log.ts'
import type { RegtestNode } from '../../../src/regtest/node.ts'
import type { BlockProcessor } from '../../../src/sync/block-processor.ts'
import { FollowedNode, type Following, NOBODY, never } from '../../support/followed-node.ts'
import type { NodeProxy, ProxiedAnswer, ProxiedAsk, Trick } from '../../support/node-proxy.ts'

/**
 * The client, the catch-up and the index on disk, behind a proxy that does to the node's answers what networks, proxies,
 * full disks and liars do. Whatever happens on the way: in the end the index is that of an undisturbed run.
 */

/** Nothing is tried again within the client: that is what the catch-up is to do. No call takes so long, on a busy machine either. */
const TIMES = { call: 60_000, bulk: 60_000, patience: 0, returnAfter: 60_000 }
/** For nodes that give no answer; an ordinary call takes a few milliseconds, and one that takes longer is tried again. */
const SHORT = { call: 400, bulk: 400 }
const MOST_ROUNDS = 40

let stage: FollowedNode
let node: RegtestNode

beforeAll(async () => {
  stage = await FollowedNode.start({ initialBlocks: 110, blocks: 12, payments: 4 })
  node = stage.node
})

afterEach(() => stage.leave())

afterAll(() => stage.stop())

class Run {
  readonly db: IndexDatabase
  readonly processor: BlockProcessor
  readonly daemon: Bitcoind
  /** What the catch-up broke off for, in order. */
  readonly broken: string[] = []

  constructor({ db, daemon, processor }: Following) {
    this.db = db
    this.daemon = daemon
    this.processor = processor
  }

  /** As the follower does it: what passes by itself is tried again. */
  async toTip(): Promise<void> {
    for (let round = 0; round < MOST_ROUNDS; round += 1) {
      try {
        await this.processor.catchUp(NOBODY, never())
        await this.processor.persist()
        return
      } catch (error) {
        if (!(error instanceof DaemonUnavailableError || error instanceof DaemonError)) throw error
        this.broken.push(error.message)
      }
    }
    throw new Error(`not at the tip after ${MOST_ROUNDS} rounds: ${this.broken.at(-1)}`)
  }

  async digest(): Promise<string> {
    const digest = createHash('sha256')
    for await (const line of this.db.canonicalDump()) digest.update(`${line}\n`)
    return digest.digest('hex')
  }
}

async function run(
  urls: readonly string[],
  { cookieFile = node.cookieFile, ...times }: { cookieFile?: string } & Partial<typeof TIMES> = {},
): Promise<Run> {
  return new Run(await stage.follow(urls, { cookieFile, times: { ...TIMES, ...times } }))
}

async function undisturbed(): Promise<string> {
  const made = await run([node.url])
  await made.toTip()
  expect(made.broken).toEqual([])
  return made.digest()
}

const proxy = (...tricks: readonly Trick[]): Promise<NodeProxy> => stage.proxy(...tricks)

type What = ReturnType<Trick>

/** Does it to some of the requests that fit, after `after` that were let through; `count` tells how often it was done. */
function sometimes(
  fits: (ask: ProxiedAsk) => boolean,
  times: number,
  what: (ask: ProxiedAsk, answer: () => Promise<ProxiedAnswer>) => What,
  after = 3,
): Trick & { done: number } {
  let seen = 0
  const trick = ((ask, answer) => {
    if (!fits(ask)) return undefined
    seen += 1
    if (seen <= after || trick.done >= times) return undefined
    trick.done += 1
    return what(ask, answer)
  }) as Trick & { done: number }
  trick.done = 0
  return trick
}

const anything = (): boolean => true
const rpc = ({ methods }: ProxiedAsk): boolean => methods.length > 0
const block = ({ path }: ProxiedAsk): boolean => path.startsWith('/rest/block/')
const spentBySome = (ask: ProxiedAsk): boolean => spent(ask) && [...oddBlocks].some((hash) => ask.path.includes(hash))
const spent = ({ path }: ProxiedAsk): boolean => path.startsWith('/rest/spenttxouts/')
const says = (status: number, body: string) => (): What => Promise.resolve({ status, body })
const HTML = '<html><head><title>502</title></head><body>nginx</body></html>'
const changed =
  (change: (body: Buffer) => Uint8Array) =>
  (_ask: ProxiedAsk, answer: () => Promise<ProxiedAnswer>): What =>
    answer().then(({ status, body }) => ({ status, body: change(Buffer.from(body)) }))
const warmUp = ({ body }: ProxiedAsk): What => {
  const calls = JSON.parse(body) as { id: number } | { id: number }[]
  const reply = ({ id }: { id: number }) => ({ result: null, error: { code: -28, message: 'Verifying blocks…' }, id })
  const text = JSON.stringify(Array.isArray(calls) ? calls.map(reply) : reply(calls))
  return Promise.resolve({ status: Array.isArray(calls) ? 200 : 500, body: text })
}

/** A block with other transactions under its header. */
function withTxs(raw: Buffer, order: (txs: Uint8Array[]) => Uint8Array[]): Uint8Array {
  const parsed = parseBlock(raw)
  const txs = order(Array.from({ length: parsed.txCount }, (_, i) => txRawAt(parsed, i)))
  return concat(raw.subarray(0, HEADER_SIZE), compactSize(txs.length), ...txs)
}

const several = (ask: ProxiedAsk): boolean => block(ask) && [...oddBlocks].some((hash) => ask.path.includes(hash))
const oddBlocks = new Set<string>()

const TROUBLES: readonly (readonly [string, () => Trick & { done: number }, typeof SHORT?])[] = [
  ['warms up in the middle', () => sometimes(rpc, 3, warmUp, 4)],
  ['takes blocks asked for and never answers', () => sometimes(block, 2, () => 'stall'), SHORT],
  ['takes calls and never answers', () => sometimes(rpc, 2, () => 'stall', 4), SHORT],
  ['stalls in the middle of a block', () => sometimes(block, 2, () => 'half-then-stall'), SHORT],
  ['hangs up in the middle of a block', () => sometimes(block, 3, () => 'half-then-hang-up')],
  ['hangs up on whatever is asked', () => sometimes(anything, 6, () => 'hang-up', 9)],
  ['stands behind a proxy with a page for HTTP 500', () => sometimes(anything, 5, says(500, HTML), 9)],
  ['stands behind a proxy with a page for HTTP 404', () => sometimes(anything, 5, says(404, HTML), 9)],
  ['stands behind a proxy with a page for HTTP 200', () => sometimes(rpc, 3, says(200, HTML), 4)],
  ['has a full work queue', () => sometimes(anything, 5, says(503, 'Work queue depth exceeded'), 9)],
  ['does not accept the cookie for a while', () => sometimes(rpc, 3, says(401, ''), 4)],
  [
    'has pruned a block, says the answer',
    () => sometimes(block, 2, says(404, 'Block not available (pruned data)\r\n')),
  ],
  [
    'gives blocks cut short',
    () =>
      sometimes(
        block,
        3,
        changed((raw) => raw.subarray(0, raw.length - 5)),
      ),
  ],
  [
    'gives empty blocks',
    () =>
      sometimes(
        block,
        3,
        changed(() => new Uint8Array(0)),
      ),
  ],
  [
    'gives blocks with bytes after them',
    () =>
      sometimes(
        block,
        3,
        changed((raw) => concat(raw, raw.subarray(0, 9))),
      ),
  ],
  [
    'gives blocks with a flipped bit in the header',
    () =>
      sometimes(
        block,
        3,
        changed((raw) => flip(raw, 40)),
      ),
  ],
  [
    'gives blocks with a flipped bit in the coinbase',
    () =>
      sometimes(
        block,
        3,
        changed((raw) => flip(raw, 90)),
      ),
  ],
  ['gives another block than asked for', anotherBlock],
  [
    'swaps transactions of blocks',
    () =>
      sometimes(
        several,
        3,
        changed((raw) => withTxs(raw, swapped)),
        0,
      ),
  ],
  [
    'leaves out a transaction',
    () =>
      sometimes(
        several,
        3,
        changed((raw) => withTxs(raw, (txs) => txs.slice(0, -1))),
        0,
      ),
  ],
  [
    'doubles the last transaction, which leaves the merkle root as it is (CVE-2012-2459)',
    () =>
      sometimes(
        several,
        3,
        changed((raw) => withTxs(raw, (txs) => [...txs, ...txs.slice(-1)])),
        0,
      ),
  ],
  [
    'gives what other blocks spend',
    () =>
      sometimes(
        spent,
        3,
        changed(() => Uint8Array.of(2, 0, 0)),
      ),
  ],
  [
    'gives other amounts for what blocks spend',
    () =>
      sometimes(
        spentBySome,
        1,
        changed((raw) => flip(raw, 3)),
        0,
      ),
  ],
  [
    'gives what blocks spend cut short',
    () =>
      sometimes(
        spent,
        3,
        changed((raw) => raw.subarray(0, raw.length - 1)),
      ),
  ],
  ['gives a page in place of what blocks spend', () => sometimes(spent, 3, says(200, HTML))],
  ['leaves hashes out of its lists', () => sometimes(hashes, 2, changed(withoutOne), 0)],
  ['lists hashes of another order', () => sometimes(hashes, 2, changed(reversedHashes), 0)],
]

function hashes({ methods }: ProxiedAsk): boolean {
  return methods[0] === 'getblockhash' && methods.length > 50
}

function swapped(txs: Uint8Array[]): Uint8Array[] {
  const [coinbase, first, second, ...others] = txs as [Uint8Array, Uint8Array, Uint8Array, ...Uint8Array[]]
  return [coinbase, second, first, ...others]
}

function flip(raw: Buffer, at: number): Buffer {
  raw[at] = (raw[at] ?? 0) ^ 1
  return raw
}

function anotherBlock(): Trick & { done: number } {
  let before: Buffer | undefined
  return sometimes(
    block,
    3,
    changed((raw) => {
      const given = before ?? flip(Buffer.from(raw), 5)
      before = raw
      return given
    }),
  )
}

/** Takes one hash out of a batch and moves the others up, under the ids that were asked. */
function withoutOne(body: Buffer): Buffer {
  const replies = JSON.parse(body.toString()) as { result: string }[]
  const moved = replies.map((reply, i) => ({ ...reply, result: (replies[i + (i > 30 ? 1 : 0)] ?? reply).result }))
  return Buffer.from(JSON.stringify(moved))
}

function reversedHashes(body: Buffer): Buffer {
  const replies = JSON.parse(body.toString()) as { result: string }[]
  // Not the first block: what begins with another one is another chain, and refused for good.
  const reversed = replies.map((reply, i) => (i === 0 ? reply : { ...reply, result: (replies.at(-i) ?? reply).result }))
  return Buffer.from(JSON.stringify(reversed))
}

describe('the index in the end is that of an undisturbed run where a node', () => {
  let expected = ''

  beforeAll(async () => {
    expected = await undisturbed()
    const made = new Bitcoind(
      { urls: [node.url], cookieFile: node.cookieFile },
      { log: silentLogger(), clock: systemClock },
    )
    await made.start(never())
    // An odd number of transactions (five), so that doubling the last one leaves the root as it is.
    for (const hash of await made.blockHashes(node.height - 11, 12)) {
      if (parseBlock(await made.rawBlock(hash)).txCount % 2 === 1) oddBlocks.add(hash)
    }
    await made.stop()
    expect(oddBlocks.size).toBeGreaterThan(3)
  })

  it.each(TROUBLES.map(([what, make, times]) => [what, make, times] as const))('%s', async (_what, make, times) => {
    const trick = make()
    const { url } = await proxy(trick)
    const made = await run([url], times)
    await made.toTip()
    expect(trick.done).toBeGreaterThan(0)
    expect(made.db.tip.height).toBe(node.height)
    expect(await made.digest()).toBe(expected)
  })

  it('warms up at the start', async () => {
    const trick = sometimes(rpc, 2, warmUp, 0)
    const { url } = await proxy(trick)
    const made = await run([url])
    await made.toTip()
    expect(trick.done).toBe(2)
    expect(await made.digest()).toBe(expected)
  })

  it('is started anew in the middle, with another cookie', async () => {
    const cookieFile = join(stage.directory, 'cookie')
    const good = await readFile(node.cookieFile, 'utf8')
    await writeFile(cookieFile, '__cookie__:of-before')
    let accepted = '__cookie__:of-before'
    // The proxy knows who may ask, and asks the node with the cookie of the node.
    const made = await proxy()
    made.credentials = { accepted: () => accepted, own: good }
    const trick = sometimes(block, 1, () => {
      accepted = '__cookie__:of-after'
      return 'hang-up'
    })
    made.tricks = [trick]
    const client = await run([made.url], { cookieFile })
    const done = client.toTip()
    await until(() => trick.done === 1)
    // At once: the rounds do not rest, and would be over before a slow disk has taken it.
    writeFileSync(cookieFile, accepted)
    await done
    expect(made.refused).toBeGreaterThan(0)
    expect(await client.digest()).toBe(expected)
  })

  it('goes away, and another takes over until it is back', async () => {
    const first = await proxy()
    const second = await proxy()
    const trick = sometimes(block, 1, () => {
      void first.close()
      return 'hang-up'
    })
    first.tricks = [trick]
    const made = await run([first.url, second.url], { returnAfter: 0 })
    await made.toTip()
    expect(trick.done).toBe(1)
    expect(second.asked.length).toBeGreaterThan(0)
    expect(await made.digest()).toBe(expected)
    await first.open()
    await until(() => {
      void made.daemon.height().catch(() => undefined)
      return made.daemon.address === first.url
    })
  })
})

describe('a node that lies for good', () => {
  it.each([
    [
      'gives another block than asked for',
      () =>
        sometimes(
          block,
          1e9,
          changed((raw) => flip(raw, 40)),
        ),
    ],
    [
      'doubles transactions',
      () =>
        sometimes(
          several,
          1e9,
          changed((raw) => withTxs(raw, (txs) => [...txs, ...txs.slice(-1)])),
        ),
    ],
    [
      'swaps transactions',
      () =>
        sometimes(
          several,
          1e9,
          changed((raw) => withTxs(raw, swapped)),
        ),
    ],
  ])('is not followed where it %s, and one behind it is', async (_what, make) => {
    const liar = await proxy(make())
    const made = await run([liar.url])
    await expect(made.toTip()).rejects.toThrow('not at the tip')
    expect(made.db.tip.height).toBeLessThan(node.height)
    const honest = await run([node.url])
    await honest.toTip()
    liar.tricks = []
    await made.toTip()
    expect(await made.digest()).toBe(await honest.digest())
  })
})

describe('a node that goes back to a lower height', () => {
  it('is followed back, and on along what it finds then', async () => {
    const made = await run([node.url])
    await made.toTip()
    const height = node.height
    const [at = ''] = await made.daemon.blockHashes(height - 4, 1)
    node.invalidate(at)
    expect(node.height).toBe(height - 5)
    await made.toTip()
    expect(made.db.tip.height).toBe(height - 5)
    expect(await made.digest()).toBe(await undisturbed())
    node.mine(9)
    await made.toTip()
    expect(made.db.tip.height).toBe(height + 4)
    expect(await made.digest()).toBe(await undisturbed())
  })
})

async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve))
}
