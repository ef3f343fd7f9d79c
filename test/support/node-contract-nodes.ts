import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../../src/lib/clock.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { freePort } from './free-port.ts'
import { HttpCaller, type NodeClient } from './node-contract.ts'

/** How the recorded node was started: see the fixture's README. */
export interface NodeMode {
  readonly policy: 'loose' | 'ordinary'
  readonly txindex: boolean
}

/** A node that the contract is held against; its chain stays from one start to the next, its mempool does not. */
export interface NodeUnderTest {
  start(mode: NodeMode): Promise<NodeClient & { readonly zmq: string }>
  stop(): Promise<void>
  /** Stops it and removes what it wrote. */
  remove(): Promise<void>
}

/** Seconds since 1970 when the answers were recorded: blocks of that time must not be in the future. */
export const RECORDED_AT = 1_795_214_660

export class BuiltInNode implements NodeUnderTest {
  readonly #directory = mkdtempSync(join(tmpdir(), 'node-contract-'))
  #node: RegtestNode | undefined

  async start({ policy, txindex }: NodeMode): ReturnType<NodeUnderTest['start']> {
    const clock = { ...systemClock, now: () => RECORDED_AT * 1000 }
    const node = new RegtestNode({ directory: this.#directory, policy, txindex }, { clock })
    this.#node = node
    await node.start(AbortSignal.timeout(60_000))
    return { url: node.url, login: readFileSync(node.cookieFile, 'utf8'), zmq: node.zmqEndpoint }
  }

  async stop(): Promise<void> {
    await this.#node?.stop()
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

const LOOSE = ['-acceptnonstdtxn=1', '-minrelaytxfee=0.000001', '-dustrelayfee=0', '-datacarriersize=100000']

export class Bitcoind implements NodeUnderTest {
  readonly #program: string
  readonly #directory = mkdtempSync(join(tmpdir(), 'node-contract-'))
  #process: ChildProcess | undefined

  constructor(program: string) {
    this.#program = program
  }

  async start({ policy, txindex }: NodeMode): ReturnType<NodeUnderTest['start']> {
    const [port, zmqPort] = [await freePort(), await freePort()]
    const zmq = `tcp://127.0.0.1:${zmqPort}`
    const options = [
      '-regtest',
      '-server',
      '-rest',
      '-listen=0',
      '-persistmempool=0',
      '-maxtipage=1000000000',
      `-datadir=${this.#directory}`,
      `-rpcport=${port}`,
      `-mocktime=${RECORDED_AT}`,
      `-zmqpubhashblock=${zmq}`,
      `-zmqpubsequence=${zmq}`,
      ...(policy === 'loose' ? LOOSE : []),
      ...(txindex ? ['-txindex=1', '-txospenderindex=1'] : []),
    ]
    this.#process = spawn(this.#program, options, { stdio: 'ignore' })
    const client = await this.#untilReady(`http://127.0.0.1:${port}`, txindex)
    return { ...client, zmq }
  }

  async stop(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  }

  async remove(): Promise<void> {
    await this.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  /** A process of somebody else's can only be asked again and again. */
  async #untilReady(url: string, txindex: boolean): Promise<NodeClient> {
    const caller = new HttpCaller()
    const deadline = AbortSignal.timeout(60_000)
    try {
      for (;;) {
        deadline.throwIfAborted()
        try {
          const login = readFileSync(join(this.#directory, 'regtest', '.cookie'), 'utf8')
          const reply = await caller.rpc({ url, login }, 'getindexinfo', [])
          const text = reply.body.toString()
          if (reply.status === 200 && (!txindex || /("synced":true.*){2}/.test(text))) return { url, login }
        } catch (error) {
          const code = error instanceof Error && 'code' in error ? error.code : undefined
          if (code !== 'ENOENT' && code !== 'ECONNREFUSED') throw error
        }
        await delay(50)
      }
    } finally {
      caller.close()
    }
  }
}
