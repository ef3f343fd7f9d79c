/**
 * Blocks full of Atomicals, applied by an index with them and by one without, in the same run: `npm run bench:atomicals`.
 * test/bench/README.md says what the marks are.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { idText } from '../../src/atomicals/id-text.ts'
import { AtomicalsIndexer } from '../../src/atomicals/indexer.ts'
import { parseBlock } from '../../src/chain/block.ts'
import type { Tx } from '../../src/chain/tx.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import {
  AtomicalsChain,
  heightsFrom,
  markerOutput,
  type Outpoint,
  out,
  type PlainMap,
  spend,
} from '../support/atomicals-chain.ts'
import { type BuiltBlock, scriptOf } from '../support/chain-builder.ts'
import { env } from './support/options.ts'
import { figure, print, printJson, printTable, whole } from './support/report.ts'

const COUNT = Number(env('BENCH_MINTS') ?? '3000')
const MARK_MS = 1000
/** All commits pay it, as a wallet does that mints a lot. */
const SCRIPT = scriptOf(7)

interface Measured {
  readonly what: string
  readonly height: number
}

/** Makes the chain; tells which of its blocks are measured. */
async function build(chain: AtomicalsChain): Promise<Measured[]> {
  const measured: Measured[] = []
  const measure = async (what: string, txs: readonly Tx[]): Promise<void> => {
    measured.push({ what, height: await chain.mine(...txs) })
  }
  const commits = async (): Promise<Tx[]> => {
    const fan = spend({ from: [chain.fund()], to: new Array<number>(COUNT).fill(3_000) })
    await chain.mine(fan)
    const txs = Array.from({ length: COUNT }, (_, vout) =>
      spend({ from: [out(fan, vout)], to: [{ value: 2_000n, script: SCRIPT }] }),
    )
    await chain.mine(...txs)
    return txs
  }
  const reveals = (from: readonly Tx[], op: string, payloadOf: (i: number) => PlainMap): Tx[] =>
    from.map((commit, i) => spend({ from: [out(commit)], to: [1_000], op, payload: payloadOf(i) }))
  const moves = (from: readonly Outpoint[]): Tx[] => from.map((at) => spend({ from: [at], to: [1_000] }))

  const nfts = reveals(await commits(), 'nft', (i) => ({ args: { nonce: i } }))
  await measure('mints of NFTs', nfts)
  await measure('transfers of NFTs', moves(nfts.map((tx) => out(tx))))

  await chain.mint(
    'dft',
    { args: { request_ticker: 'bench', bitworkc: '0000', mint_amount: 1_000, mint_height: 1, max_mints: 100_000 } },
    { work: '0000' },
  )
  await chain.mineEmpty(5)
  const units = reveals(await commits(), 'dmt', () => ({ args: { mint_ticker: 'bench' } }))
  await measure('mints of a distributed token', units)
  const movedUnits = moves(units.map((tx) => out(tx)))
  await measure('transfers of a token', movedUnits)
  const joined = spend({
    from: movedUnits.map((tx) => out(tx)),
    to: [{ value: BigInt(COUNT) * 1_000n, script: SCRIPT }],
  })
  await measure('one transfer of that many inputs', [joined])
  await measure('one transfer to that many outputs', [
    spend({ from: [out(joined)], to: new Array<number>(COUNT).fill(1_000) }),
  ])

  const rules = Array.from({ length: 50 }, (_, i) => ({
    p: `x${i}[a-z0-9-]{1,40}`,
    o: { [Buffer.from(SCRIPT).toString('hex')]: { v: 1 } },
  }))
  const realm = await chain.mint(
    'nft',
    {
      args: { request_realm: 'bench', bitworkc: '0000' },
      subrealms: { rules: [...rules, { p: '[a-z0-9-]+', o: { [Buffer.from(SCRIPT).toString('hex')]: { v: 1 } } }] },
    },
    { work: '0000' },
  )
  await chain.mineEmpty(5)
  const names = reveals(await commits(), 'nft', (i) => ({
    args: { request_subrealm: `name-${i}`, parent_realm: realm.compact, claim_type: 'rule' },
  }))
  await measure('claims of subrealms under 51 rules', names)
  await measure(
    'payments for them',
    names.map((tx) => {
      const id = idText(tx.inputs[0]?.prevTxid ?? new Uint8Array(32), 0)
      return spend({ from: [out(tx)], to: [{ value: 900n, script: SCRIPT }, markerOutput('p', id)] })
    }),
  )
  return measured
}

interface Time {
  readonly ms: number
  /** Processor time of the whole process, that of the store's threads included. */
  readonly cpuMs: number
}

/** What each block takes to be applied. */
async function timesOf(blocks: readonly BuiltBlock[], atomicals: boolean): Promise<Time[]> {
  const directory = await mkdtemp(join(tmpdir(), 'valence-bench-block-'))
  const [genesis] = blocks
  try {
    const db = await IndexDatabase.open(
      {
        directory,
        coin: 'Bitcoin',
        net: 'regtest',
        genesisHash: genesis!.hash,
        reorgLimit: 200,
        cacheBytes: 32 << 20,
        pendingBytes: 128 << 20,
      },
      { indexers: atomicals ? [new AtomicalsIndexer({ heights: heightsFrom() })] : [] },
    )
    const times: Time[] = []
    for (const { raw, height } of blocks) {
      const block = parseBlock(raw)
      const begun = performance.now()
      const before = process.cpuUsage()
      await db.advance(block, height)
      const { user, system } = process.cpuUsage(before)
      times.push({ ms: performance.now() - begun, cpuMs: (user + system) / 1000 })
      await db.flush()
    }
    await db.close()
    return times
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

const directory = await mkdtemp(join(tmpdir(), 'valence-bench-block-'))
try {
  const chain = await AtomicalsChain.open(directory)
  const measured = await build(chain)
  const [own, plain] = [await timesOf(chain.blocks, true), await timesOf(chain.blocks, false)]
  const rows: (Time & { readonly what: string; readonly counted: number; readonly plain: Time })[] = []
  for (const { what, height } of measured) {
    const counted = (await chain.counted(height)).length
    if (counted === 0) throw new Error(`the block of ${what} came to nothing`)
    rows.push({ what, counted, ...own[height]!, plain: plain[height]! })
  }
  await chain.close()
  print(`blocks of ${whole(COUNT)}`)
  printTable([
    ['', 'counted', 'ms', 'CPU ms', 'without', 'CPU ms', 'ratio', 'mark'],
    ...rows.map(({ what, counted, ms, cpuMs, plain: without }) => [
      what,
      whole(counted),
      figure(ms),
      figure(cpuMs),
      figure(without.ms),
      figure(without.cpuMs),
      figure(cpuMs / without.cpuMs),
      ms <= MARK_MS ? 'met' : 'MISSED',
    ]),
  ])
  printJson('atomicals-block', { count: COUNT, markMs: MARK_MS, rows })
} finally {
  await rm(directory, { recursive: true, force: true })
}
