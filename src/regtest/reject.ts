/**
 * Why a transaction or block is refused, in Bitcoin Core's words. `kind` is what callers decide by:
 * `inputs` = unknown inputs, `fee` = might pass within a package that pays for it, `rule` = anything else.
 */
export interface Reject {
  readonly reason: string
  readonly details?: string
  readonly kind: 'rule' | 'inputs' | 'fee'
}

export function refuse(reason: string, details?: string): Reject {
  return details === undefined ? { reason, kind: 'rule' } : { reason, details, kind: 'rule' }
}

export function refuseForFee(reason: string, details: string): Reject {
  return { reason, details, kind: 'fee' }
}

export const MISSING_INPUTS: Reject = Object.freeze({ reason: 'bad-txns-inputs-missingorspent', kind: 'inputs' })

/** Reason and details in one line, as sendrawtransaction tells them. */
export function rejectText(reject: Reject): string {
  return reject.details === undefined ? reject.reason : `${reject.reason}, ${reject.details}`
}

/** Satoshis in BTC without needless zeros, as Core writes amounts inside of messages: 0.001, 25.00. */
export function moneyText(satoshis: bigint): string {
  const sign = satoshis < 0n ? '-' : ''
  const digits = (satoshis < 0n ? -satoshis : satoshis).toString().padStart(9, '0')
  const fraction = digits.slice(-8).replace(/0{1,6}$/, '')
  return `${sign}${digits.slice(0, -8)}.${fraction}`
}
