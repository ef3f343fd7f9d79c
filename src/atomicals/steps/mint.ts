import type { CborMap } from '../../lib/cbor/values.ts'
import { isTaken } from '../candidates.ts'
import { MAX_NAME_REVEAL_DELAY, MAX_REVEAL_DELAY } from '../constants.ts'
import type { Effect } from '../effects.ts'
import { idText } from '../id-text.ts'
import type { ActivityName, AtomicalRow, HeldRow, PaymentKind, RequestRow } from '../layout.ts'
import type { PlacedTx } from '../ledger.ts'
import { type DftRequest, type DftTerms, dftRequest } from '../mint/dft.ts'
import { isProvenItem } from '../mint/dmitem.ts'
import { type FtRequest, ftRequest } from '../mint/ft.ts'
import { type NameRequest, type NftRequest, nftRequest } from '../mint/nft.ts'
import { argsOf, commonRequest } from '../mint/request.ts'
import { ruleFor, subHolderOf } from '../parents.ts'
import type { Past, Pasts } from '../past.ts'
import { demandOf } from '../rules.ts'
import type { IdText, SpentHolding } from '../transfer/holding.ts'
import type { TxOperation } from './colour.ts'

/** Where a commit stands. */
export interface CommitPlace {
  readonly txNum: number
  readonly height: number
}

/**
 * A place as far as mints may know it: from the start of the protocol on.
 * CONSENSUS: transaction number 0, the first of block 1, counts as not known; only a start at block 1 can show it.
 */
export function knownCommit(place: CommitPlace | undefined, start: number): CommitPlace | undefined {
  return place === undefined || place.height < start || place.txNum === 0 ? undefined : place
}

/** Rules of the height. */
export interface MintRules {
  readonly dmint: boolean
  readonly commitZero: boolean
  readonly density: boolean
}

export type MintRequest = NftRequest | FtRequest | DftRequest

export interface Minted {
  readonly id: IdText
  readonly effects: readonly Effect[]
  readonly activity: ActivityName
}

/** A mint on its way: what was asked and where it stands. */
interface Attempt {
  readonly placed: PlacedTx
  readonly operation: TxOperation
  readonly id: IdText
  readonly commit: CommitPlace
  readonly spent: readonly SpentHolding[]
  readonly rules: MintRules
}

/** What `nft`, `ft` and `dft` make. Undefined if there is no mint. */
export async function mint(
  past: Past,
  placed: PlacedTx,
  operation: TxOperation,
  spent: readonly SpentHolding[],
  commitOf: () => CommitPlace | undefined,
  rules: MintRules,
): Promise<Minted | undefined> {
  const request = requestOf(placed, operation, spent, rules)
  if (request === undefined) return undefined
  const commit = commitOf()
  if (commit === undefined) return undefined
  const attempt = attemptOf(request, placed, operation, spent, commit, rules)
  const claim = attempt === undefined ? undefined : await claimEffects(past, request, attempt)
  if (attempt === undefined || claim === undefined) return undefined
  const birth = birthEffects(request, rowOfRequest(request), attempt)
  return { id: attempt.id, effects: [...birth, ...claim], activity: activityOf(request) }
}

/** True if a commit is young enough, and its output the right one where there is a name. */
function isInTime(
  name: RequestRow | undefined,
  { height, tx }: PlacedTx,
  commit: CommitPlace,
  { commitZero }: MintRules,
): boolean {
  const age = height - commit.height
  if (name === undefined) return age <= MAX_REVEAL_DELAY
  return age <= MAX_NAME_REVEAL_DELAY && (!commitZero || tx.inputs[0]?.prevIndex === 0)
}

/**
 * What a mint that is not confirmed brings output 0 if other unconfirmed transactions come later than it does, or if it
 * comes later itself: where only claims before it are in its way, or what a parent says is not settled yet.
 */
export async function mintOnceOthersGiveWay(
  pasts: Pasts,
  placed: PlacedTx,
  operation: TxOperation,
  spent: readonly SpentHolding[],
  commit: CommitPlace,
  rules: MintRules,
): Promise<HeldRow | undefined> {
  const request = requestOf(placed, operation, spent, rules)
  if (request === undefined || request.kind === 'dft') return undefined
  const attempt = attemptOf(request, placed, operation, spent, commit, rules)
  if (attempt === undefined || !(await mayClaim(pasts, request, attempt))) return undefined
  return heldRow(request, attempt)
}

/** A distributed token that is not confirmed, and what a mint of it has to be. */
export interface Deploy {
  readonly id: IdText
  readonly ticker: string
  readonly terms: DftTerms
}

/**
 * The token that a `dft` which is not confirmed makes in some order of what there is. Whether it spends the parents that
 * it names is not asked: then it depends on nothing that is not confirmed either.
 */
