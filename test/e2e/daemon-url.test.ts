import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scriptHashOf, scriptHashToHex } from '../../src/chain/script.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import { NODE_KINDS, type ReachedNode } from '../support/e2e-nodes.ts'
import { ServerProcess } from '../support/server-process.ts'
import { WireClient } from '../support/wire-client.ts'

const DESCRIPTOR = 'raw(51)#8lvh9jxk'
const OP_TRUE = scriptHashToHex(scriptHashOf(fromHex('51')))
const SERVICES = 'tcp://127.0.0.1:0,rpc://127.0.0.1:0'

describe.each(NODE_KINDS)('the server with DAEMON_URL at $kind', (kind) => {
  let directory: string
  let node: ReachedNode
  let server: ServerProcess
  let client: WireClient

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
    node = await kind.start()
    await node.rpc('generatetodescriptor', 150, DESCRIPTOR)
    server = ServerProcess.start({ ...node.environment, DB_DIRECTORY: directory, SERVICES })
    await server.ready()
    client = await WireClient.connect({ kind: 'tcp', port: server.port('tcp') })
    await client.request('server.version', ['test', '1.4'])
  })

  afterAll(async () => {
    await client?.close()
    await server?.stop()
    await node?.stop()
    await rm(directory, { recursive: true, force: true })
  })

  it('has the whole chain and every output of it', async () => {
    expect(await client.request('blockchain.headers.subscribe')).toMatchObject({ height: 150 })
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(150)
    // The subsidy halves at 150 on regtest.
    expect(await client.request('blockchain.scripthash.get_balance', [OP_TRUE])).toEqual({
      confirmed: 149 * 5_000_000_000 + 2_500_000_000,
      unconfirmed: 0,
    })
  })

  it('tells a subscriber of a block, once', async () => {
    const before = await client.request('blockchain.scripthash.subscribe', [OP_TRUE])
    await node.rpc('generatetodescriptor', 1, DESCRIPTOR)
    expect(await client.notification('blockchain.headers.subscribe')).toMatchObject([{ height: 151 }])
    const [scripthash, status] = (await client.notification('blockchain.scripthash.subscribe')) as [string, string]
    expect(scripthash).toBe(OP_TRUE)
    expect(status).not.toBe(before)
    expect(await client.request('blockchain.scripthash.subscribe', [OP_TRUE])).toBe(status)
  })

  it('follows the node through a reorganisation', async () => {
    const tip = await node.rpc<string>('getbestblockhash')
    await node.rpc('invalidateblock', tip)
    await node.rpc('generatetoaddress', 3, 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080')
    for (let height = 0; height !== 153; ) {
      const [header] = (await client.notification('blockchain.headers.subscribe')) as [{ height: number }]
      height = header.height
    }
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(150)
  })

  it('stops within 5 s and goes on where it was', async () => {
    const begun = performance.now()
    expect(await server.stop('SIGTERM')).toBe(0)
    expect(performance.now() - begun).toBeLessThan(5000)
    await node.rpc('generatetodescriptor', 1, DESCRIPTOR)
    server = ServerProcess.start({ ...node.environment, DB_DIRECTORY: directory, SERVICES })
    await server.ready()
    expect(server.log.find(({ msg }) => msg === 'index opened')).toMatchObject({ height: 153 })
    client = await WireClient.connect({ kind: 'tcp', port: server.port('tcp') })
    expect(await client.request('blockchain.headers.subscribe')).toMatchObject({ height: 154 })
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(151)
  })

  it('refuses the index of another network, and a second server on the same one', async () => {
    const second = ServerProcess.start({ ...node.environment, DB_DIRECTORY: directory, SERVICES })
    expect(await second.ended()).toBe(1)
    expect(JSON.stringify(second.log)).toMatch(/locked|in use|another process/i)
    await server.stop()
    const other = ServerProcess.start({ ...node.environment, NET: 'signet', DB_DIRECTORY: directory, SERVICES })
    expect(await other.ended()).toBe(2)
    expect(JSON.stringify(other.log)).toMatch(/regtest.*signet|signet.*regtest/)
  })

  it('refuses a node of another network', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
    const lost = ServerProcess.start({ ...node.environment, NET: 'testnet4', DB_DIRECTORY: empty, SERVICES })
    expect(await lost.ended()).toBe(2)
    expect(lost.errors).toMatch(/NET is testnet4 .* is on the network "regtest": correct NET or DAEMON_URL\n/)
    // What that start has left in the directory is no obstacle to who corrects NET.
    const right = ServerProcess.start({ ...node.environment, DB_DIRECTORY: empty, SERVICES })
    await right.ready()
    await right.stop()
    await rm(empty, { recursive: true, force: true })
  })
})

describe('the server told to stop', () => {
  it('stops in order although one Ctrl-C under npm arrives twice', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
    const server = ServerProcess.start({ DB_DIRECTORY: directory, SERVICES })
    await server.ready()
    process.kill(server.pid, 'SIGINT')
    expect(await server.stop('SIGINT')).toBe(0)
    expect(server.log.at(-1)).toMatchObject({ msg: 'stopped' })
    await rm(directory, { recursive: true, force: true })
  })
})

describe('the server with wrong settings', () => {
  it('names all of them at once and ends with exit code 2', async () => {
    const server = ServerProcess.start({ NET: 'moon', SERVICES: 'gopher://:70', LOG_LEVEL: 'loud' })
    expect(await server.ended()).toBe(2)
    expect(server.errors).toMatch(/NET is "moon".*\n.*SERVICES.*\n.*LOG_LEVEL/)
  })
})
