import type { SeededRandom } from '../../support/crash-random.ts'
import type { Caller, Tally } from './conversation.ts'
import type { Knowledge } from './knowledge.ts'

/** Where the server listens. */
export type Ports = Readonly<Record<'tcp' | 'ssl' | 'ws' | 'wss' | 'http' | 'rpc' | 'metrics', number>>

export interface Visit {
  readonly ports: Ports
  readonly known: Knowledge
  readonly tally: Tally
  readonly answerMs: number
  /** Aborts when all have to go. */
  readonly signal: AbortSignal
}

/** An address out of some hundred subnets mostly, now and then out of any. */
export function somebody(random: SeededRandom): Caller['from'] {
  const host = random.chance(0.9)
    ? `203.${random.between(0, 39)}.${random.between(0, 49)}.${random.between(1, 250)}`
    : `${random.between(11, 100)}.${random.between(0, 250)}.${random.between(0, 250)}.${random.between(1, 250)}`
  return { host, port: random.between(2000, 60_000) }
}
