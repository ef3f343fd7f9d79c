/**
 * Throws a million malformed messages at the envelope over the Electrum and the Atomicals methods, and malformed requests
 * at the addresses of the HTTP proxy, and checks each answer: well-formed, of a known code, never an internal error. The
 * Atomicals methods answer out of the chain of corpus A. Prints counts; exit code 1 and the message in hex at the first
 * breach.
 * `npx tsx test/fuzz/envelope.ts [messages] [seed]`
 */
import { ERROR_CODES } from '../../src/errors.ts'
import type { EnvelopeSession } from '../../src/rpc/envelope.ts'
import type { HttpReply, HttpRequest } from '../../src/session/transports/connection.ts'
import { CorpusAround } from '../support/corpus-around.ts'
import { electrumEnvelope, FakeHost } from '../support/rpc-host.ts'

const COUNT = Number(process.argv[2] ?? 1_000_000)
const SEED = Number(process.argv[3] ?? 1)
/** Longest message, so that time and memory stay bounded whatever the mutations do. */
const LONGEST = 2000
const SESSION_LENGTH = 200

/** xorshift32: the same messages for the same seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 0 || 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const random = randomNumbers(SEED)
const HASH = 'ab'.repeat(32)
const CALLS: readonly (readonly [string, string])[] = [
  ['server.version', '["fuzz",["1.4","1.7"]]'],
  ['server.ping', '[10,"ff"]'],
  ['server.features', '[]'],
  ['server.add_peer', '[{"hosts":{}}]'],
  ['blockchain.block.header', '[1,2]'],
  ['blockchain.block.headers', '{"start_height":0,"count":3,"cp_height":2}'],
  ['blockchain.estimatefee', '[6,"economical"]'],
  ['blockchain.scripthash.get_balance', `["${HASH}"]`],
  ['blockchain.scripthash.get_history', `["${HASH}"]`],
  ['blockchain.scripthash.subscribe', `["${HASH}"]`],
  ['blockchain.scriptpubkey.listunspent', '["0014"]'],
  ['blockchain.transaction.get', `["${HASH}",true]`],
  ['blockchain.transaction.get_merkle', `["${HASH}",1]`],
  ['blockchain.transaction.id_from_pos', '[1,1,true]'],
  ['blockchain.transaction.broadcast', '["00ff"]'],
  ['blockchain.transaction.broadcast_package', '[["00","ff"],true]'],
  ['blockchain.transaction.testmempoolaccept', '[["00"]]'],
  ['mempool.recent', '[]'],
]
/** Of corpus A: a container, its script, a token; and places of them. */
const ID = '"092c301417a4284b88d8fc7e70aaa32bd5deb9d5454a33243741e2dadb3485c4i0"'
const ATOMICALS_CALLS: readonly (readonly [string, string])[] = [
  ['get', `[${ID}]`],
  ['get', '[7]'],
  ['get_location', '[12]'],
  ['get_state', '["3"]'],
  ['get_state_history', '[5]'],
  ['get_events', '[5]'],
  ['get_tx_history', '[5]'],
  ['get_ft_info', `[${ID}]`],
  ['get_global', '[3]'],
  ['at_location', `[${ID}]`],
  ['get_holders', `[${ID},5,0]`],
  ['get_holders', `[${ID},5,0,"1000:5120"]`],
  ['get_dft_mints', `[${ID},5,0]`],
  ['list', '[3,-4,true]'],
  ['get_numbers', '{"limit":20,"offset":3,"asc":false}'],
  ['get_block_hash', '[0]'],
  ['get_block_txs', '[120]'],
  ['get_by_realm', '["top"]'],
  ['get_by_subrealm', `[${ID},"sub"]`],
  ['get_by_ticker', '["many"]'],
  ['get_by_container', '["box"]'],
  ['get_by_container_item', '["box","item-1"]'],
  ['get_by_container_item_validate', `["box","item-1","any","any","a.png","${HASH}",[{"p":true,"d":"${HASH}"}],false]`],
  ['get_container_items', '["box",5,0]'],
  ['get_realm_info', '["top.sub.low",true]'],
  ['find_realms', '["",false,5,0,true]'],
  ['find_tickers', '["a",true,5,1]'],
  ['find_containers', '{"prefix":"b","limit":5}'],
  ['find_subrealms', `[${ID},"s",false,5,0]`],
  ['get_ft_balances_scripthash', `["${HASH}"]`],
  ['get_nft_balances_scripthash', `["${HASH}"]`],
  ['listscripthash', `["${HASH}",true]`],
  ['transaction', `["${HASH}"]`],
  ['transaction_by_height', '[130,5,0,null,false]'],
  ['transaction_by_atomical_id', `[${ID},5,0,null,true]`],
  ['transaction_by_scripthash', `["${HASH}",5,0]`],
  ['transaction_global', '[5,0,"transfer",true]'],
  ['validate', '["01000000000100000000000000000000"]'],
  ['decode_tx', '["01000000000100000000000000000000"]'],
  ['decode_psbt', '["70736274ff"]'],
  ['scripthash.subscribe', `["${HASH}"]`],
  ['name.subscribe', '["realm","top"]'],
  ['subscribe', `[${ID}]`],
  ['set_shape', '["list"]'],
]
const ALL_CALLS: readonly (readonly [string, string])[] = [
  ...CALLS,
  ...ATOMICALS_CALLS.map(([name, params]) => [`blockchain.atomicals.${name}`, params] as const),
  ['blockchain.scripthash.listunspent', `["${HASH}"]`],
  ['server.info', '[]'],
]
const VALUES = [
  'null',
  'true',
  '-1',
  '1e400',
  '12345678901234567890123',
  '0.5',
  '"1"',
  '""',
  '[]',
  '{}',
  '{"__proto__":{}}',
  '"\\ud800"',
  '[[[[1]]]]',
  '"constructor"',
  '-0',
  '1E5',
]
const VERSIONS = ['"jsonrpc":"2.0",', '"jsonrpc":"1.0",', '', '"jsonrpc":2,']

