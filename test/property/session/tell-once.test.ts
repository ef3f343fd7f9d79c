import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { SessionKit } from '../../support/session-kit.ts'
import type { WireClient } from '../../support/wire-client.ts'

const SUBSCRIBE = 'blockchain.scripthash.subscribe'
const UNSUBSCRIBE = 'blockchain.scripthash.unsubscribe'
const SCRIPTS = ['aa', 'bb', 'cc'].map((byte) => byte.repeat(11))
const STATUSES = [undefined, '01', '02'].map((byte) => byte?.repeat(32))

type Step =
  | { readonly kind: 'publish'; readonly script: number; readonly status: number; readonly block: boolean }
  | { readonly kind: 'subscribe'; readonly client: number; readonly script: number }
  | { readonly kind: 'unsubscribe'; readonly client: number; readonly script: number }
  | { readonly kind: 'turn' }
  | { readonly kind: 'settle' }

const script = fc.nat(SCRIPTS.length - 1)
const client = fc.nat(1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('publish' as const),
      script,
      status: fc.nat(STATUSES.length - 1),
      block: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('subscribe' as const), client, script }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('unsubscribe' as const), client, script }) },
  { weight: 3, arbitrary: fc.constantFrom<Step>({ kind: 'turn' }, { kind: 'settle' }) },
)

/** How many turns of the event loop each status takes to be worked out. */
const paces = fc.array(fc.nat(8), { minLength: 1, maxLength: 10 })

async function passTurns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** What a client sent and heard of the scripts, in the order of the connection. */
class Listener {
  readonly wire: WireClient
  readonly asked = new Map<unknown, { readonly method: string; readonly script: string }>()
  #id = 1000

  constructor(wire: WireClient) {
    this.wire = wire
  }

  ask(method: string, script: string): void {
    const id = this.#id++
    this.asked.set(id, { method, script })
    this.wire.send({ jsonrpc: '2.0', id, method, params: [script] })
  }

  /** Whether it follows the script: what was asked last decides, in whichever order the answers come. */
  follows(script: string): boolean {
    const about = [...this.asked.values()].filter((asked) => asked.script === script)
    return about.at(-1)?.method === SUBSCRIBE
  }

  /** Statuses told of each script since the end of a subscription to it was answered, if one was. */
  told(): Map<string, (string | null)[] | undefined> {
    const told = new Map<string, (string | null)[] | undefined>()
    for (const message of this.wire.received as {
      id?: unknown
      params?: [string, string | null]
      result?: unknown
    }[]) {
      const question = this.asked.get(message.id)
      if (question?.method === SUBSCRIBE) {
        told.set(question.script, [...(told.get(question.script) ?? []), message.result as string | null])
      } else if (question?.method === UNSUBSCRIBE) told.set(question.script, undefined)
      else if (message.params !== undefined) {
        const [script, status] = message.params
        const before = told.get(script)
        expect(before, `a notification of ${script} that was not asked for`).toBeDefined()
        expect(status, 'told twice').not.toBe(before!.at(-1))
        before!.push(status)
      }
    }
    return told
  }
}

describe('status notifications', () => {
  let kit: SessionKit

  beforeAll(async () => {
    const costs = { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 }
    kit = await new SessionKit({ shared: { costs } }).start()
  })

  afterAll(async () => {
    await kit.stop()
  })

  async function settle(listeners: readonly Listener[]): Promise<void> {
    // Twice: an answer that is written may have the notifier look again.
    for (let i = 0; i < 2; i++) {
      for (const { wire } of listeners) await wire.request('echo', ['mark'])
      await kit.notifier.idle()
    }
    for (const { wire } of listeners) await wire.request('echo', ['mark'])
  }

  it('leave every follower with the last status, told in order and never twice, whatever happens meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), paces, async (steps, turns) => {
        let asked = 0
        kit.moments.pace = () => passTurns(turns[asked++ % turns.length]!)
        const current = new Map<string, string | undefined>()
        kit.moments.publish(Object.fromEntries(SCRIPTS.map((name) => [name, undefined])))
        const listeners = [new Listener(await kit.active()), new Listener(await kit.active())]
        for (const action of steps) {
          if (action.kind === 'publish') {
            const [name, status] = [SCRIPTS[action.script]!, STATUSES[action.status]]
            current.set(name, status)
            kit.moments.publish({ [name]: status }, action.block)
          } else if (action.kind === 'turn') await passTurns(1)
          else if (action.kind === 'settle') await settle(listeners)
          else {
            const method = action.kind === 'subscribe' ? SUBSCRIBE : UNSUBSCRIBE
            listeners[action.client]!.ask(method, SCRIPTS[action.script]!)
          }
        }
        await settle(listeners)
        for (const listener of listeners) {
          for (const [name, told] of listener.told()) {
            if (listener.follows(name)) expect(told?.at(-1)).toBe(current.get(name) ?? null)
          }
          listener.wire.destroy()
        }
      }),
      { numRuns: 150 },
    )
  })
})
