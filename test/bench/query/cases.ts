import type { AddressFacts, Manifest } from '../chain/manifest.ts'

export interface QueryCase {
  readonly name: string
  /** Requests without their ends, as LoadQuestion has them. */
  readonly requests: readonly string[]
  /** What follows the id in each of them, where that is more than the end of a request. */
  readonly ends?: readonly string[]
  /** Connections and requests under way on each, instead of the usual ones. */
  readonly grid?: readonly [connections: number, depth: number]
  /** Requests a second that the better grid of connections has to reach. */
  readonly mark?: number
  /** Answers so long that few requests under way are enough. */
  readonly long?: boolean
  /** Each is asked once before anything is measured: it is the answers that are kept that count. */
  readonly primed?: boolean
}

/** Addresses with one or two transactions that warm cases ask for in turn. */
const WARM_ADDRESSES = 10_000
/** Of each cold case. */
const COLD_ADDRESSES = 35_000
/** Of a batch, and of as many calls beside it. */
export const BATCH_SIZE = 100
/** History of what stands for a very busy address. */
const ABOUT_11K = { from: 9000, to: 14_000 } as const
/** Transactions of case `tx`. */
const WARM_TXS = 1000
const HEADERS_AT_ONCE = 2016
const HALF_A_DAY_OF_HEADERS = 72

function requests(method: string, params: readonly (readonly unknown[])[]): string[] {
  return params.map((list) => `{"jsonrpc":"2.0","method":"${method}","params":${JSON.stringify(list)},"id":`)
}

/** Batches of requests, for one at a time: every id is 0, so that it is found at both ends of the answer. */
function batches(all: readonly string[]): Pick<QueryCase, 'requests' | 'ends'> {
  const starts = Array.from({ length: Math.floor(all.length / BATCH_SIZE) }, (_, i) => i * BATCH_SIZE)
  return {
    requests: starts.map((start) => `[${all[start]}`),
    ends: starts.map((start) => {
      const others = all.slice(start + 1, start + BATCH_SIZE)
      return `},${others.map((request) => `${request}0}`).join(',')}]`
    }),
  }
}

const hashesOf = (addresses: readonly AddressFacts[]): [string][] => addresses.map(({ scripthash }) => [scripthash])

/** Asked for again and again: what a server may keep, it has kept. */
export function warmCases(manifest: Manifest): QueryCase[] {
  const single = hashesOf(manifest.single.slice(-WARM_ADDRESSES))
  const warm = hashesOf(manifest.warm)
  const busy = hashesOf(manifest.hot.filter(({ history }) => history >= ABOUT_11K.from && history <= ABOUT_11K.to))
  // So many that all can be in a cache of a few megabytes.
  const transactions = manifest.transactions.slice(0, 6000)
  const script = 'blockchain.scripthash'
  const cases: QueryCase[] = [
    { name: 'ping', requests: requests('server.ping', [[]]), mark: 120_000 },
    { name: 'features', requests: requests('server.features', [[]]), mark: 120_000 },
    { name: 'headers', requests: requests('blockchain.headers.subscribe', [[]]), mark: 120_000 },
    { name: 'balance1', requests: requests(`${script}.get_balance`, single), mark: 60_000 },
    { name: 'history1', requests: requests(`${script}.get_history`, single), mark: 60_000 },
    { name: 'unspent1', requests: requests(`${script}.listunspent`, single), mark: 60_000 },
    { name: 'subscribe1', requests: requests(`${script}.subscribe`, single), mark: 60_000 },
    {
      name: 'tx',
      requests: requests(
        'blockchain.transaction.get',
        transactions.slice(0, WARM_TXS).map(({ txid }) => [txid]),
      ),
      mark: 20_000,
      primed: true,
    },
    {
      name: 'merkle',
      requests: requests(
        'blockchain.transaction.get_merkle',
        transactions.map(({ txid, height }) => [txid, height]),
      ),
      mark: 40_000,
    },
    {
      name: 'idfrompos',
      requests: requests(
        'blockchain.transaction.id_from_pos',
        transactions.map(({ height, pos }) => [height, pos]),
      ),
      mark: 40_000,
    },
    { name: 'calls100', requests: requests(`${script}.get_history`, single), grid: [1, BATCH_SIZE] },
    { name: 'batch100', ...batches(requests(`${script}.get_history`, single)), grid: [1, 1] },
    { name: 'balance1k', requests: requests(`${script}.get_balance`, warm), long: true },
    { name: 'history1k', requests: requests(`${script}.get_history`, warm), long: true },
    { name: 'balance10k', requests: requests(`${script}.get_balance`, busy), long: true },
    { name: 'history10k', requests: requests(`${script}.get_history`, busy), long: true, mark: 500 },
    { name: 'unspent10k', requests: requests(`${script}.listunspent`, busy), long: true },
    { name: 'subscribe10k', requests: requests(`${script}.subscribe`, busy), long: true },
    {
      name: 'headers2016',
      requests: requests('blockchain.block.headers', [[0, HEADERS_AT_ONCE]]),
      long: true,
      mark: 5000,
    },
  ]
  return cases.filter((entry) => entry.requests.length > 0)
}

/** No address, transaction, block or range of headers is asked for twice, nor by a warm case that has one of these. */
export function coldCases(manifest: Manifest): QueryCase[] {
  const free = manifest.single.slice(0, -WARM_ADDRESSES)
  const size = Math.min(COLD_ADDRESSES, Math.floor(free.length / 4))
  const part = (i: number): [string][] => hashesOf(free.slice(i * size, (i + 1) * size))
  const transactions = manifest.transactions.slice(6000)
  const onePerBlock = [...new Map(transactions.map((tx) => [tx.height, tx])).values()]
  const ranges = Array.from({ length: manifest.tip.height - HALF_A_DAY_OF_HEADERS }, (_, i) => [
    i,
    HALF_A_DAY_OF_HEADERS,
  ])
  const script = 'blockchain.scripthash'
  const cases: QueryCase[] = [
    { name: 'cold balance', requests: requests(`${script}.get_balance`, part(0)), mark: 15_000 },
    { name: 'cold history', requests: requests(`${script}.get_history`, part(1)), mark: 15_000 },
    { name: 'cold unspent', requests: requests(`${script}.listunspent`, part(2)) },
    { name: 'cold subscribe', requests: requests(`${script}.subscribe`, part(3)), mark: 15_000 },
    {
      name: 'cold merkle',
      requests: requests(
        'blockchain.transaction.get_merkle',
        onePerBlock.map(({ txid, height }) => [txid, height]),
      ),
    },
    {
      name: 'cold tx',
      requests: requests(
        'blockchain.transaction.get',
        transactions.map(({ txid }) => [txid]),
      ),
    },
    { name: 'cold headers', requests: requests('blockchain.block.headers', ranges) },
  ]
  return cases.filter((entry) => entry.requests.length > 0)
}
