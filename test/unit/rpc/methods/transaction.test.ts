import { describe, expect, it } from 'vitest'
import { DaemonError, DaemonUnavailableError } from '../../../../src/errors.ts'
import { concat, fromDisplayHex, toDisplayHex, toHex } from '../../../../src/lib/bytes.ts'
import { sha256d } from '../../../../src/lib/hash.ts'
import { merkleRoot, rootFromBranch } from '../../../../src/lib/merkle.ts'
import { silentLogger } from '../../../../src/log.ts'
import { toFailure } from '../../../../src/rpc/failure.ts'
import { RawJson } from '../../../../src/rpc/json.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext, FakeMoment, someHash } from '../../../support/fake-context.ts'

/** A registry of its own for each test: block ids are kept in it. */
function scene(sizes: readonly number[] = [1, 5, 300], proofCacheBytes = 1e6) {
  const registry = new MethodRegistry({}, electrumMethods({ proofCacheBytes }))
  const ctx = new FakeContext(new FakeMoment(sizes))
  ctx.client.protocol = [1, 7, 0]
  const call = async (name: string, ...params: unknown[]): Promise<unknown> => {
    ctx.cost = 0
    const result = await registry.dispatch(`blockchain.transaction.${name}`, params, ctx)
    const isOurs = result instanceof RawJson && result.text !== ctx.daemon.verbose
    return isOurs ? JSON.parse(result.text) : result
  }
  const txid = (height: number, position: number): string => toDisplayHex(ctx.moment.blocks[height]![position]!)
  const blockHash = (height: number): string => toDisplayHex(sha256d(ctx.moment.headerBytes[height]!))
  return { ctx, call, txid, blockHash }
}

