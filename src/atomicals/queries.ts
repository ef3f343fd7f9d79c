import { setImmediate as nextTurn } from 'node:timers/promises'
import { TXID_KEY_SIZE } from '../db/layout.ts'
import type { ChainView } from '../db/view.ts'
import { fromLatin1, readUint32LE, toLatin1 } from '../lib/bytes.ts'
import type { CborMap, CborValue } from '../lib/cbor/values.ts'
import { type Candidate, type NameStatus, nameHolder, subnameHolder } from './candidates.ts'
import { RULES_DELAY } from './constants.ts'
import { rankKey } from './holder-sums.ts'
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
  RANKS,
  SUBNAMES,
  type SubName,
  TOTALS,
  type TopName,
} from './layout.ts'
import { type DmintError, readDmint } from './mint/dmitem.ts'
import { ParentMemory } from './parent-memory.ts'
import { isRealmPath } from './parents.ts'
import { type Pause, type RecordedChange, RecordedPast, rulesIn } from './past.ts'
import { type PagedRows, ViewRows } from './rows.ts'
import { matchRule, type Rule } from './rules.ts'
import { foldInTurns } from './state.ts'
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

type SubRequest = Extract<RequestAnswer, { readonly kind: SubName }>

export function isSubRequest(request: RequestAnswer): request is SubRequest {
  return request.kind === 'subrealm' || request.kind === 'dmitem'
}

/** Where units or an NFT sit. */
export interface Holder extends HolderRow {
  readonly location: IdText
}

/** What one script holds of an atomical. */
export interface Holding {
  readonly script: Uint8Array
  /** Token units; of an NFT satoshis. */
  readonly value: number
}

/** Who holds an atomical, in numbers. */
export interface HolderTotals {
  readonly holders: number
  /** Unspent outputs that hold some of it. */
  readonly locations: number
  readonly supply: number
}

/** A mint of a distributed token. */
export interface Minted {
  readonly location: IdText
  readonly value: number
  readonly script: Uint8Array
}

/** What part of a list of names is read. */
export interface NamesPage {
  readonly limit: number
  readonly reverse: boolean
  /** Only names beyond this one, in the direction that is read. */
  readonly beyond: Pick<NameEntry, 'name' | 'txNum'> | undefined
}

/** A name that somebody asked for. */
export interface NameEntry extends Candidate {
  readonly name: string
}

/** A container's dmint as it is now. */
export interface DmintStatus {
  readonly valid: boolean
  readonly errors: readonly DmintError[]
  /** As the state has it. */
  readonly dmint: CborValue | undefined
}

export interface QueriesOptions {
  /** That names are judged at. */
  readonly height: number
  /** Between parts of what takes long. Default: the next turn of the event loop. */
  readonly pause?: Pause
}

/** Domain values out of the rows of the index at one tip. Ids that nobody minted give undefined or empty lists. */
export class AtomicalsQueries {
  readonly #rows: PagedRows
  readonly #past: RecordedPast
  /** Many names below one parent are asked about at once. */
  readonly #parents = new ParentMemory()
  /** Height that names are judged at. */
  readonly #height: number
  readonly #pause: Pause

