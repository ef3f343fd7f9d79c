import { TXID_KEY_SIZE } from '../db/layout.ts'
import type { ChainView } from '../db/view.ts'
import { fromLatin1, readUint32LE } from '../lib/bytes.ts'
import type { CborMap } from '../lib/cbor/values.ts'
import { type Candidate, type NameStatus, subnameHolder } from './candidates.ts'
import {
  ACTIVITY,
  type ActivityRow,
  type AtomicalRow,
  BLOCKS,
  type BlockRow,
  HOLDERS,
  type HolderRow,
  LOCATIONS,
  type LocationRow,
  MINTS,
  NAMES,
  NUMBERS,
  PAYLOADS,
  type PayloadRow,
  SUBNAMES,
  type SubName,
  type TopName,
} from './layout.ts'
import { type DmintError, readDmint } from './mint/dmitem.ts'
import { holderOf, isRealmPath, ruleFor } from './parents.ts'
import { type RecordedChange, RecordedPast } from './past.ts'
import { type RowSource, ViewRows } from './rows.ts'
import { foldState } from './state.ts'
import {
  type RequestStatus,
  requestStatus,
  type SubCandidate,
  type SubRequestStatus,
  subRequestStatus,
} from './statuses.ts'
import { byText, type IdText } from './transfer/holding.ts'

/** A name with everyone who asked for it, and who has it. */
export interface NameAnswer<C extends Candidate> {
  readonly candidates: readonly C[]
  readonly holder: NameStatus
}

/** What an atomical asked for and what became of it. */
export type RequestAnswer =
  | { readonly kind: TopName; readonly name: NameAnswer<Candidate>; readonly status: RequestStatus | undefined }
  | { readonly kind: SubName; readonly name: NameAnswer<SubCandidate>; readonly status: SubRequestStatus }

/** Where units or an NFT sit. */
export interface Holder extends HolderRow {
  readonly location: IdText
}

/** A name that somebody asked for. */
export interface NameEntry {
  readonly name: string
  readonly id: IdText
  readonly txNum: number
}

/** A container's dmint as it is now. */
export interface DmintStatus {
  readonly valid: boolean
  readonly errors: readonly DmintError[]
  /** As the state has it. */
  readonly dmint: unknown
}

/** Domain values out of the rows of the index at one tip. Ids that nobody minted give undefined or empty lists. */
export class AtomicalsQueries {
  readonly #rows: RowSource
  readonly #past: RecordedPast
  /** Height that names are judged at. */
  readonly #height: number

  constructor(options: { readonly height: number }, rows: RowSource) {
    this.#height = options.height
    this.#rows = rows
    this.#past = new RecordedPast(rows)
  }

  /** The index at the tip of a view; to be used while the view is open. */
  static of(view: ChainView): AtomicalsQueries {
    return new AtomicalsQueries({ height: view.tip.height }, new ViewRows(view))
  }

  atomical(id: IdText): AtomicalRow | undefined {
    return this.#past.atomical(id)
  }

  idOfNumber(number: number): IdText | undefined {
    return isUint32(number) ? this.#rows.get(NUMBERS, { number })?.id : undefined
  }

  /** The Atomicals hash of a block and what it is made of; undefined below the start of the protocol. */
  block(height: number): BlockRow | undefined {
    return isUint32(height) ? this.#rows.get(BLOCKS, { height }) : undefined
  }

  /** What is known of an output (36 bytes), also after it was spent; `held` in the order of ids. */
  location(location: IdText): LocationRow | undefined {
    const bytes = fromLatin1(location)
    const row = this.#rows.get(LOCATIONS, { txid: bytes.subarray(0, TXID_KEY_SIZE), vout: readUint32LE(bytes, 32) })
    return row === undefined ? undefined : { ...row, held: [...row.held].sort((a, b) => byText(a.id, b.id)) }
  }

  /** Every unspent output that holds some of an atomical, in the order of locations. */
  async holders(id: IdText): Promise<readonly Holder[]> {
    const rows = await this.#rows.rows(HOLDERS, fromLatin1(id))
    return rows.map(({ key, value }) => ({ location: key.location, ...value }))
  }

  seal(id: IdText): IdText | undefined {
    return this.#past.seal(id)
  }

  /** Mints of a distributed token in the order of locations. */
  async mints(id: IdText): Promise<readonly { location: IdText; value: number; script: Uint8Array }[]> {
    const rows = await this.#rows.rows(MINTS, fromLatin1(id))
    return rows.map(({ key, value }) => ({ location: key.location, ...value }))
  }

