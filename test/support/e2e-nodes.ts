import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { RegtestNode } from '../../src/regtest/node.ts'
import { freePort } from './free-port.ts'

/** A regtest node of one's own, reached from outside like any bitcoind. */
export interface ReachedNode {
  /** What the server's environment needs to find it. */
  readonly environment: Readonly<Record<string, string>>
  rpc<T = unknown>(method: string, ...params: unknown[]): Promise<T>
  stop(): Promise<void>
}

export interface NodeKind {
  readonly kind: string
  start(): Promise<ReachedNode>
}

/** The built-in node always, and the real one that $BITCOIND names. */
export const NODE_KINDS: readonly NodeKind[] = [
  { kind: 'the built-in node', start: startBuiltIn },
  ...(process.env['BITCOIND'] === undefined
    ? []
    : [{ kind: 'bitcoind', start: () => startBitcoind(process.env['BITCOIND']!) }]),
]

async function startBuiltIn(): Promise<ReachedNode> {
  const directory = await mkdtemp(join(tmpdir(), 'valence-node-'))
  const node = new RegtestNode({ directory })
  await node.start(AbortSignal.timeout(60_000))
  return reached(node, async () => {
    await node.stop()
    await rm(directory, { recursive: true, force: true })
  })
}

async function startBitcoind(program: string): Promise<ReachedNode> {
  const directory = await mkdtemp(join(tmpdir(), 'valence-bitcoind-'))
  const [port, zmqPort] = [await freePort(), await freePort()]
  const zmqEndpoint = `tcp://127.0.0.1:${zmqPort}`
  const options = [
    '-regtest',
    '-server',
    '-rest',
    '-listen=0',
    '-connect=0',
    '-acceptnonstdtxn=1',
    `-datadir=${directory}`,
  ]
  const places = [`-rpcport=${port}`, `-zmqpubhashblock=${zmqEndpoint}`, `-zmqpubsequence=${zmqEndpoint}`]
  const child = spawn(program, [...options, ...places], { stdio: 'ignore' })
  const cookieFile = join(directory, 'regtest', '.cookie')
  const node = reached({ url: `http://127.0.0.1:${port}`, cookieFile, zmqEndpoint }, async () => {
    await ended(child)
    await rm(directory, { recursive: true, force: true })
  })
  const deadline = Date.now() + 60_000
  for (;;) {
    try {
      await node.rpc('getblockcount')
      return node
    } catch (error) {
      if (child.exitCode !== null || Date.now() > deadline) throw new Error('bitcoind does not start', { cause: error })
      await delay(100)
    }
  }
}

function reached(
  place: { readonly url: string; readonly cookieFile: string; readonly zmqEndpoint: string },
  stop: () => Promise<void>,
): ReachedNode {
  return {
    environment: {
      DAEMON_URL: place.url,
      DAEMON_COOKIE_FILE: place.cookieFile,
      DAEMON_ZMQ: place.zmqEndpoint,
      NET: 'regtest',
    },
    stop,
    rpc: async <T>(method: string, ...params: unknown[]) => {
      const login = readFileSync(place.cookieFile, 'utf8').trim()
      const response = await fetch(place.url, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(login).toString('base64')}` },
        body: JSON.stringify({ id: 1, method, params }),
      })
      const { result, error } = (await response.json()) as { result: T; error: { message: string } | null }
      if (error !== null) throw new Error(`${method}: ${error.message}`)
      return result
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000)
  await gone
  clearTimeout(timer)
}
