import { Transaction } from 'bitcoinjs-lib'
import { fromDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import {
  type Knowledge,
  settledHeight,
  someAtomical,
  someHex,
  someScript,
  someScripthash,
  someTxid,
} from './knowledge.ts'
import { rootOfBranch } from './merkle.ts'

export interface Question {
  readonly method: string
  readonly params: readonly unknown[]
  /** What is wrong with a result: for those whose right answer is known whatever happens meanwhile. */
  readonly check?: (result: unknown) => string | undefined
  /** No error will do. */
  readonly mustSucceed?: boolean
}

/** The transaction of genesis is in no index. */
const FIRST_INDEXED = 1

type Maker = (known: Knowledge) => Question

const plain =
  (method: string, params: (known: Knowledge) => readonly unknown[] = () => []): Maker =>
  (known) => ({ method, params: params(known) })

/** An unused script has nothing, whatever the chain does. */
const unused =
  (method: string, answer: unknown): Maker =>
  (known) => ({
    method: `blockchain.scripthash.${method}`,
    params: [someHex(known, 32)],
    mustSucceed: true,
    check: equals(answer),
  })

const EVERYWHERE: readonly Maker[] = [
  (known) => {
    const txid = someTxid(known)
    const check = (result: unknown) =>
      Transaction.fromHex(result as string).getId() === txid ? undefined : 'another transaction'
    return { method: 'blockchain.transaction.get', params: [txid], check }
  },
  plain('blockchain.transaction.get', (known) => [someTxid(known), true]),
  (known) => {
    const height = settledHeight(known)
    const header = known.oracle.header(height)
    return { method: 'blockchain.block.header', params: [height], mustSucceed: true, check: equals(header) }
  },
  (known) => {
    const height = settledHeight(known, FIRST_INDEXED)
    const txids = known.oracle.txids(height)
    const txid = known.random.pick(txids)
    const header = known.oracle.header(height)!
    const check = (result: unknown) => {
      const { merkle, pos } = result as { readonly merkle: readonly string[]; readonly pos: number }
      const root = toHex(rootOfBranch(fromDisplayHex(txid), merkle.map(fromDisplayHex), pos))
      if (pos !== txids.indexOf(txid)) return `position ${pos}`
      return root === header.slice(72, 136) ? undefined : `a branch to the root ${root}`
    }
    return { method: 'blockchain.transaction.get_merkle', params: [txid, height], mustSucceed: true, check }
  },
  (known) => {
    const height = settledHeight(known, FIRST_INDEXED)
    const txids = known.oracle.txids(height)
    const at = known.random.between(0, txids.length - 1)
    return {
      method: 'blockchain.transaction.id_from_pos',
      params: [height, at],
      mustSucceed: true,
      check: equals(txids[at]),
    }
  },
  (known) => {
    const start = settledHeight(known)
    const headers = Array.from({ length: 20 }, (_, i) => known.oracle.header(start + i)).slice(0, 10)
    const check = ({ hex, headers: list }: { readonly hex?: string; readonly headers?: readonly string[] }) =>
      (hex ?? list?.join('')) === headers.join('') ? undefined : 'other headers'
    return {
      method: 'blockchain.block.headers',
      params: [start, 10],
      mustSucceed: true,
      check: (result) => check(result as { hex?: string; headers?: string[] }),
    }
  },
  plain('blockchain.block.headers', (known) => [0, 2016, known.oracle.height > 20 ? known.oracle.height - 15 : 0]),
  plain('blockchain.estimatefee', ({ random }) => [random.between(1, 20)]),
  plain('mempool.get_fee_histogram'),
  plain('server.features'),
  plain('server.peers.subscribe'),
  plain('blockchain.atomicals.get', (known) => [someAtomical(known)]),
  plain('blockchain.atomicals.get_state', (known) => [someAtomical(known)]),
  plain('blockchain.atomicals.get_tx_history', (known) => [someAtomical(known)]),
  plain('blockchain.atomicals.get_holders', (known) => [someAtomical(known)]),
  plain('blockchain.atomicals.get', (known) => [someAtomical(known), true, known.oracle.height - 5]),
  plain('blockchain.atomicals.listscripthash', (known) => [someScripthash(known), true]),
  plain('blockchain.atomicals.listscripthash', (known) => [someScripthash(known), true, known.oracle.height - 5]),
  plain('blockchain.atomicals.list', ({ random }) => [20, -1 - random.between(0, 50), false]),
  plain('blockchain.atomicals.get_global', () => [3]),
  plain('blockchain.atomicals.find_realms', () => ['a']),
  plain('blockchain.atomicals.transaction', (known) => [someTxid(known)]),
  plain('blockchain.atomicals.transaction_by_height', (known) => [settledHeight(known)]),
  plain('blockchain.atomicals.validate', (known) => [someHex(known, 80)]),
  plain('blockchain.transaction.broadcast', (known) => [someHex(known, 80)]),
  plain('no.such.method'),
]

const BEFORE_17: readonly Maker[] = [
  () => ({ method: 'server.ping', params: [], mustSucceed: true, check: equals(null) }),
  unused('get_history', []),
  unused('get_balance', { confirmed: 0, unconfirmed: 0 }),
  unused('listunspent', []),
  ...['get_history', 'get_balance', 'listunspent', 'get_mempool'].map((method) =>
    plain(`blockchain.scripthash.${method}`, (known) => [someScripthash(known)]),
  ),
  plain('blockchain.scripthash.get_history', ({ busiest }) => [busiest.scripthash]),
  plain('blockchain.scripthash.get_history', (known) => [someHex(known, 3)]),
]

const SINCE_17: readonly Maker[] = [
  ...['get_history', 'get_balance', 'listunspent', 'get_mempool'].map((method) =>
    plain(`blockchain.scriptpubkey.${method}`, (known) => [someScript(known)]),
  ),
  plain('blockchain.outpoint.get_status', (known) => [someTxid(known), known.random.between(0, 2)]),
]

export type Dialect = '1.4' | '1.6' | '1.7'

export function someQuestion(known: Knowledge, dialect: Dialect): Question {
  return known.random.pick([...EVERYWHERE, ...(dialect === '1.7' ? SINCE_17 : BEFORE_17)])(known)
}

/** A long answer. */
export function longQuestion(known: Knowledge): Question {
  const { scripthash } = known.busiest
  return known.random.pick<Question>([
    { method: 'blockchain.block.headers', params: [0, 2016] },
    { method: 'blockchain.scripthash.get_history', params: [scripthash] },
    { method: 'blockchain.scripthash.listunspent', params: [scripthash] },
  ])
}

export interface Subscription {
  readonly on: Question
  readonly off: Question
}

export function someSubscription(known: Knowledge, dialect: Dialect): Subscription {
  const { random } = known
  const part = random.unit()
  if (part < 0.5 && dialect === '1.7') return both('blockchain.scriptpubkey', [someScript(known)])
  if (part < 0.5) return both('blockchain.scripthash', [someScripthash(known)])
  if (part < 0.65 && dialect === '1.7') return both('blockchain.outpoint', [someTxid(known), random.between(0, 2)])
  if (part < 0.78) return both('blockchain.atomicals', [someAtomical(known)])
  if (part < 0.86) return both('blockchain.atomicals.name', ['realm', `r${random.between(0, 300)}`])
  if (part < 0.94) return both('blockchain.atomicals.scripthash', [someScripthash(known)])
  return both('blockchain.atomicals.global', [])
}

function both(of: string, params: readonly unknown[]): Subscription {
  return { on: { method: `${of}.subscribe`, params }, off: { method: `${of}.unsubscribe`, params } }
}

function equals(expected: unknown): (result: unknown) => string | undefined {
  const should = JSON.stringify(expected)
  return (result) => (JSON.stringify(result) === should ? undefined : `${JSON.stringify(result)}, not ${should}`)
}
