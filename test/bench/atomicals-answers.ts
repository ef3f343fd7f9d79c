/**
 * The Atomicals methods on an index with a million atomicals and a token with 100,000 holders, and what a start reads of
 * it: `npm run bench:answers`. test/bench/README.md says what the marks are.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { compactOfIdText, idText } from '../../src/atomicals/id-text.ts'
import { AtomicalsIndexer } from '../../src/atomicals/indexer.ts'
import { ATOMICALS_SPACES, BLOCKS } from '../../src/atomicals/layout.ts'
import { Ledger, type PlacedTx } from '../../src/atomicals/ledger.ts'
import { ParentMemory } from '../../src/atomicals/parent-memory.ts'
import { parseBlock } from '../../src/chain/block.ts'
import type { Tx } from '../../src/chain/tx.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import type { BlockContext, Indexer } from '../../src/db/indexer.ts'
import { openLevelStore } from '../../src/db/level-store.ts'
import type { Store } from '../../src/db/store.ts'
import { concat, fromHex, toDisplayHex, writeUint32LE } from '../../src/lib/bytes.ts'
import { CborMap } from '../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../src/lib/cbor.ts'
import { sha256 } from '../../src/lib/hash.ts'
import { encodeCbor, heightsFrom } from '../support/atomicals-chain.ts'
import { AtomicalsHost, CorpusNode } from '../support/atomicals-host.ts'
import { buildBlock, buildCoinbase } from '../support/chain-builder.ts'
import { env } from './support/options.ts'
import { figure, MB, note, print, printJson, printTable, quantile, whole } from './support/report.ts'

const ATOMICALS = Number(env('BENCH_ATOMICALS') ?? '1000000')
const HOLDERS = Number(env('BENCH_HOLDERS') ?? '100000')
const CALLS = Number(env('BENCH_CALLS') ?? '50')
const PER_BLOCK = 5_000
/** Each tenth atomical asks for a realm. */
const NAMED = 10
const MARK_MS = 100
const DELAY_MARK_MS = 25
/** Numbers of transactions in a block, more than any has. */
const TX_NUMS = 1_000_000

function scriptOf(n: number): Uint8Array {
  const key = new Uint8Array(32).fill(1)
  writeUint32LE(key, n, 0)
  return concat(fromHex('5120'), key)
}

function txidOf(n: number): Uint8Array {
  const bytes = new Uint8Array(4)
  writeUint32LE(bytes, n, 0)
  return sha256(bytes)
}

const payload = decodeCbor(encodeCbor({ colour: 'red', size: 7 }))
if (!(payload instanceof CborMap)) throw new Error('not a map')
const OPERATION = { op: 'nft', inputIndex: 0, payload, payloadBytes: encodeCbor({ colour: 'red', size: 7 }) } as const

/** Writes, by the ledger that blocks are written by, what so many mints would: making the mints would take an hour. */
class ManyAtomicals implements Indexer {
  readonly name = 'atomicals'
  readonly spaces = ATOMICALS_SPACES
  readonly wantsGenesis = false
  #minted = 0
  #held = 0

  get isDone(): boolean {
    return this.#minted >= ATOMICALS && this.#held >= HOLDERS
  }

