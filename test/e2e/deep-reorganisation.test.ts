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
const OTHERS = 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080'
const LIMIT = 10
const TIP = 30
/** Of the last block that both branches have: one block further down than can be gone back. */
const FORK = TIP - LIMIT - 1

describe.each(NODE_KINDS)('a reorganisation deeper than REORG_LIMIT, of $kind,', (kind) => {
  const undo: (() => unknown)[] = []
  let node: ReachedNode
  let index = ''
  let server: ServerProcess
  let client: WireClient
  /** First block of the branch that is left. */
  let lost = ''

  function start(): ServerProcess {
    const started = ServerProcess.start({
      ...node.environment,
      DB_DIRECTORY: index,
      REORG_LIMIT: String(LIMIT),
      SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0',
    })
    undo.push(() => started.stop('SIGKILL'))
    server = started
    return started
  }

  async function connect(): Promise<WireClient> {
    const made = await WireClient.connect({ kind: 'tcp', port: server.port('tcp') })
    undo.push(() => made.close())
    await made.request('server.version', ['test', '1.4'])
    return made
  }

  const tip = async (): Promise<number> =>
    ((await client.request('blockchain.headers.subscribe')) as { height: number }).height

  /** Ends with the code that keeps systemd from starting it again, and says in a sentence what has happened and what to do. */
  async function endsWithAdvice(): Promise<void> {
    expect(await server.ended()).toBe(2)
    expect(server.errors).toMatch(
      new RegExp(
        // How deep it is was not looked for further down than can be gone back.
        `^(a reorganisation of ${TIP - FORK} blocks, from height ${TIP} to ${FORK}, and only ${LIMIT} can be|` +
          `the node's chain left ours more than ${LIMIT} blocks below height ${TIP}, which cannot be) taken back ` +
          '\\(REORG_LIMIT\\): is it the right node\\? If it is, stop the server, empty DB_DIRECTORY and index again\\n$',
      ),
    )
    expect(server.log.filter(({ level }) => Number(level) >= 50)).toHaveLength(2)
  }

  beforeAll(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
    undo.push(() => rm(directory, { recursive: true, force: true }))
    index = join(directory, 'index')
    node = await kind.start()
    undo.push(() => node.stop())
    await node.rpc('generatetodescriptor', TIP, DESCRIPTOR)
    lost = await node.rpc<string>('getblockhash', FORK + 1)
    await start().ready()
    client = await connect()
  })

  afterAll(async () => {
    for (const step of undo.splice(0).reverse()) await step()
  })

  it('changes nothing for clients while the node has no other branch, and is told to the operator once', async () => {
    expect(await tip()).toBe(TIP)
    const status = await client.request('blockchain.scripthash.subscribe', [OP_TRUE])
    await node.rpc('invalidateblock', lost)
    const { reason } = await server.until(
      ({ msg }) => msg === 'the node cannot be followed at the moment; trying again',
    )
    expect(reason).toBe(
      `the node is at height ${FORK} and has to catch up with the index at ${TIP}: it has taken back more blocks than ` +
        'the index can (REORG_LIMIT)',
    )
    expect(await server.admin('getinfo')).toMatchObject({ ready: true, sync: { height: TIP, outage: reason } })
    expect(await tip()).toBe(TIP)
    expect(await client.request('blockchain.scripthash.subscribe', [OP_TRUE])).toBe(status)
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(TIP)
  })

  it('ends the server with advice and without a word to clients once there is one, and a start does not help', async () => {
    await node.rpc('generatetoaddress', 1, OTHERS)
    await endsWithAdvice()
    expect(client.unread).toEqual([])
    start()
    await endsWithAdvice()
    expect(server.log.map(({ msg }) => msg)).not.toContain('serving')
  })

  it('is over where the old branch wins after all: the server goes on where it was', async () => {
    await node.rpc('reconsiderblock', lost)
    await start().ready()
    expect(server.log.find(({ msg }) => msg === 'index opened')).toMatchObject({ height: TIP })
    client = await connect()
    expect(await tip()).toBe(TIP)
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(TIP)
  })

  it('is over where the advice is followed', async () => {
    await node.rpc('invalidateblock', lost)
    await node.rpc('generatetoaddress', TIP - FORK + 1, OTHERS)
    expect(await server.ended()).toBe(2)
    await rm(index, { recursive: true })
    await start().ready()
    client = await connect()
    expect(await tip()).toBeGreaterThan(TIP)
    expect(await client.request('blockchain.scripthash.get_history', [OP_TRUE])).toHaveLength(FORK)
    expect(await server.stop()).toBe(0)
  })
})
