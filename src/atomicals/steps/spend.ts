import type { Tx } from '../../chain/tx.ts'
import { TXID_KEY_SIZE } from '../../db/layout.ts'
import { idText } from '../id-text.ts'
import type { LocationRow, PlaceKey } from '../layout.ts'
import type { IdText, SpentHolding } from '../transfer/holding.ts'

/** An output that an input spends and that something sits at. */
export interface SpentOutput {
  readonly input: number
  readonly place: PlaceKey
  readonly location: IdText
  readonly row: LocationRow
}

/** A holding that an input spends, and where it sat. */
export interface SpentAt extends SpentHolding {
  readonly location: IdText
  /** Number of the transaction that put it there. */
  readonly txNum: number
}

/** What input number `input` spends; undefined if nothing sits there. */
export function spentOutput(
  locationOf: (place: PlaceKey) => LocationRow | undefined,
  { inputs }: Pick<Tx, 'inputs'>,
  input: number,
): SpentOutput | undefined {
  const outpoint = inputs[input]
  if (outpoint === undefined) return undefined
  const { prevTxid, prevIndex } = outpoint
  const place = { txid: prevTxid.subarray(0, TXID_KEY_SIZE), vout: prevIndex }
  const row = locationOf(place)
  if (row === undefined || row.held.length === 0) return undefined
  return { input, place, location: idText(prevTxid, prevIndex), row }
}

/** The holdings of a spent output, in the order of its row. */
export function holdingsOf({ input, location, row }: SpentOutput): SpentAt[] {
  return row.held.map(({ id, kind, value }) => ({
    id,
    kind: kind === 'token' ? 'FT' : 'NFT',
    immutable: kind === 'immutable-nft',
    value: BigInt(value),
    input,
    satoshis: BigInt(row.satoshis),
    location,
    txNum: row.txNum,
  }))
}
