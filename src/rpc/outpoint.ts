import { hashXOf, isUnspendable } from '../chain/script.ts'
import { parseWholeTx } from '../chain/tx.ts'
import type { Daemon } from '../daemon/daemon.ts'
import type { ChainView, TxPosition } from '../db/view.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { copyOf, equalBytes, fromDisplayHex, toDisplayHex, writeUint32LE } from '../lib/bytes.ts'
import type { MempoolItem, Moment } from '../mempool/moment.ts'
import { transactionPlace } from './transaction-place.ts'

/** Further than this no transaction has outputs, and 4 bytes name none. */
const LARGEST_INDEX = 0xffff_ffff

/** What it costs to look into the index, and to have a transaction of bitcoind on top of that. */
const INDEX_COST = 0.1
const FETCH_COST = 0.8
/**
 * Of each transaction of the script that is looked through until the one is found that spends the output: ten times that
 * of one in a history, for its inputs are read. There can be millions, and a client names the script.
 */
const LOOKED_COST = 0.01

/** What protocol 1.7 tells of an outpoint: nothing of one that is not known, spender_* once it is spent. */
export interface OutpointStatus {
  /** Of the block; in the mempool 0, or -1 if the transaction spends an unconfirmed output. */
  readonly funder_height?: number
  /** As displayed. */
  readonly spender_txhash?: string
  /** As funder_height. */
  readonly spender_height?: number
}

/** An output by its transaction (`txid` as displayed) and its place there. */
export interface OutpointRef {
  readonly txid: string
  readonly vout: number
}

/**
 * What an output pays to: hashX (11 bytes) of its script; whatever changes the status of the outpoint touches that. Or
 * that nothing can spend it, or that its transaction has no such output. All of these are so for ever, as the id of the
 * transaction commits to them; `unknown` is what is left while the transaction is not known.
 */
export type OutpointScript = Uint8Array | 'unspendable' | 'absent' | 'unknown'

export interface FoundOutpoint {
  readonly status: OutpointStatus
  readonly script: OutpointScript
  /** Header of the block that spends it: all of this stays so while that is in the chain. */
  readonly spentIn?: Uint8Array | undefined
}

/** What is known of an outpoint beforehand, which saves work. */
export interface OutpointHints {
  /** What was found earlier. */
  readonly script?: OutpointScript
  /** What was found earlier of one that was spent in the chain. */
  readonly spent?: FoundOutpoint | undefined
  /** hashX of the script as a client says; may be wrong. */
  readonly guess?: Uint8Array | undefined
}

/** What the answer is read from. */
export interface OutpointSources {
  readonly moment: Moment
  readonly daemon: Daemon
  readonly signal: AbortSignal
  charge(cost: number): void
}

/** The 36 bytes of an outpoint: txid in internal order, index LE. undefined for an index that does not fit. */
export function outpointBytes({ txid, vout }: OutpointRef): Uint8Array | undefined {
  if (vout > LARGEST_INDEX) return undefined
  const bytes = new Uint8Array(36)
  bytes.set(fromDisplayHex(txid))
  writeUint32LE(bytes, vout, 32)
  return bytes
}

/**
 * The status of an outpoint, from the mempool and our own index: bitcoind needs neither txindex nor txospenderindex. It
 * is asked for one transaction at most, whose block we name, and only if the output is not among the unspent ones and
 * the hints do not tell why. Rejects with what bitcoind answers to that.
 */
export async function findOutpoint(
  ref: OutpointRef,
  hints: OutpointHints,
  sources: OutpointSources,
): Promise<FoundOutpoint> {
  const outpoint = outpointBytes(ref)
  if (outpoint === undefined || hints.script === 'absent') return ABSENT
  const { mempool, view } = sources.moment
  if (hints.spent !== undefined && isStillSo(hints.spent, view)) return hints.spent
  if (mempool.has(ref.txid)) {
    const output = mempool.output(ref.txid, ref.vout)
    if (output === undefined) return ABSENT
    return { status: statusIn(output.height, mempool.spenderOf(outpoint)), script: output.hashX ?? 'unspendable' }
  }
  sources.charge(INDEX_COST)
  const funder = await view.findTransaction(outpoint.subarray(0, 32))
  // That of genesis is in no index, and can be neither fetched nor spent.
  if (funder === undefined) return UNKNOWN
  if (hints.script === 'unspendable') return { status: statusIn(funder.height), script: hints.script }
  // Before the unspent ones: while the node has another tip than the view, it may be that nobody can say which those are.
  const spentBy = mempool.spenderOf(outpoint)
  if (spentBy !== undefined) return { status: statusIn(funder.height, spentBy), script: spentBy.hashX }
  const [unspent] = await view.unspentOutputs([outpoint])
  if (unspent !== undefined) return { status: statusIn(funder.height), script: unspent.hashX }
  const hashX = hints.script instanceof Uint8Array ? hints.script : hints.guess
  if (hashX !== undefined) {
    const spender = await view.findSpender(hashX, outpoint, funder.txNum, chargeFor(sources))
    if (spender !== undefined) return spentInChain(view, funder, spender, hashX)
  }
  return findByScript(ref, outpoint, funder, sources)
}

const UNKNOWN: FoundOutpoint = { status: {}, script: 'unknown' }
const ABSENT: FoundOutpoint = { status: {}, script: 'absent' }

/** For outputs that are not unspent: spent, never spendable, or not there at all. */
async function findByScript(
  { txid, vout }: OutpointRef,
  outpoint: Uint8Array,
  funder: TxPosition,
  sources: OutpointSources,
): Promise<FoundOutpoint> {
  const { view } = sources.moment
  sources.charge(FETCH_COST)
  const place = transactionPlace(view, funder)
  if (place === undefined) return UNKNOWN
  const raw = await sources.daemon.confirmedTransaction(txid, place, sources.signal)
  const output = parseWholeTx(raw).outputs[vout]
  if (output === undefined) return ABSENT
  if (isUnspendable(output.script)) return { status: statusIn(funder.height), script: 'unspendable' }
  const hashX = hashXOf(output.script)
  const spender = await view.findSpender(hashX, outpoint, funder.txNum, chargeFor(sources))
  if (spender === undefined) return { status: statusIn(funder.height), script: hashX }
  return spentInChain(view, funder, spender, hashX)
}

/** What was found of a spent output is found again without another search, but for a reorganisation. */
function isStillSo({ status, spentIn }: FoundOutpoint, view: ChainView): boolean {
  if (spentIn === undefined || status.spender_height === undefined) return false
  const header = view.header(status.spender_height)
  return header !== undefined && equalBytes(header, spentIn)
}

/** Ends a search that nobody waits for any more, or that the client cannot pay. */
function chargeFor(sources: OutpointSources): (transactions: number) => void {
  return (transactions) => {
    throwIfAborted(sources.signal)
    sources.charge(transactions * LOOKED_COST)
  }
}

function spentInChain(
  view: ChainView,
  funder: { readonly height: number },
  spender: { readonly txid: Uint8Array; readonly height: number },
  hashX: Uint8Array,
): FoundOutpoint {
  const status = {
    funder_height: funder.height,
    spender_txhash: toDisplayHex(spender.txid),
    spender_height: spender.height,
  }
  const header = view.header(spender.height)
  return { status, script: hashX, spentIn: header === undefined ? undefined : copyOf(header) }
}

function statusIn(height: number, spender?: MempoolItem): OutpointStatus {
  if (spender === undefined) return { funder_height: height }
  return { funder_height: height, spender_txhash: spender.txid, spender_height: spender.height }
}
