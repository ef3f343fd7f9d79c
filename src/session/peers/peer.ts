import { isIP } from 'node:net'
import { isOnion } from '../outbound/address.ts'
import { detailsOf, type PeerFeatures, portsOf } from './features.ts'

/** Whether a peer answers: `never` was not reached yet, `stale` has not been for too long. */
export const PEER_STATUSES = ['good', 'stale', 'never', 'bad'] as const
export type PeerStatus = (typeof PEER_STATUSES)[number]

/** A way to reach a peer. */
export interface PeerDoor {
  readonly kind: 'ssl' | 'tcp'
  readonly port: number
}

/** [ip, host, details]: a row of the answer to server.peers.subscribe. */
export type PeerRow = readonly [ip: string, host: string, details: readonly string[]]

/** Another server: what it says of itself, and what we have seen of it. Times in seconds since the epoch; 0 for never. */
export class Peer {
  readonly host: string
  /** Whom we have it from; `peer` once it spoke for itself. */
  source: string
  features: PeerFeatures
  /** The address it was reached at; undefined for onions, before the first time, and behind a proxy. */
  address: string | undefined
  /** Last time it was reached and found in order. */
  lastGood = 0
  lastTry = 0
  /** Failures in a row. */
  failures = 0
  /** Found to lie, to break the protocol or to be of another network. */
  bad = false
  nextTry = 0
  /** Doors that somebody else told of: tried after the registered ones, once. */
  readonly #otherDoors: PeerDoor[] = []

  constructor(host: string, features: PeerFeatures, source: string) {
    this.host = host
    this.features = features
    this.source = source
    if (isIP(host) !== 0) this.address = host
  }

  get key(): string {
    return this.host.toLowerCase()
  }

  get isOnion(): boolean {
    return isOnion(this.host)
  }

  get isAddress(): boolean {
    return isIP(this.host) !== 0
  }

  /** The encrypted door first, then what is only said of it. */
  takeDoors(): readonly PeerDoor[] {
    return [...doorsOf(this.features, this.host), ...this.#otherDoors.splice(0)]
  }

  /** True if `features` tell of doors that are not known; they are kept for the next time. */
  noteDoors(features: PeerFeatures): boolean {
    const known = [...doorsOf(this.features, this.host), ...this.#otherDoors]
    const doors = doorsOf(features, this.host).filter(
      ({ kind, port }) => !known.some((door) => door.kind === kind && door.port === port),
    )
    // Whoever tells of others each time must not make us try them all.
    this.#otherDoors.push(...doors.slice(0, Math.max(0, MAX_OTHER_DOORS - this.#otherDoors.length)))
    return this.#otherDoors.length > 0
  }

  /** `cutoff`: before it a peer is stale. */
  statusAt(cutoff: number): PeerStatus {
    if (this.bad) return 'bad'
    if (this.lastGood > cutoff) return 'good'
    return this.lastGood > 0 ? 'stale' : 'never'
  }

  toRow(): PeerRow {
    return [this.address ?? this.host, this.host, detailsOf(this.features, this.host)]
  }
}

const MAX_OTHER_DOORS = 4

function doorsOf(features: PeerFeatures, host: string): PeerDoor[] {
  const { ssl, tcp } = portsOf(features, host)
  const doors: PeerDoor[] = []
  if (ssl !== undefined) doors.push({ kind: 'ssl', port: ssl })
  if (tcp !== undefined) doors.push({ kind: 'tcp', port: tcp })
  return doors
}
