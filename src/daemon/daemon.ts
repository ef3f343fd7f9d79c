/**
 * The calls we make of bitcoind, and nothing else of it. Hashes are hex as displayed (reversed): that is how bitcoind
 * speaks and how clients are answered. Every call can throw DaemonError (bitcoind said no), DaemonUnavailableError (no
 * answer; retried inside up to the patience of the call) and AbortError.
 */
export interface Daemon {
  /** What the node can do, found by probing at start, never by its version number. */
  readonly abilities: DaemonAbilities
  /** Where calls go at the moment, without credentials; for logs and getinfo. */
  readonly address: string
  /** Another number whenever calls go to another node than before: answers of two nodes do not belong together. */
  readonly turn: number
  /** What is wrong with that node since it was asked last, as far as it is found out while others wait; for getinfo. */
  readonly trouble?: string | undefined
  /**
   * Looks at once which of several nodes has the most work, and goes on with that one. True if it is another than
   * before. Throws nothing but AbortError.
   */
  preferBest(signal?: AbortSignal): Promise<boolean>

  chainInfo(signal?: AbortSignal): Promise<ChainInfo>
  networkInfo(signal?: AbortSignal): Promise<NetworkInfo>
  mempoolInfo(signal?: AbortSignal): Promise<MempoolInfo>

  /** Height of the node's best block. */
  height(signal?: AbortSignal): Promise<number>
  /** The tips of all branches that the node knows, the one it is on among them. */
  chainTips(signal?: AbortSignal): Promise<readonly ChainTip[]>
  /** Hashes of blocks `start` to `start + count - 1`; shorter where the chain ends. */
  blockHashes(start: number, count: number, signal?: AbortSignal): Promise<string[]>
  /** The block with its witnesses, as it goes over the wire. Its hash is checked against `hash`. */
  rawBlock(hash: string, signal?: AbortSignal): Promise<Uint8Array>
  /**
   * Outputs spent by each transaction of a block, as REST `spenttxouts/<hash>.bin` gives them (unparsed).
   * Only where `abilities.spentTxOuts`.
   */
  spentTxOuts(hash: string, signal?: AbortSignal): Promise<Uint8Array>

  /**
   * What outpoints pay that are unspent in the node's chain, whatever its mempool does to them, in the order asked;
   * undefined for the others.
   */
  unspentOutputs(outpoints: readonly Outpoint[], signal?: AbortSignal): Promise<(NodeOutput | undefined)[]>

  /** Ids of the transactions in the mempool and, where the node tells it, the sequence number that goes with them. */
  mempoolIds(signal?: AbortSignal): Promise<MempoolIds>
  /** Raw mempool transactions, in the order asked; undefined for one that is no longer there. */
  mempoolTransactions(txids: readonly string[], signal?: AbortSignal): Promise<(Uint8Array | undefined)[]>

  /**
   * A raw transaction. Without `blockHash` the mempool (and bitcoind's txindex, where it has one) is asked.
   * DaemonError -5 if it is not found.
   */
  rawTransaction(txid: string, blockHash?: string, signal?: AbortSignal): Promise<Uint8Array>
  /**
   * A raw transaction, confirmed or not, where the node has an index of all and finds it there; else undefined: it has
   * none, or has not indexed this one yet.
   */
  indexedTransaction(txid: string, signal?: AbortSignal): Promise<Uint8Array | undefined>
  /**
   * A raw transaction of which it is known where it is, by the fastest way that the node has; it needs no txindex.
   * DaemonError -5 if the node has no such block.
   */
  confirmedTransaction(txid: string, place: TransactionPlace, signal?: AbortSignal): Promise<Uint8Array>
  /** bitcoind's verbose object as JSON text, unparsed, so that no number loses a digit. */
  verboseTransaction(txid: string, blockHash?: string, signal?: AbortSignal): Promise<string>

