import { once } from 'node:events'
import { RegtestNode, type RegtestNodeCollaborators, type RegtestNodeOptions } from './node.ts'

/** Where a running node is reached. */
export interface RegtestAddresses {
  readonly url: string
  readonly cookieFile: string
  readonly zmqEndpoint: string
}

/**
 * Runs a node until `signal` aborts: for a process of its own, so that what it does takes no time from the server's loop.
 * Tells where it is reached once it is. Settles when it has stopped.
 */
export async function runRegtestNode(
  options: RegtestNodeOptions,
  collaborators: RegtestNodeCollaborators,
  signal: AbortSignal,
  announce: (addresses: RegtestAddresses) => void,
): Promise<void> {
  const node = new RegtestNode(options, collaborators)
  await node.start(signal)
  try {
    announce({ url: node.url, cookieFile: node.cookieFile, zmqEndpoint: node.zmqEndpoint })
    if (!signal.aborted) await once(signal, 'abort')
  } finally {
    await node.stop()
  }
}
