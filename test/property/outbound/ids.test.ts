import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Conversation } from '../../../src/session/outbound/conversation.ts'
import { Bench, type Heard } from '../../unit/outbound/support.ts'

describe('ids of a port', () => {
  it('are never shared, stay within bounds and lead each answer to its conversation, whatever opens and ends', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 6 }),
        fc.array(fc.record({ open: fc.boolean(), which: fc.nat(20) }), { maxLength: 60 }),
        (maxId, steps) => {
          const { port, foreign } = new Bench({ maxId }).remote('a')
          const all: Conversation<string, Heard>[] = []
          const heard = new Map<Conversation<string, Heard>, string[]>()
          for (const [at, { open, which }] of steps.entries()) {
            const chosen = all[which % Math.max(1, all.length)]
            if (open || chosen === undefined) {
              const conversation = port.open()
              const texts: string[] = []
              heard.set(conversation, texts)
              conversation.events.on('message', ({ text }) => texts.push(text))
              all.push(conversation)
            } else if (chosen.isOpen && at % 2 === 0) {
              port.receive({ id: chosen.id, text: String(at) })
              expect(heard.get(chosen)?.at(-1)).toBe(String(at))
            } else chosen.end()
            const alive = all.filter(({ isOpen }) => isOpen)
            expect(new Set(alive.map(({ id }) => id)).size).toBe(alive.length)
            expect(alive.every(({ id }) => id >= 0 && id <= maxId)).toBe(true)
            expect(port.size).toBe(alive.length)
          }
          expect(foreign).toEqual([])
        },
      ),
    )
  })
})
