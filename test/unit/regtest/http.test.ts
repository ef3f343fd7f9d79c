import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/log.ts'
import { RegtestCore } from '../../../src/regtest/core.ts'
import { type Fault, type FaultRequest, HttpFront } from '../../../src/regtest/http.ts'
import { RegtestNode, type RegtestNodeOptions } from '../../../src/regtest/node.ts'
import { POLICIES } from '../../../src/regtest/policy.ts'
import { RpcTable } from '../../../src/regtest/rpc.ts'
import { CHAIN_CALLS } from '../../../src/regtest/rpc-chain.ts'
import { SILENT } from '../../../src/regtest/zmq.ts'
import { HttpCaller, type NodeClient, type Reply } from '../../support/node-contract.ts'
import { call } from '../../support/node-contract-chain.ts'

const signal = AbortSignal.timeout(60_000)
let directory = ''
let caller: HttpCaller
const running: { stop(): Promise<void> }[] = []
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'regtest-http-'))
  caller = new HttpCaller()
})
afterEach(async () => {
  caller.close()
  for (const each of running.splice(0)) await each.stop()
  rmSync(directory, { recursive: true, force: true })
})

async function start(
  options: Partial<RegtestNodeOptions> = {},
  fault?: (request: FaultRequest) => Fault | undefined,
): Promise<RegtestNode> {
  const node = new RegtestNode({ directory, initialBlocks: 3, ...options }, fault === undefined ? {} : { fault })
  running.push(node)
  await node.start(signal)
  return node
}

function clientOf(node: RegtestNode): NodeClient {
  return { url: node.url, login: readFileSync(node.cookieFile, 'utf8') }
}

async function rest(node: RegtestNode, path: string): Promise<Reply> {
  return caller.call(`${node.url}/rest/${path}`, 'GET', undefined, undefined)
}

describe('the cookie', () => {
  it('is for the owner only, another one at every start, and gone when the node is', async () => {
    const node = await start()
    const before = clientOf(node)
    expect(before.login).toMatch(/^__cookie__:[0-9a-f]{64}$/)
    expect(statSync(node.cookieFile).mode & 0o777).toBe(0o600)
    await node.stop()
    expect(existsSync(node.cookieFile)).toBe(false)
    await node.start(signal)
    const after = clientOf(node)
    expect(after.login).not.toBe(before.login)
    const stale = await caller.rpc({ ...after, login: before.login }, 'getblockcount', [])
    expect([stale.status, stale.www]).toEqual([401, 'Basic realm="jsonrpc"'])
    expect(await call(caller, after, 'getblockcount')).toBe(3)
  })
})

describe('a node that is starting', () => {
  it('answers -28 over RPC and 503 over REST until it is ready', async () => {
    const options = { directory, policy: POLICIES.loose, txindex: false }
    const core = new RegtestCore(options, { clock: systemClock, publisher: SILENT })
    const table = new RpcTable(CHAIN_CALLS, { core, uptime: () => 0, zmq: () => [] })
    const cookieFile = join(directory, '.cookie')
    const front = new HttpFront(
      { port: 0, cookieFile, rest: { spentTxOuts: true } },
      { core, table, log: silentLogger() },
    )
    running.push(front, { stop: async () => core.close() })
    await front.start()
    const client = { url: `http://127.0.0.1:${front.port}`, login: readFileSync(cookieFile, 'utf8') }
    expect(await call(caller, client, 'getblockcount')).toMatch(/^-28 /)
    expect((await caller.rpc(client, 'getblockcount', [])).status).toBe(500)
    const early = await caller.call(`${client.url}/rest/chaininfo.json`, 'GET', undefined, undefined)
    expect([early.status, early.type]).toEqual([503, 'text/plain'])
    await core.load(signal)
    front.ready()
    expect(await call(caller, client, 'getblockcount')).toBe(0)
  })
})

describe('switches', () => {
  it('rest=0 knows nothing below /rest/', async () => {
    const node = await start({ rest: false })
    expect((await rest(node, 'chaininfo.json')).status).toBe(404)
  })

  it('an older node has no spenttxouts', async () => {
    const node = await start({ spentTxOuts: false })
    expect((await rest(node, `spenttxouts/${node.bestBlockHash}.bin`)).status).toBe(404)
    expect((await rest(node, `block/${node.bestBlockHash}.bin`)).status).toBe(200)
  })
})

describe('the fault hook', () => {
  it('sees every call and every path, and lets pass what it has nothing against', async () => {
    const seen: string[] = []
    const node = await start({}, ({ kind, method }) => {
      seen.push(`${kind} ${method}`)
      return undefined
    })
    expect(await call(caller, clientOf(node), 'getblockcount')).toBe(3)
    await rest(node, 'chaininfo.json')
    await rest(node, `block/${node.bestBlockHash}.bin`)
    await caller.call(`${node.url}/`, 'POST', clientOf(node).login, '[{"id":1,"method":"uptime"}]')
    expect(seen).toEqual(['rpc getblockcount', 'rest chaininfo', 'rest block', 'rpc batch'])
  })

  it('replaces answers, cuts them short, closes connections and stalls', async () => {
    let fault: Fault | undefined
    let asked = (): void => undefined
    const node = await start({}, () => {
      asked()
      return fault
    })
    const client = clientOf(node)
    const path = `block/${node.bestBlockHash}.bin`
    const whole = (await rest(node, path)).body
    fault = { status: 503, body: 'busy' }
    expect((await rest(node, path)).body.toString()).toBe('busy')
    expect((await caller.rpc(client, 'getblockcount', [])).status).toBe(503)
    fault = { truncate: 50 }
    expect((await rest(node, path)).body).toEqual(whole.subarray(0, 50))
    fault = { drop: true }
    await expect(rest(node, path)).rejects.toThrow()
    fault = { delayMs: 1 }
    expect(await call(caller, client, 'getblockcount')).toBe(3)
    fault = { delayMs: 2 ** 30 }
    const arrived = new Promise<void>((resolve) => {
      asked = resolve
    })
    const stalled = Promise.allSettled([rest(node, path)])
    await arrived
    await node.stop()
    expect((await stalled)[0]?.status).toBe('rejected')
  })
})
