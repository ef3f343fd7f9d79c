import type { Tx } from '../chain/tx.ts'
import { TXID_KEY_SIZE } from '../db/layout.ts'
import type { Deploys } from './deploys.ts'
import type { AtomicalsRules } from './height-rules.ts'
import { idText } from './id-text.ts'
import type { HeldRow, PlaceKey } from './layout.ts'
import { type PlacedTx, placeText } from './ledger.ts'
import type { Pasts } from './past.ts'
import { colour, heldKind, type TxOperation } from './steps/colour.ts'
import { unitsOnceOthersGiveWay } from './steps/distribute.ts'
import { type CommitPlace, deployOnceOthersGiveWay, mintOnceOthersGiveWay } from './steps/mint.ts'
import { holdingsOf, type SpentAt } from './steps/spend.ts'
import { byText, type IdText, Slots } from './transfer/holding.ts'

/** What is looked at of a transaction that was applied, in the order in which transactions came. */
export interface AppliedTx {
  readonly placed: PlacedTx
  readonly operation: TxOperation | undefined
  readonly commit: CommitPlace | undefined
  /** What it spends that sits there for sure, if its parents are mined as they were applied. */
  readonly spent: readonly SpentAt[]
  /** What came to sit at its outputs. */
  readonly heldAt: (place: PlaceKey) => readonly HeldRow[]
  /** True if it minted what it asked for. */
  readonly minted: boolean
}

interface Entry {
  readonly at: number
  readonly satoshis: number
  readonly script: Uint8Array
  /** What may be there besides what is: also further units of a token that has some there. */
  readonly more: readonly HeldRow[]
  /** Of these what nothing is there of. */
  readonly unsure: readonly HeldRow[]
}

/** What may come to each output, by id. */
type Marks = Map<number, Map<IdText, HeldRow>>

/** Atomicals times outputs up to which every output is marked with every one, else with the first alone. */
const MAX_MARKS = 5_000

/**
 * Outputs of unconfirmed transactions that something may come to sit at though nothing does in the order in which they
 * came: their mint came too late for the last of `max_mints` or for a name, or too early for a ticker, a seal or a
 * height. A miner may take them in another order, or later, and who spent such an output as plain coins has lost what
 * came to it. It errs on one side only: what is not here is plain, whatever is mined when.
 */
export class MayCarry {
  readonly #rules: AtomicalsRules
  readonly #deploys: Deploys
  /** By the text of the place. */
  readonly #entries = new Map<string, Entry>()
  /** Numbers of transactions that mint, or stand on such: what they make may be missing, or less. */
  readonly #unsettled = new Set<number>()

  /** `deploys`: is told of tokens that the transactions may make, and asked about those that their mints may be of. */
  constructor(rules: AtomicalsRules, deploys: Deploys) {
    this.#rules = rules
    this.#deploys = deploys
  }

  /** What may sit at an output, and nothing of which does; `upTo`: transactions that are seen. */
  heldAt(place: PlaceKey, upTo = Number.POSITIVE_INFINITY): readonly HeldRow[] {
    const entry = this.#entries.get(placeText(place))
    return entry === undefined || entry.at >= upTo ? [] : entry.unsure
  }

  /** What the inputs of a transaction spend that may sit there, and nothing of which does. */
  spentBy(tx: Tx): SpentAt[] {
    return this.#spentBy(tx, 'unsure')
  }

  #spentBy({ inputs }: Tx, which: 'unsure' | 'more'): SpentAt[] {
    if (this.#entries.size === 0) return []
    return [...inputs.entries()].flatMap(([input, { prevTxid, prevIndex }]) => {
      const place = { txid: prevTxid.subarray(0, TXID_KEY_SIZE), vout: prevIndex }
      const entry = this.#entries.get(placeText(place))
      if (entry === undefined) return []
      const { satoshis, script } = entry
      const row = { txNum: 0, satoshis, script, spentBy: undefined, held: entry[which] }
      return holdingsOf({ input, place, location: idText(prevTxid, prevIndex), row })
    })
  }

