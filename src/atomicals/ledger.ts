import type { Tx } from '../chain/tx.ts'
import { TXID_KEY_SIZE } from '../db/layout.ts'
import { invariant } from '../errors.ts'
import { toLatin1 } from '../lib/bytes.ts'
import type { Candidate, Claim } from './candidates.ts'
import type { Effect } from './effects.ts'
import { HolderSums, type TokenSums } from './holder-sums.ts'
import { idText } from './id-text.ts'
import {
  ATOMICALS,
  type AtomicalRow,
  CHANGES,
  type ChangeKind,
  type HeldRow,
  HOLDERS,
  LOCATIONS,
  type LocationRow,
  MINT_COUNTS,
  MINTS,
  NAMES,
  NUMBERS,
  PAYLOADS,
  PAYMENTS,
  type PaymentRow,
  type PlaceKey,
  SEALS,
  SUBNAMES,
  type SubName,
  type TopName,
} from './layout.ts'
import type { Dmint } from './mint/dmitem.ts'
import type { Operation } from './operation.ts'
import type { ParentMemory } from './parent-memory.ts'
import { dmintAfter, type Past, RecordedPast, rulesAfter } from './past.ts'
import type { EditableRows } from './rows.ts'
import type { Rule } from './rules.ts'
import { initialState, type StateChange } from './state.ts'
import { holdingsOf, type SpentAt, spentOutput } from './steps/spend.ts'
import type { IdText } from './transfer/holding.ts'

/** A transaction at its place in the chain. */
export interface PlacedTx {
  readonly tx: Tx
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array
  readonly txNum: number
  readonly height: number
}

/** What the ledger keeps of an operation. */
export type RecordedOperation = Pick<Operation, 'op' | 'inputIndex' | 'payload' | 'payloadBytes'>

/** Rows of the Atomicals index as one block, or what is to be one, sees and writes them. */
export class Ledger implements Past {
  readonly #overlay: EditableRows
  readonly #past: RecordedPast
  readonly #parents: ParentMemory
  /** Candidates that this block has asked for, by the text of their keys without the number. */
  readonly #candidates = new Map<string, Candidate[]>()
  readonly #claims = new Map<string, Claim[]>()
  readonly #sums: TokenSums
  readonly #topRealms = new Map<IdText, IdText>()
  /** Outputs of this block that something sits at, by the text of their place. */
  readonly carriers = new Map<string, PlaceKey>()
  #count: number

  /** `count`: atomicals minted below this block. */
  constructor(
    options: { readonly count: number },
    collaborators: { readonly overlay: EditableRows; readonly parents: ParentMemory; readonly sums?: TokenSums },
  ) {
    this.#overlay = collaborators.overlay
    this.#past = new RecordedPast(collaborators.overlay)
    this.#parents = collaborators.parents
    this.#sums = collaborators.sums ?? new HolderSums(collaborators.overlay)
    this.#count = options.count
  }

  /** Atomicals minted so far. */
  get count(): number {
    return this.#count
  }

  atomical(id: IdText): AtomicalRow | undefined {
    return this.#past.atomical(id)
  }

