import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import { ATOMICALS, ATOMICALS_SPACES, type AtomicalRow, CHANGES, PAYLOADS } from '../../../src/atomicals/layout.ts'
import { parseBlock } from '../../../src/chain/block.ts'
import { IndexDatabase } from '../../../src/db/index-db.ts'
import type { BlockContext, Indexer } from '../../../src/db/indexer.ts'
import type { KeySpace } from '../../../src/db/layout.ts'
import type { ChainView } from '../../../src/db/view.ts'
import { sha256 } from '../../../src/lib/hash.ts'
import { encodeCbor, type PlainMap } from '../../support/atomicals-chain.ts'
import { AtomicalsHost, CorpusNode } from '../../support/atomicals-host.ts'
import { buildBlock, buildCoinbase } from '../../support/chain-builder.ts'

const HEIGHT = 10
/** Payloads that are read before others have a turn, at most. */
const MOST_AT_ONCE = 300
const SMALL_CHANGES = 6_000
const LARGE_CHANGES = 12
const ITEMS = 1_500

const idOf = (n: number): string => idText(sha256(Uint8Array.of(n)), 0)
const txidOf = (txNum: number): Uint8Array => sha256(new TextEncoder().encode(`tx ${txNum}`))

const small = (n: number): PlainMap => ({ [`k${n % 50}`]: n, colour: 'red' })
/** Items that one change sets, and the next takes away but for every third. */
function large(n: number): PlainMap {
  const names = Array.from({ length: ITEMS }, (_, i) => `item-${i}`)
  if (n % 2 === 0) return { items: Object.fromEntries(names.map((name, i) => [name, { n, i }])) }
  return { $a: 1, items: Object.fromEntries(names.filter((_, i) => i % 3 > 0).map((name) => [name, true])) }
}

/** An atomical with many small changes and events, and one with some that are large. */
class Changes implements Indexer {
  readonly name = 'atomicals'
  readonly spaces = ATOMICALS_SPACES
  readonly wantsGenesis = false

  apply({ height, overlay }: BlockContext): void {
    if (height !== 1) return
    let txNum = 0
    const keep = (op: string, payload: PlainMap) => {
      overlay.insert(PAYLOADS, { txNum }, { op, inputIndex: 0, payload: encodeCbor(payload) })
      txNum += 1
    }
    const change = (n: number, kind: 'mod' | 'evt', payload: PlainMap) => {
      overlay.insert(CHANGES, { id: idOf(n), kind, txNum }, { height, txid: txidOf(txNum), vout: 0, initial: false })
      keep(kind, payload)
    }
    for (const n of [0, 1]) {
      overlay.insert(ATOMICALS, { id: idOf(n) }, nftOf(n, txNum))
      keep('nft', {})
    }
    for (let n = 0; n < SMALL_CHANGES; n++) change(0, 'mod', small(n))
    for (let n = 0; n < SMALL_CHANGES; n++) change(0, 'evt', { n })
    for (let n = 0; n < LARGE_CHANGES; n++) change(1, 'mod', large(n))
  }
}

function nftOf(number: number, txNum: number): AtomicalRow {
  return {
    type: 'nft',
    number,
    txNum,
    height: 1,
    commitTxNum: txNum,
    commitHeight: 1,
    revealTxid: sha256(Uint8Array.of(number, 1)),
    script: new Uint8Array(1),
    satoshis: 546,
    immutable: false,
    request: undefined,
    terms: undefined,
  }
}

interface Change {
  readonly data: unknown
}

describe('what is said of an atomical that was changed very often', () => {
  let directory = ''
  let db: IndexDatabase
  let host: AtomicalsHost
  let release: () => void
  /** Payloads read in the running turn, and most that there were in one. */
  let [reads, most] = [0, 0]

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    const blockAt = (height: number, prev: Uint8Array) =>
      buildBlock(height, prev, [buildCoinbase(height, height, [{ value: 1n, script: new Uint8Array(1) }])])
    let block = blockAt(0, new Uint8Array(32))
    db = await IndexDatabase.open(
      {
        directory,
        coin: 'Bitcoin',
        net: 'regtest',
        genesisHash: block.hash,
        reorgLimit: 2,
        cacheBytes: 1 << 20,
        pendingBytes: 256 << 20,
      },
      { indexers: [new Changes()] },
    )
    await db.advance(parseBlock(block.raw), HEIGHT)
    for (let height = 1; height <= HEIGHT; height++) {
      block = blockAt(height, Uint8Array.from(block.hash))
      await db.advance(parseBlock(block.raw), HEIGHT)
    }
    await db.flush()
    const view = db.acquireView()
    release = () => view.release()
    host = await AtomicalsHost.over(counting(view), new CorpusNode())
  })

  afterAll(async () => {
    release()
    await db.close()
    await rm(directory, { recursive: true, force: true })
  })

  function counting(view: ChainView): ChainView {
    const read = view.row.bind(view)
    view.row = <K, V>(space: KeySpace<K, V>, key: K): V | undefined => {
      if (space.name === PAYLOADS.name) {
        if (reads === 0) setImmediate(() => (reads = 0))
        reads += 1
        most = Math.max(most, reads)
      }
      return read(space, key)
    }
    return view
  }

  async function ask(method: string, n: number): Promise<unknown> {
    most = 0
    const { result, message } = await host.ask(`blockchain.atomicals.${method}`, [compactOfIdText(idOf(n))])
    expect(message).toBeUndefined()
    return (result as { result: unknown }).result
  }

  it('has the state after all changes, which are read some at a time', async () => {
    const expected = Array.from({ length: SMALL_CHANGES }, (_, n) => small(n))
    expect(await ask('get_state', 0)).toMatchObject({ state: { latest: Object.assign({}, ...expected) as object } })
    expect(most).toBeLessThanOrEqual(MOST_AT_ONCE)
  })

  it.each([
    ['get_state_history', 'state', small],
    ['get_events', 'events', (n: number) => ({ n })],
  ] as const)('has all that %s tells, the last first, which is read some at a time', async (method, member, of) => {
    const answer = (await ask(method, 0)) as Record<string, { history: Change[] }>
    const history = answer[member]?.history ?? []
    expect(history.map(({ data }) => data).reverse()).toEqual(Array.from({ length: SMALL_CHANGES }, (_, n) => of(n)))
    expect(most).toBeLessThanOrEqual(MOST_AT_ONCE)
  })

  it('has the state after large changes too, of which few are read at a time', async () => {
    const left: Record<string, unknown> = {}
    for (let i = 0; i < ITEMS; i += 3) left[`item-${i}`] = { n: LARGE_CHANGES - 2, i }
    expect(await ask('get_state', 1)).toMatchObject({ state: { latest: { items: left } } })
    expect(most).toBeLessThanOrEqual(5)
  })
})