  mintCount(id: IdText): number {
    return this.#past.mintCount(id)
  }

  /** State now, or after all changes up to a height. */
  async state(id: IdText, height: number = this.#height): Promise<CborMap> {
    return foldState(await this.#past.changes(id, height))
  }

  /** Changes of state in chain order. */
  changes(id: IdText): Promise<readonly RecordedChange[]> {
    return this.#past.recorded(id, 'mod')
  }

  /** Events in chain order. */
  events(id: IdText): Promise<readonly RecordedChange[]> {
    return this.#past.recorded(id, 'evt')
  }

  async dmint(id: IdText): Promise<DmintStatus | undefined> {
    const state = await this.state(id)
    const read = readDmint(state, this.seal(id) !== undefined)
    if (read === undefined) return undefined
    return { valid: read.errors.length === 0, errors: read.errors, dmint: state.get('dmint') }
  }

  async name(kind: TopName, name: string): Promise<NameAnswer<Candidate>> {
    const candidates = await this.#past.candidates(kind, name)
    return { candidates, holder: await holderOf(this.#past, kind, name, this.#height) }
  }

  async subname(kind: SubName, parent: IdText, name: string): Promise<NameAnswer<SubCandidate>> {
    const claims = await this.#past.claims(kind, parent, name)
    const candidates: SubCandidate[] = []
    for (const claim of claims) {
      const rule = await ruleFor(this.#past, kind, parent, name, claim.commitHeight)
      candidates.push({ ...claim, payment: this.#past.payment(claim.id), rule })
    }
    return { candidates, holder: subnameHolder(claims, this.#height) }
  }

  /** What became of the name that an atomical asked for; undefined if it asked for none. */
  async request(id: IdText): Promise<RequestAnswer | undefined> {
    const row = this.atomical(id)
    const request = row?.request
    if (row === undefined || request === undefined) return undefined
    const { kind, parent } = request
    if (kind === 'subrealm' || kind === 'dmitem') {
      if (parent === undefined) return undefined
      const name = await this.subname(kind, parent, request.name)
      return { kind, name, status: subRequestStatus(id, row, name.candidates, name.holder, this.#height) }
    }
    const name = await this.name(kind, request.name)
    return { kind, name, status: requestStatus(id, row, name.holder) }
  }

  /** Names from the realm at the top down to `id`, or undefined unless that realm has its name. */
  async realmPath(id: IdText): Promise<readonly string[] | undefined> {
    if (!(await isRealmPath(this.#past, id, this.#height))) return undefined
    const path: string[] = []
    for (let at: IdText | undefined = id; at !== undefined; ) {
      const request: AtomicalRow['request'] = this.atomical(at)?.request
      if (request !== undefined) path.unshift(request.name)
      at = request?.parent
    }
    return path
  }

  /** Names that begin with `prefix`, by name and then by commit. */
  async names(kind: TopName, prefix: string): Promise<readonly NameEntry[]> {
    const key = NAMES.keyText({ kind, name: prefix, txNum: 0 })
    const rows = await this.#rows.rows(NAMES, startOfNames(key))
    return rows.map(({ key: { name, txNum }, value: { id } }) => ({ name, id, txNum }))
  }

  /** Names below a parent that begin with `prefix`, by name and then by commit. */
  async subnames(kind: SubName, parent: IdText, prefix: string): Promise<readonly NameEntry[]> {
    const key = SUBNAMES.keyText({ kind, parent, name: prefix, txNum: 0 })
    const rows = await this.#rows.rows(SUBNAMES, startOfNames(key))
    return rows.map(({ key: { name, txNum }, value: { id } }) => ({ name, id, txNum }))
  }

  activity(txNum: number): ActivityRow | undefined {
    return this.#rows.get(ACTIVITY, { txNum })
  }

  /** The operation of a transaction that is in the block hash. */
  operation(txNum: number): PayloadRow | undefined {
    return this.#rows.get(PAYLOADS, { txNum })
  }

  /** The decoded payload of a transaction for which operation() is not undefined. */
  payload(txNum: number): CborMap {
    return this.#past.payload(txNum)
  }
}

function isUint32(number: number): boolean {
  return Number.isInteger(number) && number >= 0 && number <= 0xffff_ffff
}

/** Key without prefix, and without the zero and the transaction number behind the beginning of the name. */
function startOfNames(key: string): Uint8Array {
  return fromLatin1(key.slice(1, -6))
}