  async candidates(kind: TopName, name: string): Promise<readonly Candidate[]> {
    const key = `${kind} ${name}`
    const known = this.#candidates.get(key)
    if (known !== undefined) return known
    const loaded = [...(await this.#past.candidates(kind, name))]
    this.#candidates.set(key, loaded)
    return loaded
  }

  async claims(kind: SubName, parent: IdText, name: string): Promise<readonly Claim[]> {
    const key = claimsKey(kind, parent, name)
    const known = this.#claims.get(key)
    if (known !== undefined) return known
    const loaded = [...(await this.#past.claims(kind, parent, name))]
    this.#claims.set(key, loaded)
    return loaded
  }

  topRealm(id: IdText): IdText | undefined {
    const known = this.#topRealms.get(id)
    if (known !== undefined) return known
    // Chains of subrealms can be long: each is walked once in a block.
    const path: IdText[] = []
    let top: IdText | undefined
    for (let at: IdText | undefined = id; at !== undefined && top === undefined; ) {
      path.push(at)
      top = this.#topRealms.get(at)
      const request: AtomicalRow['request'] = this.atomical(at)?.request
      if (request?.kind === 'realm') top = at
      at = request?.kind === 'subrealm' ? request.parent : undefined
    }
    if (top !== undefined) for (const passed of path) this.#topRealms.set(passed, top)
    return top
  }

  mintCount(id: IdText): number {
    return this.#past.mintCount(id)
  }

  rules(kind: SubName, parent: IdText, maxHeight: number): Promise<readonly Rule[] | undefined> {
    return this.#parents.derive(parent, kind, maxHeight, this.#loader(parent), (changes) => rulesAfter(changes, kind))
  }

  dmint(container: IdText, maxHeight: number): Promise<Dmint | undefined> {
    const sealed = this.#past.seal(container) !== undefined
    const name = sealed ? 'sealed' : 'open'
    return this.#parents.derive(container, name, maxHeight, this.#loader(container), (changes) =>
      dmintAfter(changes, sealed),
    )
  }

  #loader(id: IdText): () => Promise<readonly StateChange[]> {
    return () => this.#past.changes(id, Number.POSITIVE_INFINITY)
  }

  /** What is known of an output. */
  location(place: PlaceKey): LocationRow | undefined {
    return this.#overlay.get(LOCATIONS, place)
  }

  /** Notes that a transaction spends an output that something sits at; record() writes the sums over its holders. */
  spend(place: PlaceKey, row: LocationRow, location: IdText, txNum: number): void {
    this.#overlay.put(LOCATIONS, place, { ...row, spentBy: txNum })
    for (const { id, kind, value } of row.held) {
      this.#overlay.remove(HOLDERS, { id, location })
      if (kind === 'token') this.#sums.add(id, row.script, { units: -value, outputs: -1 })
    }
  }

  /** Spends what sits at the inputs of a transaction. */
  spendInputs({ tx, txNum }: PlacedTx): SpentAt[] {
    const spent = [...tx.inputs.keys()].flatMap((input) => {
      const output = spentOutput((place) => this.location(place), tx, input)
      if (output === undefined) return []
      this.spend(output.place, output.row, output.location, txNum)
      return holdingsOf(output)
    })
    this.#sums.settle()
    return spent
  }

  /** Writes what a step of a transaction does. `operation`: that of the transaction. */
  record(effects: readonly Effect[], placed: PlacedTx, operation: RecordedOperation | undefined): void {
    const held = new Map<number, HeldRow[]>()
    for (const effect of effects) {
      if (effect.kind !== 'hold') {
        this.#recordOne(effect, placed, operation)
        continue
      }
      const rows = held.get(effect.output)
      if (rows === undefined) held.set(effect.output, [effect.held])
      else rows.push(effect.held)
    }
    for (const [output, rows] of held) this.#hold(placed, output, rows)
    this.#sums.settle()
  }

  /** Keeps the payload of a transaction: for its place in the block hash, or because a change says what it says. */
  keepPayload(txNum: number, { op, inputIndex, payloadBytes }: RecordedOperation): void {
    this.#overlay.put(PAYLOADS, { txNum }, { op, inputIndex, payload: payloadBytes })
  }

  #recordOne(
    effect: Exclude<Effect, { readonly kind: 'hold' }>,
    placed: PlacedTx,
    operation: RecordedOperation | undefined,
  ): void {
    const { txid } = placed
    switch (effect.kind) {
      case 'show':
        return this.#show(placed, effect.output)
      case 'change':
        return this.#change(effect.id, effect.change, effect.output, placed, required(operation))
      case 'begin':
        return this.#begin(effect.id, placed, required(operation))
      case 'seal':
        this.#show(placed, effect.output)
        return this.#overlay.put(SEALS, { id: effect.id }, { location: idText(txid, effect.output) })
      case 'mint':
        this.#overlay.put(ATOMICALS, { id: effect.id }, { number: this.#count, ...effect.row })
        this.#overlay.put(NUMBERS, { number: this.#count }, { id: effect.id })
        this.#count += 1
        return
      case 'distribute':
        return this.#distribute(placed, effect.id)
      case 'candidate':
        return this.#candidate(effect)
      default:
        return this.#pay(effect.id, effect.payment)
    }
  }

  #hold(placed: PlacedTx, output: number, held: readonly HeldRow[]): void {
    const { place, location, base } = this.#output(placed, output)
    const before = new Map(base.held.map((row) => [row.id, row]))
    const byId = new Map([...base.held, ...held].map((row) => [row.id, row]))
    this.#overlay.put(LOCATIONS, place, { ...base, held: [...byId.values()] })
    const { satoshis, script } = base
    for (const id of new Set(held.map((row) => row.id))) {
      const { kind, value } = required(byId.get(id))
      this.#overlay.put(HOLDERS, { id, location }, { value, satoshis, script })
      const known = before.get(id)
      if (kind !== 'token') continue
      this.#sums.add(id, script, { units: value - (known?.value ?? 0), outputs: known === undefined ? 1 : 0 })
    }
    this.carriers.set(placeText(place), place)
  }

