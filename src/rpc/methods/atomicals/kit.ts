import type { z } from 'zod'
import { type AtomicalsShape, defineMethod, type RpcContext, type RpcMethod } from '../../method.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'

/** What the files of Atomicals methods are given. */
export interface AtomicalsKit {
  /** That of unspent outputs for who has not asked for another. */
  readonly shape: AtomicalsShape | undefined
  answers(ctx: RpcContext): AtomicalsAnswers
  /**
   * Those of an earlier height, or of the tip where none is asked for. Rejects with RpcError 1 for a height that the index
   * cannot go back to, and 10001 if too much has changed since.
   */
  answersAt(ctx: RpcContext, height: number | undefined): Promise<AtomicalsAnswers>
}

/** What all Atomicals methods have in common: offered at every version, and further arguments are no error. */
export function atomicalsMethod<P extends z.ZodObject, R extends z.ZodType>(
  method: Omit<RpcMethod<P, R>, 'since' | 'extraParams' | 'name'> & { readonly name: string },
): RpcMethod<P, R> {
  return defineMethod({
    ...method,
    name: `blockchain.atomicals.${method.name}`,
    since: [1, 0, 0],
    extraParams: 'ignored',
  })
}

/** The member of a page that says where the next one begins, if the caller pages by cursor. */
export function nextCursor(
  cursor: string | undefined,
  next: string | undefined,
): { readonly next_cursor?: string | null } {
  return cursor === undefined ? {} : { next_cursor: next ?? null }
}

export function badCursor(): Error {
  return badRequest('cursor: is not one that this method gave')
}
