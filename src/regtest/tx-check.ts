import type { Tx } from '../chain/tx.ts'
import { toLatin1 } from '../lib/bytes.ts'
import type { Coin } from './coins.ts'
import { COINBASE_MATURITY, LOCKTIME_THRESHOLD, MAX_BLOCK_WEIGHT, MAX_MONEY } from './params.ts'
import { MISSING_INPUTS, moneyText, type Reject, refuse } from './reject.ts'

const SEQUENCE_FINAL = 0xffff_ffff
/** Sequence numbers with this bit are no relative lock (BIP68). */
const SEQUENCE_NO_LOCK = 0x8000_0000
/** With this bit the relative lock counts in units of 512 seconds, without in blocks. */
const SEQUENCE_TIME = 0x0040_0000

/** What can be said of a transaction by itself. */
export function checkTransaction(tx: Tx): Reject | undefined {
  if (tx.inputs.length === 0) return refuse('bad-txns-vin-empty')
  if (tx.outputs.length === 0) return refuse('bad-txns-vout-empty')
  if (tx.baseSize * 4 > MAX_BLOCK_WEIGHT) return refuse('bad-txns-oversize')
  let total = 0n
  for (const { value } of tx.outputs) {
    if (value > MAX_MONEY) return refuse('bad-txns-vout-toolarge')
    total += value
    if (total > MAX_MONEY) return refuse('bad-txns-txouttotal-toolarge')
  }
  if (hasDoubleInput(tx)) return refuse('bad-txns-inputs-duplicate')
  if (tx.isCoinbase) {
    const length = tx.inputs[0]?.script.length ?? 0
    return length < 2 || length > 100 ? refuse('bad-cb-length') : undefined
  }
  const isNull = tx.inputs.some(
    ({ prevTxid, prevIndex }) => prevIndex === 0xffff_ffff && prevTxid.every((b) => b === 0),
  )
  return isNull ? refuse('bad-txns-prevout-null') : undefined
}

function hasDoubleInput(tx: Tx): boolean {
  if (tx.inputs.length === 1) return false
  return new Set(tx.inputs.map((input) => `${toLatin1(input.prevTxid)}${input.prevIndex}`)).size !== tx.inputs.length
}

/** True if the transaction may be in a block of this height whose predecessors' median time is `medianTime`. */
export function isFinal(tx: Tx, height: number, medianTime: number): boolean {
  if (tx.locktime === 0) return true
  if (tx.locktime < (tx.locktime < LOCKTIME_THRESHOLD ? height : medianTime)) return true
  return tx.inputs.every((input) => input.sequence === SEQUENCE_FINAL)
}

/** The block that a transaction is to be in, as far as time locks ask. */
export interface LockContext {
  readonly height: number
  /** Median time of its predecessors. */
  readonly medianTime: number
  /** Median time of the block at a height below and its predecessors. */
  medianTimeAt(height: number): number
}

/** BIP68: true if every relative lock has passed. `coins` are those spent, in order of the inputs. */
export function meetsSequenceLocks(tx: Tx, coins: readonly Coin[], context: LockContext): boolean {
  if (tx.version < 2) return true
  return tx.inputs.every(({ sequence }, i) => {
    if ((sequence & SEQUENCE_NO_LOCK) !== 0) return true
    const coinHeight = coins[i]?.height ?? 0
    const lock = sequence & 0xffff
    if ((sequence & SEQUENCE_TIME) === 0) return coinHeight + lock <= context.height
    return context.medianTimeAt(Math.max(coinHeight - 1, 0)) + lock * 512 <= context.medianTime
  })
}

export type InputsResult = { readonly fee: bigint; readonly reject?: undefined } | { readonly reject: Reject }

/** Maturity and values of what is spent by a transaction in a block at `height`; `coins` in order of the inputs. */
export function checkInputs(tx: Tx, coins: readonly (Coin | undefined)[], height: number): InputsResult {
  let valueIn = 0n
  for (const coin of coins) if (coin === undefined) return { reject: MISSING_INPUTS }
  for (const coin of coins) {
    if (coin === undefined) continue
    const depth = height - coin.height
    if (coin.coinbase && depth < COINBASE_MATURITY) {
      const details = `tried to spend coinbase at depth ${depth}`
      return { reject: refuse('bad-txns-premature-spend-of-coinbase', details) }
    }
    valueIn += coin.value
    if (valueIn > MAX_MONEY) return { reject: refuse('bad-txns-inputvalues-outofrange') }
  }
  const valueOut = tx.outputs.reduce((sum, output) => sum + output.value, 0n)
  if (valueIn < valueOut) {
    const details = `value in (${moneyText(valueIn)}) < value out (${moneyText(valueOut)})`
    return { reject: refuse('bad-txns-in-belowout', details) }
  }
  return { fee: valueIn - valueOut }
}