  #show(placed: PlacedTx, output: number): void {
    const { place, base } = this.#output(placed, output)
    this.#overlay.put(LOCATIONS, place, base)
  }

  #output({ tx, txid, txNum }: PlacedTx, output: number) {
    const slot = tx.outputs[output]
    invariant(slot !== undefined, 'something is put to an output that is not there')
    const place = { txid: txid.subarray(0, TXID_KEY_SIZE), vout: output }
    const fresh: LocationRow = {
      txNum,
      satoshis: Number(slot.value),
      script: slot.script,
      spentBy: undefined,
      held: [],
    }
    return { place, location: idText(txid, output), base: this.location(place) ?? fresh }
  }

  #change(id: IdText, kind: ChangeKind, vout: number, placed: PlacedTx, operation: RecordedOperation): void {
    const { txNum, height, txid } = placed
    this.keepPayload(txNum, operation)
    this.#overlay.put(CHANGES, { id, kind, txNum }, { height, txid, vout, initial: false })
    if (kind === 'mod') this.#parents.add(id, { txNum, height, payload: operation.payload })
  }

  #begin(id: IdText, { txNum, height, txid }: PlacedTx, operation: RecordedOperation): void {
    const payload = initialState(operation.payload)
    if (payload === undefined) return
    this.keepPayload(txNum, operation)
    this.#overlay.put(CHANGES, { id, kind: 'mod', txNum }, { height, txid, vout: 0, initial: true })
    this.#parents.add(id, { txNum, height, payload })
  }

  // CONSENSUS: a mint replaces units of the same token that its transaction moves to output 0.
  #distribute(placed: PlacedTx, id: IdText): void {
    const slot = placed.tx.outputs[0]
    invariant(slot !== undefined, 'a mint without an output')
    const value = Number(slot.value)
    this.#hold(placed, 0, [{ id, kind: 'token', value }])
    this.#overlay.put(MINTS, { id, location: idText(placed.txid, 0) }, { value, script: slot.script })
    this.#overlay.put(MINT_COUNTS, { id }, { count: this.mintCount(id) + 1 })
  }

  #candidate({ name, text, parent, txNum, id, commitHeight }: Effect & { readonly kind: 'candidate' }): void {
    // CONSENSUS: two outputs of one commit transaction ask under one key: the later reveal replaces the earlier.
    const row = { id, commitHeight }
    if (name === 'subrealm' || name === 'dmitem') {
      const key = { kind: name, parent: required(parent), name: text, txNum }
      this.#overlay.put(SUBNAMES, key, row)
      const claims = this.#claims.get(claimsKey(name, key.parent, text))
      if (claims !== undefined) enter(claims, { txNum, isPaid: false, ...row })
    } else {
      this.#overlay.put(NAMES, { kind: name, name: text, txNum }, row)
      const candidates = this.#candidates.get(`${name} ${text}`)
      if (candidates !== undefined) enter(candidates, { txNum, ...row })
    }
  }

  #pay(id: IdText, payment: PaymentRow): void {
    // Only the first payment ever matters.
    if (this.#past.payment(id) !== undefined) return
    this.#overlay.put(PAYMENTS, { id }, payment)
    const request = this.atomical(id)?.request
    if (request?.parent === undefined || (request.kind !== 'subrealm' && request.kind !== 'dmitem')) return
    const claims = this.#claims.get(claimsKey(request.kind, request.parent, request.name))
    const at = claims?.findIndex((claim) => claim.id === id) ?? -1
    const claim = claims?.[at]
    if (claims !== undefined && claim !== undefined) claims[at] = { ...claim, isPaid: true }
  }
}

/** Puts a candidate at its place, over one of the same number. */
function enter<C extends Candidate>(candidates: C[], candidate: C): void {
  let at = candidates.length
  while (at > 0 && (candidates[at - 1]?.txNum ?? 0) >= candidate.txNum) at -= 1
  candidates.splice(at, candidates[at]?.txNum === candidate.txNum ? 1 : 0, candidate)
}

function claimsKey(kind: SubName, parent: IdText, name: string): string {
  return `${kind} ${parent} ${name}`
}

/** A place as text: a key of Maps. */
export function placeText({ txid, vout }: PlaceKey): string {
  return `${toLatin1(txid)}${vout}`
}

function required<T>(value: T | undefined): T {
  invariant(value !== undefined, 'an effect lacks what it is made of')
  return value
}
