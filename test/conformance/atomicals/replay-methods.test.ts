import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ChainView } from '../../../src/db/view.ts'
import { ERROR_CODES } from '../../../src/errors.ts'
import type { Json } from '../../../src/rpc/json.ts'
import { atomicalsMethods } from '../../../src/rpc/methods/atomicals/table.ts'
import { canonical } from '../../support/atomicals-compare.ts'
import { AtomicalsHost, CORPUS_SETTINGS, CorpusNode, type HostAnswer } from '../../support/atomicals-host.ts'
import { corpusBlocks, corpusConfig, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { type ClientAnswer, type CorpusRow, corpusRows, judge, type Verdict } from '../../support/corpus-rows.ts'

const OWN = new Set(atomicalsMethods(CORPUS_SETTINGS).map(({ name }) => name))

/** Rows about methods in the table, asked as a client on a socket asks. */
function rowsOf(file: 'expected' | 'branch'): CorpusRow[] {
  return corpusRows(file).filter(({ method, via }) => OWN.has(method) && via === undefined)
}

interface Judged {
  readonly row: CorpusRow
  readonly own: HostAnswer
  readonly verdict: Verdict
}

async function replay(host: AtomicalsHost, rows: readonly CorpusRow[]): Promise<Judged[]> {
  const judged: Judged[] = []
  for (const row of rows) {
    const own = await host.ask(row.method, row.params)
    judged.push({ row, own, verdict: judge(row, answerOf(own)) })
  }
  return judged
}

function answerOf({ result, error, message = '' }: HostAnswer): ClientAnswer {
  return error === undefined ? { result: result ?? null } : { error: { code: error, message } }
}

function countsByMethod(judged: readonly Judged[]): Record<string, readonly [equal: number, right: number]> {
  const counts: Record<string, [number, number]> = {}
  for (const { row, verdict } of judged) {
    const count = (counts[row.method.replace('blockchain.', '')] ??= [0, 0])
    if (verdict === 'equal') count[0] += 1
    if (verdict === 'right') count[1] += 1
  }
  return counts
}

function idsOf(judged: readonly Judged[], verdict: Verdict): number[] {
  return judged.filter((one) => one.verdict === verdict).map(({ row }) => row.id)
}

/** What each row of the corpus was answered: as recorded, and rightly where the recording is wrong. */
const COUNTS: Readonly<Record<string, readonly [equal: number, right: number]>> = {
  'atomicals.at_location': [912, 26],
  'atomicals.decode_psbt': [29, 11],
  'atomicals.decode_tx': [121, 34],
  'atomicals.find_containers': [7, 6],
  'atomicals.find_realms': [6, 7],
  'atomicals.find_subrealms': [45, 3],
  'atomicals.find_tickers': [7, 6],
  'atomicals.get': [1093, 23],
  'atomicals.get_block_hash': [208, 4],
  'atomicals.get_block_txs': [197, 15],
  'atomicals.get_by_container': [61, 0],
  'atomicals.get_by_container_item': [122, 0],
  'atomicals.get_by_container_item_validate': [100, 36],
  'atomicals.get_by_dmitem': [68, 2],
  'atomicals.get_by_realm': [68, 3],
  'atomicals.get_by_subrealm': [172, 2],
  'atomicals.get_by_ticker': [282, 3],
  'atomicals.get_container_items': [64, 4],
  'atomicals.get_dft_mints': [140, 15],
  'atomicals.get_events': [166, 20],
  'atomicals.get_ft_balances_scripthash': [193, 0],
  'atomicals.get_ft_info': [307, 199],
  'atomicals.get_global': [7, 2],
  'atomicals.get_holders': [760, 31],
  'atomicals.get_location': [745, 28],
  'atomicals.get_nft_balances_scripthash': [193, 0],
  'atomicals.get_numbers': [15, 1],
  'atomicals.get_realm_info': [333, 0],
  'atomicals.get_state': [745, 28],
  'atomicals.get_state_history': [706, 27],
  'atomicals.get_tx_history': [736, 31],
  'atomicals.list': [25, 4],
  'atomicals.listscripthash': [210, 9],
  'atomicals.transaction': [1802, 76],
  'atomicals.transaction_by_atomical_id': [785, 24],
  'atomicals.transaction_by_height': [67, 6],
  'atomicals.transaction_by_scripthash': [136, 1],
  'atomicals.transaction_global': [9, 1],
  'atomicals.transactions': [5, 8],
  'atomicals.validate': [57, 8],
  'atomicals.validate_psbt_blueprint': [23, 17],
  'atomicals.validate_tx_blueprint': [43, 22],
  'scripthash.listunspent': [244, 9],
  'server.info': [1, 0],
  'transaction.broadcast': [4, 7],
  'transaction.broadcast_force': [8, 2],
}

describe('answers of corpus A through the registry', () => {
  let directory = ''
  let replayed: Replay
  let view: ChainView
  let host: AtomicalsHost
  let judged: Judged[] = []
  const node = new CorpusNode()

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-test-'))
    replayed = await Replay.open(directory)
    for (const block of corpusBlocks()) {
      await replayed.add(block)
      node.add(block)
    }
    node.fillMempool()
    view = replayed.db.acquireView()
    host = await AtomicalsHost.over(view, node)
    judged = await replay(host, rowsOf('expected'))
  })

  afterAll(async () => {
    view.release()
    await replayed.close()
    await rm(directory, { recursive: true, force: true })
  })

  it('are those of the reference, or right where it is known to be wrong', () => {
    expect(idsOf(judged, 'different')).toEqual([])
    expect(countsByMethod(judged)).toEqual(COUNTS)
  })

  it('charge every call, and more the more was read', () => {
    expect(judged.filter(({ own }) => own.error === undefined && own.cost <= 0).map(({ row }) => row.id)).toEqual([])
    const costOf = (params: Json[]): number =>
      judged.find(({ row }) => row.method.endsWith('.list') && canonical(row.params) === canonical(params))?.own.cost ??
      0
    expect(costOf([50, 50, true])).toBeGreaterThan(1.5 * costOf([10, 0, true]))
  })

  it('to searches have the candidates of a name in the order of their commits', async () => {
    for (const method of ['find_tickers', 'find_realms', 'find_containers']) {
      const { result } = await host.ask(`blockchain.atomicals.${method}`, [null, false, 1000])
      const entries = (result as { result: { [name: string]: string }[] }).result
      const word = method === 'find_containers' ? 'collection' : method.slice(5, -1)
      const keys = entries.map((entry) => `${entry[word]} ${canonical(entry['tx_num'] ?? null).padStart(9, '0')}`)
      expect(keys).toEqual([...keys].sort((a, b) => (a < b ? -1 : 1)))
      expect(new Set(entries.map((entry) => entry[word])).size).toBeLessThan(entries.length)
    }
  })

  it('to searches for containers have no items among them', async () => {
    const { result } = await host.ask('blockchain.atomicals.find_containers', [])
    const entries = (result as { result: { collection: string }[] }).result
    for (const { collection } of entries) {
      const { result: one } = await host.ask('blockchain.atomicals.get_by_container', [collection])
      expect((one as { result: { status: Json } }).result.status).not.toBeNull()
    }
    expect(entries.length).toBeGreaterThan(10)
  })

  it('list the transactions of a block in its order', async () => {
    for (const { row } of judged.filter(({ row }) => row.defect === 'block-txs-order')) {
      const { result } = await host.ask(row.method, row.params)
      const ids = (result as { result: string[] }).result
      const order = await Promise.all(ids.map((id) => host.ask('blockchain.atomicals.transaction', [id])))
      const numbers = order.map((answer) => Number((answer.result as { tx_num: Json }).tx_num))
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    }
  })

  it('show what the reference cannot encode as the corpus suggests', () => {
    const suggested = judged.filter(({ row }) => row.suggest !== undefined)
    expect(suggested.filter(({ verdict }) => verdict !== 'equal').map(({ row }) => row.id)).toEqual([])
    expect(suggested.length).toBeGreaterThan(80)
  })

  it('refuse an NFT as a token with code 1, and show holders of a token without supply without percent', () => {
    const nfts = judged.filter(({ row }) => row.defect === 'ft-info-of-nft')
    expect(new Set(nfts.map(({ own }) => own.error))).toEqual(new Set([1]))
    const empty = judged.filter(({ row }) => row.defect === 'holders-zero-supply')
    expect(empty.map(({ own }) => canonical(own.result ?? null).includes('percent'))).toEqual([false, false])
  })

  it('refuse malformed parameters with code 1 or -32602, never as an internal error', () => {
    const refused = judged.filter(({ own }) => own.error !== undefined)
    const known = [1, 2, -32602, ERROR_CODES.atomicalsRule.code]
    expect(refused.filter(({ own }) => !known.includes(own.error ?? 0)).map(({ row }) => row.id)).toEqual([])
  })

  it('refuse what burns tokens with 800422 and the token by name, where the reference does and nowhere else', () => {
    const code = ERROR_CODES.atomicalsRule.code
    const burning = judged.filter(({ row, own }) => row.error?.code === code || own.error === code)
    expect(burning.map(({ own }) => own.error)).toEqual(burning.map(({ row }) => row.error?.code))
    expect(burning.length).toBeGreaterThan(6)
    for (const { own } of burning)
      expect(own.message).toMatch(/\n\d+ of \d+ units of [0-9a-f]{64}i\d+ find no output\n/)
  })

  it('give the node what is to be sent, unless it burns tokens', () => {
    const sent = judged.filter(({ row, own }) => row.method.includes('.broadcast') && own.message?.includes('network'))
    expect(sent.length).toBeGreaterThan(5)
    expect(node.broadcasts).toBe(sent.length)
  })

  it('show mints that are not confirmed, where the reference has an internal error', () => {
    const mints = judged.filter(({ row }) => row.defect === 'decode-unconfirmed-mint')
    expect(mints.filter(({ own }) => own.result === undefined).map(({ row }) => row.id)).toEqual([])
    const minting = mints.filter(({ own }) => {
      const { outputs } = (own.result as { result: { outputs: { [index: string]: { [id: string]: Json } } } }).result
      return Object.keys(outputs['0'] ?? {}).length > 0
    })
    expect(minting.length).toBeGreaterThan(5)
  })

  it('give at most as many items of a container as were asked for', () => {
    const limited = judged.filter(({ row }) => row.defect === 'items-limit')
    const counts = limited.map(({ own }) => {
      const { limit, items } = (own.result as { result: { item_data: { limit: number; items: object } } }).result
        .item_data
      return [limit, Object.keys(items).length]
    })
    expect(counts).toEqual([
      [3, 3],
      [0, 0],
    ])
  })

  it('include the first block of the protocol', async () => {
    const all = await host.ask('blockchain.atomicals.transaction_global', [1000, 1_000_000, null, false])
    const first = await host.ask('blockchain.atomicals.transaction_by_height', [CORPUS_SETTINGS.heights.start])
    const others = await Promise.all(
      Array.from({ length: view.tip.height - CORPUS_SETTINGS.heights.start }, (_, i) =>
        host.ask('blockchain.atomicals.transaction_by_height', [view.tip.height - i, 0]),
      ),
    )
    const totalOf = ({ result }: HostAnswer): number => Number((result as { total: Json }).total)
    expect(totalOf(first)).toBeGreaterThan(0)
    expect(totalOf(all)).toBe([first, ...others].reduce((sum, answer) => sum + totalOf(answer), 0))
  })

  it('go from page to page by cursor without a gap', async () => {
    for (const [method, before, after] of PAGED) {
      const whole: string[] = []
      for (let cursor: Json = ''; cursor !== null; ) {
        const { result } = await host.ask(`blockchain.atomicals.${method}`, [...before, 2, 0, ...after, cursor])
        const page = result as { result: Json[]; next_cursor: Json }
        expect(page.result, method).not.toHaveLength(0)
        whole.push(...page.result.map((entry) => canonical(entry)))
        cursor = page.next_cursor
      }
      const { result } = await host.ask(`blockchain.atomicals.${method}`, [...before, 1000, 0, ...after])
      const list = (Array.isArray(result) ? result : (result as { result: Json[] }).result) as readonly Json[]
      const all = list.map((entry) => canonical(entry))
      expect(whole.length).toBeGreaterThan(1)
      expect(new Set(whole)).toEqual(new Set(all))
      expect(whole).toHaveLength(all.length)
    }
  })

  it('say by cursor that nothing follows where nobody can have a name, and where a state lists its items', async () => {
    const realm = '4c7a261450aff694ef2eb05083e087503ae978c716036d47140bcbcc468280bb'
    const page = [false, 10, 0, false, '']
    const ask = async (method: string, params: readonly Json[]) =>
      (await host.ask(`blockchain.atomicals.${method}`, params)).result
    const nothing = { result: [], next_cursor: null }
    expect(await ask('find_realms', ['é', ...page])).toEqual(nothing)
    expect(await ask('find_subrealms', [`${realm}i0`, 'é', ...page])).toEqual(nothing)
    const typeOf = ({ own }: Judged) =>
      (own.result as { readonly result?: { readonly item_data?: { readonly type?: Json } } } | undefined)?.result
        ?.item_data?.type
    const { row } = judged.find((one) => typeOf(one) === 'regular')!
    const container = row.params[0] ?? null
    expect(await ask('get_container_items', [container, 10, 0, ''])).toMatchObject({
      result: { item_data: { type: 'regular', next_cursor: null } },
    })
    const { result } = (await ask('get_container_items', [container, 10, 0])) as { result: { item_data: Json } }
    expect(result.item_data).not.toHaveProperty('next_cursor')
  })

  it('take what callers send: 0 and 1, further arguments, the nested list, numbers as text', async () => {
    const ask = async (method: string, params: Json[]): Promise<string> =>
      canonical((await host.ask(`blockchain.atomicals.${method}`, params)).result ?? null)
    const realm = '4c7a261450aff694ef2eb05083e087503ae978c716036d47140bcbcc468280bb'
    expect(await ask('get_realm_info', ['chgq643j', 1])).toBe(await ask('get_realm_info', ['chgq643j']))
    expect(await ask('get_state', [12, 0])).toBe(await ask('get_state', ['12']))
    expect(await ask('list', [5, -1, 0])).toBe(await ask('list', [5, -1, false]))
    expect(await ask('find_subrealms', [`${realm}i0`, ['a', 1]])).toBe(
      await ask('find_subrealms', [`${realm}i0`, 'a', true]),
    )
    expect(await ask('get_global', [true])).toBe(await ask('get_global', [1]))
    expect(await ask('find_tickers', [null, 0])).toBe(await ask('find_tickers', []))
  })

  it('fill a page of verified names', async () => {
    const { result: all } = await host.ask('blockchain.atomicals.find_realms', [null, false, 1000, 0, true])
    const verified = (all as { result: Json[] }).result
    const { result } = await host.ask('blockchain.atomicals.find_realms', [null, false, 20, 10, true])
    expect(canonical((result as { result: Json[] }).result)).toBe(canonical(verified.slice(10, 30)))
  })

  it('are those of the reference on branches that are lost later', () =>
    withDirectory(async (path) => {
      const followed = await Replay.open(path)
      const lost = new CorpusNode()
      const rows = rowsOf('branch')
      const all: Judged[] = []
      for (const [arrived, block] of corpusBlocks().entries()) {
        await followed.add(block)
        lost.add(block)
        const mark = corpusConfig().marks.find(({ arrival }) => arrival === arrived + 1)
        if (mark === undefined) continue
        const at = followed.db.acquireView()
        const own = rows.filter((row) => row.at === mark.mark)
        all.push(...(await replay(await AtomicalsHost.over(at, lost), own)))
        at.release()
      }
      await followed.close()
      expect(idsOf(all, 'different')).toEqual([])
      expect(all).toHaveLength(rows.length)
    }))
})

/** Methods with pages, what stands before limit and offset, and behind them in front of the cursor. */
const TOKEN = '092c301417a4284b88d8fc7e70aaa32bd5deb9d5454a33243741e2dadb3485c4i0'
const PAGED: readonly (readonly [method: string, before: Json[], after: Json[]])[] = [
  ['find_tickers', [null, false], [false]],
  ['find_realms', [null, true], [true]],
  ['find_containers', ['', false], [false]],
  ['get_dft_mints', [TOKEN], []],
  ['get_holders', [TOKEN], []],
]