  constructor({ height, pause = nextTurn }: QueriesOptions, rows: PagedRows) {
    this.#height = height
    this.#pause = pause
    this.#rows = rows
    this.#past = new RecordedPast(rows, pause)
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

  /** Ids of `limit` atomicals from a number on. */
  async numbersPage(
    first: number,
    limit: number,
  ): Promise<readonly { readonly number: number; readonly id: IdText }[]> {
    const beyond = first > 0 ? NUMBERS.keyBytes({ number: first - 1 }).subarray(1) : undefined
    const rows = await this.#rows.page(NUMBERS, new Uint8Array(0), { limit, beyond })
    return rows.map(({ key: { number }, value: { id } }) => ({ number, id }))
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

  /** The first unspent outputs that hold some of an atomical, in the order of locations; `beyond` one of them. */
  async holdersPage(id: IdText, limit: number, beyond?: IdText): Promise<readonly Holder[]> {
    const key = beyond === undefined ? undefined : fromLatin1(id + beyond)
    const rows = await this.#rows.page(HOLDERS, fromLatin1(id), { limit, beyond: key })
    return rows.map(({ key: { location }, value }) => ({ location, ...value }))
  }

  /** How many hold an atomical, where, and how much: of a token one row, of an NFT its place. */
  async holderTotals(id: IdText): Promise<HolderTotals> {
    if (this.atomical(id)?.type === 'nft') {
      const places = await this.holdersPage(id, 1)
      return { holders: places.length, locations: places.length, supply: places[0]?.value ?? 0 }
    }
    const { holders, outputs, units } = this.#rows.get(TOTALS, { id }) ?? { holders: 0, outputs: 0, units: 0 }
    return { holders, locations: outputs, supply: units }
  }

  /**
   * The first holders of an atomical, those of most units first and equal ones in an order of their scripts; `beyond` a
   * holder that was seen, whatever he holds by now.
   */
  async holdings(id: IdText, limit: number, beyond?: Holding): Promise<readonly Holding[]> {
    if (this.atomical(id)?.type === 'nft') return beyond === undefined ? this.summedHoldings(id, limit) : []
    const key = beyond === undefined ? undefined : rankKey(id, { units: beyond.value, script: beyond.script })
    const rows = await this.#rows.page(RANKS, fromLatin1(id), { limit, beyond: key })
    return rows.map(({ key: { units }, value: { script } }) => ({ script, value: units }))
  }

  /**
   * Who holds an atomical at its first `limit` outputs, those of most units first and equal ones in the order of their
   * first locations.
   */
  async summedHoldings(id: IdText, limit: number): Promise<readonly Holding[]> {
    const sums = new Map<string, number>()
    for (const { script, value } of await this.holdersPage(id, limit)) {
      const text = toLatin1(script)
      sums.set(text, (sums.get(text) ?? 0) + value)
    }
    const holders = Array.from(sums, ([text, value]) => ({ script: fromLatin1(text), value }))
    return holders.sort((a, b) => b.value - a.value)
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
  async mints(id: IdText): Promise<readonly Minted[]> {
    const rows = await this.#rows.rows(MINTS, fromLatin1(id))
    return rows.map(({ key, value }) => ({ location: key.location, ...value }))
  }

  /** The first of them; `beyond` one. */
  async mintsPage(id: IdText, limit: number, beyond?: IdText): Promise<readonly Minted[]> {
    const key = beyond === undefined ? undefined : fromLatin1(id + beyond)
    const rows = await this.#rows.page(MINTS, fromLatin1(id), { limit, beyond: key })
    return rows.map(({ key: { location }, value }) => ({ location, ...value }))
  }

  mintCount(id: IdText): number {
    return this.#past.mintCount(id)
  }

  /** State now, or after all changes up to a height. */
  async state(id: IdText, height: number = this.#height): Promise<CborMap> {
    return foldInTurns(await this.#past.changes(id, height), this.#pause)
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
    return { candidates, holder: nameHolder(candidates, this.#height) }
  }

  async subname(kind: SubName, parent: IdText, name: string): Promise<NameAnswer<SubCandidate>> {
    const claims = await this.#past.claims(kind, parent, name)
    const candidates: SubCandidate[] = []
    for (const { id, txNum, commitHeight } of claims) {
      const rule = await this.ruleFor(kind, parent, name, commitHeight - RULES_DELAY)
      candidates.push({ id, txNum, commitHeight, payment: this.#past.payment(id), rule })
    }
    return { candidates, holder: subnameHolder(claims, this.#height) }
  }

  /** Who has a name below a parent, without the rules that its candidates stand under. */
  async claims(kind: SubName, parent: IdText, name: string): Promise<NameAnswer<Candidate>> {
    const candidates = await this.#past.claims(kind, parent, name)
    return { candidates, holder: subnameHolder(candidates, this.#height) }
  }

  /** Who of all that asked for a realm, container or ticker has it: name() without a read. `candidates` by number. */
  holderAmong(candidates: readonly Candidate[]): NameStatus {
    return nameHolder(candidates, this.#height)
  }

  /** The same of a name below a parent: claims() that reads nothing but payments. */
  claimHolderAmong(candidates: readonly Candidate[]): NameStatus {
    const claims = candidates.map(({ id, txNum, commitHeight }) => {
      const isPaid = this.#past.payment(id) !== undefined
      return { id, txNum, commitHeight, isPaid }
    })
    return subnameHolder(claims, this.#height)
  }

  /** The rules of a parent by its state at a height, or undefined if there are none that are valid. */
  async rules(kind: SubName, parent: IdText, height: number = this.#height): Promise<readonly Rule[] | undefined> {
    const load = (): Promise<readonly RecordedChange[]> => this.#past.recorded(parent, 'mod')
    return this.#parents.derive(parent, kind, height, load, async (changes) =>
      rulesIn(await foldInTurns(changes, this.#pause), kind),
    )
  }

  /** The one of them that a name stands under. */
  async ruleFor(kind: SubName, parent: IdText, name: string, height: number): Promise<Rule | undefined> {
    const rules = await this.rules(kind, parent, height)
    return rules === undefined ? undefined : matchRule(rules, name)
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

  /** Some of the names that begin with `prefix`, by name and then by commit. */
  async namesPage(kind: TopName, prefix: string, { limit, reverse, beyond }: NamesPage): Promise<readonly NameEntry[]> {
    const start = startOfNames(NAMES.keyText({ kind, name: prefix, txNum: 0 }))
    const key = beyond === undefined ? undefined : NAMES.keyBytes({ kind, ...beyond }).subarray(1)
    const rows = await this.#rows.page(NAMES, start, { limit, reverse, beyond: key })
    return rows.map(({ key: { name, txNum }, value }) => ({ name, txNum, ...value }))
  }

  /** Some of the names below a parent that begin with `prefix`, by name and then by commit. */
  async subnamesPage(
    kind: SubName,
    parent: IdText,
    prefix: string,
    { limit, reverse, beyond }: NamesPage,
  ): Promise<readonly NameEntry[]> {
    const start = startOfNames(SUBNAMES.keyText({ kind, parent, name: prefix, txNum: 0 }))
    const key = beyond === undefined ? undefined : SUBNAMES.keyBytes({ kind, parent, ...beyond }).subarray(1)
    const rows = await this.#rows.page(SUBNAMES, start, { limit, reverse, beyond: key })
    return rows.map(({ key: { name, txNum }, value }) => ({ name, txNum, ...value }))
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
