import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { hashXOf } from '../../../src/chain/script.ts'
import { ERROR_CODES, RpcError } from '../../../src/errors.ts'
import { toDisplayHex, toLatin1 } from '../../../src/lib/bytes.ts'
import { silentLogger } from '../../../src/log.ts'
import { MomentHub } from '../../../src/mempool/hub.ts'
import { Mempool } from '../../../src/mempool/mempool.ts'
import type { MomentChange } from '../../../src/mempool/moment.ts'
import { CacheTallies } from '../../../src/metrics.ts'
import { ModelNode, makeTx, scriptNumber, spentBy, touchedBy, txidsOf } from '../../support/model-node.ts'
import { ScriptedDaemon } from '../../support/scripted-daemon.ts'

const signal = new AbortController().signal
const A = hashXOf(scriptNumber(11))
const COIN = 25_0000_0000n
const NOTHING: MomentChange = { newTip: false, touched: new Set() }

function world(historyLimit = 100, caches?: CacheTallies) {
  const node = new ModelNode()
  for (let i = 0; i < 6; i++) node.connect([])
  const daemon = new ScriptedDaemon(node)
  const mempool = new Mempool({}, { log: silentLogger() })
  const hub = new MomentHub({ historyLimit }, { mempool, ...(caches === undefined ? {} : { caches }) })
  const coin = (height: number) => ({ txid: node.blocks[height]!.txs[0]!.txid, vout: 1 })
  const refresh = () => mempool.refresh(node.view(), daemon, signal)
  return { node, mempool, hub, coin, refresh }
}

/** A promise that the test settles. */
function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

describe('LiveMoment', () => {
  it('hashes `txid:height:` of confirmed transactions, then of unconfirmed ones in canonical order', async () => {
    const { node, hub, coin, refresh } = world()
    const confirmed = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.connect([confirmed])
    const first = makeTx([coin(2)], [{ script: 11, value: COIN }])
    const child = makeTx([{ txid: first.txid, vout: 0 }], [{ script: 11, value: COIN }])
    for (const tx of [first, child]) node.accept(tx)
    await refresh()
    hub.publish(node.view(), NOTHING)
    const [a, b, c] = [confirmed, first, child].map(({ txid }) => toDisplayHex(txid))
    const expected = createHash('sha256').update(`${a}:${node.height}:${b}:0:${c}:-1:`).digest('hex')
    expect((await hub.with((moment) => moment.status(A))).status).toBe(expected)
  })

  it('has no status for a script without history', async () => {
    const { node, hub } = world()
    hub.publish(node.view(), NOTHING)
    expect(await hub.with((moment) => moment.status(hashXOf(scriptNumber(99))))).toMatchObject({ status: null })
  })

  it('gives balances as confirmed sum and unconfirmed difference, and leaves spent coins out of the unspent', async () => {
    const { node, hub, coin, refresh } = world()
    const confirmed = makeTx(
      [coin(1)],
      [
        { script: 11, value: 500n },
        { script: 11, value: 20n },
      ],
    )
    node.connect([confirmed])
    const spender = makeTx(
      [{ txid: confirmed.txid, vout: 0 }],
      [
        { script: 11, value: 100n },
        { script: 12, value: 300n },
      ],
    )
    node.accept(spender)
    await refresh()
    hub.publish(node.view(), NOTHING)
    await hub.with(async (moment) => {
      expect(await moment.balance(A)).toEqual({ confirmed: 520n, unconfirmed: -400n, outputs: 2 })
      const { confirmed: left, mempool } = await moment.unspent(A)
      expect(left.length).toBe(1)
      expect(left.at(0)).toEqual({ txid: confirmed.txid, vout: 1, height: node.view().tip.height, value: 20 })
      expect(mempool).toEqual([{ txid: toDisplayHex(spender.txid), vout: 0, value: 100n }])
    })
  })

  it('refuses a history longer than the limit, confirmed and unconfirmed counted together', async () => {
    const { node, hub, coin, refresh } = world(3)
    node.connect([1, 2].map((n) => makeTx([coin(n)], [{ script: 11, value: COIN }])))
    node.accept(makeTx([coin(3)], [{ script: 11, value: COIN }]))
    await refresh()
    hub.publish(node.view(), NOTHING)
    const whole = await hub.with((moment) => moment.history(A))
    expect([whole.confirmed.length, whole.mempool.length]).toEqual([2, 1])
    node.accept(makeTx([coin(4)], [{ script: 11, value: COIN }]))
    await refresh()
    hub.renew(NOTHING)
    const refused = hub.with((moment) => moment.history(A))
    await expect(refused).rejects.toMatchObject({ code: ERROR_CODES.historyTooLong.code })
    await expect(refused).rejects.toBeInstanceOf(RpcError)
    await expect(hub.with((moment) => moment.status(A))).rejects.toMatchObject({ code: 10001 })
  })

  it('refuses a history whose unconfirmed part alone is too long', async () => {
    const { node, hub, coin, refresh } = world(1)
    for (const n of [1, 2]) node.accept(makeTx([coin(n)], [{ script: 11, value: COIN }]))
    await refresh()
    hub.publish(node.view(), NOTHING)
    await expect(hub.with((moment) => moment.history(A))).rejects.toMatchObject({ code: 10001 })
  })
})

