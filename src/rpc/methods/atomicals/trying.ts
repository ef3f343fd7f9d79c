import { burntNfts } from '../../../atomicals/format/blueprint.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import type { TxOperation } from '../../../atomicals/steps/colour.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { type Judged, Trial, UnfitForTrial } from '../../../atomicals/trial.ts'
import { type Psbt, parsePsbt, psbtBytes } from '../../../chain/psbt.ts'
import { parseWholeTx, type Tx } from '../../../chain/tx.ts'
import { ERROR_CODES, ParseError, RpcError } from '../../../errors.ts'
import { fromHex } from '../../../lib/bytes.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { unconfirmedParents } from './unconfirmed-parents.ts'

/*
 * What transactions would do that clients ask about or want to send. The answer is as of the next block, with what the
 * transaction stands on applied first where that is not confirmed.
 */

export interface Attempt {
  readonly trial: Trial
  readonly judged: Judged
}

/** Runs a transaction over the index. `operation`: another one than its witnesses show. Throws RpcError 1. */
export async function attempt(answers: AtomicalsAnswers, tx: Tx, operation?: TxOperation): Promise<Attempt> {
  const { ctx, view, rows, settings } = answers
  try {
    const trial = new Trial({ heights: settings.heights }, { view, rows })
    for (const parent of await unconfirmedParents(ctx, tx)) await trial.apply(parent, ctx.signal)
    return { trial, judged: await trial.judge(tx, operation, ctx.signal) }
  } catch (error) {
    if (!(error instanceof UnfitForTrial)) throw error
    throw new RpcError(ERROR_CODES.badRequest.code, `the transaction ${error.message}`, { cause: error })
  }
}

/** A transaction in hex. Throws RpcError 1 for what is none. */
export function txOf(raw: string): Tx {
  return parsed('the transaction', () => parseWholeTx(fromHex(raw)))
}

/** A PSBT in hex or base64. Throws RpcError 1 for what is none. */
export function psbtOf(text: string): Psbt {
  return parsed('the PSBT', () => parsePsbt(psbtBytes(text)))
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof ParseError) throw badRequest(`${what} cannot be read: ${error.message}`)
    throw error
  }
}

/** Tokens that a refusal names. */
const MOST_NAMED = 10

// The reference refuses for tokens alone: that an NFT is lost is what some wallets mean by z.
/** Throws RpcError 800422 for a transaction that burns tokens. */
export function requireNothingBurnt(judged: Judged): void {
  const { burnt } = judged.coloured.blueprint
  if (burnt.size === 0) return
  const sums = spentSums(judged)
  const named = [...burnt]
    .slice(0, MOST_NAMED)
    .map(([id, units]) => `${units} of ${sums.get(id) ?? units} units of ${compactOfIdText(id)} find no output`)
  if (burnt.size > MOST_NAMED) named.push(`and so do units of ${burnt.size - MOST_NAMED} more tokens`)
  const nfts = burntNfts(judged).size
  if (nfts > 0) named.push(`${nfts} NFTs go to no output`)
  throw new RpcError(
    ERROR_CODES.atomicalsRule.code,
    `the transaction was rejected by atomicals rules.\n\n${named.join('\n')}\n` +
      'blockchain.transaction.broadcast_force sends it all the same',
  )
}

function spentSums({ spent }: Judged): Map<IdText, bigint> {
  const sums = new Map<IdText, bigint>()
  for (const { id, value } of spent.flatMap(({ row }) => row.held)) sums.set(id, (sums.get(id) ?? 0n) + BigInt(value))
  return sums
}
