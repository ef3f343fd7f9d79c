/**
 * Throws a million malformed messages at the envelope over the Electrum methods and checks each answer: well-formed, of
 * a known code, never an internal error. Prints counts; exit code 1 and the message in hex at the first breach.
 * `npx tsx test/fuzz/envelope.ts [messages] [seed]`
 */
import { ERROR_CODES } from '../../src/errors.ts'
import type { EnvelopeSession } from '../../src/rpc/envelope.ts'
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
  const [name, params] = pick(CALLS)
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

async function run(): Promise<void> {
  const envelope = electrumEnvelope({ maxSend: 3000, maxBatch: 10 })
  let session: EnvelopeSession | undefined
  for (let i = 0; i < COUNT; i++) {
    if (session === undefined || i % SESSION_LENGTH === 0) session = envelope.open(new FakeHost())
    const message = mutated(wellFormed())
    try {
      check((await session.handle(message))?.toString())
    } catch (error) {
      process.stdout.write(`breach at message ${i} of seed ${SEED}: ${String(error)}\n`)
      process.stdout.write(`${Buffer.from(message).toString('hex')}\n`)
      process.exitCode = 1
      return
    }
  }
  const lines = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([kind, number]) => `${kind}: ${number}`)
  process.stdout.write(`${COUNT} messages of seed ${SEED}\n${lines.join('\n')}\n`)
}

await run()
