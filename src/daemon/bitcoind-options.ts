import { sha256d } from '../lib/hash.ts'

/** All times in milliseconds. */
export interface DaemonTimes {
  /** One ordinary call. */
  readonly call: number
  /** One block, one batch, one list of the mempool. */
  readonly bulk: number
  /** After so long a call that failed is not tried again. */
  readonly patience: number
  /** So often it is looked which of several nodes is the one to ask. */
  readonly returnAfter: number
  /** A ZMQ endpoint where nobody has answered for so long is told. */
  readonly zmqConnect: number
}

/** Largest answers in bytes, as they come over the wire. */
export interface DaemonSizes {
  readonly call: number
  /** As hex it is twice the block. */
  readonly block: number
  /** A block can spend outputs that are larger than itself by far. */
  readonly spentTxOuts: number
}

export const DEFAULT_TIMES: DaemonTimes = {
  call: 20_000,
  bulk: 60_000,
  patience: 60_000,
  returnAfter: 60_000,
  zmqConnect: 10_000,
}

const MIB = 1024 * 1024
export const DEFAULT_SIZES: DaemonSizes = { call: 64 * MIB, block: 16 * MIB, spentTxOuts: 256 * MIB }

export interface BitcoindOptions {
  /** `[http[s]://][user:password@]host[:port][/path]`, the preferred first. */
  readonly urls: readonly string[]
  /** Where a URL has no user: the file that bitcoind writes user and password to at every start. */
  readonly cookieFile?: string | undefined
  /** Endpoint of bitcoind's `-zmqpubsequence` and `-zmqpubhashblock`, such as tcp://127.0.0.1:28332. */
  readonly zmq?: string | undefined
  /** Port of URLs that have none. */
  readonly defaultPort?: number | undefined
  /** Connections to one node at once; bitcoind's documentation warns of many more. */
  readonly connections?: number | undefined
  /** Bytes of blocks that are kept to find transactions in. */
  readonly blockCacheBytes?: number | undefined
  readonly times?: Partial<DaemonTimes> | undefined
  readonly sizes?: Partial<DaemonSizes> | undefined
  /** Hash (internal byte order) of the header that a block begins with, for chains that do it otherwise. */
  readonly blockHash?: ((block: Uint8Array) => Uint8Array) | undefined
}

/** sha256d of the first 80 bytes. */
export function headerHash(block: Uint8Array): Uint8Array {
  if (block.length < 80) throw new RangeError('shorter than a header')
  return sha256d(block.subarray(0, 80))
}
