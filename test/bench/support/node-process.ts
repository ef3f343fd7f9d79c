import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { RegtestAddresses } from '../../../src/regtest/run.ts'
import { freePort } from '../../support/free-port.ts'
import { Child } from './child.ts'
import { NodeRpc } from './node-rpc.ts'
import type { BenchOptions } from './options.ts'

/** A regtest node in a process of its own. */
export interface NodeProcess {
  readonly pid: number
  readonly url: string
  readonly cookieFile: string
  readonly zmqEndpoint: string
  readonly rpc: NodeRpc
  stop(): Promise<void>
  /** At once, without waiting. */
  kill(): void
}

const START_LIMIT_MS = 600_000

/** Where a node is to be reached on 127.0.0.1. */
export interface NodePorts {
  readonly port: number
  readonly zmqPort: number
}

export async function freePorts(): Promise<NodePorts> {
  return { port: await freePort(), zmqPort: await freePort() }
}

/**
 * Starts a node on a directory; `bitcoind` is its program, or undefined for the built-in one, which has every index. Give
 * the ports to one that is to be found again after it was started anew.
 */
export async function startNode(
  { bitcoind, txIndex }: Pick<BenchOptions, 'bitcoind' | 'txIndex'>,
  directory: string,
  ports?: NodePorts,
): Promise<NodeProcess> {
  const at = ports ?? (await freePorts())
  return bitcoind === undefined ? startBuiltIn(directory, at) : startBitcoind(bitcoind, directory, txIndex, at)
}

/** What a server's environment needs to find a node. */
export function environmentFor(node: NodeProcess): Record<string, string> {
  return { NET: 'regtest', DAEMON_URL: node.url, DAEMON_COOKIE_FILE: node.cookieFile, DAEMON_ZMQ: node.zmqEndpoint }
}

async function startBuiltIn(directory: string, ports: NodePorts): Promise<NodeProcess> {
  const child = new Child(new URL('regtest-child.ts', import.meta.url), ['--max-old-space-size=6000'])
  try {
    const addresses = await child.ask<RegtestAddresses>({ directory, ...ports }, START_LIMIT_MS)
    return nodeOf(child.pid, addresses, { end: () => child.stop(), kill: () => child.kill() })
  } catch (error) {
    await child.stop()
    throw error
  }
}

async function startBitcoind(
  program: string,
  directory: string,
  txIndex: boolean,
  { port, zmqPort }: NodePorts,
): Promise<NodeProcess> {
  await mkdir(directory, { recursive: true })
  const zmqEndpoint = `tcp://127.0.0.1:${zmqPort}`
  // The blocks carry times of 2023, their scripts are not standard, regtest checks itself slowly, and many requests may
  // come at a time.
  const options = [
    `-regtest -server -rest -txindex=${txIndex ? 1 : 0} -disablewallet -printtoconsole=0`,
    '-listen=0 -connect=0 -dnsseed=0 -fixedseeds=0 -natpmp=0',
    '-maxtipage=999999999 -acceptnonstdtxn -checkmempool=0 -checkblockindex=0 -rpcworkqueue=256 -rpcthreads=4',
    `-rpcbind=127.0.0.1 -rpcallowip=127.0.0.1 -rpcport=${port}`,
    `-zmqpubhashblock=${zmqEndpoint} -zmqpubsequence=${zmqEndpoint}`,
  ].flatMap((line) => line.split(' '))
  const child = spawn(program, [...options, `-datadir=${directory}`], { stdio: 'ignore' })
  const addresses = { url: `http://127.0.0.1:${port}`, cookieFile: join(directory, 'regtest', '.cookie'), zmqEndpoint }
  const node = nodeOf(child.pid ?? 0, addresses, { end: () => endOf(child), kill: () => child.kill('SIGKILL') })
  try {
    await untilAnswering(node, child)
    return node
  } catch (error) {
    await node.stop()
    throw error
  }
}

function nodeOf(
  pid: number,
  addresses: RegtestAddresses,
  life: { readonly end: () => Promise<void>; readonly kill: () => void },
): NodeProcess {
  const rpc = new NodeRpc(addresses.url, addresses.cookieFile)
  return {
    pid,
    ...addresses,
    rpc,
    stop: async () => {
      rpc.close()
      await life.end()
    },
    kill: life.kill,
  }
}

async function untilAnswering(node: NodeProcess, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS
  for (;;) {
    try {
      await node.rpc.call('getblockcount')
      return
    } catch (error) {
      const dead = child.exitCode !== null || child.pid === undefined
      if (dead || Date.now() > deadline) throw new Error('bitcoind does not start', { cause: error })
      await delay(100)
    }
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
  await gone
  clearTimeout(timer)
}
