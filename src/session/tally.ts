import { LIMIT_NAMES, type LimitName } from '../errors.ts'
import { Histogram, REQUEST_SECONDS } from '../metrics.ts'
import type { Direction } from './counter.ts'
import type { Remark } from './handle.ts'

/** What is counted of one method. */
export interface MethodTally {
  readonly name: string
  calls: number
  /** Seconds from arrival to answer, waiting included; shared by methods of one family. */
  readonly seconds: Histogram
}

/** How names that are in no table are counted, whatever they are. */
export const UNKNOWN_METHOD = 'unknown method'

/** What all sessions together have done: plain numbers, counted where it is done. */
export class SessionTally {
  /** Of every name in the table. */
  readonly methods: ReadonlyMap<string, MethodTally>
  readonly unknown: MethodTally
  readonly families: ReadonlyMap<string, Histogram>
  /** What sessions said of what their remotes sent. */
  readonly heard: Readonly<Record<Direction, Record<Remark, number>>> = { inbound: noRemarks(), outbound: noRemarks() }
  readonly notifications = { tip: 0, script: 0, outpoint: 0, atomicals: 0 }
  /** Errors answered, by code. */
  readonly errors = new Map<number, number>()
  readonly limits: Record<LimitName, number>
  transactionsSent = 0

  constructor(names: Iterable<string>) {
    const families = new Map<string, Histogram>()
    const tallyOf = (name: string, family: string): MethodTally => {
      const seconds = families.get(family) ?? new Histogram(REQUEST_SECONDS)
      families.set(family, seconds)
      return { name, calls: 0, seconds }
    }
    this.methods = new Map([...names].map((name) => [name, tallyOf(name, familyOf(name))]))
    this.unknown = tallyOf(UNKNOWN_METHOD, 'unknown')
    this.families = families
    const limits: Partial<Record<LimitName, number>> = {}
    for (const name of LIMIT_NAMES) limits[name] = 0
    // Every name of the closed list was just set.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    this.limits = limits as Record<LimitName, number>
  }

  of(method: string): MethodTally {
    return this.methods.get(method) ?? this.unknown
  }

  failed(code: number, limit: LimitName | undefined): void {
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
    if (limit !== undefined) this.limits[limit]++
  }
}

function noRemarks(): Record<Remark, number> {
  return { valid: 0, invalid: 0, 'bad message': 0, 'protocol breach': 0 }
}

/** `blockchain.scripthash` of `blockchain.scripthash.get_balance`. */
export function familyOf(method: string): string {
  const end = method.lastIndexOf('.')
  return end === -1 ? method : method.slice(0, end)
}