describe('MomentHub', () => {
  it('is not ready before the first publication and says so with code -102', async () => {
    const { node, hub } = world()
    expect(hub.ready).toBe(false)
    await expect(hub.with(() => Promise.resolve(1))).rejects.toMatchObject({ code: -102 })
    expect(() => hub.renew(NOTHING)).toThrow('no view')
    hub.publish(node.view(), NOTHING)
    expect(hub.ready).toBe(true)
    expect(await hub.with((moment) => Promise.resolve(moment.tip.height))).toBe(6)
    hub.close()
    expect(hub.ready).toBe(false)
  })

  it('answers a running use from the moment it began with, while the next one sees the new block at once', async () => {
    const { node, mempool, hub, coin, refresh } = world()
    const tx = makeTx([coin(1)], [{ script: 11, value: COIN }])
    node.accept(tx)
    await refresh()
    hub.publish(node.view(), NOTHING)
    const go = gate()
    const running = hub.with(async (moment) => {
      await go.opened
      return [await moment.balance(A), (await moment.history(A)).mempool.length, moment.tip.height] as const
    })
    const block = node.connect([tx])
    await mempool.applyBlock(txidsOf(block), spentBy(block))
    // Between the two nobody has asked yet, and who asks has the old moment still: block and mempool change together.
    expect(await hub.with((moment) => moment.balance(A))).toEqual({ confirmed: 0n, unconfirmed: COIN, outputs: 0 })
    hub.publish(node.view(), { newTip: true, touched: touchedBy(node.blocks, block) })
    expect(await hub.with((moment) => moment.balance(A))).toEqual({ confirmed: COIN, unconfirmed: 0n, outputs: 1 })
    go.open()
    expect(await running).toEqual([{ confirmed: 0n, unconfirmed: COIN, outputs: 0 }, 1, 6])
  })

  it('keeps what was read of scripts when a tip comes in another view, and not when another tip does', async () => {
    const caches = new CacheTallies()
    const { node, hub } = world(100, caches)
    const ask = () => hub.with((moment) => moment.history(A))
    const touched = new Set([toLatin1(A)])
    hub.publish(node.view(), NOTHING)
    await ask()
    // The mempool may have touched the script meanwhile: what is confirmed is still the same.
    hub.renew({ newTip: false, touched })
    hub.publish(node.view(), { newTip: false, touched })
    await ask()
    expect(caches.of('histories')).toMatchObject({ hits: 1, misses: 1 })
    node.connect([])
    hub.publish(node.view(), { newTip: true, touched })
    await ask()
    expect(caches.of('histories')).toMatchObject({ hits: 1, misses: 2 })
  })

  it('releases a view once, after the last of its users settled, also when that one failed', async () => {
    const { node, hub } = world()
    const [first, second] = [node.view(), node.view()]
    hub.publish(first, NOTHING)
    const [one, two] = [gate(), gate()]
    const good = hub.with(() => one.opened)
    const bad = hub.with(async () => {
      await two.opened
      throw new Error('a handler failed')
    })
    hub.renew(NOTHING)
    hub.publish(second, NOTHING)
    expect([first.released, hub.viewsHeld, hub.usesRunning]).toEqual([0, 2, 2])
    one.open()
    await good
    expect(first.released).toBe(0)
    two.open()
    await expect(bad).rejects.toThrow('a handler failed')
    expect([first.released, hub.viewsHeld, hub.usesRunning]).toEqual([1, 1, 0])
    hub.close()
    hub.close()
    expect([second.released, hub.viewsHeld]).toEqual([1, 0])
  })

  it('gives what is at hand without a promise, and lets go of the view at once, also when it is an error', async () => {
    const { node, hub } = world()
    expect(() => hub.use(() => 1)).toThrow(/not reached the tip/)
    const view = node.view()
    hub.publish(view, NOTHING)
    expect(hub.use(({ tip }) => [tip.height, hub.usesRunning])).toEqual([view.tip.height, 1])
    expect(() =>
      hub.use(() => {
        throw new Error('a handler failed')
      }),
    ).toThrow('a handler failed')
    const late = gate()
    const waiting = hub.use(() => late.opened)
    expect(hub.usesRunning).toBe(1)
    late.open()
    await waiting
    expect(hub.usesRunning).toBe(0)
    hub.close()
    expect(view.released).toBe(1)
  })

  it('releases the current view at close only when its users are done', async () => {
    const { node, hub } = world()
    const view = node.view()
    hub.publish(view, NOTHING)
    const go = gate()
    const use = hub.with(() => go.opened)
    hub.close()
    expect(view.released).toBe(0)
    go.open()
    await use
    expect(view.released).toBe(1)
  })

  it('tells every listener of every publication until its signal aborts', () => {
    const { node, hub } = world()
    const heard: string[] = []
    const stop = new AbortController()
    hub.listen((change) => heard.push(`a${change.newTip ? '!' : ''}`), signal)
    hub.listen(() => heard.push('b'), stop.signal)
    hub.listen(() => heard.push('never'), AbortSignal.abort())
    hub.publish(node.view(), { newTip: true, touched: new Set() })
    stop.abort()
    hub.renew(NOTHING)
    expect(heard).toEqual(['a!', 'b', 'a'])
  })
})
