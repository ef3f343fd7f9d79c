import ipaddr from 'ipaddr.js'
import { Subnets } from '../subnets.ts'
import type { RemoteAddress } from './connection.ts'

/** Hops of X-Forwarded-For that are looked at; no chain of proxies is a tenth as long. */
const MOST_HOPS = 50
const HOP = /^(?:\[([0-9a-f:.]+)\]|([0-9a-f:.]+))$/i
const HOP_AND_PORT = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):(\d{1,5})$/i

/** The reverse proxies of the operator (TRUSTED_PROXIES): what they say of where a client is, is believed. */
export class TrustedProxies {
  readonly #subnets: Subnets

  /** Throws if one of the subnets is none. */
  constructor(subnets: readonly string[]) {
    this.#subnets = new Subnets(subnets)
  }

  trusts(host: string): boolean {
    return this.#subnets.has(host)
  }

  /**
   * Where the client is that sent a request with these X-Forwarded-For values: the rightmost hop that is not a trusted
   * proxy itself, for everything left of it was written by strangers. `remote` where nobody trusted has said anything.
   */
  clientOf(forwardedFor: string | readonly string[] | undefined, remote: RemoteAddress): RemoteAddress {
    if (forwardedFor === undefined || !this.trusts(remote.host)) return remote
    const hops = String(forwardedFor).split(',').slice(-MOST_HOPS)
    let client = remote
    for (const hop of hops.reverse()) {
      const address = hopAddress(hop.trim(), remote.port)
      // Who wrote this is trusted to write what it sees; where it saw no address, it is itself as far as we can look.
      if (address === undefined) return client
      client = address
      if (!this.trusts(address.host)) return client
    }
    return client
  }
}

export const NO_PROXIES = new TrustedProxies([])

/** `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]:4711`; undefined for everything else. */
function hopAddress(text: string, fallbackPort: number): RemoteAddress | undefined {
  const match = HOP_AND_PORT.exec(text) ?? HOP.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = match?.[3] === undefined ? fallbackPort : Number(match[3])
  return host === undefined || port > 65_535 ? undefined : addressOf(host, port)
}

/** An address in its usual spelling, IPv4-mapped ones as IPv4; undefined if it is none. */
export function addressOf(host: string, port: number): RemoteAddress | undefined {
  if (!ipaddr.IPv4.isValidFourPartDecimal(host) && !ipaddr.IPv6.isValid(host)) return undefined
  return { host: ipaddr.process(host).toString(), port }
}
