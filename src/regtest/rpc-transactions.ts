import { parseWholeTx, Tx } from '../chain/tx.ts'
import { ParseError } from '../errors.ts'
import { fromDisplayHex, fromHex, isHex, toDisplayHex, toHex } from '../lib/bytes.ts'
import type { Acceptance } from './acceptor.ts'
import type { BlockNode } from './block-tree.ts'
import { isUnspendableScript, spentCoins } from './coin-changes.ts'
import type { RegtestCore } from './core.ts'
import type { Json, JsonObject } from './json.ts'
import { isChildWithIndependentParents, PACKAGE_LIMIT, resultError, submitPackage, testPackage } from './packages.ts'
import { feeAtRate } from './policy.ts'
import { rejectText } from './reject.ts'
import { type Args, asHash, asInteger, asText, isRecord, RPC, type RpcCall, type RpcContext, RpcFault } from './rpc.ts'
import { verbosityOf } from './rpc-chain.ts'
import { confirmationsOf, txJson } from './shapes.ts'

/** BTC per 1000 virtual bytes that a client has to allow explicitly if it wants to pay more, in satoshis. */
const DEFAULT_MAX_RATE = 10_000_000n
const ONE_BTC = 100_000_000n
const DECODE_FAILED = 'TX decode failed. Make sure the tx has at least one input.'
const TOO_MUCH_BURNT = 'Unspendable output exceeds maximum configured by user (maxburnamount)'
const NO_TX = 'Use gettransaction for wallet transactions.'

function decode(hex: string, failure: string): Tx {
  try {
    if (isHex(hex)) return withoutInputs(hex) ?? parseWholeTx(fromHex(hex))
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
  }
  throw new RpcFault(RPC.deserialization, failure)
}

/** Core reads `version 00 00 locktime` as a transaction of nothing, and refuses it later. */
function withoutInputs(hex: string): Tx | undefined {
  const raw = fromHex(hex)
  if (raw.length !== 10 || raw[4] !== 0 || raw[5] !== 0) return undefined
  return new Tx({ version: 2, inputs: [], outputs: [], locktime: 0 }, raw, raw.length)
}

function checkBurn(tx: Tx, limit: bigint): void {
  const burns = tx.outputs.some(({ value, script }) => isUnspendableScript(script) && value > limit)
  if (burns) throw new RpcFault(RPC.transaction, TOO_MUCH_BURNT)
}

/** Satoshis per 1000 virtual bytes; 0 = no limit. */
function maxRateOf(args: Args): bigint {
  const rate = args.amount(1) ?? DEFAULT_MAX_RATE
  if (rate >= ONE_BTC)
    throw new RpcFault(RPC.invalidParameter, 'Fee rates larger than or equal to 1BTC/kvB are not accepted')
  return rate
}

function sendRawTransaction({ core }: RpcContext, args: Args): string {
  const burnLimit = args.amount(2) ?? 0n
  const tx = decode(args.text(0), DECODE_FAILED)
  checkBurn(tx, burnLimit)
  const maxRate = maxRateOf(args)
  const txid = toDisplayHex(tx.txid)
  if (core.acceptor.isConfirmed(tx)) {
    throw new RpcFault(RPC.alreadyConfirmed, 'Transaction outputs already in utxo set')
  }
  if (core.mempool.get(txid) !== undefined) return txid
  if (maxRate > 0n) checkMaxFee(core, tx, maxRate)
  throwIfRejected(core.acceptor.accept(tx))
  core.mempool.setUnbroadcast(txid)
  return txid
}

function checkMaxFee(core: RegtestCore, tx: Tx, maxRate: bigint): void {
  const result = core.acceptor.accept(tx, { test: true })
  throwIfRejected(result)
  if (result.kind === 'accepted' && result.fee > feeAtRate(maxRate, tx.vsize)) {
    const message = 'Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)'
    throw new RpcFault(RPC.transaction, message)
  }
}

function throwIfRejected(result: Acceptance): void {
  if (result.kind !== 'rejected') return
  const code = result.reject.kind === 'inputs' ? RPC.transaction : RPC.rejected
  throw new RpcFault(code, rejectText(result.reject))
}

function packageOf(args: Args): Tx[] {
  const list = args.list(0)
  if (list.length < 1 || list.length > PACKAGE_LIMIT) {
    throw new RpcFault(RPC.invalidParameter, `Array must contain between 1 and ${PACKAGE_LIMIT} transactions.`)
  }
  return list.map(asText).map((hex) => decode(hex, `TX decode failed: ${hex} Make sure the tx has at least one input.`))
}