export async function deployOnceOthersGiveWay(
  pasts: Pasts,
  placed: PlacedTx,
  operation: TxOperation,
  commit: CommitPlace,
  rules: MintRules,
): Promise<Deploy | undefined> {
  const request = requestOf(placed, operation, 'anything', rules)
  if (request?.kind !== 'dft') return undefined
  const attempt = attemptOf(request, placed, operation, [], commit, rules)
  if (attempt === undefined || !(await mayClaim(pasts, request, attempt))) return undefined
  return { id: attempt.id, ticker: request.ticker, terms: request.terms }
}

/** Undefined for a commit that is too old. */
function attemptOf(
  request: MintRequest,
  placed: PlacedTx,
  operation: TxOperation,
  spent: readonly SpentHolding[],
  commit: CommitPlace,
  rules: MintRules,
): Attempt | undefined {
  const input = placed.tx.inputs[0]
  if (input === undefined || !isInTime(rowOfRequest(request), placed, commit, rules)) return undefined
  return { placed, operation, id: idText(input.prevTxid, input.prevIndex), commit, spent, rules }
}

async function mayClaim(pasts: Pasts, request: MintRequest, attempt: Attempt): Promise<boolean> {
  const name = request.kind === 'nft' ? request.name : ({ kind: 'ticker', name: request.ticker } as const)
  if (name === undefined) return true
  switch (name.kind) {
    case 'subrealm':
    case 'dmitem':
      return mayClaimBelow(pasts, name, request.common, attempt)
    default: {
      const [first] = await pasts.confirmed.candidates(name.kind, name.name)
      return first === undefined || first.txNum >= attempt.commit.txNum
    }
  }
}

async function mayClaimBelow(
  { confirmed, txCount }: Pasts,
  name: BelowRequest,
  { args, work }: NftRequest['common'],
  { commit, placed, operation, spent, rules }: Attempt,
): Promise<boolean> {
  const { kind, parent } = name
  if (isTaken(await subHolderOf(confirmed, kind, parent, name.name, placed.height))) return false
  if (name.kind === 'subrealm' && name.claim === 'direct') return spent.some(({ id }) => id === parent)
  if (kind === 'dmitem' && !rules.dmint) return true
  // What the parent will say one block before the commit nobody knows.
  if (commit.txNum >= txCount) return true
  const rule = await ruleFor(confirmed, kind, parent, name.name, commit.height)
  if (rule === undefined || demandOf(rule, work) === undefined) return false
  // A seal is the last word of a container.
  if (kind === 'subrealm' || confirmed.seal(parent) === undefined) return true
  const dmint = await confirmed.dmint(parent, Number.POSITIVE_INFINITY)
  if (dmint === undefined || BigInt(commit.height) < dmint.mintHeight) return false
  return isProvenItem(dmint, operation.payload, args)
}

/** What a transaction asks to mint, by its payload alone and what it spends; `anything`: as if that were every parent. */
export function requestOf(
  { tx, txid }: Pick<PlacedTx, 'tx' | 'txid'>,
  { op, inputIndex, payload }: TxOperation,
  spent: readonly SpentHolding[] | 'anything',
  rules: Pick<MintRules, 'density'>,
): MintRequest | undefined {
  const commitTxid = tx.inputs[0]?.prevTxid
  if (inputIndex !== 0 || commitTxid === undefined) return undefined
  if (op !== 'nft' && op !== 'ft' && op !== 'dft') return undefined
  const args = argsOf(payload)
  const common = args === undefined ? undefined : commonRequest(args, { commitTxid, revealTxid: txid }, spent)
  if (common === undefined) return undefined
  switch (op) {
    case 'nft':
      return nftRequest(common)
    case 'ft':
      return ftRequest(common)
    default:
      return dftRequest(common, rules.density)
  }
}

function rowOfRequest(request: MintRequest): RequestRow | undefined {
  if (request.kind !== 'nft') return { kind: 'ticker', name: request.ticker, parent: undefined, direct: false }
  const { name } = request
  if (name === undefined) return undefined
  const parent = name.kind === 'subrealm' || name.kind === 'dmitem' ? name.parent : undefined
  return { kind: name.kind, name: name.name, parent, direct: name.kind === 'subrealm' && name.claim === 'direct' }
}

/** What the mint does for the name it asks for: nothing if it asks for none; undefined if it may not have it. */
async function claimEffects(past: Past, request: MintRequest, attempt: Attempt): Promise<Effect[] | undefined> {
  if (request.kind !== 'nft') return claimTop(past, { kind: 'ticker', name: request.ticker }, attempt)
  const { name } = request
  if (name === undefined) return []
  switch (name.kind) {
    case 'realm':
    case 'container':
      return claimTop(past, name, attempt)
    default:
      return claimBelow(past, name, request, attempt)
  }
}