describe('transaction.get', () => {
  it('asks bitcoind in the block where our index has it, so that no txindex is needed', async () => {
    const { ctx, call, txid, blockHash } = scene()
    ctx.daemon.transactions.set(txid(1, 2), { raw: 'c0ffee', block: blockHash(1) })
    expect(await call('get', txid(1, 2).toUpperCase())).toBe('c0ffee')
    expect(ctx.daemon.calls).toEqual([['confirmedTransaction', txid(1, 2), { blockHash: blockHash(1), position: 2 }]])
    expect(ctx.cost).toBe(1)
  })

  it("asks for one that nobody has asked for in the node's index, where it has one, and for the next time in its block", async () => {
    const { ctx, call, txid, blockHash } = scene()
    const [indexed, missed] = [txid(1, 2), txid(2, 9)]
    ctx.daemon.index = new Map([[indexed, 'c0ffee']])
    ctx.daemon.transactions.set(indexed, { raw: 'c0ffee', block: blockHash(1) })
    ctx.daemon.transactions.set(missed, { raw: 'cafe', block: blockHash(2) })
    for (let i = 0; i < 3; i++) expect(await call('get', indexed)).toBe('c0ffee')
    // The third time it is kept.
    expect(ctx.daemon.calls.splice(0)).toEqual([
      ['indexedTransaction', indexed],
      ['confirmedTransaction', indexed, { blockHash: blockHash(1), position: 2 }],
    ])
    // What the index has not got to yet is where ours says.
    for (let i = 0; i < 2; i++) expect(await call('get', missed)).toBe('cafe')
    expect(ctx.daemon.calls).toEqual([
      ['indexedTransaction', missed],
      ['confirmedTransaction', missed, { blockHash: blockHash(2), position: 9 }],
    ])
  })

  it('asks once for one that is confirmed, for as long as its block is where it was', async () => {
    const { ctx, call, txid, blockHash } = scene()
    ctx.daemon.transactions.set(txid(1, 2), { raw: 'c0ffee', block: blockHash(1) })
    expect(await call('get', txid(1, 2))).toBe('c0ffee')
    expect(await call('get', txid(1, 2))).toBe('c0ffee')
    expect([ctx.daemon.calls.length, ctx.cost]).toEqual([1, 1])
    // Another block at the height, which has it with another witness.
    ctx.moment.headerBytes[1] = ctx.moment.headerBytes[1]!.toReversed()
    ctx.daemon.transactions.set(txid(1, 2), { raw: 'cafe', block: blockHash(1) })
    expect(await call('get', txid(1, 2))).toBe('cafe')
    // No block at all.
    const id = txid(1, 2)
    ctx.moment.blocks.length = 1
    ctx.moment.headerBytes.length = 1
    ctx.daemon.transactions.set(id, { raw: 'fade', block: undefined })
    expect(await call('get', id)).toBe('fade')
    ctx.daemon.transactions.set(id, { raw: 'feed', block: undefined })
    expect(await call('get', id)).toBe('feed')
  })

  it('asks for one that is not confirmed in the mempool', async () => {
    const { ctx, call } = scene()
    const txid = toDisplayHex(someHash('unconfirmed'))
    ctx.daemon.transactions.set(txid, { raw: 'c0ffee', block: undefined })
    expect(await call('get', txid, false)).toBe('c0ffee')
  })

  it('finds one that a block took from the mempool before we had the block', async () => {
    const { ctx, call } = scene()
    const txid = toDisplayHex(someHash('just mined'))
    ctx.daemon.transactions.set(txid, { raw: 'c0ffee', block: ctx.daemon.bestBlockHash })
    expect(await call('get', txid)).toBe('c0ffee')
    const unknown = toDisplayHex(someHash('nobody has it'))
    await expect(call('get', unknown)).rejects.toMatchObject({ daemonCode: -5 })
  })

  it('asks once where there is no block that we lack', async () => {
    const { ctx, call, blockHash } = scene()
    ctx.daemon.bestBlockHash = blockHash(2)
    await expect(call('get', 'ab'.repeat(32))).rejects.toMatchObject({ daemonCode: -5 })
    expect(ctx.daemon.calls.map(([name]) => name)).toEqual(['rawTransaction', 'chainInfo'])
  })

  it.each([true, 1])("gives bitcoind's own text when verbose is %j", async (verbose) => {
    const { ctx, call, txid, blockHash } = scene()
    ctx.daemon.transactions.set(txid(1, 2), { raw: 'c0ffee', block: blockHash(1) })
    expect(await call('get', txid(1, 2), verbose)).toEqual(new RawJson('{"hex":"00","value":0.10000000}'))
  })

  it("lets bitcoind's error and its silence through, to be answered by class", async () => {
    const { ctx, call, txid } = scene()
    await expect(call('get', txid(1, 2))).rejects.toBeInstanceOf(DaemonError)
    ctx.daemon.failure = new DaemonUnavailableError('no')
    await expect(call('get', txid(1, 2))).rejects.toBeInstanceOf(DaemonUnavailableError)
  })

  it.each([
    ['no txid', ['xy']],
    ['a verbose that is no boolean', ['ab'.repeat(32), 'yes']],
  ])('refuses %s with code 1', async (_, params) => {
    await expect(scene().call('get', ...params)).rejects.toMatchObject({ code: 1 })
  })
})