function pick<T>(list: readonly T[]): T {
  return list[random(list.length)] as T
}

function request(): string {
  const [name, params] = pick(ALL_CALLS)
  const method = random(12) === 0 ? pick(VALUES) : `"${name}"`
  const id = pick(['', ',"id":1', ',"id":"x"', `,"id":${pick(VALUES)}`])
  const given = random(4) === 0 ? pick(VALUES) : random(4) === 0 ? `[${pick(VALUES)},${pick(VALUES)}]` : params
  return `{${pick(VERSIONS)}"method":${method},"params":${given}${id}}`
}

function wellFormed(): string {
  switch (random(8)) {
    case 0:
      return `[${Array.from({ length: random(12) }, () => (random(5) === 0 ? pick(VALUES) : request())).join(',')}]`
    case 1:
      return pick(VALUES)
    default:
      return request()
  }
}

/** Changes bytes here and there: flips, cuts, doubles, inserts. */
function mutated(text: string): Uint8Array {
  let bytes = [...Buffer.from(text)]
  for (let turns = random(4); turns > 0; turns--) {
    const at = random(bytes.length + 1)
    const length = random(10)
    switch (random(6)) {
      case 0:
        bytes[at] = random(256)
        break
      case 1:
        bytes.splice(at, length)
        break
      case 2:
        bytes.splice(at, 0, ...bytes.slice(at, at + length))
        break
      case 3:
        bytes.splice(at, 0, ...Buffer.from(pick(VALUES)))
        break
      case 4:
        bytes.splice(at, 0, ...new Array<number>(random(200)).fill(pick([0x5b, 0x7b, 0x22, 0x39, 0x5c, 0x20])))
        break
      default:
        bytes = bytes.slice(0, at)
    }
  }
  return Uint8Array.from(bytes.slice(0, LONGEST))
}

const CODES: ReadonlySet<unknown> = new Set(Object.values(ERROR_CODES).map(({ code }) => code))

/** What kind of answer it is; throws if it is none that a client could read. */
function kindOf(response: unknown): string {
  if (typeof response !== 'object' || response === null || !('id' in response)) throw new Error('no response')
  const error = 'error' in response ? response.error : null
  if (error === null) {
    if ('result' in response) return 'result'
    throw new Error('neither result nor error')
  }
  if (typeof error !== 'object' || !('code' in error) || !('message' in error)) throw new Error('no error object')
  if (!CODES.has(error.code)) throw new Error(`unknown code ${String(error.code)}`)
  if (String(error.message).startsWith('internal server error')) throw new Error('internal error')
  return String(error.code)
}

