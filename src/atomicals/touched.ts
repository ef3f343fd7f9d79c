import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'
import { NAMES, SUBNAMES, type SubName, type TopName } from './layout.ts'
import type { IdText } from './transfer/holding.ts'

/** Bytes of the transaction number that keys of names end with. */
const TX_NUM_SIZE = 5
const MARK = 'N'

/** A name, and below which parent where it is one that has a parent. */
export type AskedName =
  | { readonly kind: TopName; readonly name: string }
  | { readonly kind: SubName; readonly parent: IdText; readonly name: string }

/**
 * What stands for a name among what a block has touched: 33 characters, so that no script and no outpoint is called the
 * same, whatever people ask for.
 */
export function touchOfName(asked: AskedName): string {
  const key = 'parent' in asked ? SUBNAMES.keyText({ txNum: 0, ...asked }) : NAMES.keyText({ txNum: 0, ...asked })
  return touchOfRow(key)
}

/** Names whose candidates the rows with these keys are. */
export function* touchedNames(rowKeys: Iterable<string>): Generator<string> {
  for (const key of rowKeys) {
    const prefix = key.charCodeAt(0)
    if (prefix === NAMES.prefix || prefix === SUBNAMES.prefix) yield touchOfRow(key)
  }
}

function touchOfRow(key: string): string {
  return MARK + toLatin1(sha256(fromLatin1(key.slice(0, -TX_NUM_SIZE))))
}
