import { isIP } from 'node:net'
import type { NetAddress } from '../outbound/dial.ts'
import type { PeerNetwork } from './network.ts'

/** Where Tor and its browser listen, and SOCKS proxies in general. */
export const USUAL_PROXY_PORTS: readonly number[] = [9050, 9150, 1080]

export interface ProxyOptions {
  readonly host: string
  /** Undefined: the usual ones, in order. */
  readonly port?: number
}

/** The SOCKS5 proxy by which onions are reached, once one was found. */
export class ProxyFinder {
  readonly #options: ProxyOptions
  readonly #network: PeerNetwork
  #found: NetAddress | undefined
  #addresses: ReadonlySet<string> = new Set()

  constructor(options: ProxyOptions, network: PeerNetwork) {
    this.#options = options
    this.#network = network
  }

  get found(): NetAddress | undefined {
    return this.#found
  }

  /** True if a connection from `address` comes out of our proxy, as those to a hidden service do. */
  isAddress(address: string): boolean {
    return this.#addresses.has(address)
  }

  /** Tries the ports one after the other. */
  async search(signal: AbortSignal): Promise<NetAddress | undefined> {
    const { host, port } = this.#options
    for (const candidate of port === undefined ? USUAL_PROXY_PORTS : [port]) {
      const address = { host, port: candidate }
      if (!(await this.#network.isProxy(address, signal))) continue
      this.#addresses = new Set(isIP(host) === 0 ? await this.#network.resolve(host) : [host])
      this.#found = address
      return address
    }
    return undefined
  }

  /** It does not answer any more. */
  lost(proxy: NetAddress): void {
    if (this.#found === proxy) this.#found = undefined
  }
}
