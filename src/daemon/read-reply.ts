import type { z } from 'zod'
import { ParseError } from '../errors.ts'
import { NodeFailure } from './failure.ts'
import type { RpcResult } from './http-client.ts'

/** Runs `read`, which reads the result of `method`; a result that cannot be read is the node's fault, and named so. */
export function readAs<T>(method: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof ParseError)) throw error
    throw new NodeFailure('wrong', `bitcoind's answer to ${method} cannot be read: ${error.message}`, { cause: error })
  }
}

/** The result of `method` if it has the shape of `schema`, else NodeFailure `wrong`, which says where it has not. */
export function readReply<S extends z.ZodType>(method: string, result: RpcResult, schema: S): z.output<S> {
  const parsed = schema.safeParse(readAs(method, () => result.value()))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue === undefined || issue.path.length === 0 ? 'result' : issue.path.map(String).join('.')
  throw new NodeFailure('wrong', `bitcoind's answer to ${method} has an unknown shape: ${where}: ${issue?.message}`)
}
