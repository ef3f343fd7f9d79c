import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import { DaemonError, DaemonUnavailableError } from '../../src/errors.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/log.ts'
import { FakeBitcoind, RawJson, RpcFault } from '../support/fake-bitcoind.ts'
import { HandClock } from '../support/hand-clock.ts'

interface Row {
  readonly id: number
  readonly step: string
  readonly via?: string
  readonly method?: string
  readonly params?: readonly unknown[]
  readonly path?: string
  readonly status: number
  readonly body?: string
  readonly hex?: string
}

interface Reply {
  readonly result: unknown
  readonly error: { readonly code: number; readonly message: string } | null
}

const FILE = join(import.meta.dirname, '../fixtures/node-contract/contract.jsonl.gz')
const ROWS = gunzipSync(readFileSync(FILE))
  .toString('utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Row)

const GENESIS = '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206'

/** How a recorded question is asked of the client; undefined for questions that it never asks. */
type Ask = (daemon: Bitcoind, params: readonly unknown[]) => Promise<unknown> | undefined

const isBoolean = (value: unknown): boolean => value === undefined || typeof value === 'boolean'

const ASKS: Readonly<Record<string, Ask>> = {
  getblockcount: (daemon) => daemon.height(),
  getblockchaininfo: (daemon) => daemon.chainInfo(),
  getnetworkinfo: (daemon) => daemon.networkInfo(),
  getmempoolinfo: (daemon) => daemon.mempoolInfo(),
  getblock: (daemon, [hash, verbosity]) => (verbosity === 0 ? daemon.rawBlock(hash as string).then(toHex) : undefined),
  getrawmempool: (daemon, params) => (params[1] === true ? daemon.mempoolIds() : undefined),
  getrawtransaction: (daemon, [txid, verbose, block]) => {
    if (!isBoolean(verbose)) return undefined
    return verbose === true
      ? daemon.verboseTransaction(txid as string, block as string | undefined)
      : daemon.rawTransaction(txid as string, block as string | undefined).then(toHex)
  },
  sendrawtransaction: (daemon, params) => (params.length === 1 ? daemon.broadcast(params[0] as string) : undefined),
  submitpackage: (daemon, params) => (params.length === 1 ? daemon.broadcastPackage(params[0] as string[]) : undefined),
  testmempoolaccept: (daemon, params) =>
    params.length === 1 ? daemon.testMempoolAccept(params[0] as string[]) : undefined,
  estimatesmartfee: (daemon, params) =>
    params.length === 0 ? undefined : daemon.estimateFee(params[0] as number, params[1] as string | undefined),
}

/** What the client should make of a recorded result. */
function expected(method: string, params: readonly unknown[], row: Row): unknown {
  const { result } = JSON.parse(row.body ?? '') as Reply
  const object = result as Record<string, unknown>
  switch (method) {
    case 'getblockchaininfo':
      return {
        chain: 'regtest',
        blocks: object['blocks'],
        headers: object['headers'],
        bestBlockHash: object['bestblockhash'],
        initialBlockDownload: object['initialblockdownload'],
        pruned: false,
      }
    case 'getnetworkinfo':
      return { version: 319900, subversion: '/Satoshi:31.99.0/', relayFee: object['relayfee'] }
    case 'getmempoolinfo':
      return {
        size: object['size'],
        loaded: object['loaded'],
        mempoolMinFee: object['mempoolminfee'],
        minRelayTxFee: object['minrelaytxfee'],
        incrementalRelayFee: object['incrementalrelayfee'],
      }
    case 'getrawmempool':
      return { txids: object['txids'], sequence: object['mempool_sequence'], waited: expect.any(Number) as number }
    case 'getrawtransaction':
      // The text itself, between the name and what follows in every recorded reply.
      return params[1] === true
        ? row.body?.slice('{"result":'.length, row.body.lastIndexOf(',"error":null,"id":"c"}'))
        : result
    case 'submitpackage': {
      const results = Object.values(object['tx-results'] as Record<string, { txid: string; error?: string }>)
      const errors = results.filter(({ error }) => error !== undefined).map(({ txid, error }) => ({ txid, error }))
      return { packageMessage: object['package_msg'], errors, raw: result }
    }
    case 'testmempoolaccept':
      return (result as Record<string, unknown>[]).map((one) => ({
        txid: one['txid'],
        wtxid: one['wtxid'],
        allowed: one['allowed'] === true,
        reason: one['reject-reason'] ?? one['package-error'],
      }))
    case 'estimatesmartfee':
      return object['feerate']
    default:
      return result
  }
}

describe('what a real bitcoind answered', () => {
  let node: FakeBitcoind
  let daemon: Bitcoind

  beforeAll(async () => {
    node = await FakeBitcoind.listen()
    daemon = new Bitcoind({ urls: [node.url] }, { log: silentLogger(), clock: systemClock })
    await daemon.start(new AbortController().signal)
  })

  afterAll(async () => {
    await daemon.stop()
    await node.close()
  })

  it.each(Object.keys(ASKS))('is understood by the client: %s', async (method) => {
    let asked = 0
    for (const row of ROWS) {
      // A node that warms up is in the tests of troubles.
      if (row.via !== 'rpc' || row.method !== method || row.step === 'warm-up') continue
      const params = row.params ?? []
      let sent: readonly unknown[] | undefined
      node.replay = (heard) => {
        sent = heard.params
        return { status: row.status, body: row.body ?? '' }
      }
      const answer = ASKS[method]?.(daemon, params)
      if (answer === undefined) continue
      asked += 1
      const { error } = JSON.parse(row.body ?? '') as Reply
      const name = `row ${row.id}`
      if (error === null) expect(await answer, name).toEqual(expected(method, params, row))
      else {
        const caught: unknown = await answer.catch((reason: unknown) => reason)
        expect(caught, name).toBeInstanceOf(DaemonError)
        expect(caught, name).toMatchObject({ daemonCode: error.code, message: error.message })
      }
      expect(sent, name).toEqual(params)
    }
    expect(asked).toBeGreaterThan(0)
    node.replay = undefined
  })

  it('is understood over REST, blocks that are there and blocks that are not', async () => {
    for (const { path, status, hex, body } of ROWS) {
      if (path !== undefined && hex !== undefined)
        node.rest.set(path.replace('/rest/', ''), () => ({ status, body: Buffer.from(hex, 'hex') }))
      else if (path !== undefined) node.rest.set(path.replace('/rest/', ''), () => ({ status, body: body ?? '' }))
    }
    const withRest = new Bitcoind({ urls: [node.url] }, { log: silentLogger(), clock: systemClock })
    await withRest.start(new AbortController().signal)
    expect(withRest.abilities).toEqual({ rest: true, spentTxOuts: true, zmq: undefined })
    const questions = ROWS.flatMap((row) => {
      const [, kind, hash] = /^\/rest\/(block|spenttxouts)\/([0-9a-f]{64})\.bin$/.exec(row.path ?? '') ?? []
      return hash === undefined ? [] : [{ kind, hash, row }]
    })
    expect(questions.length).toBeGreaterThan(8)
    for (const { kind, hash, row } of questions) {
      const answer = kind === 'block' ? withRest.rawBlock(hash) : withRest.spentTxOuts(hash)
      if (row.status === 200) expect(toHex(await answer)).toBe(row.hex)
      else
        await expect(answer).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -5, message: row.body?.trim() })
    }
    expect(node.heard.some(({ method }) => method === 'getblock')).toBe(true) // by the rows of getblock above
    await withRest.stop()
  })
})

