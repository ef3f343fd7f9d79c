import { describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../../src/errors.ts'
import { failureOf } from '../../../src/rpc/failure.ts'
import { BAD_MESSAGE, endOf, INVALID, remarkOf } from '../../../src/session/handle.ts'
import { CLOSE_REASONS, type CloseReason } from '../../../src/session/transports/connection.ts'

const BREAKDOWNS: readonly CloseReason[] = ['client reset', 'transport error']

describe('what a session tells', () => {
  it.each(CLOSE_REASONS)('of its end by "%s" is whether somebody had a reason or the connection broke', (reason) => {
    const type = BREAKDOWNS.includes(reason) ? 'closed on error' : 'disconnected'
    expect(endOf(reason)).toEqual({ type, reason })
  })

  it.each([
    [-32700, undefined, BAD_MESSAGE],
    [-32600, 'MAX_RECV', BAD_MESSAGE],
    [-32600, 'MAX_BATCH', INVALID],
    [-32600, 'nesting', INVALID],
    [-32600, undefined, INVALID],
    [-32600, 'MAX_SEND', undefined],
    [-32601, undefined, INVALID],
    [-32602, undefined, INVALID],
  ] as const)('of a failure %s (%s) is the same object each time', (code, limit, message) => {
    expect(remarkOf(failureOf(code, 'text', limit))).toBe(message)
  })

  it('of a request that was understood is nothing more when it cannot be served', () => {
    const shown = new Set([-32700, -32600, -32601, -32602])
    const others = Object.values(ERROR_CODES).filter(({ code }) => !shown.has(code))
    expect(others.length).toBeGreaterThan(4)
    for (const { code } of others) expect(remarkOf(failureOf(code, 'text'))).toBeUndefined()
  })
})
