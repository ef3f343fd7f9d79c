import { toLatin1 } from '../lib/bytes.ts'
import type { AtomicalsRules } from './height-rules.ts'
import type { ActivityName, ActivityRow } from './layout.ts'
import type { Ledger, PlacedTx } from './ledger.ts'
import { argsOf, checkWork } from './mint/request.ts'
import type { Operation } from './operation.ts'
import { type PaymentMarker, paymentMarker } from './payments.ts'
import { type Coloured, colour, heldKind } from './steps/colour.ts'
import { distribute, type TickerMemory } from './steps/distribute.ts'
import { type CommitPlace, mint } from './steps/mint.ts'
import { pay } from './steps/pay.ts'
import type { IdText, SpentHolding } from './transfer/holding.ts'

/** A transaction with what came before the rules: what it spends, and the operation found in it. */
export interface TxInput {
  readonly placed: PlacedTx
  readonly spent: readonly (SpentHolding & { readonly location: IdText })[]
  readonly operation: Operation | undefined
  /** Where the transaction stands that made the output which input 0 spends. */
  readonly commitOf: () => CommitPlace | undefined
}

export interface TxResult {
  /** True if the Atomicals hash of the block has it. */
  readonly counts: boolean
  readonly activity: ActivityRow | undefined
  /** The operation, unless the reference halts at it. */
  readonly operation: Operation | undefined
  /** Ids in whose history it is listed: 36 bytes of an atomical, 32 of a payment. One character a byte. */
  readonly listedUnder: readonly string[]
}

/**
 * The protocol, one transaction at a time: spend, find the operation, colour, mint of a token or mint, data, payment, work.
 * Each step is a function of the transaction, the rules of its height and what was there; the ledger writes.
 */
export async function applyTx(
  ledger: Ledger,
  { placed, spent, operation: found, commitOf }: TxInput,
  tickers: TickerMemory,
  rules: AtomicalsRules,
): Promise<TxResult> {
  const first = colour(placed, spent, found, rules)
  // Where the reference halts at an operation, there is none.
  const operation = first === undefined ? undefined : found
  const coloured = first ?? colour(placed, spent, undefined, rules)
  const names: (ActivityName | undefined)[] = [coloured?.activity]
  const listed = new Set<string>(spent.map(({ id }) => id))
  ledger.record(coloured?.effects ?? [], placed, operation)

  let minted: IdText | undefined
  let hasData = false
  if (operation !== undefined) {
    const mintOfToken = await distribute(ledger, placed, operation, commitOf, tickers, rules)
    if (mintOfToken?.result === 'failed') names.push('mint-dft-failed')
    if (mintOfToken?.result === 'minted') {
      minted = mintOfToken.id
      names.push('mint-dft')
      ledger.record([{ kind: 'distribute', id: minted }], placed, operation)
    } else {
      const created = await mint(ledger, placed, operation, spent, commitOf, rules)
      ledger.record(created?.effects ?? [], placed, operation)
      minted = created?.id
      names.push(created?.activity)
      hasData = minted === undefined && operation.op === 'dat'
      if (hasData) names.push('dat')
    }
  }
  if (minted !== undefined) listed.add(minted)

  const marker = paymentMarker(placed.tx)
  if (marker !== undefined && coloured !== undefined) {
    const payment = await pay(ledger, placed, marker, operation, coloured.blueprint.tokens)
    if (payment !== undefined) ledger.record([payment], placed, operation)
    names.push(paymentName(marker, payment !== undefined))
    listed.add(toLatin1(placed.txid))
  }

  const hasWork = operation !== undefined && declaresMetWork(placed, operation)
  const counts = spent.length > 0 || minted !== undefined || hasData || marker !== undefined || hasWork
  const op = names.findLast((name) => name !== undefined) ?? 'none'
  const activity = counts || op !== 'none' ? activityRow(op, spent, coloured, minted) : undefined
  return { counts, activity, operation, listedUnder: [...listed] }
}

function paymentName({ kind }: PaymentMarker, valid: boolean): ActivityName {
  if (kind === 'subrealm') return valid ? 'payment-subrealm' : 'payment-subrealm-failed'
  return valid ? 'payment-dmitem' : 'payment-dmitem-failed'
}

/** True if an operation of any kind declares work, and all of what it declares is met. */
function declaresMetWork({ tx, txid }: PlacedTx, { payload, inputIndex }: Operation): boolean {
  const args = argsOf(payload)
  const commitTxid = tx.inputs[inputIndex]?.prevTxid
  if (args === undefined || commitTxid === undefined) return false
  const result = checkWork(args, { commitTxid, revealTxid: txid })
  return result.kind === 'met' && (result.work.commit !== undefined || result.work.reveal !== undefined)
}

function activityRow(
  op: ActivityName,
  spent: TxInput['spent'],
  coloured: Coloured | undefined,
  minted: IdText | undefined,
): ActivityRow {
  const burnt = [...(coloured?.blueprint.burnt ?? [])]
  return {
    op,
    spent: spent.map((holding) => ({
      input: holding.input,
      location: holding.location,
      id: holding.id,
      kind: heldKind(holding),
      value: Number(holding.value),
    })),
    outputs: coloured?.outputs ?? [],
    burnt: burnt.map(([id, value]) => ({ id, value: Number(value) })),
    clean: coloured?.blueprint.clean ?? true,
    minted,
  }
}
