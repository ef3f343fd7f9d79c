import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Tx } from '../../../src/chain/tx.ts'
import { toDisplayHex, toLatin1 } from '../../../src/lib/bytes.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/log.ts'
import { findOutpoint, type OutpointRef, type OutpointStatus, outpointBytes } from '../../../src/rpc/outpoint.ts'
import { DEFAULT_NOTIFIER, Notifier } from '../../../src/session/notifier.ts'
import { type Subscriber, Subscriptions } from '../../../src/session/subscriptions.ts'
import { event, happen, spend } from '../../support/model-events.ts'
import type { ModelNode } from '../../support/model-node.ts'
import { ModelWorld } from '../../support/model-world.ts'

const signal = new AbortController().signal
const pick = fc.nat(1000)

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('happen' as const), event }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sync' as const), early: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('follow' as const), which: pick, vout: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unfollow' as const), which: pick }) },
  // A transaction is made and followed, and given to the node later, by the mempool or in a block.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('prepare' as const), coin: pick, pays: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('send' as const), mined: fc.boolean() }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'settle' as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.nat(4) }) },
)

/** How many turns of the event loop each look at the index takes. */
const paces = fc.array(fc.nat(6), { minLength: 1, maxLength: 10 })

async function passTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** By looking at everything there is. */
function expected(node: ModelNode, { txid, vout }: OutpointRef): OutpointStatus {
  const unconfirmed = (tx: Tx): number =>
    tx.inputs.some((input) => node.mempool.has(toDisplayHex(input.prevTxid))) ? -1 : 0
  const all = [
    // The coinbase of the first block is in no index.
    ...node.blocks.slice(1).flatMap(({ txs }, i) => txs.map((tx) => ({ tx, height: i + 1 }))),
    ...[...node.mempool.values()].map((tx) => ({ tx, height: unconfirmed(tx) })),
  ]
  const funder = all.find(({ tx }) => toDisplayHex(tx.txid) === txid)
  if (funder?.tx.outputs[vout] === undefined) return {}
  const spender = all.find(({ tx }) =>
    tx.inputs.some((input) => toDisplayHex(input.prevTxid) === txid && input.prevIndex === vout),
  )
  const status = { funder_height: funder.height }
  if (spender === undefined) return status
  return { ...status, spender_txhash: toDisplayHex(spender.tx.txid), spender_height: spender.height }
}

const keyOf = (ref: OutpointRef): string => toLatin1(outpointBytes(ref)!)

describe('statuses of outpoints', () => {
  it('are what the whole chain and mempool say, and followers hear of every change once, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), paces, async (steps, turns) => {
        const world = new ModelWorld({ historyLimit: 1000 })
        const { node, hub, daemon } = world
        const stop = new AbortController()
        const subscriptions = new Subscriptions({ maxPerSession: 0, maxTotal: 0 })
        const notifier = new Notifier(
          { ...DEFAULT_NOTIFIER, retryDelay: 1 },
          {
            moments: hub,
            subscriptions,
            daemon,
            clock: systemClock,
            log: silentLogger(),
          },
        )
        const subscriber: Subscriber = {
          id: 1,
          tellTip: () => {},
          cannotFollow: () => {
            throw new Error('outpoints are never too long')
          },
          tellStatus: (subscription, status) => {
            expect(status, 'told twice').not.toBe(subscription.told)
            subscription.told = status
          },
        }
        let looked = 0
        world.pace = () => passTurns(turns[looked++ % turns.length]!)
        notifier.start(stop.signal)
        await world.sync()
        const followed = new Map<string, OutpointRef>()
        const prepared: Tx[] = []
        const running: Promise<void>[] = []

        /** With what failed tried again until it was well. */
        const settled = async (): Promise<void> => {
          await notifier.idle()
          while (notifier.failing > 0) {
            await passTurns(1)
            await notifier.idle()
          }
        }
        const find = (ref: OutpointRef) =>
          hub.with((moment) => findOutpoint(ref, {}, { moment, daemon, signal, charge: () => {} }))
        const follow = async (ref: OutpointRef): Promise<void> => {
          const since = notifier.sequence
          const { status, script } = await find(ref)
          const key = keyOf(ref)
          const news = { key, alias: '', status: JSON.stringify(status), since, outpoint: { ref, script } }
          subscriptions.add(subscriber, news).subscription.held = 0
          if (since !== notifier.sequence) notifier.recheck(key)
          followed.set(key, ref)
        }

        for (const it of steps) {
          switch (it.kind) {
            case 'happen':
              happen(node, it.event)
              break
            case 'sync':
              await world.sync(it.early)
              break
            case 'follow': {
              const txs = [...node.blocks.slice(1).flatMap((block) => block.txs), ...node.mempool.values()]
              running.push(follow({ txid: toDisplayHex(txs[it.which % txs.length]!.txid), vout: it.vout }))
              break
            }
            case 'unfollow': {
              const key = [...followed.keys()][it.which % Math.max(followed.size, 1)]
              if (key !== undefined) expect(subscriptions.remove(subscriber, key)).toBe(followed.delete(key))
              break
            }
            case 'prepare': {
              const coins = node.spendable()
              const tx = spend(node, [coins[it.coin % coins.length]!], [it.pays, 5], 100)
              if (tx === undefined) break
              prepared.push(tx)
              for (const vout of [0, 2]) running.push(follow({ txid: toDisplayHex(tx.txid), vout }))
              break
            }
            case 'send': {
              const tx = prepared.pop()
              if (tx === undefined) break
              const confirmed = node.confirmedUnspent()
              const valid = tx.inputs.every(({ prevTxid, prevIndex }) =>
                confirmed.has(keyOf({ txid: toDisplayHex(prevTxid), vout: prevIndex })),
              )
              if (it.mined && valid) node.connect([tx])
              else node.accept(tx)
              break
            }
            case 'turns':
              await passTurns(it.count)
              break
            case 'settle':
              await settled()
              break
          }
        }
        await world.sync()
        await Promise.all(running)
        await settled()
        for (const [key, ref] of followed) {
          const status = expected(node, ref)
          expect((await find(ref)).status).toEqual(status)
          for (const { told } of subscriptions.of(key)) expect(JSON.parse(told!)).toEqual(status)
        }
        expect(subscriptions.outpoints.size).toBe(followed.size)
        const unknown = [...subscriptions.outpoints.unknownAmong({ newTip: true, stirred: new Set() })]
        expect(unknown.length).toBeLessThanOrEqual(followed.size)
        stop.abort()
      }),
      { numRuns: 300 },
    )
  })
})
