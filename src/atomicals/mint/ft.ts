import { isTicker } from '../names.ts'
import { textOf } from '../python.ts'
import type { CommonRequest } from './request.ts'

/** A token whose whole supply is the value of output 0. */
export interface FtRequest {
  readonly kind: 'ft'
  readonly common: CommonRequest
  readonly ticker: string
}

/** What an `ft` asks for, or undefined if it is none. */
export function ftRequest(common: CommonRequest): FtRequest | undefined {
  const ticker = tickerOf(common)
  return ticker === undefined || common.immutable ? undefined : { kind: 'ft', common, ticker }
}

export function tickerOf({ args }: CommonRequest): string | undefined {
  const ticker = textOf(args.get('request_ticker'))
  return ticker !== undefined && isTicker(ticker) ? ticker : undefined
}
