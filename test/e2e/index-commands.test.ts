import { execFile } from 'node:child_process'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BLOCKS as ATOMICALS_BLOCKS } from '../../src/atomicals/layout.ts'
import { realDisk } from '../../src/db/disk.ts'
import { gatherSome } from '../../src/db/gather.ts'
import { NONE_GATHERED } from '../../src/db/history-rows.ts'
import { HEAD_ALL_SPENT, HEADERS, HEADS, HISTORY, type KeySpace, OUTPUTS, TXS, UTXOS } from '../../src/db/layout.ts'
import { openLevelStore } from '../../src/db/level-store.ts'
import type { Store } from '../../src/db/store.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { NodeProxy } from '../support/node-proxy.ts'
import { ServerProcess } from '../support/server-process.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')
const ADDRESS = 'bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202'
const BLOCKS = 130
const PAID = [105, 110, 115, 125]

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A node with a chain, and a server that has indexed it. */
class Stage {
  readonly directory: string
  node: RegtestNode
  /** What stands before the node, if anything does. */
  proxy: NodeProxy | undefined

  private constructor(directory: string, node: RegtestNode) {
    this.directory = directory
    this.node = node
  }

  static async make(spentTxOuts: boolean): Promise<Stage> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-index-'))
    const node = new RegtestNode({ directory: join(directory, 'node'), spentTxOuts })
    await node.start(AbortSignal.timeout(60_000))
    while (node.height < BLOCKS) {
      if (PAID.includes(node.height)) {
        // The second spends the change of the first, in the same block.
        node.send(ADDRESS, 4_999_000_000n)
        node.send(ADDRESS, 1_000_000n)
      }
      node.mine(1)
    }
    return new Stage(directory, node)
  }

  /** Forgets the index; the node starts anew, with the same chain. */
  async anew(spentTxOuts: boolean): Promise<void> {
    await this.node.stop()
    await rm(join(this.directory, 'db'), { recursive: true })
    this.node = new RegtestNode({ directory: join(this.directory, 'node'), spentTxOuts })
    await this.node.start(AbortSignal.timeout(60_000))
  }

  get environment(): Record<string, string> {
    return {
      NET: 'regtest',
      DAEMON_URL: this.proxy?.url ?? this.node.url,
      DAEMON_COOKIE_FILE: this.node.cookieFile,
      DB_DIRECTORY: join(this.directory, 'db'),
      SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0',
      CACHE_MB: '16',
    }
  }

  async index(): Promise<void> {
    const server = ServerProcess.start(this.environment)
    await server.ready()
    await server.stop()
  }

  run(...words: readonly string[]): Promise<Outcome> {
    const env = { PATH: process.env['PATH'] ?? '', ...this.environment }
    return new Promise((settle) => {
      execFile(process.execPath, [MAIN, 'index', ...words], { env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
        settle({ code: error === null ? 0 : Number(error.code), stdout, stderr })
      })
    })
  }

  async close(): Promise<void> {
    await this.node.stop()
    await rm(this.directory, { recursive: true, force: true })
  }

  /** Changes the store behind the server's back for as long as `use` runs. */
  async spoilt(spoil: (store: Store) => Promise<Spoilt>, use: () => Promise<void>): Promise<void> {
    const { key, value, was } = await this.#withStore(spoil)
    try {
      await this.#withStore((store) => write(store, key, value))
      await use()
    } finally {
      await this.#withStore((store) => write(store, key, was))
    }
  }

  async #withStore<T>(use: (store: Store) => Promise<T>): Promise<T> {
    const store = await openLevelStore(join(this.directory, 'db', 'index'), { cacheBytes: 1 << 20 }, realDisk)
    try {
      return await use(store)
    } finally {
      await store.close()
    }
  }
}

/** A row, what it is to be and what it was; undefined for none. */
interface Spoilt {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
  readonly was: Uint8Array | undefined
}

async function write(store: Store, key: Uint8Array, value: Uint8Array | undefined): Promise<void> {
  const batch = store.batch()
  if (value === undefined) batch.del(key)
  else batch.put(key, value)
  await batch.write()
}

async function someRow<K, V>(store: Store, space: KeySpace<K, V>): Promise<readonly [Uint8Array, Uint8Array]> {
  const rows = await store.rows({ ...space.range(), limit: 7 })
  return rows.at(-1)!
}

/** A way to be wrong, and what is told of it. */
interface Fault {
  readonly what: string
  readonly told: RegExp
  readonly spoil: (store: Store) => Promise<Spoilt>
}

