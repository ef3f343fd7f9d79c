import { setImmediate as nextTurn } from 'node:timers/promises'
import { InvariantError } from '../errors.ts'
import { fromLatin1 } from '../lib/bytes.ts'
import { CborMap } from '../lib/cbor/values.ts'
import { decodeCbor } from '../lib/cbor.ts'
import type { Candidate, Claim } from './candidates.ts'
import {
  ATOMICALS,
  type AtomicalRow,
  CHANGES,
  type ChangeKind,
  type ChangeRow,
  MINT_COUNTS,
  NAMES,
  PAYLOADS,
  PAYMENTS,
  type PaymentRow,
  SEALS,
  SUBNAMES,
  type SubName,
  type TopName,
} from './layout.ts'
import { type Dmint, readDmint } from './mint/dmitem.ts'
import type { RowSource } from './rows.ts'
import { type Rule, rulesOf } from './rules.ts'
import { foldState, initialState, type StateChange } from './state.ts'
import type { IdText } from './transfer/holding.ts'

/** What the rules ask of what was there before a transaction. */
export interface Past {
  atomical(id: IdText): AtomicalRow | undefined
  /** Who asks for a realm, container or ticker, by the number of the commit. */
  candidates(kind: TopName, name: string): Promise<readonly Candidate[]>
  /** Who asks for a subrealm or an item, by the number of the commit. */
  claims(kind: SubName, parent: IdText, name: string): Promise<readonly Claim[]>
  /** The realm at the top of a subrealm, or a realm itself; undefined for everything else. */
  topRealm(id: IdText): IdText | undefined
  /** Mints of a distributed token so far. */
  mintCount(id: IdText): number
  /** Rules of a parent by its state after all changes up to a height; undefined if there are none that are valid. */
  rules(kind: SubName, parent: IdText, maxHeight: number): Promise<readonly Rule[] | undefined>
  /** What a container says of its items after all changes up to a height, if all of it is valid. */
  dmint(container: IdText, maxHeight: number): Promise<Dmint | undefined>
}

/** What outcomes that are not settled depend on. */
export interface Pasts {
  /** What is confirmed alone. */
  readonly confirmed: RecordedPast
  /** The same with unconfirmed transactions that were applied. */
  readonly applied: Past
  /** Transactions of the chain: those with numbers from here on are not confirmed. */
  readonly txCount: number
}

/** Lets others have a turn; rejects where nobody waits any more for what is worked out. */
export type Pause = () => Promise<unknown>

/**
 * Payloads of changes that are decoded before others get their turn, in bytes, and as how many more each of them counts:
 * a few milliseconds' work, of many small ones as of few large ones.
 */
const BYTES_PER_TURN = 65_536
const BYTES_PER_CHANGE = 256

/** Where a parent's rules stand in its state. */
const NAMESPACES = { subrealm: 'subrealms', dmitem: 'dmint' } as const satisfies Record<SubName, string>

/** The rules that changes of a parent's state lead to. */
export function rulesAfter(changes: readonly StateChange[], kind: SubName): readonly Rule[] | undefined {
  return rulesIn(foldState(changes), kind)
}

/** The rules that a parent's state has. */
export function rulesIn(state: CborMap, kind: SubName): readonly Rule[] | undefined {
  return rulesOf(state.get(NAMESPACES[kind]))
}

/** What changes of a container's state lead to. */
export function dmintAfter(changes: readonly StateChange[], sealed: boolean): Dmint | undefined {
  return readDmint(foldState(changes), sealed)?.dmint
}

/** A change or an event, with what it says. */
export interface RecordedChange extends StateChange, Pick<ChangeRow, 'txid' | 'vout'> {}

/** The past as rows have it. */
export class RecordedPast implements Past {
  readonly #rows: RowSource
  readonly #pause: Pause

  constructor(rows: RowSource, pause: Pause = nextTurn) {
    this.#rows = rows
    this.#pause = pause
  }

  atomical(id: IdText): AtomicalRow | undefined {
    return this.#rows.get(ATOMICALS, { id })
  }

