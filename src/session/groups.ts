import ipaddr from 'ipaddr.js'
import { isPrivate, Subnets } from './subnets.ts'

export interface GroupOptions {
  /** SESSION_GROUP_BY_SUBNET_IPV4: bits that clients of one group have in common. */
  readonly ipv4Bits: number
  readonly ipv6Bits: number
  /** Subnets (`192.0.2.0/24`) whose clients are free of all limits of cost, and belong to no group. */
  readonly exempt: readonly string[]
  /** Sessions of one group at most; 0 for any number. */
  readonly maxSessions: number
}

export const DEFAULT_GROUPS: GroupOptions = { ipv4Bits: 24, ipv6Bits: 48, exempt: [], maxSessions: 0 }

/** Who is in a group: whatever has a cost. */
export interface GroupMember {
  readonly cost: number
}

/** Refund of kept cost: the hard limit over this, each second. */
const REFUND_SECONDS = 5000

/** Clients judged together. What a client used stays with the group for a while after it has gone. */
export class SessionGroup {
  readonly name: string
  readonly weight: number
  readonly members = new Set<GroupMember>()
  #retained = 0

  constructor(name: string, weight: number) {
    this.name = name
    this.weight = weight
  }

  get retainedCost(): number {
    return this.#retained
  }

  get sessionCost(): number {
    let sum = 0
    for (const member of this.members) sum += member.cost
    return sum
  }

  get cost(): number {
    return this.#retained + this.sessionCost
  }

  /** What the group adds to the cost of `member`. */
  extraCost(member: GroupMember): number {
    return (this.cost - member.cost) * this.weight
  }

  leave(member: GroupMember): void {
    if (this.members.delete(member)) this.#retained += member.cost
  }

  refund(amount: number): void {
    this.#retained = Math.max(0, this.#retained - amount)
  }
}

/** Which client belongs to which group, by the subnet of its address. */
export class SessionGroups {
  readonly #options: GroupOptions
  readonly #exempt: Subnets
  readonly #groups = new Map<string, SessionGroup>()

  /** Throws if one of the exempt subnets is none. */
  constructor(options: GroupOptions) {
    this.#options = options
    this.#exempt = new Subnets(options.exempt)
  }

  get size(): number {
    return this.#groups.size
  }

  get all(): Iterable<SessionGroup> {
    return this.#groups.values()
  }

  get(name: string): SessionGroup | undefined {
    return this.#groups.get(name)
  }

  /** True for clients that are free of limits. */
  isExempt(host: string): boolean {
    return this.#exempt.has(host)
  }

  /** False if the group of `host` is full. */
  hasRoom(host: string): boolean {
    if (this.#options.maxSessions === 0) return true
    const name = this.nameOf(host)
    return name === undefined || (this.#groups.get(name)?.members.size ?? 0) < this.#options.maxSessions
  }

  /** Puts a client into its group; undefined for one that belongs to none. */
  join(host: string, member: GroupMember): SessionGroup | undefined {
    const name = this.nameOf(host)
    if (name === undefined) return undefined
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new SessionGroup(name, 1)
      this.#groups.set(name, group)
    }
    group.members.add(member)
    return group
  }

  /**
   * Forgives what clients that have gone had used: `seconds` worth at the pace of `hardLimit`. Groups with nobody and
   * nothing left go.
   */
  refund(seconds: number, hardLimit: number): void {
    for (const group of this.#groups.values()) {
      group.refund((seconds * hardLimit) / REFUND_SECONDS)
      if (group.retainedCost === 0 && group.members.size === 0) this.#groups.delete(group.name)
    }
  }

  /**
   * `203.0.113.0/24`, `2001:db8:1::/48`; `unknown_addr` for what is no address; undefined for private and exempt
   * addresses.
   */
  nameOf(host: string): string | undefined {
    if (!ipaddr.isValid(host)) return 'unknown_addr'
    const address = ipaddr.process(host)
    if (isPrivate(address) || this.isExempt(host)) return undefined
    const bits = address.kind() === 'ipv4' ? this.#options.ipv4Bits : this.#options.ipv6Bits
    return `${network(address, bits).toString()}/${bits}`
  }
}

function network(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number): ipaddr.IPv4 | ipaddr.IPv6 {
  const cidr = `${address.toString()}/${bits}`
  return address.kind() === 'ipv4' ? ipaddr.IPv4.networkAddressFromCIDR(cidr) : ipaddr.IPv6.networkAddressFromCIDR(cidr)
}
