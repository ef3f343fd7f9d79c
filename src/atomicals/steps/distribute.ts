import type { DeploySource } from '../deploys.ts'
import type { HeldRow } from '../layout.ts'
import type { PlacedTx } from '../ledger.ts'
import { type DistributedResult, type DistributedRules, judgeDistributed, mintTicker } from '../mint/distributed.ts'
import { argsOf } from '../mint/request.ts'
import { holderOf } from '../parents.ts'
import type { Past, Pasts } from '../past.ts'
import type { IdText } from '../transfer/holding.ts'
import type { TxOperation } from './colour.ts'
import type { CommitPlace, Deploy } from './mint.ts'

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

/** Tokens that an output is marked with at most. */
const MOST_TOKENS = 20

/**
 * What a `dmt` that is not confirmed brings output 0 if other unconfirmed transactions come later than it does, or if it
 * comes later itself: where only mints before it are in its way, or the ticker or a height is not there yet. More mints
 * never ask less work, so those that are confirmed are counted. A ticker that neither the chain nor `deploys` has is
 * nobody's: no order of what there is makes such a mint one, and there is no id to name.
 */
export async function unitsOnceOthersGiveWay(
  { confirmed, txCount }: Pasts,
  deploys: DeploySource,
  placed: PlacedTx,
  { inputIndex, payload }: TxOperation,
  commit: CommitPlace,
  rules: DistributedRules,
): Promise<readonly HeldRow[]> {
  const args = inputIndex === 0 ? argsOf(payload) : undefined
  const ticker = args === undefined ? undefined : mintTicker(args)
  const input = placed.tx.inputs[0]
  const output = placed.tx.outputs[0]
  if (ticker === undefined || input === undefined || output === undefined) return []
  const mint = {
    height: Number.POSITIVE_INFINITY,
    commitHeight: commit.txNum < txCount ? commit.height : Number.POSITIVE_INFINITY,
    commitIndex: input.prevIndex,
    value: output.value,
    txs: { commitTxid: input.prevTxid, revealTxid: placed.txid },
  }
  const rows = new Map<IdText, HeldRow>()
  for (const { id, terms } of [
    ...(await confirmedTokens(confirmed, ticker, placed.height)),
    ...deploys.of(ticker, output.value),
  ]) {
    const count = () => confirmed.mintCount(id)
    if (judgeDistributed(terms, mint, count, rules) === 'minted') {
      rows.set(id, { id, kind: 'token', value: Number(output.value) })
    }
    if (rows.size === MOST_TOKENS) break
  }
  return [...rows.values()]
}

/** Those that ask for a ticker. Nobody behind the one who has it for sure ever gets it. */
async function confirmedTokens(confirmed: Past, ticker: string, height: number): Promise<Omit<Deploy, 'ticker'>[]> {
  const settled = await holderOf(confirmed, 'ticker', ticker, height)
  const tokens: Omit<Deploy, 'ticker'>[] = []
  for (const { id } of await confirmed.candidates('ticker', ticker)) {
    const terms = confirmed.atomical(id)?.terms
    if (terms !== undefined) tokens.push({ id, terms })
    if (tokens.length === MOST_TOKENS || (settled.status === 'verified' && settled.id === id)) break
  }
  return tokens
}

async function tokenOf(past: Past, ticker: string, height: number, tickers: TickerMemory): Promise<IdText | undefined> {
  const known = tickers.get(ticker)
  if (known !== undefined) return known
  const holder = await holderOf(past, 'ticker', ticker, height)
  if (holder.status !== 'verified') return undefined
  tickers.set(ticker, holder.id)
  return holder.id
}
