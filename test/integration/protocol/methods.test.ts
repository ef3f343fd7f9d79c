import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseWholeTx, serializeTx, type Tx } from '../../../src/chain/tx.ts'
import { concat, fromDisplayHex, fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { sha256, sha256d } from '../../../src/lib/hash.ts'
import { compareVersions } from '../../../src/rpc/method.ts'
import { electrumMethods } from '../../../src/rpc/methods/table.ts'
import { parseVersion } from '../../../src/rpc/versions.ts'
import { SOFTWARE } from '../../../src/version.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { type Payee, payee, Station } from './station.ts'

/**
 * Every method at every version, on the whole server, over a small chain whose answers are known by themselves: what is
 * expected comes from the node, from the transactions made here, and from sums written out.
 *
 *   111  the faucet pays alice 1.5
 *   112  alice pays bob 1.0 and herself 0.4999
 *   113  the faucet pays carol 0.5
 *   mempool: bob pays carol 0.9 and himself 0.0999; carol passes her 0.9 on to dave, 0.899
 */

const VERSIONS = ['1.4', '1.4.2', '1.6', '1.7'] as const
type Version = (typeof VERSIONS)[number]

const COIN = 100_000_000
/** Plain Electrum: with Atomicals, listunspent has more members (see the replay of corpus A). */
const ENVIRONMENT = {
  ATOMICALS: 'off',
  DONATION_ADDRESS: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  REPORT_SERVICES: 'tcp://electrum.example.org:50001,ssl://electrum.example.org:50002',
}

interface Chain {
  readonly fromFaucet: Tx
  readonly toBob: Tx
  readonly toCarol: Tx
  readonly bobSpends: Tx
  readonly carolSpends: Tx
  /** Raw headers from genesis on. */
  readonly headers: readonly string[]
}

interface Row {
  readonly method: string
  readonly params: readonly unknown[]
  /** The same by name. */
  readonly named: object
  readonly from?: Version
  readonly until?: Version
  /** What is answered; may depend on the version. */
  readonly is: unknown
}

let station: Station
let chain: Chain
const [alice, bob, carol, dave, nobody] = ['alice', 'bob', 'carol', 'dave', 'nobody'].map(payee) as [
  Payee,
  Payee,
  Payee,
  Payee,
  Payee,
]

beforeAll(async () => {
  station = await Station.start(ENVIRONMENT)
  chain = await build()
})

afterAll(async () => {
  await station?.stop()
})

function spend(tx: Tx, vout: number, pays: readonly (readonly [Payee, number])[]): Tx {
  const input = { prevTxid: tx.txid, prevIndex: vout, script: new Uint8Array(0), sequence: 0xffff_fffd, witness: [] }
  const outputs = pays.map(([{ bytes }, value]) => ({ script: bytes, value: BigInt(Math.round(value * COIN)) }))
  return parseWholeTx(serializeTx({ version: 2, inputs: [input], outputs, locktime: 0 }))
}

async function raw(txid: string): Promise<Tx> {
  return parseWholeTx(fromHex(String(await station.rpc('getrawtransaction', txid))))
}

function outputTo(tx: Tx, { script }: Payee): number {
  return tx.outputs.findIndex((output) => toHex(output.script) === script)
}

async function build(): Promise<Chain> {
  const { node } = station
  const fromFaucet = await raw(node.send(alice.address, 150_000_000n))
  await station.mine(1)
  const toBob = spend(fromFaucet, outputTo(fromFaucet, alice), [
    [bob, 1],
    [alice, 0.4999],
  ])
  node.submitTx(toBob.raw)
  await station.mine(1)
  const toCarol = await raw(node.send(carol.address, 50_000_000n))
  await station.mine(1)
  const bobSpends = spend(toBob, 0, [
    [carol, 0.9],
    [bob, 0.0999],
  ])
  const carolSpends = spend(bobSpends, 0, [[dave, 0.899]])
  const client = await station.client('1.4')
  await client.request('blockchain.scripthash.subscribe', [dave.hash])
  for (const tx of [bobSpends, carolSpends]) node.submitTx(tx.raw)
  await client.notification('blockchain.scripthash.subscribe')
  client.destroy()
  const headers: string[] = []
  for (let height = 0; height <= 113; height++) {
    headers.push(String(await station.rpc('getblockheader', await station.rpc('getblockhash', height), false)))
  }
  return { fromFaucet, toBob, toCarol, bobSpends, carolSpends, headers }
}

/** Branch and root of a merkle tree, as the protocol describes them: an odd node is hashed with itself. */
function merkle(leaves: readonly Uint8Array[], at: number): { readonly branch: string[]; readonly root: string } {
  const branch: string[] = []
  let level = [...leaves]
  for (let index = at; level.length > 1; index >>= 1) {
    if (level.length % 2 === 1) level.push(level.at(-1)!)
    branch.push(toDisplayHex(level[index ^ 1]!))
    level = Array.from({ length: level.length / 2 }, (_, i) => sha256d(concat(level[2 * i]!, level[2 * i + 1]!)))
  }
  return { branch, root: toDisplayHex(level[0]!) }
}

function headerProof(height: number, checkpoint: number) {
  return merkle(
    chain.headers.slice(0, checkpoint + 1).map((header) => sha256d(fromHex(header))),
    height,
  )
}

const idOf = (tx: Tx): string => toDisplayHex(tx.txid)

function status(items: readonly (readonly [Tx, number])[]): string {
  return toHex(sha256(Buffer.from(items.map(([tx, height]) => `${idOf(tx)}:${height}:`).join(''))))
}

/** Inputs are given, so that a fee is what is missing in the outputs. */
function feeOf(tx: Tx, inputs: number): number {
  return Math.round(inputs * COIN) - Number(tx.outputs.reduce((sum, { value }) => sum + value, 0n))
}

function rows(version: Version): readonly Row[] {
  const { fromFaucet, toBob, toCarol, bobSpends, carolSpends, headers } = chain
  const bobsHistory = [
    { tx_hash: idOf(toBob), height: 112 },
    { tx_hash: idOf(bobSpends), height: 0, fee: feeOf(bobSpends, 1) },
  ]
  const carolsMempool = [
    { tx_hash: idOf(bobSpends), height: 0, fee: feeOf(bobSpends, 1) },
    { tx_hash: idOf(carolSpends), height: -1, fee: feeOf(carolSpends, 0.9) },
  ]
  const carolsHistory = [{ tx_hash: idOf(toCarol), height: 113 }, ...carolsMempool]
  const carolsCoins = [{ tx_hash: idOf(toCarol), tx_pos: outputTo(toCarol, carol), height: 113, value: 50_000_000 }]
  const bobsCoins = [{ tx_hash: idOf(bobSpends), tx_pos: 1, height: 0, value: 9_990_000 }]
  const block112 = [headers[112]!.slice(72, 136)]
  const proof = { block_height: 112, merkle: expect.any(Array) as string[], pos: 1 }
  const scripts = { from: '1.4', until: '1.6' } as const
  const spk = { from: '1.7' } as const
  expect(block112[0]).toHaveLength(64)
  return [
    { method: 'server.banner', params: [], named: {}, is: `You are connected to ${SOFTWARE}.` },
    { method: 'server.donation_address', params: [], named: {}, is: ENVIRONMENT.DONATION_ADDRESS },
    {
      method: 'server.features',
      params: [],
      named: {},
      is: {
        hosts: { 'electrum.example.org': { tcp_port: 50001, ssl_port: 50002 } },
        services: ENVIRONMENT.REPORT_SERVICES.split(','),
        pruning: null,
        server_version: SOFTWARE,
        protocol_min: '1.4',
        protocol_max: '1.7',
        genesis_hash: toDisplayHex(sha256d(fromHex(headers[0]!))),
        ...(version === '1.7' ? {} : { hash_function: 'sha256' }),
        mempool_complete: true,
      },
    },
    { method: 'server.peers.subscribe', params: [], named: {}, is: [] },
    { method: 'server.add_peer', params: [{ hosts: {} }], named: { features: { hosts: {} } }, is: false },
    { method: 'server.ping', params: [], named: {}, until: '1.6', is: null },
    {
      method: 'server.ping',
      params: [5, 'ffff'],
      named: { pong_len: 5, data: 'ffff' },
      from: '1.7',
      is: { data: '00000' },
    },
    { method: 'blockchain.headers.subscribe', params: [], named: {}, is: { height: 113, hex: headers[113] } },
    { method: 'blockchain.block.header', params: [7], named: { height: 7 }, is: headers[7] },
    {
      method: 'blockchain.block.header',
      params: [7, 100],
      named: { height: 7, cp_height: 100 },
      is: { header: headers[7], ...headerProof(7, 100) },
    },
    {
      method: 'blockchain.block.headers',
      params: [111, 5],
      named: { start_height: 111, count: 5 },
      is: { count: 3, max: 2016, ...headersAs(version, headers.slice(111)) },
    },
    {
      method: 'blockchain.block.headers',
      params: [3, 2, 113],
      named: { start_height: 3, count: 2, cp_height: 113 },
      is: { count: 2, max: 2016, ...headersAs(version, headers.slice(3, 5)), ...headerProof(4, 113) },
    },
    {
      method: 'blockchain.block.headers',
      params: [114, 2],
      named: { start_height: 114, count: 2 },
      is: { count: 0, max: 2016, ...headersAs(version, []) },
    },
    { method: 'blockchain.estimatefee', params: [6], named: { number: 6 }, is: expect.any(Number) as unknown },
    { method: 'blockchain.relayfee', params: [], named: {}, until: '1.4.2', is: 0.000001 },
    {
      method: 'mempool.get_info',
      params: [],
      named: {},
      from: '1.6',
      is: { mempoolminfee: 0.000001, minrelaytxfee: 0.000001, incrementalrelayfee: 0.000001 },
    },
    { method: 'mempool.get_fee_histogram', params: [], named: {}, is: [] },
    {
      method: 'mempool.recent',
      params: [],
      named: {},
      from: '1.7',
      is: expect.arrayContaining([
        { txid: idOf(carolSpends), fee: feeOf(carolSpends, 0.9), vsize: expect.any(Number) as number },
        { txid: idOf(bobSpends), fee: feeOf(bobSpends, 1), vsize: expect.any(Number) as number },
      ]) as unknown,
    },

    { method: 'blockchain.scripthash.get_balance', ...byHash(bob), ...scripts, is: balance(1, -0.9001) },
    { method: 'blockchain.scripthash.get_balance', ...byHash(dave), ...scripts, is: balance(0, 0.899) },
    { method: 'blockchain.scripthash.get_history', ...byHash(bob), ...scripts, is: bobsHistory },
    { method: 'blockchain.scripthash.get_history', ...byHash(carol), ...scripts, is: carolsHistory },
    { method: 'blockchain.scripthash.get_history', ...byHash(nobody), ...scripts, is: [] },
    { method: 'blockchain.scripthash.get_mempool', ...byHash(carol), ...scripts, is: carolsMempool },
    { method: 'blockchain.scripthash.listunspent', ...byHash(carol), ...scripts, is: carolsCoins },
    { method: 'blockchain.scripthash.listunspent', ...byHash(bob), ...scripts, is: bobsCoins },
    {
      method: 'blockchain.scripthash.subscribe',
      ...byHash(carol),
      ...scripts,
      is: status([
        [toCarol, 113],
        [bobSpends, 0],
        [carolSpends, -1],
      ]),
    },
    { method: 'blockchain.scripthash.subscribe', ...byHash(nobody), ...scripts, is: null },
    { method: 'blockchain.scripthash.unsubscribe', ...byHash(dave), from: '1.4.2', until: '1.6', is: false },

    { method: 'blockchain.scriptpubkey.get_balance', ...byScript(bob), ...spk, is: balance(1, -0.9001) },
    { method: 'blockchain.scriptpubkey.get_history', ...byScript(carol), ...spk, is: { history: carolsHistory } },
    { method: 'blockchain.scriptpubkey.get_mempool', ...byScript(carol), ...spk, is: { history: carolsMempool } },
    { method: 'blockchain.scriptpubkey.listunspent', ...byScript(bob), ...spk, is: { utxos: bobsCoins } },
    {
      method: 'blockchain.scriptpubkey.subscribe',
      ...byScript(bob),
      ...spk,
      is: status([
        [toBob, 112],
        [bobSpends, 0],
      ]),
    },
    { method: 'blockchain.scriptpubkey.unsubscribe', ...byScript(dave), ...spk, is: false },

    ...(['get_status', 'subscribe'] as const).flatMap((name): Row[] => {
      const method = `blockchain.outpoint.${name}`
      const spent = { funder_height: 111, spender_txhash: idOf(toBob), spender_height: 112 }
      const spentInMempool = { funder_height: 112, spender_txhash: idOf(bobSpends), spender_height: 0 }
      const inMempool = { funder_height: 0, spender_txhash: idOf(carolSpends), spender_height: -1 }
      return [
        { method, ...byOutpoint(fromFaucet, outputTo(fromFaucet, alice)), ...spk, is: spent },
        { method, ...byOutpoint(toBob, 0), ...spk, is: spentInMempool },
        { method, ...byOutpoint(toBob, 1), ...spk, is: { funder_height: 112 } },
        { method, ...byOutpoint(bobSpends, 0), ...spk, is: inMempool },
        { method, ...byOutpoint(carolSpends, 0), ...spk, is: { funder_height: -1 } },
        { method, ...byOutpoint(carolSpends, 1), ...spk, is: {} },
      ]
    }),
    { method: 'blockchain.outpoint.unsubscribe', ...byOutpoint(toCarol, 0), ...spk, is: false },

    { method: 'blockchain.transaction.get', ...byId(toBob), is: toHex(toBob.raw) },
    { method: 'blockchain.transaction.get', ...byId(carolSpends), is: toHex(carolSpends.raw) },
    {
      method: 'blockchain.transaction.get',
      params: [idOf(toBob), true],
      named: { tx_hash: idOf(toBob), verbose: true },
      is: expect.objectContaining({ txid: idOf(toBob), hex: toHex(toBob.raw), confirmations: 2 }) as unknown,
    },
    {
      method: 'blockchain.transaction.get_merkle',
      params: [idOf(toBob), 112],
      named: { tx_hash: idOf(toBob), height: 112 },
      is: proof,
    },
    {
      method: 'blockchain.transaction.id_from_pos',
      params: [112, 1],
      named: { height: 112, tx_pos: 1 },
      is: idOf(toBob),
    },
    {
      method: 'blockchain.transaction.id_from_pos',
      params: [112, 1, true],
      named: { height: 112, tx_pos: 1, merkle: true },
      is: { tx_hash: idOf(toBob), merkle: expect.any(Array) as unknown },
    },
    {
      method: 'blockchain.transaction.testmempoolaccept',
      params: [[toHex(toBob.raw)]],
      named: { raw_txs: [toHex(toBob.raw)] },
      from: '1.7',
      is: [expect.objectContaining({ txid: idOf(toBob), allowed: false }) as unknown],
    },
  ]
}

function headersAs(version: Version, headers: readonly string[]) {
  return compareVersions(parseVersion(version), [1, 6, 0]) < 0 ? { hex: headers.join('') } : { headers }
}

function balance(confirmed: number, unconfirmed: number) {
  return { confirmed: Math.round(confirmed * COIN), unconfirmed: Math.round(unconfirmed * COIN) }
}

const byHash = ({ hash }: Payee) => ({ params: [hash], named: { scripthash: hash } })
const byScript = ({ script }: Payee) => ({ params: [script], named: { spk: script } })
const byId = (tx: Tx) => ({ params: [idOf(tx)], named: { tx_hash: idOf(tx) } })
const byOutpoint = (tx: Tx, vout: number) => ({
  params: [idOf(tx), vout],
  named: { tx_hash: idOf(tx), txout_idx: vout },
})

const isAt = ({ from = '1.4', until = '1.7' }: Row, version: Version): boolean => {
  const at = VERSIONS.indexOf(version)
  return at >= VERSIONS.indexOf(from) && at <= VERSIONS.indexOf(until)
}

/** Methods that change something have tests of their own below. */
const ELSEWHERE = ['server.version', 'blockchain.transaction.broadcast', 'blockchain.transaction.broadcast_package']

describe.each(VERSIONS)('protocol %s', (version) => {
  it('answers server.version with itself, once', async () => {
    const client = await station.connect()
    expect(await client.request('server.version', ['me', ['1.4', version]])).toEqual([SOFTWARE, version])
    const again = client.request('server.version', { client_name: 'me', protocol_version: version })
    await expect(again).rejects.toMatchObject({ code: 1, message: 'server.version already sent' })
  })

  it.each(['position', 'name'] as const)('has the known answers to every method, by %s', async (by) => {
    const client = await station.client(version)
    for (const row of rows(version).filter((row) => isAt(row, version))) {
      const asked = `${row.method} ${JSON.stringify(row.params)}`
      const answer = await client.request(row.method, by === 'position' ? row.params : row.named)
      expect([asked, answer]).toEqual([asked, row.is])
    }
  })

  it('knows no method of other versions', async () => {
    const client = await station.client(version)
    const here = new Set(rows(version).flatMap((row) => (isAt(row, version) ? [row.method] : [])))
    for (const { method, params } of rows(version)) {
      if (here.has(method)) continue
      await expect(client.request(method, params), method).rejects.toMatchObject({ code: -32601 })
    }
  })

  it('has proofs that lead to the root in the header', async () => {
    const client = await station.client(version)
    const id = idOf(chain.toBob)
    const proof = (await client.request('blockchain.transaction.get_merkle', [id, 112])) as {
      readonly merkle: readonly string[]
      readonly pos: number
    }
    let node = chain.toBob.txid
    for (const [i, sibling] of proof.merkle.entries()) {
      const other = fromDisplayHex(sibling)
      node = sha256d((proof.pos >> i) & 1 ? concat(other, node) : concat(node, other))
    }
    expect(toHex(node)).toBe(chain.headers[112]!.slice(72, 136))
    const byPosition = await client.request('blockchain.transaction.id_from_pos', [112, proof.pos, true])
    expect(byPosition).toEqual({ tx_hash: id, merkle: proof.merkle })
  })

  it('subscribes to what it is told of, and ends it', async () => {
    const client = await station.client(version)
    const family = version === '1.7' ? 'scriptpubkey' : 'scripthash'
    const name = version === '1.7' ? dave.script : dave.hash
    expect(await client.request(`blockchain.${family}.subscribe`, [name])).toBe(status([[chain.carolSpends, -1]]))
    if (version === '1.4') return
    expect(await client.request(`blockchain.${family}.unsubscribe`, [name])).toBe(true)
    expect(await client.request(`blockchain.${family}.unsubscribe`, [name])).toBe(false)
  })
})

describe('the table of answers', () => {
  it('names every method that there is', () => {
    const named = new Set([...rows('1.7').map(({ method }) => method), ...ELSEWHERE])
    expect([...named].sort()).toEqual([...new Set(electrumMethods().map(({ name }) => name))].sort())
  })
})

describe('errors', () => {
  interface Wrong {
    readonly method: string
    readonly params: readonly unknown[] | object
    readonly code: number
    readonly version?: Version
  }

  const WRONG: readonly Wrong[] = [
    { method: 'server.nothing', params: [], code: -32601 },
    { method: 'blockchain.block.header', params: [], code: -32602 },
    { method: 'blockchain.block.header', params: [1, 2, 3], code: -32602 },
    { method: 'blockchain.block.header', params: { hoehe: 1 }, code: -32602 },
    { method: 'blockchain.block.header', params: ['x'], code: 1 },
    { method: 'blockchain.block.header', params: [114], code: 1 },
    { method: 'blockchain.block.header', params: [5, 4], code: 1 },
    { method: 'blockchain.block.header', params: [5, 114], code: 1 },
    { method: 'blockchain.block.headers', params: [-1, 1], code: 1 },
    { method: 'blockchain.estimatefee', params: [1, 'never'], code: 1, version: '1.6' },
    { method: 'blockchain.scripthash.get_balance', params: ['00'], code: 1 },
    { method: 'blockchain.scripthash.subscribe', params: ['zz'.repeat(32)], code: 1 },
    { method: 'blockchain.scriptpubkey.get_balance', params: ['xyz'], code: 1, version: '1.7' },
    { method: 'blockchain.outpoint.get_status', params: ['ab', 0], code: 1, version: '1.7' },
    { method: 'blockchain.transaction.get', params: ['ab'], code: 1 },
    { method: 'blockchain.transaction.get', params: ['ab'.repeat(32)], code: 2 },
    { method: 'blockchain.transaction.get_merkle', params: ['ab'.repeat(32), 5], code: 1 },
    { method: 'blockchain.transaction.id_from_pos', params: [112, 9], code: 1 },
    { method: 'blockchain.transaction.broadcast', params: ['00'], code: 1 },
    { method: 'blockchain.transaction.broadcast_package', params: ['00'], code: 1, version: '1.6' },
    { method: 'server.ping', params: [9_000_000], code: 1, version: '1.7' },
  ]

  it.each(WRONG)('$code for $method $params', async ({ method, params, code, version = '1.4' }) => {
    const client = await station.client(version)
    await expect(client.request(method, params)).rejects.toMatchObject({ code })
    expect(await client.request('server.ping')).toEqual(version === '1.7' ? { data: '' } : null)
  })

  it.each([
    { what: 'no JSON', text: '{"id":1', code: -32700 },
    { what: 'no UTF-8', text: Buffer.from([0x7b, 0xff, 0x7d]), code: -32700 },
    { what: 'an empty batch', text: '[]', code: -32600 },
    { what: 'a number', text: '5', code: -32600 },
    { what: 'an id that is a list', text: '{"jsonrpc":"2.0","id":[1],"method":"server.ping"}', code: -32600 },
  ])('$code for $what', async ({ text, code }) => {
    const client = await station.client()
    client.sendRaw(text)
    expect(await client.next()).toMatchObject({ error: { code } })
    expect(await client.request('server.ping')).toBeNull()
  })
})

describe('outpoint.get_status', () => {
  it('knows the output of the first transaction that can be spent, that of block 1', async () => {
    const client = await station.client('1.7')
    const hash = await station.rpc('getblockhash', 1)
    const { tx } = (await station.rpc('getblock', hash)) as { readonly tx: readonly string[] }
    const told = client.request('blockchain.outpoint.get_status', [tx[0], 0])
    expect(await told).toMatchObject({ funder_height: 1 })
  })
})

describe('broadcast', () => {
  /** What carol has in block 113, passed on again and again by those who come. */
  async function fresh(client: WireClient, fee: number): Promise<Tx> {
    const coins = (await client.request('blockchain.scripthash.listunspent', [carol.hash])) as readonly {
      readonly tx_hash: string
      readonly tx_pos: number
      readonly value: number
    }[]
    const { tx_hash: txid, tx_pos: vout, value } = coins[0]!
    const tx = parseWholeTx(fromHex(String(await client.request('blockchain.transaction.get', [txid]))))
    return spend(tx, vout, [[carol, value / COIN - fee]])
  }

  it.each(VERSIONS)(
    'takes a transaction at %s, tells its id and notifies, and refuses a second spend',
    async (version) => {
      const client = await station.client(version)
      const watcher = await station.client('1.4')
      await watcher.request('blockchain.scripthash.subscribe', [carol.hash])
      const tx = await fresh(watcher, 0.0001)
      const rival = await fresh(watcher, 0.00002)
      expect(await client.request('blockchain.transaction.broadcast', [toHex(tx.raw)])).toBe(idOf(tx))
      const [who] = (await watcher.notification('blockchain.scripthash.subscribe')) as [string]
      expect(who).toBe(carol.hash)
      const refused = client.request('blockchain.transaction.broadcast', { raw_tx: toHex(rival.raw) })
      await expect(refused).rejects.toMatchObject({
        code: 1,
        message: expect.stringContaining('insufficient fee') as string,
      })
    },
  )

  it.each(['1.6', '1.7'] as const)('takes a package at %s', async (version) => {
    const client = await station.client(version)
    const watcher = await station.client('1.4')
    await watcher.request('blockchain.scripthash.subscribe', [carol.hash])
    const parent = await fresh(watcher, 0.0001)
    const child = spend(parent, 0, [[carol, Number(parent.outputs[0]!.value) / COIN - 0.0001]])
    const params = [[toHex(parent.raw), toHex(child.raw)]]
    expect(await client.request('blockchain.transaction.broadcast_package', params)).toEqual({ success: true })
    await watcher.notification('blockchain.scripthash.subscribe')
    const told = client.request('blockchain.transaction.broadcast_package', { raw_txs: params[0], verbose: true })
    expect(await told).toMatchObject({ package_msg: 'success' })
  })
})