  /** The txid. DaemonError with bitcoind's words when it refuses. */
  broadcast(rawHex: string, signal?: AbortSignal): Promise<string>
  /** bitcoind's own answer to submitpackage. */
  broadcastPackage(rawHexes: readonly string[], signal?: AbortSignal): Promise<PackageResult>
  testMempoolAccept(rawHexes: readonly string[], signal?: AbortSignal): Promise<readonly AcceptResult[]>

  /** BTC per 1000 virtual bytes, or undefined where the node cannot tell. `mode` is economical or conservative. */
  estimateFee(target: number, mode?: string, signal?: AbortSignal): Promise<number | undefined>
}

export interface DaemonAbilities {
  /** REST is switched on (`rest=1`): blocks come as bytes, several times as fast. */
  readonly rest: boolean
  /** REST spenttxouts (Bitcoin Core 30 and later). */
  readonly spentTxOuts: boolean
  /** ZMQ endpoint that is listened to, if one is configured. */
  readonly zmq: string | undefined
}

export interface ChainInfo {
  /** main, test, testnet4, signet, regtest */
  readonly chain: string
  readonly blocks: number
  readonly headers: number
  readonly bestBlockHash: string
  readonly initialBlockDownload: boolean
  readonly pruned: boolean
}

export interface ChainTip {
  readonly height: number
  readonly hash: string
  /** Height of the last block that its branch has in common with the node's best chain. */
  readonly fork: number
  /** `known`: never verified as a whole, so the node may still go there. */
  readonly status: 'active' | 'invalid' | 'verified' | 'known'
}

export interface NetworkInfo {
  readonly version: number
  readonly subversion: string
  /** BTC per 1000 virtual bytes. */
  readonly relayFee: number
}

/** Fees in BTC per 1000 virtual bytes. */
export interface MempoolInfo {
  readonly size: number
  /** False while the node takes in again what it had before it was started. */
  readonly loaded: boolean
  readonly mempoolMinFee: number
  readonly minRelayTxFee: number
  readonly incrementalRelayFee: number
}

/** Where a confirmed transaction is. */
export interface TransactionPlace {
  readonly blockHash: string
  /** In the block, from 0. */
  readonly position: number
}

export interface Outpoint {
  readonly txid: string
  readonly vout: number
}

/** An output as the node has it. */
export interface NodeOutput {
  /** Hash of the node's best block when it answered. */
  readonly bestBlock: string
  readonly script: Uint8Array
  /** Satoshis. */
  readonly value: bigint
}

export interface MempoolIds {
  readonly txids: readonly string[]
  readonly sequence: number | undefined
  /** Milliseconds before the question was put that is answered here: for a node that was away. */
  readonly waited: number
}

/** `raw` is bitcoind's answer as it came; the rest is what we read of it. */
export interface PackageResult {
  readonly packageMessage: string
  readonly errors: readonly { readonly txid: string; readonly error: string }[]
  readonly raw: unknown
}

export interface AcceptResult {
  readonly txid: string
  readonly wtxid: string
  readonly allowed: boolean
  readonly reason: string | undefined
}

/** What bitcoind tells by itself, over ZMQ. Listeners must not throw. */
export type DaemonNotice =
  | { readonly kind: 'block-connected'; readonly hash: string }
  | { readonly kind: 'block-disconnected'; readonly hash: string }
  | { readonly kind: 'tx-added'; readonly txid: string; readonly sequence: bigint }
  | { readonly kind: 'tx-removed'; readonly txid: string; readonly sequence: bigint }
  /** Messages were lost or the connection was made anew: ask, do not count on notices. */
  | { readonly kind: 'gap' }
  /** The connection is lost: nothing is told until a gap is. */
  | { readonly kind: 'silence' }

export interface DaemonNotices {
  /** Calls `listener` for each notice until `signal` aborts. */
  listen(listener: (notice: DaemonNotice) => void, signal: AbortSignal): void
}
