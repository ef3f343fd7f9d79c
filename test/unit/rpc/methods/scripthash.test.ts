import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { toDisplayHex, toLatin1 } from '../../../../src/lib/bytes.ts'
import { RawJson } from '../../../../src/rpc/json.ts'
import type { ProtocolVersion } from '../../../../src/rpc/method.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../../../src/rpc/registry.ts'
import { FakeContext, someHash } from '../../../support/fake-context.ts'

const registry = new MethodRegistry({}, electrumMethods())
const SCRIPT = '51'
const HASH = Buffer.from(createHash('sha256').update(Buffer.from(SCRIPT, 'hex')).digest())
  .reverse()
  .toString('hex')
const hashX = createHash('sha256').update(Buffer.from(SCRIPT, 'hex')).digest().subarray(0, 11)
const [a, b] = [someHash('a'), someHash('b')]
const [ua, ub] = ['0a'.repeat(32), '0b'.repeat(32)]

function context(protocol: ProtocolVersion = [1, 6, 0]): FakeContext {
  const ctx = new FakeContext()
  ctx.client.protocol = protocol
  ctx.moment.setScript(hashX, {
    confirmed: [
      { txNum: 1, height: 100, txid: a },
      { txNum: 2, height: 101, txid: b },
    ],
    utxos: [{ txid: b, vout: 3, txNum: 2, height: 101, value: 2_100_000_000_000_000n }],
    mempool: [
      { txid: ua, height: 0, fee: 500n },
      { txid: ub, height: -1, fee: 700n },
    ],
    mempoolUtxos: [{ txid: ub, vout: 0, value: 9n }],
    delta: -991n,
  })
  return ctx
}

const history = [
  { tx_hash: toDisplayHex(a), height: 100 },
  { tx_hash: toDisplayHex(b), height: 101 },
  { tx_hash: ua, height: 0, fee: 500 },
  { tx_hash: ub, height: -1, fee: 700 },
]
const utxos = [
  { tx_hash: toDisplayHex(b), tx_pos: 3, height: 101, value: 2_100_000_000_000_000 },
  { tx_hash: ub, tx_pos: 0, height: 0, value: 9 },
]
const balance = { confirmed: 2_100_000_000_000_000, unconfirmed: -991 }
const statusText = `${toDisplayHex(a)}:100:${toDisplayHex(b)}:101:${ua}:0:${ub}:-1:`
const status = createHash('sha256').update(statusText).digest('hex')

/** What each question answers and costs, by script hash and, from 1.7, by script. */
const QUESTIONS: readonly (readonly [string, unknown, unknown, number])[] = [
  ['get_balance', balance, balance, 1 + 1 / 50],
  ['get_history', history, { history }, 0.2 + 0.25 + 2 * 0.001 + 2 / 50],
  ['get_mempool', history.slice(2), { history: history.slice(2) }, 0.25 + 2 / 50],
  ['listunspent', utxos, { utxos }, 1 + 2 / 50],
  ['subscribe', status, status, 0.2 + 0.1 + 2 * 0.001 + statusText.length * 0.00002],
]

/** A handler may give JSON text in place of what it means. */
function plain(result: unknown): unknown {
  return result instanceof RawJson ? JSON.parse(result.text) : result
}

describe.each(QUESTIONS)('%s', (name, byHash, byScript, cost) => {
  it('answers by script hash until 1.6', async () => {
    const ctx = context()
    expect(plain(await registry.dispatch(`blockchain.scripthash.${name}`, [HASH], ctx))).toEqual(byHash)
    expect(ctx.cost).toBeCloseTo(cost, 9)
    ctx.client.protocol = [1, 7, 0]
    await expect(registry.dispatch(`blockchain.scripthash.${name}`, [HASH], ctx)).rejects.toMatchObject({
      code: -32601,
    })
  })

  it('answers by script from 1.7, lists wrapped', async () => {
    const ctx = context([1, 7, 0])
    expect(plain(await registry.dispatch(`blockchain.scriptpubkey.${name}`, [SCRIPT], ctx))).toEqual(byScript)
    expect(ctx.cost).toBeCloseTo(cost, 9)
    ctx.client.protocol = [1, 6, 9]
    await expect(registry.dispatch(`blockchain.scriptpubkey.${name}`, [SCRIPT], ctx)).rejects.toMatchObject({
      code: -32601,
    })
  })

  it('refuses what is no script hash and no script with code 1', async () => {
    await expect(registry.dispatch(`blockchain.scripthash.${name}`, ['ab'], context())).rejects.toMatchObject({
      code: 1,
    })
    await expect(
      registry.dispatch(`blockchain.scriptpubkey.${name}`, ['abc'], context([1, 7, 0])),
    ).rejects.toMatchObject({ code: 1 })
  })

  it('answers for a script that nobody ever used', async () => {
    const other = 'ab'.repeat(32)
    const empty = plain(await registry.dispatch(`blockchain.scripthash.${name}`, [other], context()))
    if (name === 'get_balance') expect(empty).toEqual({ confirmed: 0, unconfirmed: 0 })
    else expect(empty).toEqual(name === 'subscribe' ? null : [])
  })
})

describe('subscriptions', () => {
  it('are told by the name that the client used, with the status that it was told', async () => {
    const ctx = context()
    await registry.dispatch('blockchain.scripthash.subscribe', [HASH.toUpperCase()], ctx)
    expect(ctx.client.scripts.get(toLatin1(hashX))).toEqual({ alias: HASH.toUpperCase(), status })
  })

  it('by script are told by script hash', async () => {
    const ctx = context([1, 7, 0])
    await registry.dispatch('blockchain.scriptpubkey.subscribe', [SCRIPT], ctx)
    expect(ctx.client.scripts.get(toLatin1(hashX))).toEqual({ alias: HASH, status })
  })

  it('end once', async () => {
    const ctx = context()
    await registry.dispatch('blockchain.scripthash.subscribe', [HASH], ctx)
    ctx.cost = 0
    expect(await registry.dispatch('blockchain.scripthash.unsubscribe', [HASH], ctx)).toBe(true)
    expect(await registry.dispatch('blockchain.scripthash.unsubscribe', [HASH], ctx)).toBe(false)
    expect(ctx.cost).toBeCloseTo(0.2)
    const newer = context([1, 7, 0])
    await registry.dispatch('blockchain.scriptpubkey.subscribe', [SCRIPT], newer)
    expect(await registry.dispatch('blockchain.scriptpubkey.unsubscribe', [SCRIPT], newer)).toBe(true)
  })

  it('can be ended from 1.4.2 on', async () => {
    const call = registry.dispatch('blockchain.scripthash.unsubscribe', [HASH], context([1, 4, 1]))
    await expect(call).rejects.toMatchObject({ code: -32601 })
  })

  it('are not made where the history is too long, and the answer says so', async () => {
    const ctx = context()
    ctx.moment.historyLimit = 1
    await expect(registry.dispatch('blockchain.scripthash.subscribe', [HASH], ctx)).rejects.toMatchObject({
      code: 10001,
    })
    await expect(registry.dispatch('blockchain.scripthash.get_history', [HASH], ctx)).rejects.toMatchObject({
      code: 10001,
    })
    expect(ctx.client.scripts.size).toBe(0)
  })

  it('are not made where they cannot be paid for', async () => {
    const ctx = context()
    ctx.hardLimit = 0.303
    await expect(registry.dispatch('blockchain.scripthash.subscribe', [HASH], ctx)).rejects.toMatchObject({
      code: -101,
    })
    expect(ctx.client.scripts.size).toBe(0)
  })
})
