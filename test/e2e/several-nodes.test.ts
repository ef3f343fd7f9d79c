import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { scriptHashOf, scriptHashToHex } from '../../src/chain/script.ts'
import { fromHex } from '../../src/lib/bytes.ts'
import { NODE_KINDS, type ReachedNode } from '../support/e2e-nodes.ts'
import { NodeProxy } from '../support/node-proxy.ts'
import { ServerProcess } from '../support/server-process.ts'
import { WireClient } from '../support/wire-client.ts'

const DESCRIPTOR = 'raw(51)#8lvh9jxk'
const OP_TRUE = scriptHashToHex(scriptHashOf(fromHex('51')))
const SERVICES = 'tcp://127.0.0.1:0,rpc://127.0.0.1:0'
const LOGIN = 'user:password'

/** A node that does not know of the other one, and the line to it, which can be cut. */
interface Reach {
  readonly node: ReachedNode
  readonly line: NodeProxy
}

describe.each(NODE_KINDS)('the server with two nodes in DAEMON_URL, each of them $kind,', (kind) => {
  const undo: (() => unknown)[] = []
  let first: Reach
  let second: Reach
  let server: ServerProcess
  let client: WireClient

  async function reach(): Promise<Reach> {
    const node = await kind.start()
    undo.push(() => node.stop())
    const { environment } = node
    const line = await NodeProxy.before(environment['DAEMON_URL'] ?? '')
    undo.push(() => line.close())
    const own = readFileSync(environment['DAEMON_COOKIE_FILE'] ?? '', 'utf8').trim()
    line.credentials = { accepted: () => LOGIN, own }
    return { node, line }
  }

  /** Gives the second node what the first has on top of what it has. */
  async function share(): Promise<void> {
    const height = await first.node.rpc<number>('getblockcount')
    for (let at = (await second.node.rpc<number>('getblockcount')) + 1; at <= height; at++) {
      const block = await first.node.rpc('getblock', await first.node.rpc('getblockhash', at), 0)
      await second.node.rpc('submitblock', block)
    }
    expect(await second.node.rpc('getbestblockhash')).toBe(await first.node.rpc('getbestblockhash'))
  }

  const tip = async (): Promise<number> =>
    ((await client.request('blockchain.headers.subscribe')) as { height: number }).height
  /** Heights that followers of the tip were told of since the last call, up to this one. */
  async function told(last: number): Promise<number[]> {
    const heights: number[] = []
    while (heights.at(-1) !== last) {
      const [header] = (await client.notification('blockchain.headers.subscribe')) as [{ height: number }]
      heights.push(header.height)
    }
    return heights
  }

  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
    undo.push(() => rm(directory, { recursive: true, force: true }))
    first = await reach()
    second = await reach()
    await first.node.rpc('generatetodescriptor', 20, DESCRIPTOR)
    await share()
    const url = ({ line }: Reach): string => line.url.replace('//', `//${LOGIN}@`)
    server = ServerProcess.start({
      NET: 'regtest',
      DAEMON_URL: `${url(first)},${url(second)}`,
      DB_DIRECTORY: join(directory, 'index'),
      DAEMON_POLL_INTERVAL_BLOCKS: '50',
      SERVICES,
    })
    undo.push(() => server.stop('SIGKILL'))
    await server.ready()
    client = await WireClient.connect({ kind: 'tcp', port: server.port('tcp') })
    undo.push(() => client.close())
    await client.request('server.version', ['test', '1.4'])
    expect(await tip()).toBe(20)
  })

  afterAll(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  it('takes nothing back when the first goes away and the second lacks blocks', async () => {
    await first.node.rpc('generatetodescriptor', 4, DESCRIPTOR)
    await told(24)
    const status = await client.request('blockchain.scripthash.subscribe', [OP_TRUE])
    await first.line.close()
    const { reason } = await server.until(
      ({ msg, reason: why }) =>
        String(msg).startsWith('the node cannot be followed') && String(why).includes('catch up'),
    )
    expect(reason).toBe('the node is at height 20 and has to catch up with the index at 24')
    expect(await tip()).toBe(24)
    expect(await client.request('blockchain.scripthash.subscribe', [OP_TRUE])).toBe(status)
    expect(client.unread).toEqual([])
  })

  it('goes on with the first as soon as it is back, for it has more', async () => {
    await first.line.open()
    await first.node.rpc('generatetodescriptor', 1, DESCRIPTOR)
    expect(await told(25)).toEqual([25])
  })

  it('goes on with the second where that has what was indexed', async () => {
    await share()
    await first.line.close()
    await second.node.rpc('generatetodescriptor', 1, DESCRIPTOR)
    expect(await told(26)).toEqual([26])
  })

  it('is not led back by the first, which comes back without the last block', async () => {
    await first.line.open()
    await second.node.rpc('generatetodescriptor', 1, DESCRIPTOR)
    expect(await told(27)).toEqual([27])
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(27)
  })

  it('follows another branch once that has more blocks than what was indexed', async () => {
    await second.line.close()
    // The first has 25 of the 27 blocks.
    await server.until(({ reason }) => String(reason).includes('at height 25 and has to catch up'))
    await first.node.rpc('generatetoaddress', 3, 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080')
    expect(await told(28)).toEqual([28])
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(25)
    expect(await server.admin('getinfo')).toMatchObject({ sync: { state: 'following', height: 28 } })
    expect(server.errors).toBe('')
  })
})