describe('the calls', () => {
  let node: FakeBitcoind
  let daemon: Bitcoind

  beforeEach(async () => {
    node = await FakeBitcoind.listen()
    daemon = new Bitcoind({ urls: [node.url] }, { log: silentLogger(), clock: new HandClock((ms) => ms <= 4000) })
    await daemon.start(new AbortController().signal)
    node.heard.length = 0
    node.requests.length = 0
  })

  afterEach(async () => {
    await daemon.stop()
    await node.close()
  })

  const hashOf = (height: number): string => height.toString(16).padStart(64, '0')

  function chainOf(length: number): void {
    node.methods.set('getblockhash', ([height]) => {
      if (height === 0) return GENESIS
      if (typeof height === 'number' && height < length) return hashOf(height)
      throw new RpcFault(-8, 'Block height out of range')
    })
  }

  it('ask for hashes in batches of 2000, in order', async () => {
    chainOf(10_000)
    const hashes = await daemon.blockHashes(1, 4500)
    expect(hashes).toEqual(Array.from({ length: 4500 }, (_, index) => hashOf(index + 1)))
    expect(node.requests).toHaveLength(3)
  })

  it('give fewer hashes where the chain ends, and none beyond it', async () => {
    chainOf(2105)
    expect(await daemon.blockHashes(100, 5000)).toHaveLength(2005)
    expect(node.requests).toHaveLength(2)
    expect(await daemon.blockHashes(2105, 10)).toEqual([])
    expect(await daemon.blockHashes(5, 0)).toEqual([])
  })

  it('fail for hashes that a node refuses for another reason than the end of the chain', async () => {
    node.methods.set('getblockhash', () => {
      throw new RpcFault(-1, 'out of order')
    })
    await expect(daemon.blockHashes(1, 3)).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -1 })
  })

  it('ask for mempool transactions in batches of 200, in the order asked, undefined where one is gone', async () => {
    node.methods.set('getrawtransaction', ([txid]) => {
      const index = Number.parseInt(txid as string, 16)
      if (index % 7 === 3) throw new RpcFault(-5, 'No such mempool transaction.')
      return index.toString(16).padStart(8, '0')
    })
    const found = await daemon.mempoolTransactions(Array.from({ length: 950 }, (_, index) => hashOf(index)))
    expect(node.requests).toHaveLength(5)
    expect(found.map((raw) => raw && toHex(raw))).toEqual(
      Array.from({ length: 950 }, (_, index) => (index % 7 === 3 ? undefined : index.toString(16).padStart(8, '0'))),
    )
    expect(await daemon.mempoolTransactions([])).toEqual([])
  })

  it('fail as a whole if one batch of mempool transactions does, and ask no further', async () => {
    node.methods.set('getrawtransaction', ([txid]) => {
      if (txid === hashOf(250)) throw new RpcFault(-20, 'database error')
      return '00'
    })
    const asked = daemon.mempoolTransactions(Array.from({ length: 200 * 50 }, (_, index) => hashOf(index)))
    await expect(asked).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -20 })
    node.methods.set('getblockcount', () => 1)
    // Time enough for the other batches to be asked for, were they still wanted.
    for (let count = 0; count < 50; count += 1) await daemon.height()
    expect(node.heard.filter(({ method }) => method === 'getrawtransaction').length).toBeLessThan(200 * 12)
  })

  it.each([
    [
      'answers in another order',
      (text: string) =>
        `[${(JSON.parse(text) as unknown[])
          .reverse()
          .map((one) => JSON.stringify(one))
          .join(',')}]`,
      true,
    ],
    ['an answer missing', (text: string) => JSON.stringify((JSON.parse(text) as unknown[]).slice(1)), false],
    [
      'an answer that warms up',
      (text: string) =>
        text.replace(
          /^\[\{"result":"[0-9a-f]+","error":null/,
          '[{"result":null,"error":{"code":-28,"message":"Loading…"}',
        ),
      false,
    ],
    ['one object in place of all', () => '{"result":null,"error":{"code":-28,"message":"Loading…"},"id":null}', false],
    ['an array that ends too early', (text: string) => text.slice(0, -10), false],
  ])('read a batch with %s', async (_what, change, atOnce) => {
    chainOf(100)
    const right = (id: number): string =>
      `[${[1, 2, 3].map((height, index) => `{"result":"${hashOf(height)}","error":null,"id":${id + index}}`).join(',')}]`
    // The calls of start() had the ids 1 and 2, so that the batch begins with 3.
    node.misbehave({ kind: 'answer', status: 200, body: change(right(3)) })
    expect(await daemon.blockHashes(1, 3)).toEqual([1, 2, 3].map(hashOf))
    expect(node.heard.filter(({ params }) => params[0] === 1)).toHaveLength(atOnce ? 1 : 2)
  })

  it('ask for unspent outputs in batches of 500, in the order asked, to the last satoshi', async () => {
    const script = '0014'.padEnd(44, 'a')
    node.methods.set('gettxout', ([, vout]) =>
      (vout as number) % 3 === 0
        ? null
        : new RawJson(
            `{"bestblock":"${hashOf(7)}","confirmations":1,"value":20999999.9769${String(1000 + (vout as number))},"scriptPubKey":{"hex":"${script}"}}`,
          ),
    )
    const outpoints = Array.from({ length: 1001 }, (_, vout) => ({ txid: 'ab'.repeat(32), vout }))
    const found = await daemon.unspentOutputs(outpoints)
    expect(found).toEqual(
      outpoints.map(({ vout }) =>
        vout % 3 === 0
          ? undefined
          : {
              bestBlock: hashOf(7),
              script: Uint8Array.from(Buffer.from(script, 'hex')),
              value: 2_099_999_997_690_000n + 1000n + BigInt(vout),
            },
      ),
    )
    // The third parameter: what the mempool spends is unspent still.
    expect(node.heard.map(({ params }) => params)).toEqual(outpoints.map(({ txid, vout }) => [txid, vout, false]))
    expect(node.requests.filter((request) => request === 'POST /')).toHaveLength(3)
  })

  it('fail where the node refuses one of the outputs, and where an answer is none', async () => {
    const asked = [0, 1].map((vout) => ({ txid: 'ab'.repeat(32), vout }))
    node.methods.set('gettxout', ([, vout]) => {
      if (vout === 1) throw new RpcFault(-8, 'no')
      return null
    })
    await expect(daemon.unspentOutputs(asked)).rejects.toMatchObject({ daemonCode: -8 })
    node.methods.set('gettxout', () => ({ bestblock: hashOf(1), value: -1, scriptPubKey: { hex: '' } }))
    await expect(daemon.unspentOutputs(asked)).rejects.toMatchObject({ kind: 'wrong' })
    node.methods.set('gettxout', () => ({ bestblock: hashOf(1), value: 1, scriptPubKey: { hex: 'abc' } }))
    await expect(daemon.unspentOutputs(asked)).rejects.toMatchObject({ kind: 'wrong' })
  })

  it('hand on a verbose transaction as the node wrote it, to the last digit', async () => {
    const txid = 'ab'.repeat(32)
    const text = `{"txid":"${txid}", "value":0.00000000,"big":123456789012345678901234567890,"note":"\\u00e9 \\" }"}`
    node.methods.set('getrawtransaction', () => new RawJson(text))
    expect(await daemon.verboseTransaction(txid)).toBe(text)
    expect(node.heard.at(-1)?.params).toEqual([txid, true])
  })

  it.each([
    [{ feerate: 0.00012345, blocks: 2 }, 0.00012345],
    [{ errors: ['Insufficient data or no feerate found'], blocks: 0 }, undefined],
    [{ feerate: -1, blocks: 2 }, undefined],
    [{ feerate: 0, blocks: 2 }, undefined],
  ])('read the fee estimate %j', async (reply, fee) => {
    node.methods.set('estimatesmartfee', () => reply)
    expect(await daemon.estimateFee(2)).toBe(fee)
    expect(await daemon.estimateFee(2, 'economical')).toBe(fee)
    expect(node.heard.map(({ params }) => params)).toEqual([[2], [2, 'economical']])
  })

  it('take the ids of the mempool from a node that tells no sequence number', async () => {
    node.methods.set('getrawmempool', (params) => {
      if (params.length > 1) throw new RpcFault(-1, 'getrawmempool ( verbose )')
      return [hashOf(1), hashOf(2)]
    })
    expect(await daemon.mempoolIds()).toMatchObject({ txids: [hashOf(1), hashOf(2)], sequence: undefined })
  })

  it('do without fields of the mempool info that older versions lack', async () => {
    node.methods.set('getmempoolinfo', () => ({ size: 3, mempoolminfee: 0.00002 }))
    expect(await daemon.mempoolInfo()).toEqual({
      size: 3,
      loaded: true,
      mempoolMinFee: 0.00002,
      minRelayTxFee: 0.00002,
      incrementalRelayFee: 0.00001,
    })
  })
})

