import { ERROR_CODES, RpcError } from '../../../src/errors.ts'
import type { Middleware } from '../../../src/rpc/middleware.ts'

/** For a server that shows the chain and sends nothing. */
export const readOnly: Middleware = (call, next) => {
  if (call.method.name.startsWith('blockchain.transaction.broadcast')) {
    throw new RpcError(ERROR_CODES.badRequest.code, 'this server sends no transactions')
  }
  return next(call)
}