function testMempoolAccept({ core }: RpcContext, args: Args): Json {
  const maxRate = maxRateOf(args)
  const txs = packageOf(args)
  const [first] = txs
  const outcome =
    txs.length === 1 && first !== undefined
      ? {
          problem: undefined,
          results: new Map([[toDisplayHex(first.wtxid), core.acceptor.accept(first, { test: true })]]),
        }
      : testPackage(core.acceptor, txs)
  let stopped = false
  return txs.map((tx): JsonObject => {
    const ids = { txid: toDisplayHex(tx.txid), wtxid: toDisplayHex(tx.wtxid) }
    const error = outcome.problem?.policy === true ? { 'package-error': outcome.problem.text } : {}
    const result = outcome.results.get(ids.wtxid)
    if (stopped || result === undefined) return { ...ids, ...error }
    const tooMuch = result.kind === 'accepted' && maxRate > 0n && result.fee > feeAtRate(maxRate, result.vsize)
    stopped = tooMuch
    if (tooMuch) return { ...ids, ...error, allowed: false, 'reject-reason': 'max-fee-exceeded' }
    return { ...ids, ...error, ...verdictJson(result) }
  })
}

function verdictJson(result: Acceptance): JsonObject {
  if (result.kind === 'rejected') {
    const { reject } = result
    if (reject.kind === 'inputs') return { allowed: false, 'reject-reason': 'missing-inputs' }
    return { allowed: false, 'reject-reason': reject.reason, 'reject-details': rejectText(reject) }
  }
  return result.kind === 'accepted' ? { allowed: true, vsize: result.vsize, fees: feesJson(result) } : {}
}

function feesJson(result: Acceptance & { kind: 'accepted' }): JsonObject {
  return { base: result.fee, 'effective-feerate': result.rate, 'effective-includes': result.includes }
}

function submitPackageCall({ core }: RpcContext, args: Args): JsonObject {
  const maxRate = maxRateOf(args)
  const burnLimit = args.amount(2) ?? 0n
  const txs = packageOf(args)
  for (const tx of txs) checkBurn(tx, burnLimit)
  if (txs.length > 1 && !isChildWithIndependentParents(txs)) {
    const message = 'package topology disallowed. not child-with-parents or parents depend on each other.'
    throw new RpcFault(RPC.transaction, message)
  }
  const outcome = submitPackage(core.acceptor, txs, maxRate === 0n ? undefined : maxRate)
  const results = txs.map((tx): [string, JsonObject] => {
    const wtxid = toDisplayHex(tx.wtxid)
    return [wtxid, { txid: toDisplayHex(tx.txid), ...packageResultJson(outcome.results.get(wtxid)) }]
  })
  const replaced = [...outcome.results.values()].flatMap((result) =>
    result.kind === 'accepted' ? result.replaced : [],
  )
  return {
    package_msg: outcome.problem?.text ?? 'success',
    'tx-results': Object.fromEntries(results),
    'replaced-transactions': [...new Set(replaced)].sort(),
  }
}

function packageResultJson(result: Acceptance | undefined): JsonObject {
  if (result === undefined) return { error: 'package-not-validated' }
  if (result.kind === 'other-witness') return { 'other-wtxid': result.wtxid }
  if (result.kind === 'rejected') return { error: resultError(result) }
  return { vsize: result.vsize, fees: result.kind === 'known' ? { base: result.fee } : feesJson(result) }
}

interface FoundTx {
  readonly tx: Tx
  readonly node: BlockNode | undefined
}

function findTransaction(core: RegtestCore, txid: string, blockId: string | undefined): FoundTx {
  const node = blockId === undefined ? undefined : core.chain.tree.get(blockId)
  if (blockId !== undefined && node === undefined) throw new RpcFault(RPC.notFound, 'Block hash not found')
  const found = node === undefined ? lookUp(core, txid) : findIn(core, txid, node)
  if (found !== undefined) return found
  if (node !== undefined) throw new RpcFault(RPC.notFound, `No such transaction found in the provided block. ${NO_TX}`)
  const where =
    core.index === undefined
      ? 'No such mempool transaction. Use -txindex or provide a block hash to enable blockchain transaction queries. '
      : 'No such mempool or blockchain transaction. '
  throw new RpcFault(RPC.notFound, `${where}${NO_TX}`)
}

/** A transaction of the mempool or, where there is an index, of the chain. */
export function lookUp(core: RegtestCore, txid: string): FoundTx | undefined {
  const entry = core.mempool.get(txid)
  if (entry !== undefined) return { tx: entry.tx, node: undefined }
  return core.index?.find(fromDisplayHex(txid))
}

/** A transaction of one block, which is read whole only if no index tells where in it the transaction is. */
function findIn(core: RegtestCore, txid: string, node: BlockNode): FoundTx | undefined {
  const indexed = core.index?.find(fromDisplayHex(txid))
  if (indexed?.node === node) return indexed
  const tx = core.chain.readBlock(node).txs.find((each) => toDisplayHex(each.txid) === txid)
  return tx && { tx, node }
}

