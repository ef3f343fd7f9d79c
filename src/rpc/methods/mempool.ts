import { z } from 'zod'
import { ERROR_CODES, RpcError } from '../../errors.ts'
import { untilAborted } from '../../lib/abort.ts'
import { toLatin1 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { CacheTally } from '../../metrics.ts'
import { clip } from '../failure.ts'
import { defineMethod, type RpcContext, type RpcMethod } from '../method.ts'
import { BtcPerKvB, Hash, Satoshis, WholeNumber } from '../schemas.ts'
import { BEFORE_1_6, V1_6, V1_7 } from '../versions.ts'

/** How old what bitcoind says of its mempool and of itself may get, as in ElectrumX. */
const DAEMON_FACTS_MS = 60_000
const RECENT = 10
const FEE_MODES: ReadonlySet<string> = new Set(['conservative', 'economical'])

/**
 * A question to bitcoind that many ask: one of them asks it, and all have the answer until `key` is another one. A
 * failure is not kept. The signal of one client ends its own waiting, not the question.
 */
class SharedAnswer<T> {
  readonly #tally: CacheTally
  #key: string | undefined
  #answer: Promise<T> | undefined

  constructor(tally: CacheTally) {
    this.#tally = tally
  }

  /** True if `ask` would not be called. */
  has(key: string): boolean {
    return this.#answer !== undefined && this.#key === key
  }

  get(key: string, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    if (this.#answer !== undefined && this.#key === key) {
      this.#tally.hits++
      return untilAborted(this.#answer, signal)
    }
    this.#tally.misses++
    const answer = ask()
    this.#key = key
    this.#answer = answer
    // Whoever waits hears of the failure; here it only means that the next one asks again.
    answer.catch(() => {
      if (this.#answer === answer) this.#answer = undefined
    })
    return untilAborted(answer, signal)
  }
}

/** Estimates are made for few targets only, so that few questions are asked: ElectrumX's classes, rounded down. */
export function feeTargetClass(target: number): number {
  if (target <= 1) return 1
  if (target <= 12 || target === 25) return target
  if (target <= 48) return target - (target % 2)
  return target <= 1008 ? target - (target % 24) : 1008
}

/** What is not text counts as absent, as in ElectrumX. */
function feeMode(mode: unknown): string | undefined {
  if (typeof mode !== 'string') return undefined
  const lower = mode.toLowerCase()
  if (!FEE_MODES.has(lower)) throw new RpcError(ERROR_CODES.badRequest.code, `unknown estimatefee mode: ${clip(mode)}`)
  return lower
}

function estimateFee(tally: CacheTally): RpcMethod {
  const answers = new Map<string, SharedAnswer<number | undefined>>()
  const answerOf = (target: number, mode: string | undefined): SharedAnswer<number | undefined> => {
    const name = `${target} ${mode ?? ''}`
    const answer = answers.get(name) ?? new SharedAnswer(tally)
    answers.set(name, answer)
    return answer
  }
  return defineMethod({
    name: 'blockchain.estimatefee',
    summary: 'Fee rate for a confirmation within so many blocks; -1 if bitcoind cannot tell.',
    params: z.object({
      number: WholeNumber('Blocks. Rounded down to 1-12, 25, even numbers to 48, multiples of 24 to 1008.'),
      mode: z.unknown().optional().meta({ type: 'string', description: 'conservative or economical, in any case.' }),
    }),
    result: BtcPerKvB,
    cost: () => 0.1,
    since: [1, 0, 0],
    example: { params: [6, 'economical'], result: 0.00002 },
    handler: async (ctx, { number, mode: rawMode }) => {
      const target = feeTargetClass(number)
      const mode = feeMode(rawMode)
      const tip = toLatin1(ctx.moment.tip.hash)
      const answer = answerOf(target, mode)
      if (!answer.has(tip)) ctx.charge(2)
      return (await answer.get(tip, ctx.signal, () => ctx.daemon.estimateFee(target, mode))) ?? -1
    },
  })
}

/** Names a stretch of time; what was asked in another one is asked again. */
function period(clock: Clock): string {
  return String(Math.floor(clock.monotonic() / DAEMON_FACTS_MS))
}

function relayFee(clock: Clock, tally: CacheTally): RpcMethod {
  const answer = new SharedAnswer<number>(tally)
  const ask = async ({ daemon }: RpcContext): Promise<number> => (await daemon.networkInfo()).relayFee
  return defineMethod({
    name: 'blockchain.relayfee',
    summary: 'Lowest fee rate that bitcoind passes on.',
    params: z.object({}),
    result: BtcPerKvB,
    cost: () => 1,
    since: [1, 0, 0],
    until: BEFORE_1_6,
    example: { params: [], result: 0.00001 },
    handler: (ctx) => answer.get(period(clock), ctx.signal, () => ask(ctx)),
  })
}

const MempoolFees = z.object({
  mempoolminfee: BtcPerKvB,
  minrelaytxfee: BtcPerKvB,
  incrementalrelayfee: BtcPerKvB,
})

function getInfo(clock: Clock, tally: CacheTally): RpcMethod {
  const answer = new SharedAnswer<z.output<typeof MempoolFees>>(tally)
  const ask = async ({ daemon }: RpcContext): Promise<z.output<typeof MempoolFees>> => {
    const info = await daemon.mempoolInfo()
    return {
      mempoolminfee: info.mempoolMinFee,
      minrelaytxfee: info.minRelayTxFee,
      incrementalrelayfee: info.incrementalRelayFee,
    }
  }
  return defineMethod({
    name: 'mempool.get_info',
    summary: 'Fee rates at which the mempool takes and replaces transactions.',
    params: z.object({}),
    result: MempoolFees,
    cost: () => 1,
    since: V1_6,
    example: {
      params: [],
      result: { mempoolminfee: 0.00001, minrelaytxfee: 0.00001, incrementalrelayfee: 0.00001 },
    },
    handler: (ctx) => answer.get(period(clock), ctx.signal, () => ask(ctx)),
  })
}

const feeHistogram = defineMethod({
  name: 'mempool.get_fee_histogram',
  summary:
    'Pairs of fee rate (sat/vB, falling) and virtual size of what pays at least that and less than the one before.',
  params: z.object({}),
  result: z.array(z.tuple([z.number(), z.int()]).readonly()).readonly(),
  cost: () => 1,
  since: [1, 2, 0],
  example: {
    params: [],
    result: [
      [12.1, 30324],
      [4, 92524],
    ],
  },
  handler: (ctx) => ctx.moment.mempool.feeHistogram(),
})

const recent = defineMethod({
  name: 'mempool.recent',
  summary: `The last ${RECENT} transactions that came into the mempool, newest first.`,
  params: z.object({}),
  result: z.array(z.object({ txid: Hash, fee: Satoshis, vsize: z.int() })),
  cost: () => 1,
  since: V1_7,
  example: {
    params: [],
    result: [{ txid: '45381031132c57b2ff1cbe8d8d3920cf9ed25efd9a0beb764bdb2f24c7d1c7e3', fee: 24310, vsize: 141 }],
  },
  handler: (ctx) =>
    ctx.moment.mempool.recent(RECENT).map(({ txid, fee, vsize }) => ({ txid, fee: Number(fee), vsize })),
})

export function mempoolMethods({
  clock,
  tally,
}: {
  readonly clock: Clock
  readonly tally: CacheTally
}): readonly RpcMethod[] {
  return [estimateFee(tally), relayFee(clock, tally), getInfo(clock, tally), feeHistogram, recent]
}