describe('a block', () => {
  let node: FakeBitcoind
  const raw = ROWS.find(({ path }) => path === `/rest/block/${GENESIS}.bin`)?.hex ?? ''
  const other = 'cd'.repeat(32)

  beforeEach(async () => {
    node = await FakeBitcoind.listen()
    node.methods.set('getblock', () => raw)
  })

  afterEach(() => node.close())

  async function client(): Promise<Bitcoind> {
    const clock = new HandClock((ms) => ms <= 4000)
    const daemon = new Bitcoind({ urls: [node.url] }, { log: silentLogger(), clock })
    await daemon.start(new AbortController().signal)
    return daemon
  }

  async function withRest(spentTxOuts: boolean): Promise<Bitcoind> {
    node.offerRest({ spentTxOuts })
    node.rest.set(`block/${GENESIS}.bin`, () => ({ status: 200, body: Buffer.from(raw, 'hex') }))
    return client()
  }

  it('comes by REST where there is REST, in memory of its own', async () => {
    const daemon = await withRest(false)
    expect(daemon.abilities).toMatchObject({ rest: true, spentTxOuts: false })
    const block = await daemon.rawBlock(GENESIS)
    expect(toHex(block)).toBe(raw)
    expect(block.constructor).toBe(Uint8Array)
    expect(block.buffer.byteLength).toBe(block.length)
    expect(node.heard.some(({ method }) => method === 'getblock')).toBe(false)
    await daemon.stop()
  })

  it('comes by JSON-RPC where there is none, in memory of its own', async () => {
    const daemon = await client()
    expect(daemon.abilities).toMatchObject({ rest: false, spentTxOuts: false })
    const block = await daemon.rawBlock(GENESIS)
    expect(toHex(block)).toBe(raw)
    expect(block.buffer.byteLength).toBe(block.length)
    expect(node.heard.at(-1)).toEqual({ method: 'getblock', params: [GENESIS, 0] })
    await daemon.stop()
  })

  it('comes by JSON-RPC once REST has been switched off, and the abilities follow', async () => {
    const daemon = await withRest(true)
    node.rest.clear()
    expect(toHex(await daemon.rawBlock(GENESIS))).toBe(raw)
    await daemon.rawBlock(GENESIS)
    expect(daemon.abilities).toMatchObject({ rest: false, spentTxOuts: false })
    await daemon.stop()
  })

  it('comes by REST although REST was not ready at the first probe', async () => {
    node.misbehave({ kind: 'answer', status: 503, body: 'Service temporarily unavailable' }, (request) =>
      request.includes('chaininfo'),
    )
    const daemon = await withRest(true)
    expect(daemon.abilities).toMatchObject({ rest: true, spentTxOuts: true })
    await daemon.stop()
  })

  it('is asked for again where REST says 503', async () => {
    const daemon = await withRest(false)
    const [path, right] = [`block/${GENESIS}.bin`, node.rest.get(`block/${GENESIS}.bin`)]
    let refusals = 2
    node.rest.set(path, () => {
      refusals -= 1
      return refusals >= 0 || right === undefined
        ? { status: 503, body: 'Service temporarily unavailable: Loading' }
        : right()
    })
    expect(toHex(await daemon.rawBlock(GENESIS))).toBe(raw)
    await daemon.stop()
  })

  it.each<[string, string, RegExp]>([
    ['another block', other, /sent block 0f9188.* when asked for cdcd/],
    ['less than a header', GENESIS, /sent 79 bytes as block/],
  ])('that is %s is a lie, over REST as over JSON-RPC', async (_what, hash, message) => {
    const lie = hash === GENESIS ? raw.slice(0, 158) : raw
    const daemon = await client()
    node.methods.set('getblock', () => lie)
    const error = await daemon.rawBlock(hash).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(DaemonUnavailableError)
    expect((error as Error).message).toMatch(message)
    await daemon.stop()
    const overRest = await withRest(false)
    node.rest.set(`block/${hash}.bin`, () => ({ status: 200, body: Buffer.from(lie, 'hex') }))
    await expect(overRest.rawBlock(hash)).rejects.toThrow(message)
    await overRest.stop()
  })

  it('that the node does not have is DaemonError -5, over REST as over JSON-RPC', async () => {
    const daemon = await client()
    node.methods.set('getblock', () => {
      throw new RpcFault(-5, 'Block not found')
    })
    await expect(daemon.rawBlock(other)).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -5 })
    await daemon.stop()
    const overRest = await withRest(false)
    node.rest.set(`block/${other}.bin`, () => ({ status: 404, body: `${other} not found\r\n` }))
    await expect(overRest.rawBlock(other)).rejects.toMatchObject({ name: 'DaemonError', daemonCode: -5 })
    await overRest.stop()
  })

  it('can be checked by the hash of another chain', async () => {
    const clock = new HandClock((ms) => ms <= 4000)
    const blockHash = (): Uint8Array => Buffer.from(other, 'hex')
    const daemon = new Bitcoind({ urls: [node.url], blockHash }, { log: silentLogger(), clock })
    await daemon.start(new AbortController().signal)
    expect(toHex(await daemon.rawBlock(other))).toBe(raw)
    await expect(daemon.rawBlock(GENESIS)).rejects.toThrow(DaemonUnavailableError)
    await daemon.stop()
  })

  it('has no spent outputs where the node stops giving them', async () => {
    const daemon = await withRest(true)
    expect(toHex(await daemon.spentTxOuts(GENESIS))).toBe('0100')
    node.rest.delete(`spenttxouts/${GENESIS}.bin`)
    await expect(daemon.spentTxOuts(GENESIS)).rejects.toThrow(DaemonUnavailableError)
    await daemon.height().catch(() => undefined)
    expect(daemon.abilities).toMatchObject({ rest: true, spentTxOuts: false })
    await daemon.stop()
  })
})
