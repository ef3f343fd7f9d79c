import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Json, MAX_DEPTH, readJsonText, writeJson } from '../../../src/rpc/json.ts'
import { atomicalsMethods } from '../../../src/rpc/methods/atomicals/table.ts'
import { electrumMethods, withMethods } from '../../../src/rpc/methods/table.ts'
import { canonical } from '../../support/atomicals-compare.ts'
import { CORPUS_SETTINGS } from '../../support/atomicals-host.ts'
import { type ClientAnswer, type CorpusRow, corpusRows, judge, type Verdict } from '../../support/corpus-rows.ts'
import { CorpusServer } from '../../support/corpus-server.ts'
import { HttpClientOf } from '../../support/http-client.ts'
import { RawLineClient } from '../../support/raw-line-client.ts'

const OWN = new Set(withMethods(electrumMethods(), atomicalsMethods(CORPUS_SETTINGS)).map(({ name }) => name))

interface Judged {
  readonly row: CorpusRow
  readonly own: ClientAnswer
  readonly verdict: Verdict
}

/** Of methods there are, without what only the recording's node knows, and without mints that are not confirmed. */
function rowsHere(): CorpusRow[] {
  const rows = corpusRows().filter(({ method, daemon }) => OWN.has(method) && daemon !== true)
  const unconfirmed = new Set(
    rows.filter(({ defect }) => defect === 'mempool-mint-detail').map(({ params }) => params[0]),
  )
  return rows.filter(({ params }) => params.length === 0 || !unconfirmed.has(params[0]))
}

function read(text: string): Json {
  return readJsonText(text, 10 * MAX_DEPTH)
}

async function overTcp(client: RawLineClient, { id, method, params }: CorpusRow): Promise<ClientAnswer> {
  const line = await client.ask(writeJson({ jsonrpc: '2.0', id, method, params }))
  const { id: answered, ...answer } = read(line) as unknown as { id: Json } & ClientAnswer
  expect(answered).toBe(id)
  return answer
}

/** GET with JSON, GET with hex, POST: one after the other, but for rows that say which. */
async function overHttp(client: HttpClientOf, { id, via, method, params }: CorpusRow): Promise<ClientAnswer> {
  const text = writeJson(params)
  const way = via === 'httppost' || (via === undefined && id % 3 === 0) || text.length > 4000 ? 'POST' : 'GET'
  const spelled = id % 3 === 1 ? Buffer.from(text).toString('hex') : encodeURIComponent(text)
  const { status, text: body } = await client.ask(
    way === 'POST'
      ? { method: 'POST', path: `/proxy/${method}`, body: `{"params":${text}}` }
      : { path: `/proxy/${method}?params=${spelled}` },
  )
  const answer = read(body) as { success: boolean; response?: Json; code?: number; message?: string }
  expect([status, answer.success]).toEqual(
    answer.code === undefined ? [200, true] : [answer.code === 800_422 ? 422 : 500, false],
  )
  if (answer.response !== undefined) return { result: answer.response }
  return { error: { code: answer.code!, message: answer.message! } }
}

/** Rows over HTTP as the same question over TCP. The reference says code 1 of every error there: one is like the other. */
function asTcp(row: CorpusRow, own: ClientAnswer): CorpusRow {
  const { result, ...rest } = row
  const { status, body } = result as { status: number; body: { [name: string]: Json } }
  if (status === 200) return { ...rest, result: body['response']! }
  return { ...rest, error: { code: own.error?.code ?? 1 } }
}

function differing(judged: readonly Judged[]): string[] {
  return judged
    .filter(({ verdict }) => verdict === 'different')
    .map(({ row, own }) => `${row.id} ${row.method} ${writeJson(row.params)} ${own.error?.code ?? 'result'}`)
}

/** By method: how many are equal, and how many are right where the reference is known to be wrong. */
function counts(judged: readonly Judged[]): Record<string, string> {
  const byMethod: Record<string, [number, number]> = {}
  for (const { row, verdict } of judged) {
    const count = (byMethod[row.method.replace('blockchain.', '')] ??= [0, 0])
    if (verdict === 'equal') count[0] += 1
    if (verdict === 'right') count[1] += 1
  }
  const sorted = Object.entries(byMethod).sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([method, [equal, right]]) => [method, `${equal} + ${right}`]))
}

