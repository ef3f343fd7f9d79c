import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** Where hosts are: what of the outside world we may connect to and tell others of. */

export function isOnion(host: string): boolean {
  return host.toLowerCase().endsWith('.onion')
}

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/i
const DIGITS = /^\d+$/

/** A name as DNS allows it (RFC 1123, and underscores), whose last label is not a number. */
export function isHostName(host: string): boolean {
  if (host.length === 0 || host.length > 253) return false
  const labels = host.split('.')
  return labels.every((label) => LABEL.test(label)) && !DIGITS.test(labels.at(-1) ?? '')
}

/**
 * True for an address that routers of the internet would carry to one machine: not private, not of a local link,
 * neither multicast nor reserved, and none that hides such a one (6to4, NAT64).
 */
export function isPublicAddress(address: string): boolean {
  return isIP(address) !== 0 && ipaddr.process(address).range() === 'unicast'
}

/** True for a public address, or for a name that can be one; what the name resolves to is looked at when dialling. */
export function isPublicHost(host: string): boolean {
  if (isIP(host) !== 0) return isPublicAddress(host)
  return isHostName(host) && host.includes('.') && !host.toLowerCase().endsWith('.localhost')
}

/** `203.0.0.0/16`: the network of the first `bits` bits. `address` has to be one. */
export function networkOf(address: string, bits: { readonly ipv4: number; readonly ipv6: number }): string {
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') {
    return `${ipaddr.IPv4.networkAddressFromCIDR(`${parsed.toString()}/${bits.ipv4}`).toString()}/${bits.ipv4}`
  }
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toString()}/${bits.ipv6}`).toString()}/${bits.ipv6}`
}

/** IPv4-mapped addresses as IPv4, everything in one spelling; what is no address as it is. */
export function canonicalAddress(address: string): string {
  return isIP(address) === 0 ? address : ipaddr.process(address.split('%')[0] ?? '').toString()
}