const FAULTS: readonly Fault[] = [
  {
    what: 'an unspent output is missing',
    told: /^height \d+: unspent output\n {2}missing: [0-9a-f]{22} [0-9a-f]{32}:\d+ \d+ \d+$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, UTXOS)
      return { key, value: undefined, was }
    },
  },
  {
    what: 'an unspent output has another value',
    told: /: unspent output\n {2}missing: .* \d+\n {2}in excess: .* 77$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, UTXOS)
      return { key, value: UTXOS.valueBytes({ ...UTXOS.readValue(was), value: 77 }), was }
    },
  },
  {
    what: 'a transaction is missing in a history',
    told: /: history\n {2}missing: [0-9a-f]{22} \d+$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, HISTORY)
      return { key, value: undefined, was }
    },
  },
  {
    what: 'a history has one transaction too many',
    told: /: history\n {2}in excess: (ab){11} 3$/m,
    spoil: () => {
      const key = HISTORY.keyBytes({ hashX: new Uint8Array(11).fill(0xab), first: 3 })
      return Promise.resolve({ key, value: HISTORY.valueBytes({ deltas: [] }), was: undefined })
    },
  },
  {
    what: 'the head of a history has one transaction too many',
    told: /: history\n {2}in excess: (ab){11} 3$/m,
    spoil: () => {
      const key = HEADS.keyBytes({ hashX: new Uint8Array(11).fill(0xab) })
      return Promise.resolve({ key, value: HEADS.valueBytes({ flags: 0, deltas: [3] }), was: undefined })
    },
  },
  {
    what: 'a history names a transaction that the chain does not have',
    told: /^beyond the tip: history\n {2}in excess: (ab){11} 99999$/m,
    spoil: () => {
      const key = HISTORY.keyBytes({ hashX: new Uint8Array(11).fill(0xab), first: 99_999 })
      return Promise.resolve({ key, value: HISTORY.valueBytes({ deltas: [] }), was: undefined })
    },
  },
  {
    what: 'a transaction cannot be looked up',
    told: /: answer to a transaction\n {2}missing: [0-9a-f]{64}: height \d+, position \d+\n {2}in excess: not found$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, TXS)
      return { key, value: undefined, was }
    },
  },
  {
    what: 'a header counts transactions wrongly',
    told: /^height 6: header row\n {2}missing: [0-9a-f]{160} 6 6\n {2}in excess: [0-9a-f]{160} 6 5$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, HEADERS)
      const row = HEADERS.readValue(was)
      return { key, value: HEADERS.valueBytes({ ...row, inputCount: row.inputCount - 1 }), was }
    },
  },
  {
    what: 'an Atomicals block is missing',
    told: /^whole index: atomicals blocks\n {2}missing: 42[0-9a-f]{8} [0-9a-f]+$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, ATOMICALS_BLOCKS)
      return { key, value: undefined, was }
    },
  },
  {
    what: 'an Atomicals block has another hash',
    told: /^whole index: atomicals blocks\n {2}missing: (42[0-9a-f]{8}) [0-9a-f]+\n {2}in excess: \1 (ee){32}/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, ATOMICALS_BLOCKS)
      const value = ATOMICALS_BLOCKS.valueBytes({
        ...ATOMICALS_BLOCKS.readValue(was),
        hash: new Uint8Array(32).fill(0xee),
      })
      return { key, value, was }
    },
  },
  {
    // The last one: the histories stay gathered.
    what: 'the head of a script keeps its unspent outputs from being read',
    told: /: unspent output\n {2}in excess: [0-9a-f]{22} is said to have none$/m,
    spoil: async (store) => {
      await gatherSome(store, NONE_GATHERED)
      const [utxo] = await someRow(store, UTXOS)
      const { hashX } = UTXOS.readKey(utxo)
      const key = HEADS.keyBytes({ hashX })
      const was = store.getSync(key)!
      const { flags, deltas } = HEADS.readValue(was)
      return { key, value: HEADS.valueBytes({ flags: flags | HEAD_ALL_SPENT, deltas }), was }
    },
  },
]

/** Of an index that lists outputs. */
const LISTED_FAULTS: readonly Fault[] = [
  {
    what: 'a listed output is missing',
    told: /: listed output\n {2}missing: [0-9a-f]{32}:\d+ [0-9a-f]{22} \d+$/m,
    spoil: async (store) => {
      const [key, was] = await someRow(store, OUTPUTS)
      return { key, value: undefined, was }
    },
  },
]

describe('the digest of a chain', () => {
  it('is the same whether the node tells what blocks spend or not', async () => {
    const stage = await Stage.make(false)
    try {
      await stage.index()
      const looked = await stage.run('dump')
      await stage.anew(true)
      await stage.index()
      const told = await stage.run('dump')
      expect(told.stdout).toContain(`height ${BLOCKS}\n`)
      expect(looked.stdout.replace(/^outputs .*\n/m, '')).toBe(told.stdout)
    } finally {
      await stage.close()
    }
  })
})

