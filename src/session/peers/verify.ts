import { startOf, toHex } from '../../lib/bytes.ts'
import { parseVersion } from '../../rpc/versions.ts'
import type { RequestOptions } from '../outbound/conversation.ts'
import type { ServerSession } from '../outbound/session.ts'
import {
  featuresOf,
  isList,
  isObject,
  mentionsHost,
  type PeerFeatures,
  readFeatures,
  writeFeatures,
} from './features.ts'
import type { PeerRules } from './rules.ts'

/** A server that lies, speaks nonsense or is of another network: not to be told to anybody. */
export class BadPeerError extends Error {
  override readonly name = 'BadPeerError'
}

/** Our own chain, as far as peers are held against it. */
export interface PeerChain {
  /** Height of the tip, −1 if there is none. */
  tip(): Promise<number>
  /** The raw header; rejects above the tip. */
  headerAt(height: number): Promise<Uint8Array>
}

export interface VerifyOptions {
  /** Under which it was reached. */
  readonly host: string
  /** Hex as displayed. */
  readonly genesisHash: string
  /** What we call ourselves, and the lowest and highest protocol we speak. */
  readonly software: string
  readonly protocol: readonly [min: string, max: string]
  readonly rules: Pick<PeerRules, 'heightTolerance' | 'forkDepth'>
}

export interface Findings {
  readonly software: string
  readonly features: PeerFeatures
  /** Peers it told of, cleaned: host and what is known of it. */
  readonly known: readonly { readonly host: string; readonly features: PeerFeatures }[]
}

const MAX_ROWS = 500

/**
 * Asks a server all that shows whether it is what it says, and notes that in its session. Rejects with BadPeerError if it
 * is not, with what conversations reject with if it does not say.
 */
export async function verifyPeer(
  session: ServerSession,
  chain: PeerChain,
  options: VerifyOptions,
  request: RequestOptions,
): Promise<Findings> {
  const software = await askVersion(session, options, request)
  const [features, known] = await Promise.all([
    askFeatures(session, options, request),
    askPeers(session, request),
    compareChains(session, chain, options, request),
  ])
  return { software, features, known }
}

async function askVersion(session: ServerSession, options: VerifyOptions, request: RequestOptions): Promise<string> {
  const result = await session.request('server.version', [options.software, options.protocol], request)
  if (!isList(result) || result.length !== 2) throw new BadPeerError('server.version: not a pair')
  const [software, protocol] = result
  if (typeof software !== 'string' || typeof protocol !== 'string') {
    throw new BadPeerError('server.version: not a pair of texts')
  }
  const name = startOf(software, 100)
  session.agreed(name, parseVersion(protocol))
  return name
}

async function askFeatures(
  session: ServerSession,
  options: VerifyOptions,
  request: RequestOptions,
): Promise<PeerFeatures> {
  const features = readFeatures(await session.request('server.features', [], request))
  if (features === undefined) throw new BadPeerError('server.features: not an object with hosts')
  session.features = writeFeatures(features)
  if (features.genesisHash !== options.genesisHash) throw new BadPeerError('another genesis block')
  if (!mentionsHost(features, options.host)) throw new BadPeerError('does not list itself among its hosts')
  return features
}

async function askPeers(session: ServerSession, request: RequestOptions): Promise<Findings['known']> {
  const rows = await session.request('server.peers.subscribe', [], request)
  if (!isList(rows)) throw new BadPeerError('server.peers.subscribe: not a list')
  return rows.slice(0, MAX_ROWS).map((row) => {
    const [, host, details] = isList(row) ? row : []
    if (typeof host !== 'string' || !isList(details)) throw new BadPeerError('server.peers.subscribe: a wrong row')
    const texts = details.filter((detail) => typeof detail === 'string')
    return { host, features: featuresOf(host, texts) }
  })
}

/** The tips may differ a little, and forks at the tip are common; what lies deeper has to be the same. */
async function compareChains(
  session: ServerSession,
  chain: PeerChain,
  options: VerifyOptions,
  request: RequestOptions,
): Promise<void> {
  const { heightTolerance, forkDepth } = options.rules
  const tip = await session.request('blockchain.headers.subscribe', [], request)
  const theirs = isObject(tip) ? tip['height'] : undefined
  if (typeof theirs !== 'number' || !Number.isSafeInteger(theirs))
    throw new BadPeerError('headers.subscribe: no height')
  const ours = await chain.tip()
  if (Math.abs(ours - theirs) > heightTolerance) throw new BadPeerError(`height ${theirs} where ours is ${ours}`)
  const height = Math.max(0, Math.min(ours, theirs) - forkDepth)
  const header = await session.request('blockchain.block.header', [height], request)
  if (typeof header !== 'string') throw new BadPeerError('block.header: not a text')
  if (header.toLowerCase() !== toHex(await chain.headerAt(height))) {
    throw new BadPeerError(`another header at height ${height}`)
  }
}