async function claimTop(
  past: Past,
  { kind, name }: { readonly kind: 'realm' | 'container' | 'ticker'; readonly name: string },
  { id, commit }: Attempt,
): Promise<Effect[] | undefined> {
  const [first] = await past.candidates(kind, name)
  // CONSENSUS: a later reveal of an earlier commit is a candidate too, and wins.
  if (first !== undefined && first.txNum < commit.txNum) return undefined
  return [candidate(kind, name, undefined, id, commit)]
}

type BelowRequest = NameRequest & { readonly kind: 'subrealm' | 'dmitem' }

async function claimBelow(
  past: Past,
  name: BelowRequest,
  request: NftRequest,
  attempt: Attempt,
): Promise<Effect[] | undefined> {
  const { commit, id, placed, rules } = attempt
  if (past.atomical(name.parent) === undefined) return undefined
  // CONSENSUS: before DMINT an item is an ordinary NFT.
  if (name.kind === 'dmitem' && !rules.dmint) return []
  const payment = await paymentOf(past, name, request, attempt)
  if (payment === undefined) return undefined
  if (isTaken(await subHolderOf(past, name.kind, name.parent, name.name, placed.height))) return undefined
  const entry = candidate(name.kind, name.name, name.parent, id, commit)
  if (payment === 'due') return [entry]
  const row = { txNum: placed.txNum, location: idText(placed.txid, 0), kind: payment }
  return [entry, { kind: 'pay', id, payment: row }]
}

function candidate(
  name: RequestRow['kind'],
  text: string,
  parent: IdText | undefined,
  id: IdText,
  commit: CommitPlace,
): Effect {
  return { kind: 'candidate', name, text, parent, txNum: commit.txNum, id, commitHeight: commit.height }
}

/** How a name below a parent is paid for, or that it has to be; undefined if it may not be minted. */
async function paymentOf(
  past: Past,
  name: BelowRequest,
  { common }: NftRequest,
  { commit, placed, spent, operation }: Attempt,
): Promise<PaymentKind | 'due' | undefined> {
  if (name.kind === 'subrealm' && name.claim === 'direct') {
    return spent.some(({ id }) => id === name.parent) ? 'parent' : undefined
  }
  const rule = await ruleFor(past, name.kind, name.parent, name.name, commit.height)
  if (rule === undefined) return undefined
  if (name.kind === 'dmitem') {
    const allowed = await mayMintItem(past, name.parent, commit.height, placed.height, operation.payload, common.args)
    if (!allowed) return undefined
  }
  const demand = demandOf(rule, common.work)
  if (demand === undefined) return undefined
  return demand === 'payment' ? 'due' : 'work'
}

async function mayMintItem(
  past: Past,
  container: IdText,
  commitHeight: number,
  height: number,
  payload: CborMap,
  args: CborMap,
): Promise<boolean> {
  const dmint = await past.dmint(container, height)
  if (dmint === undefined || BigInt(commitHeight) < dmint.mintHeight || BigInt(height) < dmint.mintHeight) return false
  return isProvenItem(dmint, payload, args)
}

function birthEffects(request: MintRequest, name: RequestRow | undefined, attempt: Attempt): Effect[] {
  const { id } = attempt
  const effects: Effect[] = [{ kind: 'mint', id, row: atomicalRow(request, name, attempt) }]
  if (request.kind === 'dft') effects.push({ kind: 'show', output: 0 })
  else effects.push({ kind: 'hold', output: 0, held: heldRow(request, attempt) })
  effects.push({ kind: 'begin', id })
  return effects
}

/** What sits at output 0 after a mint. */
function heldRow(request: NftRequest | FtRequest, { id, placed }: Attempt): HeldRow {
  const value = Number(placed.tx.outputs[0]?.value ?? 0n)
  if (request.kind === 'ft') return { id, kind: 'token', value }
  return { id, kind: request.immutable ? 'immutable-nft' : 'nft', value }
}

function atomicalRow(
  request: MintRequest,
  name: RequestRow | undefined,
  { placed, commit }: Attempt,
): Omit<AtomicalRow, 'number'> {
  const output = placed.tx.outputs[0]
  return {
    type: request.kind,
    immutable: request.kind === 'nft' && request.immutable,
    commitTxNum: commit.txNum,
    commitHeight: commit.height,
    txNum: placed.txNum,
    height: placed.height,
    revealTxid: placed.txid,
    satoshis: Number(output?.value ?? 0n),
    script: output?.script ?? new Uint8Array(0),
    request: name,
    terms: request.kind === 'dft' ? request.terms : undefined,
  }
}

const NAME_ACTIVITY = {
  realm: 'mint-nft-realm',
  subrealm: 'mint-nft-subrealm',
  container: 'mint-nft-container',
  dmitem: 'mint-nft-dmitem',
} as const

function activityOf(request: MintRequest): ActivityName {
  switch (request.kind) {
    case 'ft':
      return 'mint-ft'
    case 'dft':
      return 'dft'
    default:
      return request.name === undefined ? 'mint-nft' : NAME_ACTIVITY[request.name.kind]
  }
}