describe.each([
  { node: 'a node that tells what blocks spend', spentTxOuts: true, faults: FAULTS },
  { node: 'a node that does not tell what blocks spend', spentTxOuts: false, faults: LISTED_FAULTS },
])('index commands with $node', ({ spentTxOuts, faults }) => {
  let stage: Stage

  beforeAll(async () => {
    stage = await Stage.make(spentTxOuts)
    await stage.index()
  })

  afterAll(() => stage?.close())

  it('dump the tip and a digest that is the same each time', async () => {
    const first = await stage.run('dump')
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(
      new RegExp(
        `^height ${BLOCKS}\nhash ${stage.node.bestBlockHash}\ndigest [0-9a-f]{64}\n` +
          (spentTxOuts ? '$' : 'outputs [0-9a-f]{64}\n$'),
      ),
    )
    expect(await stage.run('dump')).toEqual(first)
  })

  it('dump rows', async () => {
    const { code, stdout } = await stage.run('dump', '--rows')
    expect(code).toBe(0)
    expect(stdout.match(/^txids \d+ /gm)).toHaveLength(BLOCKS + 1)
    expect(stdout).toMatch(/^history [0-9a-f]{22} \d+/m)
  })

  it('find an index right that is', async () => {
    expect(await stage.run('check')).toMatchObject({
      code: 0,
      stdout: `the index agrees with ${BLOCKS + 1} blocks with ${BLOCKS + 2 * PAID.length} transactions of the node\n`,
    })
  })

  it('ask the node for blocks alone, not for each transaction that they spend of', async () => {
    const proxy = await NodeProxy.before(stage.node.url)
    stage.proxy = proxy
    try {
      expect(await stage.run('check')).toMatchObject({ code: 0 })
      expect(proxy.asked.length).toBeGreaterThan(BLOCKS)
      expect(proxy.asked).not.toContain('getrawtransaction')
    } finally {
      stage.proxy = undefined
      await proxy.close()
    }
  })

  it.each(faults)('say where it differs when $what', async ({ spoil, told }) => {
    await stage.spoilt(spoil, async () => {
      const { code, stdout } = await stage.run('check')
      expect(stdout).toMatch(told)
      expect(stdout).toContain('the index DIFFERS')
      expect(code).toBe(1)
    })
  })

  it('say where it differs when a byte of a file is another', async () => {
    const file = await open(join(stage.directory, 'db', 'inputs'), 'r+')
    const byte = new Uint8Array(1)
    try {
      await file.read(byte, 0, 1, 8 * 49 + 3)
      await file.write(Uint8Array.of(byte[0]! ^ 1), 0, 1, 8 * 49 + 3)
      const { code, stdout } = await stage.run('check')
      expect(stdout).toMatch(/^height 50: inputs\n {2}missing: 0{8}f{8}\n {2}in excess: 0{7}1f{8}$/m)
      expect(code).toBe(1)
    } finally {
      await file.write(byte, 0, 1, 8 * 49 + 3)
      await file.close()
    }
  })

  it('refuse while a server runs', async () => {
    const server = ServerProcess.start(stage.environment)
    try {
      await server.ready()
      for (const verb of ['dump', 'check']) {
        const { code, stdout, stderr } = await stage.run(verb)
        expect(stderr).toContain('another process is using the database')
        expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
      }
    } finally {
      await server.stop()
    }
  })

  it('refuse an index that is at a block which the node has left', async () => {
    const lost = stage.node.bestBlockHash
    stage.node.reorganize(1)
    const { code, stderr } = await stage.run('check')
    expect(stderr).toContain(`the index is at block ${lost} (height ${BLOCKS}), which is not in the node's chain`)
    expect(code).toBe(1)
  })
})

describe('index commands', () => {
  it('make no index where there is none, and explain themselves', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'valence-index-'))
    try {
      const run = (...words: string[]): Promise<Outcome> =>
        new Promise((settle) => {
          const env = { PATH: process.env['PATH'] ?? '', DB_DIRECTORY: directory, NET: 'regtest' }
          execFile(process.execPath, [MAIN, ...words], { env }, (error, stdout, stderr) => {
            settle({ code: error === null ? 0 : Number(error.code), stdout, stderr })
          })
        })
      const refused = await run('index', 'dump')
      expect(refused.stderr).toContain(`there is no index in ${directory}`)
      expect(refused.code).toBe(1)
      expect(await readdir(directory)).toEqual([])
      for (const words of [[], ['dmp'], ['dump', '--row'], ['check', 'all']]) {
        const { code, stderr } = await run('index', ...words)
        expect(stderr).toContain('valence index dump [--rows]')
        expect(code).toBe(2)
      }
    } finally {
      await rm(directory, { recursive: true, force: true })
    }
  })
})
