import { parseWholeTx } from '../chain/tx.ts'
import { DaemonError, ParseError } from '../errors.ts'
import { fromHex, toDisplayHex } from '../lib/bytes.ts'
import type { NodeOutput, Outpoint } from './daemon.ts'
import type { Bounds } from './exchange.ts'
import { NodeFailure } from './failure.ts'
import type { RpcResult } from './http-client.ts'
import type { BitcoinNode } from './node.ts'
import { readAs, readReply } from './read-reply.ts'
import * as replies from './replies.ts'
import type { TransactionAsk } from './transaction-batches.ts'

/** What the node has for each; one that is not what was asked for spoils all, for the next node to be asked. */
export async function confirmedBatchOf(
  node: BitcoinNode,
  asks: readonly TransactionAsk[],
  bounds: Bounds,
): Promise<(Uint8Array | DaemonError)[]> {
  const params = asks.map(({ txid, blockHash }) => (blockHash === undefined ? [txid] : [txid, false, blockHash]))
  const outcomes = await node.rpc.batch('getrawtransaction', params, bounds)
  return outcomes.map((outcome, index) => {
    if (outcome instanceof DaemonError) return outcome
    const raw = readAs('getrawtransaction', () => outcome.hex())
    return checkedTransaction(asks[index]?.txid ?? '', raw, node)
  })
}

/** Throws NodeFailure `wrong` if `raw` is not the transaction `txid`. */
export function checkedTransaction(txid: string, raw: Uint8Array, { address }: BitcoinNode): Uint8Array {
  let found: string
  try {
    found = toDisplayHex(parseWholeTx(raw).txid)
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new NodeFailure('wrong', `bitcoind at ${address} sent as transaction ${txid} what is none`, { cause: error })
  }
  if (found === txid) return raw
  throw new NodeFailure('wrong', `bitcoind at ${address} sent transaction ${found} when asked for ${txid}`)
}

const SATOSHIS = 100_000_000

/** Undefined for what is spent or was never there. */
export async function outputsOf(
  node: BitcoinNode,
  outpoints: readonly Outpoint[],
  bounds: Bounds,
): Promise<(NodeOutput | undefined)[]> {
  // False: outputs that the mempool spends are unspent still.
  const params = outpoints.map(({ txid, vout }) => [txid, vout, false])
  const outcomes = await node.rpc.batch('gettxout', params, bounds)
  return outcomes.map((outcome) => {
    if (outcome instanceof DaemonError) throw outcome
    const reply = readReply('gettxout', outcome, replies.TxOutReply)
    if (reply === null) return undefined
    const { bestblock, value, scriptPubKey } = reply
    // Eight decimals below 2^53 satoshis come back exact.
    return { bestBlock: bestblock, script: fromHex(scriptPubKey.hex), value: BigInt(Math.round(value * SATOSHIS)) }
  })
}

/** Undefined for what bitcoind no longer has. */
export async function transactionsOf(
  node: BitcoinNode,
  txids: readonly string[],
  bounds: Bounds,
): Promise<(Uint8Array | undefined)[]> {
  const params = txids.map((txid) => [txid])
  const outcomes: (RpcResult | DaemonError)[] = await node.rpc.batch('getrawtransaction', params, bounds)
  return outcomes.map((outcome) => {
    if (!(outcome instanceof DaemonError)) return readAs('getrawtransaction', () => outcome.hex())
    if (outcome.daemonCode === replies.NOT_FOUND) return undefined
    throw outcome
  })
}
