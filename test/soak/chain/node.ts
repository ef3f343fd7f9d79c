import { join } from 'node:path'
import {
  environmentFor,
  freePorts,
  type NodePorts,
  type NodeProcess,
  startNode,
} from '../../bench/support/node-process.ts'
import type { NodeRpc } from '../../bench/support/node-rpc.ts'

/** The node of a soak: bitcoind where there is one, else the built-in one. It can be started anew, at the same place. */
export class SoakNode {
  restarts = 0
  readonly #program: string | undefined
  readonly #directory: string
  readonly #ports: NodePorts
  #process: NodeProcess

  private constructor(program: string | undefined, directory: string, ports: NodePorts, process: NodeProcess) {
    this.#program = program
    this.#directory = directory
    this.#ports = ports
    this.#process = process
  }

  static async start(program: string | undefined, directory: string): Promise<SoakNode> {
    const ports = await freePorts()
    const place = join(directory, 'node')
    return new SoakNode(program, place, ports, await startNode({ bitcoind: program, txIndex: false }, place, ports))
  }

  get rpc(): NodeRpc {
    return this.#process.rpc
  }

  /** What the server's environment needs to find it. */
  get environment(): Record<string, string> {
    return environmentFor(this.#process)
  }

  /** Mines what the mempool has, and more blocks behind it. */
  async mine(count: number, address: string): Promise<void> {
    await this.rpc.call('generatetoaddress', count, address)
  }

  /** Another branch in place of the last `depth` blocks, one longer. `between` runs while there is none. */
  async reorganize(depth: number, address: string, between: () => Promise<void>): Promise<void> {
    const height = await this.rpc.call<number>('getblockcount')
    await this.rpc.call('invalidateblock', await this.rpc.call<string>('getblockhash', height - depth + 1))
    await between()
    await this.mine(depth + 1, address)
  }

  /** Ends it in order, and starts it at the same place; the built-in one loses its mempool. */
  async restart(between: () => Promise<void>): Promise<void> {
    await this.#process.stop()
    await between()
    this.#process = await startNode({ bitcoind: this.#program, txIndex: false }, this.#directory, this.#ports)
    this.restarts += 1
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }

  kill(): void {
    this.#process.kill()
  }
}