/** What depends on what the connection said before. */
const OF_A_SESSION = /^server\.version$|\.(?:un)?subscribe$/

/** Texts of errors that nobody foresaw have a number that finds them in the log. */
function isSame(a: ClientAnswer, b: ClientAnswer): boolean {
  if (a.error !== undefined) return a.error.code === b.error?.code
  return canonical(a.result ?? null) === canonical(b.result ?? null)
}

describe('answers of corpus A over real sockets', () => {
  let server: CorpusServer
  let tcp: RawLineClient
  let http: HttpClientOf
  const rows = rowsHere()
  const judged: Judged[] = []

  beforeAll(async () => {
    server = await CorpusServer.start()
    tcp = await RawLineClient.connect(server.port('tcp'))
    http = new HttpClientOf(server.port('http'))
    await tcp.ask(writeJson({ id: 0, method: 'server.version', params: ['corpus', '1.4.3'], jsonrpc: '2.0' }))
    for (const row of rows.filter(({ via }) => via === undefined)) {
      const own = await overTcp(tcp, row)
      judged.push({ row, own, verdict: judge(row, own) })
    }
  })

  afterAll(async () => {
    tcp.close()
    http.close()
    await server.stop()
  })

  it('are over TCP those of the reference, or right where it is known to be wrong', () => {
    expect(differing(judged)).toEqual([])
    expect(counts(judged)).toMatchInlineSnapshot(`
      {
        "atomicals.at_location": "920 + 15",
        "atomicals.decode_psbt": "29 + 11",
        "atomicals.decode_tx": "121 + 34",
        "atomicals.find_containers": "7 + 6",
        "atomicals.find_realms": "6 + 7",
        "atomicals.find_subrealms": "45 + 3",
        "atomicals.find_tickers": "7 + 6",
        "atomicals.get": "1086 + 23",
        "atomicals.get_block_hash": "208 + 4",
        "atomicals.get_block_txs": "197 + 15",
        "atomicals.get_by_container": "61 + 0",
        "atomicals.get_by_container_item": "122 + 0",
        "atomicals.get_by_container_item_validate": "100 + 36",
        "atomicals.get_by_dmitem": "68 + 2",
        "atomicals.get_by_realm": "68 + 3",
        "atomicals.get_by_subrealm": "172 + 2",
        "atomicals.get_by_ticker": "282 + 3",
        "atomicals.get_container_items": "64 + 4",
        "atomicals.get_dft_mints": "133 + 15",
        "atomicals.get_events": "164 + 15",
        "atomicals.get_ft_balances_scripthash": "193 + 0",
        "atomicals.get_ft_info": "307 + 192",
        "atomicals.get_global": "7 + 2",
        "atomicals.get_holders": "753 + 31",
        "atomicals.get_location": "743 + 23",
        "atomicals.get_nft_balances_scripthash": "193 + 0",
        "atomicals.get_numbers": "15 + 1",
        "atomicals.get_realm_info": "333 + 0",
        "atomicals.get_state": "743 + 23",
        "atomicals.get_state_history": "704 + 22",
        "atomicals.get_tx_history": "734 + 26",
        "atomicals.list": "25 + 4",
        "atomicals.listscripthash": "210 + 9",
        "atomicals.transaction": "1802 + 76",
        "atomicals.transaction_by_atomical_id": "778 + 24",
        "atomicals.transaction_by_height": "67 + 6",
        "atomicals.transaction_by_scripthash": "136 + 1",
        "atomicals.transaction_global": "9 + 1",
        "atomicals.transactions": "5 + 8",
        "atomicals.validate": "57 + 8",
        "atomicals.validate_psbt_blueprint": "23 + 17",
        "atomicals.validate_tx_blueprint": "43 + 22",
        "block.header": "334 + 0",
        "block.headers": "15 + 0",
        "headers.subscribe": "1 + 0",
        "mempool.get_fee_histogram": "1 + 0",
        "scripthash.get_balance": "256 + 0",
        "scripthash.get_history": "269 + 0",
        "scripthash.get_mempool": "62 + 0",
        "scripthash.listunspent": "253 + 0",
        "scripthash.subscribe": "215 + 0",
        "scripthash.unsubscribe": "15 + 6",
        "server.banner": "0 + 1",
        "server.donation_address": "1 + 0",
        "server.features": "2 + 0",
        "server.info": "1 + 0",
        "server.peers.subscribe": "0 + 1",
        "server.ping": "0 + 1",
        "server.version": "0 + 1",
        "transaction.get": "221 + 0",
        "transaction.get_merkle": "217 + 0",
        "transaction.id_from_pos": "137 + 0",
      }
    `)
  })

  it('are over HTTP the same as over TCP, in all three spellings', async () => {
    const others: number[] = []
    const questions = judged.filter(({ row }) => !OF_A_SESSION.test(row.method)).values()
    const clients = Array.from({ length: 6 }, () => new HttpClientOf(server.port('http')))
    await Promise.all(
      clients.map(async (client) => {
        // All draw from the same questions.
        for (const { row, own } of questions) if (!isSame(own, await overHttp(client, row))) others.push(row.id)
        client.close()
      }),
    )
    expect(others).toEqual([])
  })

  it('are over HTTP those that were recorded over HTTP', async () => {
    const recorded: Judged[] = []
    for (const row of rows.filter(({ via }) => via !== undefined)) {
      const own = await overHttp(http, row)
      recorded.push({ row, own, verdict: judge(asTcp(row, own), own) })
    }
    expect(differing(recorded)).toEqual([])
    expect(counts(recorded)).toMatchInlineSnapshot(`
      {
        "atomicals.at_location": "4 + 0",
        "atomicals.decode_psbt": "4 + 0",
        "atomicals.decode_tx": "4 + 1",
        "atomicals.find_containers": "3 + 1",
        "atomicals.find_realms": "3 + 2",
        "atomicals.find_subrealms": "4 + 0",
        "atomicals.find_tickers": "1 + 3",
        "atomicals.get": "8 + 8",
        "atomicals.get_block_hash": "4 + 0",
        "atomicals.get_block_txs": "4 + 0",
        "atomicals.get_by_container": "4 + 0",
        "atomicals.get_by_container_item": "4 + 0",
        "atomicals.get_by_container_item_validate": "4 + 0",
        "atomicals.get_by_dmitem": "4 + 0",
        "atomicals.get_by_realm": "4 + 0",
        "atomicals.get_by_subrealm": "4 + 0",
        "atomicals.get_by_ticker": "4 + 0",
        "atomicals.get_container_items": "4 + 0",
        "atomicals.get_dft_mints": "4 + 0",
        "atomicals.get_events": "4 + 0",
        "atomicals.get_ft_balances_scripthash": "4 + 0",
        "atomicals.get_ft_info": "4 + 0",
        "atomicals.get_global": "4 + 0",
        "atomicals.get_holders": "4 + 0",
        "atomicals.get_location": "4 + 0",
        "atomicals.get_nft_balances_scripthash": "4 + 0",
        "atomicals.get_numbers": "4 + 0",
        "atomicals.get_realm_info": "4 + 0",
        "atomicals.get_state": "4 + 0",
        "atomicals.get_state_history": "3 + 1",
        "atomicals.get_tx_history": "4 + 0",
        "atomicals.list": "5 + 0",
        "atomicals.listscripthash": "4 + 0",
        "atomicals.transaction": "1 + 4",
        "atomicals.transaction_by_atomical_id": "4 + 0",
        "atomicals.transaction_by_height": "4 + 0",
        "atomicals.transaction_by_scripthash": "4 + 0",
        "atomicals.transaction_global": "4 + 0",
        "atomicals.transactions": "4 + 0",
        "atomicals.validate": "4 + 0",
        "atomicals.validate_psbt_blueprint": "3 + 1",
        "atomicals.validate_tx_blueprint": "3 + 1",
        "block.header": "4 + 0",
        "block.headers": "4 + 0",
        "mempool.get_fee_histogram": "1 + 0",
        "scripthash.get_balance": "4 + 0",
        "scripthash.get_history": "4 + 0",
        "scripthash.get_mempool": "4 + 0",
        "scripthash.listunspent": "4 + 0",
        "server.banner": "0 + 1",
        "server.donation_address": "1 + 0",
        "server.features": "2 + 0",
        "server.info": "1 + 0",
        "server.ping": "0 + 1",
        "server.version": "0 + 1",
        "transaction.get": "4 + 0",
        "transaction.get_merkle": "4 + 0",
        "transaction.id_from_pos": "4 + 0",
      }
    `)
  })
})
