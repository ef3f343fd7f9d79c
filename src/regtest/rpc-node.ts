import { addressOf, BITCOIN_ADDRESSES, scriptOfAddress } from '../chain/address.ts'
import { parseWholeTx, type Tx } from '../chain/tx.ts'
import { ParseError } from '../errors.ts'
import { fromHex, isHex } from '../lib/bytes.ts'
import type { Json, JsonObject } from './json.ts'
import type { Mempool, MempoolEntry } from './mempool.ts'
import { CLUSTER_COUNT_LIMIT, CLUSTER_SIZE_LIMIT, type Policy } from './policy.ts'
import { type Args, asText, RPC, type RpcCall, type RpcContext, RpcFault } from './rpc.ts'
import { mempoolEntryJson, NODE_WARNINGS } from './shapes.ts'

const VERSION = 319_900
const NETWORKS = ['ipv4', 'ipv6', 'onion', 'i2p', 'cjdns']
/** What an entry takes in memory, roughly. */
const USAGE_PER_ENTRY = 1000

export function mempoolInfoJson(mempool: Mempool, policy: Policy): JsonObject {
  return {
    loaded: true,
    size: mempool.size,
    bytes: mempool.bytes,
    usage: mempool.size * USAGE_PER_ENTRY,
    total_fee: mempool.totalFee,
    maxmempool: 300_000_000,
    mempoolminfee: policy.minRelayRate,
    minrelaytxfee: policy.minRelayRate,
    incrementalrelayfee: policy.incrementalRate,
    unbroadcastcount: mempool.unbroadcastCount,
    permitbaremultisig: true,
    maxdatacarriersize: policy.maxDataCarrierBytes,
    limitclustercount: CLUSTER_COUNT_LIMIT,
    limitclustersize: CLUSTER_SIZE_LIMIT,
    optimal: true,
  }
}

/** All of the mempool: ids, ids with the sequence number, or every entry. */
export function mempoolJson(mempool: Mempool, verbose: boolean, sequence: boolean): Json {
  if (verbose) return entriesJson(mempool, mempool.entries())
  const txids = [...mempool.entries()].map(({ txid }) => txid)
  return sequence ? { txids, mempool_sequence: Number(mempool.sequence) } : txids
}

function entriesJson(mempool: Mempool, entries: Iterable<MempoolEntry>): JsonObject {
  return Object.fromEntries([...entries].map((entry) => [entry.txid, mempoolEntryJson(mempool, entry)]))
}

function getRawMempool({ core }: RpcContext, args: Args): Json {
  const verbose = args.flag(0, false)
  const sequence = args.flag(1, false)
  if (verbose && sequence) {
    throw new RpcFault(RPC.invalidParameter, 'Verbose results cannot contain mempool sequence values.')
  }
  return mempoolJson(core.mempool, verbose, sequence)
}

function entryOf({ core }: RpcContext, txid: string): MempoolEntry {
  const entry = core.mempool.get(txid)
  if (entry === undefined) throw new RpcFault(RPC.notFound, 'Transaction not in mempool')
  return entry
}

function relatives(name: string, of: (mempool: Mempool, entry: MempoolEntry) => Iterable<MempoolEntry>): RpcCall {
  return {
    name,
    params: [
      { name: 'txid', type: 'string' },
      { name: 'verbose', type: 'bool', optional: true },
    ],
    run: (context, args) => {
      const { mempool } = context.core
      const related = of(mempool, entryOf(context, args.hash(0, 'txid')))
      return args.flag(1, false) ? entriesJson(mempool, related) : [...related].map(({ txid }) => txid)
    },
  }
}

function estimateSmartFee(_context: RpcContext, args: Args): JsonObject {
  const target = args.integer(0)
  if (target < 1 || target > 1008) {
    throw new RpcFault(RPC.invalidParameter, 'Invalid conf_target, must be between 1 and 1008')
  }
  const mode = args.has(1) ? args.text(1).toLowerCase() : 'unset'
  if (!['unset', 'economical', 'conservative'].includes(mode)) {
    const message = 'Invalid estimate_mode parameter, must be one of: "unset", "economical", "conservative"'
    throw new RpcFault(RPC.invalidParameter, message)
  }
  // Nothing is ever estimated here, as on any regtest node that has not seen many blocks fill up.
  return { errors: ['Insufficient data or no feerate found'], blocks: 0 }
}

function networkInfo({ core }: RpcContext): JsonObject {
  const { policy } = core.acceptor
  return {
    version: VERSION,
    subversion: '/Satoshi:31.99.0/',
    protocolversion: 70017,
    localservices: '0000000000000c09',
    localservicesnames: ['NETWORK', 'WITNESS', 'NETWORK_LIMITED', 'P2P_V2'],
    localrelay: true,
    timeoffset: 0,
    networkactive: true,
    connections: 0,
    connections_in: 0,
    connections_out: 0,
    networks: NETWORKS.map((name) => ({
      name,
      limited: true,
      reachable: false,
      proxy: '',
      proxy_randomize_credentials: false,
    })),
    relayfee: policy.minRelayRate,
    incrementalfee: policy.incrementalRate,
    localaddresses: [],
    warnings: NODE_WARNINGS,
  }
}