  apply({ height, overlay, block, firstTxNum }: BlockContext): void {
    const count = this.#minted
    const ledger = new Ledger({ count }, { overlay, parents: new ParentMemory() })
    for (let i = 0; i < PER_BLOCK && this.#minted < ATOMICALS; i++) this.#mint(ledger, height, i)
    if (this.#minted >= ATOMICALS && this.#held < HOLDERS) this.#hold(ledger, height)
    overlay.insert(BLOCKS, { height }, { hash: block.hash, count: ledger.count, firstTxNum, positions: [] })
  }

  #place(n: number, height: number, i: number, scripts: readonly Uint8Array[], values: readonly number[]): PlacedTx {
    const outputs = scripts.map((script, at) => ({ value: BigInt(values[at] ?? 546), script }))
    // The ledger looks at nothing but the outputs.
    const tx = { inputs: [], outputs } as unknown as Tx
    return { tx, txid: txidOf(n), txNum: height * TX_NUMS + i, height }
  }

  #mint(ledger: Ledger, height: number, i: number): void {
    const n = this.#minted++
    const script = scriptOf(n % 50_000)
    const placed = this.#place(n, height, i, [script], [546])
    const id = idText(txidOf(n + 0x4000_0000), 0)
    const type = n === 0 ? 'ft' : 'nft'
    const name = `name-${n.toString(36)}`
    const isNamed = n > 0 && n % NAMED === 0
    const request = isNamed ? { kind: 'realm' as const, name, parent: undefined, direct: false } : undefined
    const common = {
      type,
      immutable: false,
      commitTxNum: placed.txNum,
      commitHeight: height,
      txNum: placed.txNum,
    } as const
    const row = { ...common, height, revealTxid: placed.txid, satoshis: 546, script, request, terms: undefined }
    const kind = n === 0 ? 'token' : 'nft'
    ledger.record(
      [
        { kind: 'mint', id, row },
        { kind: 'hold', output: 0, held: { id, kind, value: 546 } },
        { kind: 'begin', id },
        ...(isNamed
          ? [
              {
                kind: 'candidate' as const,
                name: 'realm' as const,
                text: name,
                parent: undefined,
                txNum: placed.txNum,
                id,
                commitHeight: height,
              },
            ]
          : []),
      ],
      placed,
      OPERATION,
    )
  }

  #hold(ledger: Ledger, height: number): void {
    const size = Math.min(PER_BLOCK, HOLDERS - this.#held)
    const numbers = Array.from({ length: size }, (_, i) => this.#held + i)
    const placed = this.#place(
      0x2000_0000 + this.#held,
      height,
      0,
      numbers.map(scriptOf),
      numbers.map((n) => 600 + (n % 1_000)),
    )
    const id = TOKEN
    ledger.record(
      numbers.map((n, output) => ({ kind: 'hold', output, held: { id, kind: 'token', value: 600 + (n % 1_000) } })),
      placed,
      undefined,
    )
    this.#held += size
  }
}

const TOKEN = idText(txidOf(0x4000_0000), 0)
const token = compactOfIdText(TOKEN)
const random = (below: number, call: number): number => (call * 7_919 + 13) % below
const scripthash = toDisplayHex(sha256(scriptOf(7)))

const CASES: readonly (readonly [name: string, method: string, params: (call: number) => readonly unknown[]])[] = [
  ['holders, first 50', 'get_holders', () => [token, 50, 0]],
  ['holders, 1,000 by cursor', 'get_holders', () => [token, 1_000, 0, '']],
  ['holders, 50 behind half of them', 'get_holders', () => [token, 50, Math.floor(HOLDERS / 2)]],
  ['ft info', 'get_ft_info', () => [token]],
  ['location of the token', 'get_location', () => [token]],
  ['get', 'get', (call) => [random(ATOMICALS, call)]],
  ['state', 'get_state', (call) => [random(ATOMICALS, call)]],
  ['list, 50', 'list', (call) => [50, random(ATOMICALS, call), true]],
  ['list, the last 50', 'list', () => [50, -50, true]],
  ['numbers, 50,000', 'get_numbers', (call) => [50_000, random(ATOMICALS, call), false]],
  ['find realms, 1,000', 'find_realms', () => ['', false, 1_000, 0]],
  ['find realms, from the last', 'find_realms', () => ['name', true, 100, 0]],
  ['find realms, behind 50,000', 'find_realms', () => ['', false, 100, 50_000]],
  ['find realms, verified, behind 50,000', 'find_realms', () => ['', false, 100, 50_000, true]],
  ['realm by name', 'get_by_realm', (call) => [`name-${(random(ATOMICALS / NAMED, call) * NAMED).toString(36)}`]],
  ['tokens of a script', 'get_ft_balances_scripthash', () => [scripthash]],
  ['global', 'get_global', () => [100]],
]

interface Measured {
  readonly name: string
  readonly p50: number
  readonly most: number
  readonly delay: number
  readonly rss: number
  readonly cost: number
}

