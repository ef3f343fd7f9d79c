import { Deploys } from '../../../atomicals/deploys.ts'
import { burntNfts } from '../../../atomicals/format/blueprint.ts'
import { type AtomicalsRules, rulesAt } from '../../../atomicals/height-rules.ts'
import { compactOfIdText } from '../../../atomicals/id-text.ts'
import { findOperation } from '../../../atomicals/operation.ts'
import type { TxOperation } from '../../../atomicals/steps/colour.ts'
import type { IdText } from '../../../atomicals/transfer/holding.ts'
import { type Judged, Trial, UnfitForTrial } from '../../../atomicals/trial.ts'
import { type Psbt, parsePsbt, psbtBytes } from '../../../chain/psbt.ts'
import { parseWholeTx, type Tx } from '../../../chain/tx.ts'
import { ERROR_CODES, ParseError, RpcError } from '../../../errors.ts'
import { fromHex, toDisplayHex, toLatin1 } from '../../../lib/bytes.ts'
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
export function attempt(answers: AtomicalsAnswers, tx: Tx, operation?: TxOperation): Promise<Attempt> {
  return fit('the transaction', () =>
    inTrial(answers, [tx], async (trial) => ({
      trial,
      judged: await trial.judge(tx, operation, answers.ctx.signal),
    })))
}

/** Runs transactions over the index of which later ones may stand on earlier ones. Throws RpcError 1. */
export function attemptInTurn(answers: AtomicalsAnswers, txs: readonly Tx[]): Promise<readonly Judged[]> {
  const { signal } = answers.ctx
  return fit('the tx package', () => {
    requireSpentOnce(txs)
    return inTrial(answers, txs, async (trial) => {
      const judged: Judged[] = []
      for (const tx of txs) {
        judged.push(await trial.judge(tx, undefined, signal))
        await trial.apply(tx, signal)
      }
      return judged
    })
  })
}

/** Tries something with what transactions stand on that is not confirmed applied, and they themselves not. */
async function inTrial<T>(
  answers: AtomicalsAnswers,
  txs: readonly Tx[],
  use: (trial: Trial) => Promise<T>,
): Promise<T> {
  const { ctx, view, rows, settings } = answers
  const { heights } = settings
  const parents = await unconfirmedParents(ctx, txs)
  // What a mint is of may be a transaction of the mempool that it does not stand on.
  const minting = [...parents, ...txs].some((tx) => isTokenMint(tx, rulesAt(heights, view.tip.height + 1)))
  if (minting) answers.requireWhole()
  const deploys = new Deploys(minting ? (await answers.unconfirmed())?.deploys : undefined)
  const run = async (known: Deploys): Promise<T> => {
    const trial = new Trial({ heights }, { view, rows, deploys: known })
    for (const parent of parents) await trial.apply(parent, ctx.signal)
    return use(trial)
  }
  const first = await run(deploys)
  return deploys.late ? run(deploys.begunAgain()) : first
}

function isTokenMint(tx: Tx, { density }: AtomicalsRules): boolean {
  return findOperation(tx, { argsMayHaveBytes: density })?.op === 'dmt'
}

/** The same transaction twice does so too. */
function requireSpentOnce(txs: readonly Tx[]): void {
  const spent = txs.flatMap(({ inputs }) =>
    inputs.map(({ prevTxid, prevIndex }) => `${toLatin1(prevTxid)}${prevIndex}`),
  )
  if (new Set(spent).size < spent.length) throw new UnfitForTrial('spends an output twice')
}

async function fit<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof UnfitForTrial)) throw error
    throw new RpcError(ERROR_CODES.badRequest.code, `${what} ${error.message}`, { cause: error })
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
  const named = burntBy(judged)
  if (named.length > 0) throw broken('transaction', named, 'blockchain.transaction.broadcast_force')
}

/** Throws RpcError 800422 if one of the transactions burns tokens. */
export function requireNothingBurntInTurn(judged: readonly Judged[]): void {
  for (const one of judged) {
    const named = burntBy(one).map((line) => `${toDisplayHex(one.tx.txid)}: ${line}`)
    if (named.length > 0) throw broken('tx package', named, 'blockchain.transaction.broadcast_package_force')
  }
}

function broken(what: string, named: readonly string[], force: string): RpcError {
  return new RpcError(
    ERROR_CODES.atomicalsRule.code,
    `the ${what} was rejected by atomicals rules.\n\n${named.join('\n')}\n${force} sends it all the same`,
  )
}

/** Words for what a transaction burns; none if that is no token. */
function burntBy(judged: Judged): string[] {
  const { burnt } = judged.coloured.blueprint
  if (burnt.size === 0) return mayBurn(judged)
  const sums = spentSums(judged)
  const named = [...burnt]
    .slice(0, MOST_NAMED)
    .map(([id, units]) => `${units} of ${sums.get(id) ?? units} units of ${compactOfIdText(id)} find no output`)
  if (burnt.size > MOST_NAMED) named.push(`and so do units of ${burnt.size - MOST_NAMED} more tokens`)
  const nfts = burntNfts(judged).size
  if (nfts > 0) named.push(`${nfts} NFTs go to no output`)
  return named
}

/** The same for what may come to sit at what it spends, if transactions that it stands on are mined in another order. */
function mayBurn({ unsettled }: Judged): string[] {
  return [...(unsettled?.blueprint.burnt ?? [])]
    .slice(0, MOST_NAMED)
    .map(
      ([id, units]) =>
        `${units} units of ${compactOfIdText(id)} that may come to sit at what it spends would find no output`,
    )
}

function spentSums({ spent }: Judged): Map<IdText, bigint> {
  const sums = new Map<IdText, bigint>()
  for (const { id, value } of spent.flatMap(({ row }) => row.held)) sums.set(id, (sums.get(id) ?? 0n) + BigInt(value))
  return sums
}