function indexInfo({ core }: RpcContext, args: Args): JsonObject {
  if (core.index === undefined) return {}
  const state = { synced: true, best_block_height: core.chain.height }
  const all: JsonObject = { txindex: state, txospenderindex: state }
  if (!args.has(0)) return all
  const name = args.text(0)
  const one = all[name]
  return one === undefined ? {} : { [name]: one }
}

function scriptOf(address: string): Uint8Array {
  try {
    return scriptOfAddress(address, BITCOIN_ADDRESSES.regtest)
  } catch (error) {
    if (error instanceof ParseError) throw new RpcFault(RPC.notFound, 'Error: Invalid address')
    throw error
  }
}

function generate(context: RpcContext, count: number, script: Uint8Array): string[] {
  if (count < 0 || count > 10_000) throw new RpcFault(RPC.invalidParameter, 'nblocks out of range')
  return context.core.mine(count, script)
}

/** Mines one block with transactions given raw or by mempool id, and with nothing else. */
function generateBlock({ core }: RpcContext, args: Args): JsonObject {
  const script = outputOf(args.text(0))
  let fees = 0n
  const txs = args
    .list(1)
    .map(asText)
    .map((text): Tx => {
      const entry = core.mempool.get(text)
      if (entry !== undefined) {
        fees += entry.fee
        return entry.tx
      }
      if (/^[0-9a-f]{64}$/i.test(text)) throw new RpcFault(RPC.notFound, `Transaction ${text} not in mempool.`)
      if (!isHex(text))
        throw new RpcFault(
          RPC.deserialization,
          `Transaction decode failed for ${text}. Make sure the tx has at least one input.`,
        )
      return parseWholeTx(fromHex(text))
    })
  try {
    return { hash: core.mineWith(script, txs, fees) }
  } catch (error) {
    if (error instanceof RangeError) throw new RpcFault(-25, `TestBlockValidity failed: ${error.message}`)
    throw error
  }
}

/** The script of `addr(…)`, `raw(…)` or a bare address. */
function outputOf(text: string): Uint8Array {
  const descriptor = /^(addr|raw)\(([^)]*)\)(?:#.*)?$/.exec(text)
  const inner = descriptor?.[2]
  if (inner === undefined) return scriptOf(text)
  if (descriptor?.[1] === 'addr') return scriptOf(inner)
  if (!isHex(inner)) throw new RpcFault(RPC.notFound, 'Raw script is not hex')
  return fromHex(inner)
}

export const NODE_CALLS: readonly RpcCall[] = [
  {
    name: 'getrawmempool',
    params: [
      { name: 'verbose', type: 'bool', optional: true },
      { name: 'mempool_sequence', type: 'bool', optional: true },
    ],
    run: getRawMempool,
  },
  { name: 'getmempoolinfo', params: [], run: ({ core }) => mempoolInfoJson(core.mempool, core.acceptor.policy) },
  {
    name: 'getmempoolentry',
    params: [{ name: 'txid', type: 'string' }],
    run: (context, args) => mempoolEntryJson(context.core.mempool, entryOf(context, args.hash(0, 'txid'))),
  },
  relatives('getmempoolancestors', (mempool, entry) => mempool.ancestors(entry)),
  relatives('getmempooldescendants', (mempool, entry) => mempool.descendants(entry)),
  {
    name: 'estimatesmartfee',
    params: [
      { name: 'conf_target', type: 'number' },
      { name: 'estimate_mode', type: 'string', optional: true },
    ],
    run: estimateSmartFee,
  },
  { name: 'getnetworkinfo', params: [], run: networkInfo },
  { name: 'getconnectioncount', params: [], run: () => 0 },
  { name: 'getpeerinfo', params: [], run: () => [] },
  { name: 'ping', params: [], run: () => null },
  { name: 'uptime', params: [], run: (context) => context.uptime() },
  { name: 'getindexinfo', params: [{ name: 'index_name', type: 'string', optional: true }], run: indexInfo },
  {
    name: 'getzmqnotifications',
    params: [],
    run: (context) => context.zmq().map(({ type, address }) => ({ type, address, hwm: 1000 })),
  },
  {
    name: 'generatetoaddress',
    params: [
      { name: 'nblocks', type: 'number' },
      { name: 'address', type: 'string' },
      { name: 'maxtries', type: 'number', optional: true },
    ],
    run: (context, args) => generate(context, args.integer(0), scriptOf(args.text(1))),
  },
  {
    name: 'generatetodescriptor',
    params: [
      { name: 'num_blocks', type: 'number' },
      { name: 'descriptor', type: 'string' },
      { name: 'maxtries', type: 'number', optional: true },
    ],
    run: (context, args) => generate(context, args.integer(0), outputOf(args.text(1))),
  },
  {
    name: 'generateblock',
    params: [
      { name: 'output', type: 'string' },
      { name: 'transactions', type: 'array', usage: '["rawtx/txid",...]' },
    ],
    run: generateBlock,
  },
  {
    name: 'validateaddress',
    params: [{ name: 'address', type: 'string' }],
    run: (_context, args) => validateAddress(args.text(0)),
  },
]

function validateAddress(address: string): JsonObject {
  try {
    const script = scriptOfAddress(address, BITCOIN_ADDRESSES.regtest)
    return { isvalid: true, address: addressOf(script, BITCOIN_ADDRESSES.regtest) ?? address }
  } catch (error) {
    if (error instanceof ParseError) return { isvalid: false }
    throw error
  }
}