describe('transaction.get_merkle', () => {
  it.each([
    [0, 0],
    [1, 0],
    [1, 4],
    [2, 299],
  ])('proves the place %i:%i, so that a client can check', async (height, position) => {
    const { ctx, call, txid } = scene()
    const answer = (await call('get_merkle', txid(height, position), height)) as { merkle: string[]; pos: number }
    expect(answer).toMatchObject({ block_height: height, pos: position })
    const leaf = ctx.moment.blocks[height]![position]!
    const root = rootFromBranch(leaf, answer.merkle.map(fromDisplayHex), answer.pos)
    expect(toHex(root)).toBe(toHex(merkleRoot(concat(...ctx.moment.blocks[height]!))))
  })

  it.each([
    ['a block that has it not', 1, 0],
    ['a height above the tip', 2, 99],
  ])('refuses %s with code 1', async (_, at, asked) => {
    const { call, txid } = scene()
    await expect(call('get_merkle', txid(at, 0), asked)).rejects.toMatchObject({ code: 1 })
  })

  it('does not find an id across the border of two', async () => {
    const { ctx, call, txid } = scene()
    const [first, second] = ctx.moment.blocks[1]!
    const astride = toDisplayHex(concat(first!.subarray(16), second!.subarray(0, 16)))
    await expect(call('get_merkle', astride, 1)).rejects.toMatchObject({ code: 1 })
    expect(await call('get_merkle', txid(1, 1), 1)).toMatchObject({ pos: 1 })
  })

  it('tells apart ids whose displayed forms begin alike', async () => {
    const { ctx, call } = scene()
    const twins = ['a', 'b', 'c'].map((name) => concat(someHash(name).subarray(0, 28), new Uint8Array(4).fill(7)))
    ctx.moment.blocks[1] = [someHash('first'), ...twins]
    for (const [i, twin] of twins.entries()) {
      expect(await call('get_merkle', toDisplayHex(twin), 1)).toMatchObject({ pos: i + 1 })
    }
    const stranger = toDisplayHex(concat(someHash('d').subarray(0, 28), new Uint8Array(4).fill(7)))
    await expect(call('get_merkle', stranger, 1)).rejects.toMatchObject({ code: 1 })
  })

  it('charges as ElectrumX: by the size of the block, less once it is known', async () => {
    const { ctx, call, txid } = scene()
    await call('get_merkle', txid(2, 7), 2)
    expect(ctx.cost).toBeCloseTo(0.25 + 300 * 0.0001 + 300 / 2500, 9)
    await call('get_merkle', txid(2, 8), 2)
    expect(ctx.cost).toBeCloseTo(0.1 + (10 * Math.sqrt(300)) / 2500, 9)
    await call('get_merkle', txid(1, 1), 1)
    await call('get_merkle', txid(1, 1), 1)
    expect(ctx.cost).toBeCloseTo(0.1 + 5 / 2500, 9)
    expect(ctx.moment.idReads).toBe(2)
  })

  it('keeps blocks by their hash: after a reorganisation nothing old is answered', async () => {
    const { ctx, call, txid } = scene()
    const old = txid(1, 1)
    await call('get_merkle', old, 1)
    ctx.moment.headerBytes[1] = new Uint8Array(80).fill(9)
    ctx.moment.blocks[1] = [someHash('another'), someHash('block')]
    await expect(call('get_merkle', old, 1)).rejects.toMatchObject({ code: 1 })
    expect(await call('get_merkle', toDisplayHex(someHash('block')), 1)).toMatchObject({ pos: 1 })
  })

  it('keeps no more than it may', async () => {
    const { ctx, call, txid } = scene([4, 4, 4], 2 * 4 * 36)
    for (const height of [0, 1, 0, 2, 0, 1]) await call('get_merkle', txid(height, 0), height)
    expect(ctx.moment.idReads).toBe(4)
  })
})

describe('transaction.id_from_pos', () => {
  it('gives the id, and the proof if asked', async () => {
    const { ctx, call, txid } = scene()
    expect(await call('id_from_pos', 1, 3)).toBe(txid(1, 3))
    expect(ctx.cost).toBeCloseTo(0.25 + 5 * 0.0001, 9)
    const answer = (await call('id_from_pos', 1, 3, true)) as { tx_hash: string; merkle: string[] }
    expect(answer.tx_hash).toBe(txid(1, 3))
    expect(answer.merkle).toHaveLength(3)
    expect(ctx.cost).toBeCloseTo(0.1 + 5 / 2500, 9)
  })

  it.each([
    ['a position that is not there', [1, 5]],
    ['a height above the tip', [3, 0]],
    ['no boolean', [1, 1, 'x']],
  ])('refuses %s with code 1', async (_, params) => {
    await expect(scene().call('id_from_pos', ...params)).rejects.toMatchObject({ code: 1 })
  })
})

