import { RegtestNode } from '../../../src/regtest/node.ts'
import { serve } from './child.ts'

/** The built-in node in a process of its own. The one question it is asked is where to keep its chain. */
let node: RegtestNode | undefined

serve(
  async (directory) => {
    node = new RegtestNode({ directory: directory as string, policy: 'loose', txindex: true })
    await node.start(AbortSignal.timeout(600_000))
    return { url: node.url, cookieFile: node.cookieFile, zmqEndpoint: node.zmqEndpoint }
  },
  async () => {
    await node?.stop()
  },
)
