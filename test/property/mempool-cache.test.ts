import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hashXOf } from '../../src/chain/script.ts'
import type { ListedUtxo, UtxoList } from '../../src/db/utxo-list.ts'
import { toDisplayHex, toLatin1 } from '../../src/lib/bytes.ts'
import { sha256d } from '../../src/lib/hash.ts'
import { LiveMoment } from '../../src/mempool/live-moment.ts'
import type { Moment } from '../../src/mempool/moment.ts'
import type { OutputTexts } from '../../src/mempool/output-texts.ts'
import { ScriptCache } from '../../src/mempool/script-cache.ts'
import { event, happen } from '../support/model-events.ts'
import { scriptNumber } from '../support/model-node.ts'
import { ModelWorld } from '../support/model-world.ts'

const HASHXS = [1, 2, 3, 4, 5, 6, 7].map((n) => hashXOf(scriptNumber(n)))

const script = fc.nat(HASHXS.length - 1)
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('happen' as const), event }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sync' as const), early: fc.boolean() }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('ask' as const), script }) },
  // A request that asks now and again later, when other moments may have been published.
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('hold' as const), script, other: script, turns: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turns' as const), count: fc.nat(4) }) },
)

async function passTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Everything that a moment says of a script, as text. */
async function answers(moment: Moment, hashX: Uint8Array): Promise<string> {
  const { confirmed, mempool } = await moment.history(hashX)
  const history = [...confirmed.map((it) => ({ ...it, txid: toDisplayHex(it.txid) })), ...mempool]
  const { confirmed: outputs, mempool: made, texts } = await moment.unspent(hashX)
  const unspent = { confirmed: listOf(outputs), made, told: toldOf(moment, outputs, texts) }
  const text = history.map(({ txid, height }) => `${txid}:${height}:`).join('')
  const status = text === '' ? null : createHash('sha256').update(text).digest('hex')
  const remembered = (await moment.status(hashX)).status
  const all = { history, unspent, balance: await moment.balance(hashX), remembered }
  expect(remembered).toBe(status)
  return JSON.stringify(all, (_key, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? toLatin1(value) : value,
  )
}

function listOf(outputs: UtxoList): ListedUtxo[] {
  return Array.from({ length: outputs.length }, (_, i) => outputs.at(i))
}

/** A text that follows from outputs and the blocks they are in, which stays with them from the first who makes it on. */
function toldOf({ view }: Moment, outputs: UtxoList, texts: OutputTexts): unknown {
  const kept = texts.get('told')
  if (kept !== undefined) return kept
  const told = listOf(outputs)
    .map(({ txid, vout, height }) => `${toDisplayHex(txid)}:${vout} in ${toDisplayHex(sha256d(view.header(height)!))}`)
    .join()
  texts.keep('told', told)
  return told
}

/** The same moment without anything kept. */
function uncached(moment: Moment): Moment {
  if (!(moment instanceof LiveMoment)) throw new TypeError('another kind of moment')
  const { view, mempool } = moment
  return new LiveMoment({ historyLimit: 1000 }, { view, mempool, scripts: new ScriptCache({ maxBytes: 0 }) })
}

async function expectSame(moment: Moment, hashX: Uint8Array): Promise<void> {
  const expected = await answers(uncached(moment), hashX)
  expect(await answers(moment, hashX)).toBe(expected)
  expect(await answers(moment, hashX)).toBe(expected)
}

describe('what is kept of scripts', () => {
  it('never shows in an answer, whatever blocks, reorganisations and mempool changes come', async () => {
    // Tight enough for some to be thrown out, and none at all.
    const bytes = fc.constantFrom(0, 20_000, 1_000_000)
    const paces = fc.array(fc.nat(3), { minLength: 1, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), bytes, paces, async (steps, limit, turns) => {
        const world = new ModelWorld({ historyLimit: 1000, scriptCacheBytes: limit })
        const { node, hub } = world
        let asked = 0
        world.pace = () => passTurns(turns[asked++ % turns.length]!)
        await world.sync()
        const running: Promise<void>[] = []
        for (const it of steps) {
          switch (it.kind) {
            case 'happen':
              happen(node, it.event)
              break
            case 'sync':
              await world.sync(it.early)
              break
            case 'ask':
              await hub.with((moment) => expectSame(moment, HASHXS[it.script]!))
              break
            case 'hold':
              running.push(
                hub.with(async (moment) => {
                  await moment.history(HASHXS[it.other]!)
                  await passTurns(it.turns)
                  await expectSame(moment, HASHXS[it.script]!)
                }),
              )
              break
            case 'turns':
              await passTurns(it.count)
              break
          }
        }
        await Promise.all(running)
        await world.sync()
        for (const hashX of HASHXS) await hub.with((moment) => expectSame(moment, hashX))
        expect(hub.scriptCacheBytes).toBeLessThanOrEqual(limit)
      }),
      { numRuns: 120 },
    )
  })
})
