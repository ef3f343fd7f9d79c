import { isIP } from 'node:net'
import { type Json, readJsonText } from '../../rpc/json.ts'

/** Hosts that nobody should be led to: names, addresses, and `*.domain` for all names below (and the domain itself). */
export class Blacklist {
  readonly #entries: ReadonlySet<string>

  constructor(entries: Iterable<string> = []) {
    this.#entries = new Set([...entries].map((entry) => entry.toLowerCase()))
  }

  /** Throws an error that says why if `text` is no JSON list of texts. */
  static parse(text: string): Blacklist {
    const value: Json = readJsonText(text)
    if (!Array.isArray(value)) throw new TypeError('a blacklist is a JSON list')
    return new Blacklist(
      value.map((entry: Json) => {
        if (typeof entry !== 'string') throw new TypeError('a blacklist is a list of texts')
        return entry
      }),
    )
  }

  get size(): number {
    return this.#entries.size
  }

  has(host: string, address?: string): boolean {
    if (this.#entries.size === 0) return false
    const name = host.toLowerCase()
    if (this.#entries.has(name)) return true
    if (address !== undefined && this.#entries.has(address.toLowerCase())) return true
    return isIP(name) === 0 && this.#hasDomainOf(name)
  }

  /** Top-level domains are not looked at: no entry means half of the world. */
  #hasDomainOf(name: string): boolean {
    const labels = name.split('.')
    for (let first = 0; first <= labels.length - 2; first++) {
      if (this.#entries.has(`*.${labels.slice(first).join('.')}`)) return true
    }
    return false
  }
}
