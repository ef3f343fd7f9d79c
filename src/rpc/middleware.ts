import { ERROR_CODES, RpcError } from '../errors.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { RpcContext, RpcMethod } from './method.ts'

/** A request that was found and understood: what dispatch is about to run. */
export interface RpcCall {
  readonly method: RpcMethod
  /** Output of the method's schema. */
  readonly params: Readonly<Record<string, unknown>>
  readonly ctx: RpcContext
}

/** What it throws at once counts like what it rejects with. */
export type CallRunner = (call: RpcCall) => Awaitable<unknown>

/** Something around every call: does its part before, after or instead of `next`. */
export type Middleware = (call: RpcCall, next: CallRunner) => Awaitable<unknown>

/** One runner from many: the first middleware is the outermost. */
export function compose(middlewares: readonly Middleware[], last: CallRunner): CallRunner {
  return middlewares.reduceRight<CallRunner>((next, middleware) => (call) => middleware(call, next), last)
}

/** Runs the handler and nothing else: the innermost runner. */
export const runHandler: CallRunner = ({ method, params, ctx }) => method.handler(ctx, params)

/** Charges what is known before the work is done, so that what cannot be paid for is not begun. */
export const charged: Middleware = (call, next) => {
  call.ctx.charge(call.method.cost(call.params))
  return next(call)
}

/** Refuses subscriptions to clients to which nothing can be sent unasked. */
export const streamOnly: Middleware = (call, next) => {
  if (call.method.over === 'stream' && !call.ctx.client.stream) {
    throw new RpcError(ERROR_CODES.badRequest.code, `${call.method.name} needs a connection that stays open`)
  }
  return next(call)
}

/** Tells `observe` how long each call took, in milliseconds, and whether it went well. */
export function timed(clock: Clock, observe: (method: string, ms: number, ok: boolean) => void): Middleware {
  return async (call, next) => {
    const start = clock.monotonic()
    let ok = false
    try {
      const result = await next(call)
      ok = true
      return result
    } finally {
      observe(call.method.name, clock.monotonic() - start, ok)
    }
  }
}

/**
 * What is around every call of a client, the first outermost. One that is for all coins is added here. Nothing is put
 * around calls that does nothing, for there are a hundred thousand of them a second.
 */
export function usualMiddleware({
  log,
  clock,
}: {
  readonly log: Logger
  readonly clock: Clock
}): readonly Middleware[] {
  return log.isLevelEnabled('debug') ? [logged(log, clock)] : []
}

/** A debug line for each call; parameters are client data and stay out of it. */
export function logged(log: Logger, clock: Clock): Middleware {
  const timing = timed(clock, (method, ms, ok) => log.debug({ method, ms, ok }, 'call'))
  return (call, next) => (log.isLevelEnabled('debug') ? timing(call, next) : next(call))
}