  /** Looks at one more transaction, number `at` of those that were applied. Parents have to come first. */
  async add(applied: AppliedTx, pasts: Pasts, at: number): Promise<void> {
    const { placed, operation } = applied
    const maySpend = this.#spentBy(placed.tx, 'more')
    const spent = [...applied.spent, ...maySpend].sort((a, b) => a.input - b.input || byText(a.id, b.id))
    const mayMiss = maySpend.length > 0 || applied.spent.some(({ txNum }) => this.#unsettled.has(txNum))
    const marks: Marks = new Map()
    const sure = new Set(applied.spent.filter(({ txNum }) => !this.#unsettled.has(txNum)))
    if (mayMiss) this.#markMoved(marks, placed, spent, operation, sure)
    for (const row of await this.#minted(applied, spent, pasts)) mark(marks, 0, row)
    if (mayMiss || applied.minted) this.#unsettled.add(placed.txNum)
    for (const [output, rows] of marks) this.#keep(applied, output, [...rows.values()], at)
  }

  /**
   * Where what is spent can go if any of it may be missing. Of one token, or where each goes its own way, less of it
   * reaches less far. Where they queue for outputs, the next one comes further to the front, and if one finds no place
   * all begin at output 0: then any may be anywhere, up to where lastOutputs() knows it to end.
   */
  #markMoved(
    marks: Marks,
    placed: PlacedTx,
    spent: readonly SpentAt[],
    operation: TxOperation | undefined,
    sure: ReadonlySet<SpentAt>,
  ): void {
    this.#markColoured(marks, placed, spent, operation)
    const op = operation?.inputIndex === 0 ? operation.op : undefined
    const groups = byId(spent)
    // What halts the reference where one is there is an operation where it is not.
    if (op === 'z') for (const alone of groups) this.#markColoured(marks, placed, alone, operation)
    const isOperation = op !== 'z' || colour(placed, spent, operation, this.#rules) !== undefined
    if (isOperation && (op === 'y' || (op === 'z' && this.#rules.partial))) return
    const { spendable } = Slots.of(placed.tx)
    const tokens = groups.filter(([first]) => first?.kind === 'FT')
    if (tokens.length > 1) {
      const lasts = this.#lastOutputs(placed, spent, tokens, sure)
      everywhere(marks, placed.tx, tokens, spendable, lasts)
    }
    const nfts = groups.filter(([first]) => first?.kind === 'NFT')
    if (nfts.length < 2 || op === 'sl') return
    everywhere(marks, placed.tx, nfts, [0, ...spendable.filter((output) => output > 0 && output < nfts.length)])
  }

  /**
   * The last output that each of several tokens reaches at most; undefined where that may be any. Each begins after the
   * one before, so where all find their places none comes further, with less of any, than with all of all. That holds
   * while their order does, by the first inputs that bring them: not where the first of one may be missing and more of it
   * comes later. From where each begins at the least is not asked, so a token is marked before its place too.
   */
  #lastOutputs(
    placed: PlacedTx,
    spent: readonly SpentAt[],
    tokens: readonly (readonly SpentAt[])[],
    sure: ReadonlySet<SpentAt>,
  ): ReadonlyMap<IdText, number> | undefined {
    const { partial, byInput } = this.#rules
    if (!partial || !byInput || !tokens.every((token) => keepsItsPlace(token, sure))) return undefined
    const outputs = new Map<IdText, number[]>()
    for (const { output, id } of colour(placed, spent, undefined, this.#rules)?.blueprint.tokens.entries() ?? []) {
      const known = outputs.get(id)
      if (known === undefined) outputs.set(id, [output])
      else known.push(output)
    }
    const lasts = new Map<IdText, number>()
    let before = -1
    for (const [first] of tokens) {
      const own = first === undefined ? undefined : outputs.get(first.id)
      // Where one did not find its place all began at the same output.
      if (first === undefined || own === undefined || Math.min(...own) <= before) return undefined
      before = Math.max(...own)
      lasts.set(first.id, before)
    }
    return lasts
  }

  #markColoured(marks: Marks, placed: PlacedTx, spent: readonly SpentAt[], operation: TxOperation | undefined): void {
    // As applyTx: where the reference halts at an operation, there is none.
    const coloured = colour(placed, spent, operation, this.#rules) ?? colour(placed, spent, undefined, this.#rules)
    for (const effect of coloured?.effects ?? []) if (effect.kind === 'hold') mark(marks, effect.output, effect.held)
  }

  async #minted(
    { placed, operation, commit, minted }: AppliedTx,
    spent: readonly SpentAt[],
    pasts: Pasts,
  ): Promise<readonly HeldRow[]> {
    if (operation === undefined || commit === undefined) return []
    // Also of one that is a mint as it is: in another order the ticker may be another token's.
    if (operation.op === 'dmt') {
      return unitsOnceOthersGiveWay(pasts, this.#deploys, placed, operation, commit, this.#rules)
    }
    if (operation.op === 'dft') {
      const deploy = await deployOnceOthersGiveWay(pasts, placed, operation, commit, this.#rules)
      if (deploy !== undefined) this.#deploys.add(deploy)
    }
    if (minted) return []
    const row = await mintOnceOthersGiveWay(pasts, placed, operation, spent, commit, this.#rules)
    return row === undefined ? [] : [row]
  }

  #keep({ placed, heldAt }: AppliedTx, output: number, rows: readonly HeldRow[], at: number): void {
    const slot = placed.tx.outputs[output]
    if (slot === undefined) return
    const place = { txid: placed.txid.subarray(0, TXID_KEY_SIZE), vout: output }
    const known = new Map(heldAt(place).map(({ id, value }) => [id, value]))
    const more: HeldRow[] = []
    for (const row of rows) {
      const units = known.get(row.id)
      if (units === undefined) more.push(row)
      else if (row.kind === 'token' && row.value > units) more.push({ ...row, value: row.value - units })
    }
    if (more.length === 0) return
    const unsure = more.filter(({ id }) => !known.has(id))
    this.#entries.set(placeText(place), { at, satoshis: Number(slot.value), script: slot.script, more, unsure })
  }
}

/** Of several amounts the largest counts. */
function mark(marks: Marks, output: number, row: HeldRow): void {
  const rows = marks.get(output) ?? new Map<IdText, HeldRow>()
  const known = rows.get(row.id)
  if (known === undefined || known.value < row.value) rows.set(row.id, row)
  marks.set(output, rows)
}

function byId(spent: readonly SpentAt[]): (readonly SpentAt[])[] {
  const groups = new Map<IdText, SpentAt[]>()
  for (const holding of spent) {
    const group = groups.get(holding.id)
    if (group === undefined) groups.set(holding.id, [holding])
    else group.push(holding)
  }
  return [...groups.values()]
}

/** False if what brings a token first may be missing, and more of it comes by a later input. */
function keepsItsPlace(token: readonly SpentAt[], sure: ReadonlySet<SpentAt>): boolean {
  const first = token[0]?.input
  return token.every(({ input }) => input === first) || token.some((it) => it.input === first && sure.has(it))
}

/** `lasts`: the last output of each that comes into question. */
function everywhere(
  marks: Marks,
  tx: Tx,
  groups: readonly (readonly SpentAt[])[],
  outputs: readonly number[],
  lasts?: ReadonlyMap<IdText, number>,
): void {
  const all = groups.length * outputs.length <= MAX_MARKS
  for (const group of all ? groups : groups.slice(0, 1)) {
    const [first] = group
    if (first === undefined) continue
    const units = group.reduce((sum, { value }) => sum + value, 0n)
    // One that stands for all is marked wherever any may be.
    const last = all ? lasts?.get(first.id) : undefined
    for (const output of outputs) {
      if (last !== undefined && output > last) break
      const satoshis = tx.outputs[output]?.value ?? 0n
      const value = Number(first.kind === 'NFT' || units > satoshis ? satoshis : units)
      mark(marks, output, { id: first.id, kind: heldKind(first), value })
    }
  }
}