describe('transaction.broadcast', () => {
  it('gives the txid and charges by size', async () => {
    const { ctx, call } = scene()
    expect(await call('broadcast', 'ab'.repeat(500))).toBe(toHex(someHash('ab'.repeat(500))))
    expect(ctx.cost).toBeCloseTo(0.25 + 1000 / 5000)
  })

  it("answers a refusal with code 1 and bitcoind's own words", async () => {
    const { ctx, call } = scene()
    ctx.daemon.failure = new DaemonError(-25, 'bad-txns-inputs-missingorspent')
    await expect(call('broadcast', 'abcd')).rejects.toMatchObject({
      code: 1,
      message: 'the transaction was rejected by network rules.\n\nbad-txns-inputs-missingorspent\n[abcd]',
    })
  })

  it('does not take silence for a refusal', async () => {
    const { ctx, call } = scene()
    ctx.daemon.failure = new DaemonUnavailableError('no')
    await expect(call('broadcast', 'abcd')).rejects.toBeInstanceOf(DaemonUnavailableError)
  })

  it('asks nobody about what is no hex', async () => {
    const { ctx, call } = scene()
    await expect(call('broadcast', 'abc')).rejects.toMatchObject({ code: 1 })
    expect(ctx.daemon.calls).toEqual([])
  })
})

describe('transaction.broadcast_package', () => {
  it("says whether it worked and what did not; verbose: bitcoind's answer", async () => {
    const { ctx, call } = scene()
    expect(await call('broadcast_package', ['aa', 'bbbb'])).toEqual({ success: true })
    expect(ctx.cost).toBeCloseTo(0.25 + 6 / 5000)
    ctx.daemon.packageResult = {
      packageMessage: 'transaction failed',
      errors: [{ txid: 'aa', error: 'min relay fee not met' }],
      raw: { package_msg: 'transaction failed' },
    }
    expect(await call('broadcast_package', ['aa'])).toEqual({
      success: false,
      errors: [{ txid: 'aa', error: 'min relay fee not met' }],
    })
    expect(await call('broadcast_package', ['aa'], 1)).toEqual({ package_msg: 'transaction failed' })
  })

  it.each([
    [-32601, 'Method not found'],
    [-1, 'submitpackage is for regression testing (-regtest mode) only'],
  ])('does not blame the package where the node takes none (%d)', async (code, words) => {
    const { ctx, call } = scene()
    ctx.daemon.failure = new DaemonError(code, words)
    const refusal: unknown = await call('broadcast_package', ['aa']).catch((error: unknown) => error)
    const log = silentLogger()
    expect(toFailure(refusal, 'broadcast_package', { log, requestId: () => 'x' })).toMatchObject({
      code: 2,
      message: `daemon error: bitcoind takes no packages (submitpackage, Bitcoin Core 26): ${words}`,
    })
  })

  it('answers a malformed package with code 1', async () => {
    const { ctx, call } = scene()
    ctx.daemon.failure = new DaemonError(-25, 'package topology disallowed')
    await expect(call('broadcast_package', ['aa'])).rejects.toMatchObject({
      code: 1,
      message: expect.stringContaining('package topology disallowed') as unknown,
    })
    await expect(call('broadcast_package', 'aa')).rejects.toMatchObject({ code: 1 })
    await expect(call('broadcast_package', ['a'])).rejects.toMatchObject({ code: 1 })
  })
})

describe('transaction.testmempoolaccept', () => {
  it('gives a reason where there is one', async () => {
    const { call } = scene()
    const [aa, bb] = [toHex(someHash('aa')), toHex(someHash('bb'))]
    expect(await call('testmempoolaccept', ['aa', 'bb'])).toEqual([
      { txid: aa, wtxid: aa, allowed: true },
      { txid: bb, wtxid: bb, allowed: false, reason: 'min relay fee not met' },
    ])
  })
})
