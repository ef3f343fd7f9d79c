import { RegtestNode, type RegtestNodeOptions } from '../../../src/regtest/node.ts'
import { serve } from './child.ts'

/** The built-in node in a process of its own. The one question it is asked is where to keep its chain, and where to be reached. */
type RegtestNodePlace = Pick<RegtestNodeOptions, 'directory' | 'port' | 'zmqPort'>

let node: RegtestNode | undefined

serve(
  async (place) => {
    node = new RegtestNode({ ...(place as RegtestNodePlace), policy: 'loose', txindex: true })
    await node.start(AbortSignal.timeout(600_000))
    return { url: node.url, cookieFile: node.cookieFile, zmqEndpoint: node.zmqEndpoint }
  },
  async () => {
    await node?.stop()
  },
)