async function measure(host: AtomicalsHost, [name, method, params]: (typeof CASES)[number]): Promise<Measured> {
  const times: number[] = []
  let cost = 0
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  for (let call = 0; call < CALLS; call++) {
    const begun = performance.now()
    const answer = await host.ask(`blockchain.atomicals.${method}`, params(call))
    times.push(performance.now() - begun)
    if (answer.result === undefined) throw new Error(`${name}: ${answer.message ?? 'no result'}`)
    cost = Math.max(cost, answer.cost)
  }
  delay.disable()
  const most = Math.max(...times)
  return { name, p50: quantile(times, 0.5), most, delay: delay.max / 1e6, rss: process.memoryUsage.rss() / MB, cost }
}

async function fill(db: IndexDatabase, many: ManyAtomicals): Promise<void> {
  let prev = new Uint8Array(32)
  for (let height = 0; height === 0 || !many.isDone; height++) {
    const block = buildBlock(height, prev, [buildCoinbase(height, height, [{ value: 1n, script: scriptOf(0) }])])
    await db.advance(parseBlock(block.raw), height)
    if (height % 10 === 9) await db.flush()
    prev = Uint8Array.from(block.hash)
  }
  await db.flush()
}

const directory = await mkdtemp(join(tmpdir(), 'valence-bench-answers-'))
try {
  const genesis = buildBlock(0, new Uint8Array(32), [buildCoinbase(0, 0, [{ value: 1n, script: scriptOf(0) }])])
  const options = {
    directory,
    coin: 'Bitcoin',
    net: 'regtest',
    genesisHash: genesis.hash,
    reorgLimit: 10,
    cacheBytes: 64 << 20,
    pendingBytes: 128 << 20,
  }
  const many = new ManyAtomicals()
  const filled = await IndexDatabase.open(options, { indexers: [many] })
  const begun = performance.now()
  await fill(filled, many)
  note(`${whole(ATOMICALS)} atomicals in ${figure((performance.now() - begun) / 1000)} s`)
  await filled.close()

  const indexer = new AtomicalsIndexer({ heights: heightsFrom() })
  const stores: Store[] = []
  const db = await IndexDatabase.open(options, {
    indexers: [indexer],
    openStore: async (...args) => {
      const store = await openLevelStore(...args)
      stores.push(store)
      return store
    },
  })
  const rssBefore = process.memoryUsage.rss() / MB
  const warmDelay = monitorEventLoopDelay({ resolution: 1 })
  warmDelay.enable()
  const warmBegun = performance.now()
  for (const store of stores) await indexer.warm(store)
  warmDelay.disable()
  const warm = {
    ms: performance.now() - warmBegun,
    delay: warmDelay.max / 1e6,
    rss: process.memoryUsage.rss() / MB - rssBefore,
  }
  const view = db.acquireView()
  const host = await AtomicalsHost.over(view, new CorpusNode())
  for (const one of CASES) await host.ask(`blockchain.atomicals.${one[1]}`, one[2](0))
  const rows: Measured[] = []
  for (const one of CASES) rows.push(await measure(host, one))
  view.release()
  await db.close()
  print(`${whole(ATOMICALS)} atomicals, a token with ${whole(HOLDERS)} holders; ${CALLS} calls each`)
  printTable([
    ['', 'p50 ms', 'most ms', 'loop delay ms', 'RSS MB', 'cost', 'mark'],
    ...rows.map(({ name, p50, most, delay, rss, cost }) => [
      name,
      figure(p50),
      figure(most),
      figure(delay),
      whole(rss),
      figure(cost),
      p50 <= MARK_MS && delay <= DELAY_MARK_MS ? 'met' : 'MISSED',
    ]),
  ])
  print(`the filter of a start: ${figure(warm.ms)} ms, loop delay ${figure(warm.delay)} ms, ${whole(warm.rss)} MB more`)
  printJson('atomicals-answers', { atomicals: ATOMICALS, holders: HOLDERS, rows, warm })
} finally {
  await rm(directory, { recursive: true, force: true })
}
