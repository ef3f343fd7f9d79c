import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../log.ts'
import type { CacheTallies } from '../metrics.ts'
import { type ElectrumMethodsOptions, electrumMethods, withMethods } from '../rpc/methods/table.ts'
import { usualMiddleware } from '../rpc/middleware.ts'
import { MethodRegistry } from '../rpc/registry.ts'
import type { Coin } from './coin.ts'

export interface ClientRegistryCollaborators {
  readonly clock: Clock
  readonly log: Logger
  readonly caches?: CacheTallies
}

/** Everything that clients of a coin can call: the Electrum protocol and what the coin adds to it, or has in place of it. */
export function clientRegistry(
  { methods = [], middleware = [] }: Pick<Coin, 'methods' | 'middleware'>,
  options: ElectrumMethodsOptions,
  collaborators: ClientRegistryCollaborators,
): MethodRegistry {
  const around = [...usualMiddleware(collaborators), ...middleware]
  return new MethodRegistry({ middleware: around }, withMethods(electrumMethods(options, collaborators), methods))
}