  async candidates(kind: TopName, name: string): Promise<readonly Candidate[]> {
    const rows = await this.#rows.rows(NAMES, withoutTxNum(NAMES.keyText({ kind, name, txNum: 0 })))
    return rows.map(({ key, value }) => ({ txNum: key.txNum, ...value }))
  }

  async claims(kind: SubName, parent: IdText, name: string): Promise<readonly Claim[]> {
    const rows = await this.#rows.rows(SUBNAMES, withoutTxNum(SUBNAMES.keyText({ kind, parent, name, txNum: 0 })))
    return rows.map(({ key, value }) => ({
      txNum: key.txNum,
      isPaid: this.payment(value.id) !== undefined,
      ...value,
    }))
  }

  /** The first payment for a candidate. */
  payment(id: IdText): PaymentRow | undefined {
    return this.#rows.get(PAYMENTS, { id })
  }

  topRealm(id: IdText): IdText | undefined {
    let at: IdText | undefined = id
    while (at !== undefined) {
      const request: AtomicalRow['request'] = this.atomical(at)?.request
      if (request?.kind === 'realm') return at
      at = request?.kind === 'subrealm' ? request.parent : undefined
    }
    return undefined
  }

  /** Where an NFT was sealed. */
  seal(id: IdText): IdText | undefined {
    return this.#rows.get(SEALS, { id })?.location
  }

  mintCount(id: IdText): number {
    return this.#rows.get(MINT_COUNTS, { id })?.count ?? 0
  }

  async rules(kind: SubName, parent: IdText, maxHeight: number): Promise<readonly Rule[] | undefined> {
    return rulesAfter(await this.changes(parent, maxHeight), kind)
  }

  async dmint(container: IdText, maxHeight: number): Promise<Dmint | undefined> {
    return dmintAfter(await this.changes(container, maxHeight), this.seal(container) !== undefined)
  }

  /** Changes of state up to a height, in order. */
  async changes(id: IdText, maxHeight: number): Promise<readonly RecordedChange[]> {
    return (await this.recorded(id, 'mod')).filter(({ height }) => height <= maxHeight)
  }

  /** Changes of state, or events, in order; where they are many, with turns for others between. */
  async recorded(id: IdText, kind: ChangeKind): Promise<readonly RecordedChange[]> {
    const rows = await this.#rows.rows(CHANGES, withoutTxNum(CHANGES.keyText({ id, kind, txNum: 0 })))
    const changes: RecordedChange[] = []
    let work = 0
    for (const { key, value } of rows) {
      if (work >= BYTES_PER_TURN) {
        await this.#pause()
        work = 0
      }
      const bytes = this.#payloadBytes(key.txNum)
      work += bytes.length + BYTES_PER_CHANGE
      changes.push(changeOf(key.txNum, value, decodedMap(bytes)))
    }
    return changes
  }

  /** The payload of a transaction that is in the block hash and has one. */
  payload(txNum: number): CborMap {
    return decodedMap(this.#payloadBytes(txNum))
  }

  #payloadBytes(txNum: number): Uint8Array {
    const row = this.#rows.get(PAYLOADS, { txNum })
    if (row === undefined) throw new InvariantError('a payload is missing')
    return row.payload
  }
}

function changeOf(txNum: number, { height, txid, vout, initial }: ChangeRow, whole: CborMap): RecordedChange {
  const payload = initial ? initialState(whole) : whole
  if (payload === undefined) throw new InvariantError('a mint without a state was kept as a change')
  return { txNum, height, txid, vout, payload }
}

function decodedMap(bytes: Uint8Array): CborMap {
  const payload = decodeCbor(bytes)
  if (!(payload instanceof CborMap)) throw new InvariantError('a payload is no map')
  return payload
}

/** The part of a key that is common to all rows of a name or an atomical: without prefix and transaction number. */
function withoutTxNum(key: string): Uint8Array {
  return fromLatin1(key.slice(1, -5))
}
