import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** A set of subnets (`192.0.2.0/24`, `2001:db8::/32`) that is asked about addresses. */
export class Subnets {
  readonly #subnets: readonly ReturnType<typeof ipaddr.parseCIDR>[]

  /** Throws if one of them is none. */
  constructor(subnets: readonly string[]) {
    this.#subnets = subnets.map((subnet) => ipaddr.parseCIDR(subnet))
  }

  get size(): number {
    return this.#subnets.length
  }

  /** False for what is no address. An IPv4-mapped address counts as the IPv4 one. */
  has(host: string): boolean {
    if (this.#subnets.length === 0 || !ipaddr.isValid(host)) return false
    const address = ipaddr.process(host)
    return this.#subnets.some((subnet) => address.kind() === subnet[0].kind() && address.match(subnet))
  }
}

/** What belongs to nobody in particular on the internet, as Python's `is_private` has it, and so ElectrumX. */
export function isPrivate(address: Address): boolean {
  return address.range() !== 'unicast' && !PUBLIC_RANGES.has(address.range())
}

/** False for what is no address. */
export function isPrivateHost(host: string): boolean {
  return ipaddr.isValid(host) && isPrivate(ipaddr.process(host))
}

/** Ranges that ipaddr.js tells apart from plain unicast but Python takes as public. */
const PUBLIC_RANGES: ReadonlySet<string> = new Set([
  '6to4',
  'teredo',
  'rfc6052',
  'multicast',
  'as112',
  'amt',
  'carrierGradeNat',
])
