import ipaddr from 'ipaddr.js'
import { isPrivate, Subnets } from './subnets.ts'

export interface GroupOptions {
  /** SESSION_GROUP_BY_SUBNET_IPV4: bits that clients of one group have in common. */
  readonly ipv4Bits: number
  readonly ipv6Bits: number
  /** Subnets (`192.0.2.0/24`) whose clients are free of all limits of cost, and belong to no group. */
  readonly exempt: readonly string[]
  /** Sessions of one subnet at most; 0 for any number. */
  readonly maxSessions: number
  /** SESSION_GROUP_BY_TIME: seconds; who came within the same of these is in a group, too. 0 for no such groups. */
  readonly timeSlot: number
}

export const DEFAULT_GROUPS: GroupOptions = { ipv4Bits: 24, ipv6Bits: 48, exempt: [], maxSessions: 0, timeSlot: 0 }

/** How much of what the others used counts for each: clients of one subnet are taken for one, those of one hour hardly. */
const SUBNET_WEIGHT = 1
const TIME_SLOT_WEIGHT = 0.03

/** Who is in a group: whatever has a cost. */
export interface GroupMember {
  readonly cost: number
}

/** Members that each question for the sum pays for: up to so many it is exact. */
const ASKS_PER_MEMBER = 16
/** Refund of kept cost: the hard limit over this, each second. */
const REFUND_SECONDS = 5000

/** Clients judged together. What a client used stays with the group for a while after it has gone. */
export class SessionGroup {
  readonly name: string
  readonly weight: number
  readonly members = new Set<GroupMember>()
  #retained = 0
  /** Cost of the members, and how often it was asked for since it was added up. */
  #sum = 0
  #asked = 0

  constructor(name: string, weight: number) {
    this.name = name
    this.weight = weight
  }

  get retainedCost(): number {
    return this.#retained
  }

  /**
   * Of those who are here. In a group of many it is as of a moment ago: adding up all of them for each of them would
   * take the square of their number.
   */
  get sessionCost(): number {
    this.#asked += ASKS_PER_MEMBER
    if (this.#asked < this.members.size) return this.#sum
    this.#asked = 0
    this.#sum = 0
    for (const member of this.members) this.#sum += member.cost
    return this.#sum
  }

  get cost(): number {
    return this.#retained + this.sessionCost
  }

  /** What the group adds to the cost of `member`. */
  extraCost(member: GroupMember): number {
    return (this.cost - member.cost) * this.weight
  }

  join(member: GroupMember): void {
    this.members.add(member)
    this.#sum += member.cost
  }

  leave(member: GroupMember): void {
    if (!this.members.delete(member)) return
    this.#retained += member.cost
    this.#sum = Math.max(0, this.#sum - member.cost)
  }

  refund(amount: number): void {
    this.#retained = Math.max(0, this.#retained - amount)
  }
}

/** Which client belongs to which groups: by the subnet of its address, and by when it came. */
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

  /**
   * Puts a client that came at `now` (milliseconds since the epoch) into its groups: that of its subnet first, if it has
   * one, then that of its time. None for exempt clients.
   */
  join(host: string, member: GroupMember, now: number): readonly SessionGroup[] {
    const { timeSlot } = this.#options
    const subnet = this.nameOf(host)
    const groups: SessionGroup[] = []
    if (subnet !== undefined) groups.push(this.#group(subnet, SUBNET_WEIGHT))
    if (timeSlot > 0 && !this.isExempt(host)) {
      const slot = Math.floor(now / 1000 / timeSlot) * timeSlot
      groups.push(this.#group(`from ${new Date(slot * 1000).toISOString()}`, TIME_SLOT_WEIGHT))
    }
    for (const group of groups) group.join(member)
    return groups
  }

  #group(name: string, weight: number): SessionGroup {
    const group = this.#groups.get(name) ?? new SessionGroup(name, weight)
    this.#groups.set(name, group)
    return group
  }

  /**
   * Forgives what clients that have gone had used: `seconds` worth at the pace of `hardLimit`, all of it where there is no
   * such limit. Groups with nobody and nothing left go.
   */
  refund(seconds: number, hardLimit: number): void {
    // At the pace of no limit nothing would be forgiven, and every subnet that ever came be kept for good.
    const amount = hardLimit > 0 ? (seconds * hardLimit) / REFUND_SECONDS : Number.POSITIVE_INFINITY
    for (const group of this.#groups.values()) {
      group.refund(amount)
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