const counts = new Map<string, number>()

function count(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1)
}

function check(answer: string | undefined): void {
  if (answer === undefined) return count('no answer')
  const parsed: unknown = JSON.parse(answer)
  if (!Array.isArray(parsed)) return count(kindOf(parsed))
  if (parsed.length === 0) throw new Error('empty batch')
  for (const response of parsed) count(kindOf(response))
  return undefined
}

/** Text with bytes changed, as a path or a query may have them. */
function mutatedText(text: string): string {
  return Buffer.from(random(3) === 0 ? mutated(text) : Buffer.from(text)).toString('latin1')
}

/** A call in the manner of the proxy, or an URN. */
function httpRequest(): HttpRequest {
  const [name, params] = pick(ALL_CALLS)
  const given = mutatedText(random(4) === 0 ? pick(VALUES) : params)
  const text = random(3) === 0 ? Buffer.from(given, 'latin1').toString('hex') : given
  const query = new URLSearchParams(random(8) === 0 ? mutatedText('params=%5B%5D&pretty=1') : '')
  const method = random(2) === 0 ? 'GET' : 'POST'
  if (random(6) > 0) query.set('params', text)
  if (random(6) === 0) query.set(pick(['pretty', 'unwrap', 'image']), '1')
  const body = random(4) === 0 ? mutated(`{"params":${params}}`) : Buffer.from(JSON.stringify({ params: text }))
  const prefix = pick(['/proxy/', '/proxy-list/', '/proxy-object/'])
  const urn = mutatedText(
    pick([`atom:btc:id:${ID.slice(1, -1)}/image.png`, 'atom:btc:realm:top.sub/$path', 'atom:btc:dat:x']),
  )
  const path = random(6) === 0 ? `${pick(['/urn/', '/urn/validate/'])}${encodeURIComponent(urn)}` : `${prefix}${name}`
  const ifNoneMatch = random(10) === 0 ? pick(['*', '"x"', 'W/"y"', mutatedText('"a","b"')]) : undefined
  return { method, path, query, body, ifNoneMatch }
}

/** Answers of the proxy are JSON with `success`, or files. */
function checkReply({ status, contentType, body }: HttpReply): void {
  if (![200, 204, 304, 400, 404, 405, 422, 500].includes(status)) throw new Error(`status ${status}`)
  if (contentType?.startsWith('application/json') === true) {
    const text = String(body)
    JSON.parse(text)
    if (text.includes('internal server error')) throw new Error('internal error')
  }
  count(`http ${status}`)
}

async function one(session: EnvelopeSession, corpus: CorpusAround): Promise<string | undefined> {
  if (random(4) === 0) {
    const request = httpRequest()
    try {
      checkReply(await corpus.http(request))
      return undefined
    } catch (error) {
      return `${String(error)}\n${request.method} ${request.path}?${request.query.toString()} ${Buffer.from(request.body).toString('hex')}`
    }
  }
  const text = wellFormed()
  const message = random(3) === 0 ? Buffer.from(text) : mutated(text)
  try {
    check((await session.handle(message))?.toString())
    return undefined
  } catch (error) {
    return `${String(error)}\n${Buffer.from(message).toString('hex')}`
  }
}

async function run(): Promise<void> {
  const corpus = await CorpusAround.open()
  const fake = electrumEnvelope({ maxSend: 3000, maxBatch: 10 })
  let session: EnvelopeSession | undefined
  try {
    for (let i = 0; i < COUNT; i++) {
      if (session === undefined || i % SESSION_LENGTH === 0) {
        session = random(3) === 0 ? fake.open(new FakeHost()) : corpus.session({ maxSend: 100_000, maxBatch: 10 })
      }
      const breach = await one(session, corpus)
      if (breach === undefined) continue
      process.stdout.write(`breach at message ${i} of seed ${SEED}: ${breach}\n`)
      process.exitCode = 1
      return
    }
  } finally {
    await corpus.close()
  }
  const lines = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([kind, number]) => `${kind}: ${number}`)
  process.stdout.write(`${COUNT} messages of seed ${SEED}\n${lines.join('\n')}\n`)
}

await run()