function getRawTransaction({ core }: RpcContext, args: Args): string | JsonObject {
  const txid = args.hash(0, 'parameter 1')
  if (txid === GENESIS_TXID) {
    const message = 'The genesis block coinbase is not considered an ordinary transaction and cannot be retrieved'
    throw new RpcFault(RPC.notFound, message)
  }
  const verbosity = verbosityOf(args, 1, 0)
  const blockId = args.has(2) ? args.hash(2, 'parameter 3') : undefined
  const { tx, node } = findTransaction(core, txid, blockId)
  if (verbosity <= 0) return toHex(tx.raw)
  const inChain = node === undefined || blockId === undefined ? undefined : core.chain.isActive(node)
  return { in_active_chain: inChain, ...confirmedTxJson(core, { tx, node }, verbosity >= 2) }
}

const GENESIS_TXID = '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b'

/** A transaction with where it is in the chain. */
export function confirmedTxJson(core: RegtestCore, { tx, node }: FoundTx, prevouts: boolean): JsonObject {
  if (node === undefined) return txJson(tx)
  const place = core.chain.isActive(node)
    ? { confirmations: confirmationsOf(core.chain, node), time: node.header.time, blocktime: node.header.time }
    : { confirmations: 0 }
  const coins = prevouts && !tx.isCoinbase ? spentBy(core, tx, node) : undefined
  return { ...txJson(tx, coins && { coins, prevouts }), blockhash: node.id, ...place }
}

function spentBy(core: RegtestCore, tx: Tx, node: BlockNode): ReturnType<typeof spentCoins>[number] | undefined {
  const undo = core.chain.store.undoSync(node)
  const txid = toDisplayHex(tx.txid)
  const position = core.chain.readBlock(node).txs.findIndex((each) => toDisplayHex(each.txid) === txid)
  return undo && spentCoins(undo)[position]
}

function getTxSpendingPrevout({ core }: RpcContext, args: Args): Json {
  const outputs = args.list(0)
  if (outputs.length === 0) throw new RpcFault(RPC.invalidParameter, 'Invalid parameter, outputs are missing')
  const given = args.raw(1)
  const options = isRecord(given) ? given : {}
  const mempoolOnly = options['mempool_only'] ?? core.index === undefined
  const withTx = options['return_spending_tx'] === true
  return outputs.map((output): JsonObject => {
    const record = isRecord(output) ? output : {}
    const txid = asHash(record['txid'], 'txid')
    const vout = asInteger(record['vout'])
    if (vout < 0) throw new RpcFault(RPC.invalidParameter, 'Invalid parameter, vout cannot be negative')
    const spender = findSpender(core, fromDisplayHex(txid), vout, mempoolOnly === true)
    return {
      txid,
      vout,
      spendingtxid: spender && toDisplayHex(spender.tx.txid),
      spendingtx: spender && withTx ? toHex(spender.tx.raw) : undefined,
      blockhash: spender?.node?.id,
    }
  })
}

function findSpender(core: RegtestCore, txid: Uint8Array, vout: number, mempoolOnly: boolean): FoundTx | undefined {
  const entry = core.mempool.spenderOf(txid, vout)
  if (entry !== undefined) return { tx: entry.tx, node: undefined }
  if (mempoolOnly) return undefined
  if (core.index === undefined) {
    throw new RpcFault(RPC.misc, 'Mempool lacks a relevant spend, and txospenderindex is unavailable.')
  }
  return core.index.spenderOf(txid, vout)
}

const MAX_RATE = { name: 'maxfeerate', type: 'amount', optional: true } as const
const MAX_BURN = { name: 'maxburnamount', type: 'amount', optional: true } as const

export const TRANSACTION_CALLS: readonly RpcCall[] = [
  {
    name: 'sendrawtransaction',
    params: [{ name: 'hexstring', type: 'string' }, MAX_RATE, MAX_BURN],
    run: sendRawTransaction,
  },
  {
    name: 'testmempoolaccept',
    params: [{ name: 'rawtxs', type: 'array', usage: '["rawtx",...]' }, MAX_RATE],
    run: testMempoolAccept,
  },
  {
    name: 'submitpackage',
    params: [{ name: 'package', type: 'array', usage: '["rawtx",...]' }, MAX_RATE, MAX_BURN],
    run: submitPackageCall,
  },
  {
    name: 'getrawtransaction',
    params: [
      { name: 'txid', type: 'string' },
      { name: 'verbosity', type: 'any', optional: true },
      { name: 'blockhash', type: 'string', optional: true },
    ],
    run: getRawTransaction,
  },
  {
    name: 'gettxspendingprevout',
    params: [
      { name: 'outputs', type: 'array', usage: '[{"txid":"hex","vout":n},...]' },
      { name: 'options', type: 'object', optional: true },
    ],
    run: getTxSpendingPrevout,
  },
]
