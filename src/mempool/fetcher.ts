import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Tx } from '../chain/tx.ts'
import type { Daemon } from '../daemon/daemon.ts'
import type { ChainView } from '../db/view.ts'
import { ParseError } from '../errors.ts'
import { throwIfAborted } from '../lib/abort.ts'
import { toLatin1 } from '../lib/bytes.ts'
import type { Logger } from '../log.ts'
import { type Candidate, keyBytes, type OutputKey, prevoutAt, readCandidate, txidOf } from './entry.ts'
import type { Interest } from './kept.ts'

/** Outpoints that the index is asked for at a time. */
const LOOKUPS = 4_096

/** Where transactions and what they spend are had from. */
export interface Sources {
  readonly view: ChainView
  readonly daemon: Daemon
  readonly signal: AbortSignal
}

export interface FetcherOptions {
  /** Transactions that are asked for in one call. */
  readonly batch: number
}

export interface FetcherCollaborators {
  readonly log: Logger
  readonly keyOf: OutputKey
  readonly parse: (raw: Uint8Array) => Tx
  /** True if the mempool has a transaction: what it pays is not looked up in the index. */
  readonly has: (txid: string) => boolean
  readonly interest?: Interest | undefined
}

/** Fetches transactions, reads them, and finds what their inputs spend among the confirmed outputs. */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #log: Logger
  readonly #keyOf: OutputKey
  readonly #parse: (raw: Uint8Array) => Tx
  readonly #has: (txid: string) => boolean
  readonly #interest: Interest | undefined
  /** Ids of transactions that cannot be read: told of once and not to be asked for again. */
  readonly unreadable = new Set<string>()

  constructor(options: FetcherOptions, collaborators: FetcherCollaborators) {
    this.#options = options
    this.#log = collaborators.log
    this.#keyOf = collaborators.keyOf
    this.#parse = collaborators.parse
    this.#has = collaborators.has
    this.#interest = collaborators.interest
  }

  /** Candidates of those of `txids` that the node still has, and `waiting`, each with the confirmed coins it spends. */
  async fetch(txids: readonly string[], waiting: readonly Candidate[], from: Sources): Promise<readonly Candidate[]> {
    const { view, daemon, signal } = from
    const calls: Promise<readonly Candidate[]>[] = []
    for (let start = 0; start < txids.length; start += this.#options.batch) {
      calls.push(this.#fetchBatch(txids.slice(start, start + this.#options.batch), daemon, signal))
    }
    // All of them, also after a failure: nothing of a refresh runs on after it.
    const candidates = [...waiting]
    for (const result of await Promise.allSettled(calls)) {
      if (result.status === 'rejected') throw result.reason
      candidates.push(...result.value)
    }
    await this.#findConfirmed(candidates, view, signal)
    throwIfAborted(signal)
    return candidates
  }

  async #fetchBatch(txids: readonly string[], daemon: Daemon, signal: AbortSignal): Promise<readonly Candidate[]> {
    const raws = await daemon.mempoolTransactions(txids, signal)
    // Several batches can come at once: each is read in a turn of its own.
    await nextTurn()
    const candidates: Candidate[] = []
    for (const [i, txid] of txids.entries()) {
      const raw = raws[i]
      if (raw === undefined) continue
      const candidate = this.#read(txid, raw)
      if (candidate !== undefined) candidates.push(candidate)
    }
    return candidates
  }

  #read(txid: string, raw: Uint8Array): Candidate | undefined {
    try {
      const candidate = readCandidate(txid, raw, this.#keyOf, this.#parse)
      const interest = this.#interest
      return interest === undefined ? candidate : { interest: { raw, matters: interest.marks(raw) }, ...candidate }
    } catch (error) {
      if (!(error instanceof ParseError)) throw error
      this.unreadable.add(txid)
      this.#log.warn({ txid, reason: error.message }, 'mempool transaction cannot be read')
      return undefined
    }
  }

  /** A candidate spends a confirmed outpoint. */
  #look({ interest }: Candidate, outpoint: Uint8Array | undefined, view: ChainView): void {
    if (interest === undefined || outpoint === undefined || interest.matters) return
    interest.matters = this.#interest?.carries(view, outpoint) === true
  }

  async #findConfirmed(candidates: readonly Candidate[], view: ChainView, signal: AbortSignal): Promise<void> {
    const here = new Set(candidates.map(({ txid }) => txid))
    const asked: { readonly candidate: Candidate; readonly input: number; readonly outpoint: string }[] = []
    for (const candidate of candidates) {
      for (const [input, coin] of candidate.coins.entries()) {
        if (coin !== undefined) continue
        const outpoint = prevoutAt(candidate.prevouts, input)
        const parent = txidOf(outpoint)
        if (!here.has(parent) && !this.#has(parent)) asked.push({ candidate, input, outpoint })
      }
    }
    for (let start = 0; start < asked.length; start += LOOKUPS) {
      const questions = asked.slice(start, start + LOOKUPS)
      const outpoints = questions.map(({ outpoint }) => keyBytes(outpoint))
      const found = await view.unspentOutputs(outpoints, signal)
      for (const [i, { candidate, input }] of questions.entries()) {
        const output = found[i]
        if (output !== undefined) {
          candidate.coins[input] = { hashX: toLatin1(output.hashX), value: Number(output.value) }
          this.#look(candidate, outpoints[i], view)
        }
      }
    }
  }
}
