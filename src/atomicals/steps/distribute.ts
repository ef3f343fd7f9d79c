import type { PlacedTx } from '../ledger.ts'
import { type DistributedResult, type DistributedRules, judgeDistributed, mintTicker } from '../mint/distributed.ts'
import { argsOf } from '../mint/request.ts'
import { holderOf } from '../parents.ts'
import type { Past } from '../past.ts'
import type { IdText } from '../transfer/holding.ts'
import type { TxOperation } from './colour.ts'
import type { CommitPlace } from './mint.ts'

export interface Distributed {
  readonly id: IdText
  readonly result: DistributedResult
}

// CONSENSUS: who has a ticker is asked once in a block: the first mint of it decides for those after.
/** Tickers that mints of the block have asked for, with the token that has each. */
export type TickerMemory = Map<string, IdText>

/** What becomes of a `dmt`. Undefined if the transaction is none, or of a token that is none. */
export async function distribute(
  past: Past,
  placed: PlacedTx,
  { op, inputIndex, payload }: TxOperation,
  commitOf: () => CommitPlace | undefined,
  tickers: TickerMemory,
  rules: DistributedRules,
): Promise<Distributed | undefined> {
  if (op !== 'dmt' || inputIndex !== 0) return undefined
  const args = argsOf(payload)
  const ticker = args === undefined ? undefined : mintTicker(args)
  const id = ticker === undefined ? undefined : await tokenOf(past, ticker, placed.height, tickers)
  const terms = id === undefined ? undefined : past.atomical(id)?.terms
  const input = placed.tx.inputs[0]
  const output = placed.tx.outputs[0]
  if (id === undefined || terms === undefined || input === undefined || output === undefined) return undefined
  const mint = {
    height: placed.height,
    commitHeight: commitOf()?.height,
    commitIndex: input.prevIndex,
    value: output.value,
    txs: { commitTxid: input.prevTxid, revealTxid: placed.txid },
  }
  return { id, result: judgeDistributed(terms, mint, () => past.mintCount(id), rules) }
}

async function tokenOf(past: Past, ticker: string, height: number, tickers: TickerMemory): Promise<IdText | undefined> {
  const known = tickers.get(ticker)
  if (known !== undefined) return known
  const holder = await holderOf(past, 'ticker', ticker, height)
  if (holder.status !== 'verified') return undefined
  tickers.set(ticker, holder.id)
  return holder.id
}
