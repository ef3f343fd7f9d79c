import { afterEach, describe, expect, it } from 'vitest'
import { compactOfIdText } from '../../../src/atomicals/id-text.ts'
import { ATOMICALS, LOCATIONS } from '../../../src/atomicals/layout.ts'
import { scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { type Json, writeJson } from '../../../src/rpc/json.ts'
import { AtomicalsHost, CorpusNode } from '../../support/atomicals-host.ts'
import { CORPUS_ENVIRONMENT, type CorpusBlock, corpusBlocks, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { Station } from '../protocol/station.ts'

/** Corpus A: what was answered when a height was the tip is what is answered of it from further up. */

const OF_ATOMICAL = [
  'get',
  'get_location',
  'get_state',
  'get_state_history',
  'get_events',
  'get_tx_history',
  'get_ft_info',
]
const OF_SCRIPT = ['get_ft_balances_scripthash', 'get_nft_balances_scripthash', 'listscripthash']

interface Call {
  readonly method: string
  readonly params: Readonly<Record<string, Json>>
}

const blocks = corpusBlocks()

/** Calls about some of what there is at the end. */
async function callsOf(replay: Replay): Promise<readonly Call[]> {
  await replay.db.flush()
  const nothing = new Uint8Array(0)
  const all = (await replay.rows.rows(ATOMICALS, nothing)).map(({ key }) => compactOfIdText(key.id))
  const ids = all.filter((_, i) => i % 2 === 0)
  const places = await replay.rows.rows(LOCATIONS, nothing)
  const scripts = [...new Set(places.map(({ value }) => scriptHashToHex(scriptHashOf(value.script))))]
  const call = (method: string, params: Call['params']): Call => ({ method: `blockchain.atomicals.${method}`, params })
  return [
    ...ids.flatMap((id, i) => [
      call(OF_ATOMICAL[i % OF_ATOMICAL.length]!, { atomical: id }),
      call('get_holders', { atomical_id: id }),
    ]),
    ...scripts.flatMap((scripthash, i) => [call(OF_SCRIPT[i % OF_SCRIPT.length]!, { scripthash })]),
  ]
}

async function answersOf(replay: Replay, node: CorpusNode, calls: readonly Call[]): Promise<string[]> {
  const view = replay.db.acquireView()
  const host = await AtomicalsHost.over(view, node)
  const texts: string[] = []
  for (const { method, params } of calls) {
    const { result, error } = await host.ask(method, params)
    const text = writeJson(result ?? { error: error ?? null })
    // An answer of a height has no mempool; the corpus has none either. And the one member that says when it was asked.
    if ('at_height' in params) expect(text).not.toContain('"unconfirmed"')
    texts.push(text.replaceAll(/"server_time":"[^"]*"|,"unconfirmed":0/g, ''))
  }
  view.release()
  return texts
}

function at(calls: readonly Call[], height: number): readonly Call[] {
  return calls.map(({ method, params }) => ({ method, params: { ...params, at_height: height } }))
}

/** Calls of the whole chain, made from an index of it. */
async function allCalls(): Promise<readonly Call[]> {
  return withDirectory(async (path) => {
    const replay = await replayed(path, () => Promise.resolve())
    const calls = await callsOf(replay)
    await replay.close()
    return calls
  })
}

function nodeOfAll(): CorpusNode {
  const node = new CorpusNode()
  for (const block of blocks) node.add(block)
  return node
}

/** Without what says where the index stands. */
function withoutGlobal(text: string): string {
  return text.replace(/"global":\{[^{}]*\{[^{}]*\}[^{}]*\}/, '')
}

/** All blocks, and what `each` makes of the index after those that are asked for. */
async function replayed(path: string, each: (replay: Replay, block: CorpusBlock) => Promise<void>): Promise<Replay> {
  const replay = await Replay.open(path)
  for (const block of blocks) {
    await replay.add(block)
    await each(replay, block)
  }
  return replay
}

describe('answers of an earlier height', () => {
  it('are those that the same method gave when that was the tip, whatever of it is on disk', () =>
    withDirectory(async (path) => {
      const calls = await allCalls()
      const node = nodeOfAll()
      const then = new Map<number, string[]>()
      const replay = await replayed(path, async (now, { height }) => {
        if (height % 37 === 0 && height > 120) then.set(height, await answersOf(now, node, calls))
      })
      // The last rollback has brought all below it to disk; what came after it is in memory.
      expect(replay.db.flushedHeight).toBeGreaterThan(200)
      expect(replay.db.flushedHeight).toBeLessThan(replay.db.tip.height - 10)
      const tip = replay.db.tip.height
      then.set(tip, await answersOf(replay, node, calls))
      for (const [height, answers] of then) {
        expect(await answersOf(replay, node, at(calls, height)), `height ${height}`).toEqual(answers)
      }
      const now = then.get(tip)!.map(withoutGlobal)
      then.delete(tip)
      const changed = [...then.values()].map((all) => all.filter((text, i) => withoutGlobal(text) !== now[i]).length)
      expect(Math.min(...changed.slice(0, -1))).toBeGreaterThan(30)
      // And once all of it is on disk.
      await replay.db.flush()
      for (const [height, answers] of then) {
        expect(await answersOf(replay, node, at(calls, height)), `height ${height}`).toEqual(answers)
      }
      await replay.close()
    }))

  it('are those of the branch that there is after a reorganisation, at heights that the lost one had too', () =>
    withDirectory(async (path) => {
      const calls = (await allCalls()).filter((_, i) => i % 3 === 0)
      const node = nodeOfAll()
      const then = new Map<string, string[]>()
      let compared = 0
      const replay = await replayed(path, async (now, { height, branch }) => {
        if (!/^r[23]/.test(branch)) return
        then.set(`${height} of ${branch}`, await answersOf(now, node, calls))
        // What was kept of the lost branch is for heights of it.
        for (const earlier of [height - 1, height - 2]) {
          const name = `${earlier} of ${branch}`
          const answers = then.get(name)
          if (answers === undefined) continue
          expect(await answersOf(now, node, at(calls, earlier)), name).toEqual(answers)
          compared += 1
        }
      })
      expect(compared).toBeGreaterThan(12)
      expect(then.get('262 of r2-a')).not.toEqual(then.get('262 of r2-b'))
      await replay.close()
    }))

  let station: Station | undefined

  afterEach(() => station?.stop())

  it('end where blocks cannot be taken back any more, and the refusal says where', async () => {
    station = await Station.start({ ...CORPUS_ENVIRONMENT, REORG_LIMIT: '20' }, { blocks: 0 })
    const main = blocks.filter(({ branch }) => branch === 'main')
    const client = await station.client()
    let { height } = (await client.request('blockchain.headers.subscribe')) as { readonly height: number }
    for (const { hex } of main) {
      station.node.submitBlock(fromHex(hex))
      while (height < station.node.height) {
        const [tip] = (await client.notification('blockchain.headers.subscribe')) as [{ readonly height: number }]
        height = tip.height
      }
    }
    const ask = (at: unknown): Promise<unknown> =>
      client.request('blockchain.atomicals.get_holders', { atomical_id: `${'00'.repeat(32)}i0`, at_height: at })
    // Nobody minted that one: a height that is answered says so. Null is no height.
    for (const at of [height - 20, height, null]) await expect(ask(at)).rejects.toThrow('is not found')
    const refused = (at: unknown, words: string) => {
      const message = expect.stringContaining(words) as string
      return expect(ask(at)).rejects.toMatchObject({ code: 1, message })
    }
    for (const at of [0, height - 21]) {
      await refused(at, `${at} is below ${height - 20}, the lowest height that can be asked for at tip ${height}`)
    }
    for (const at of [height + 1, 2 ** 53]) await refused(at, `is above the tip, ${height}`)
    for (const at of ['soon', String(height), -1, 1.5, true]) await refused(at, 'should be a height: a whole number')
    const list = client.request('blockchain.atomicals.listscripthash', ['00'.repeat(32), true, height])
    await expect(list).rejects.toThrow('verbose')
    // What old clients send as a second parameter is no height.
    await expect(client.request('blockchain.atomicals.get', [`${'00'.repeat(32)}i0`, 1])).rejects.toThrow(
      'is not found',
    )
  })
})
