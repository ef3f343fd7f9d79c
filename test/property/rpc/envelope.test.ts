import { isUtf8 } from 'node:buffer'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { writeJson } from '../../../src/rpc/json.ts'
import { electrumEnvelope, FakeHost } from '../../support/rpc-host.ts'
import { json, nearlyRequest } from './arbitraries.ts'

const narrow = electrumEnvelope({ maxSend: 2000, maxBatch: 5 })
const wide = electrumEnvelope()

const openers = fc.constantFrom(
  undefined,
  '{"jsonrpc":"2.0","method":"server.ping","id":0}',
  '{"jsonrpc":"1.0","method":"server.ping","params":[],"id":0}',
  '{"method":"server.ping","id":0}',
)

/** What every answer must be: a response, or a list of one or more, each with one of result and error. */
function checkAnswer(answer: string | undefined): void {
  if (answer === undefined) return
  const parsed: unknown = JSON.parse(answer)
  const responses: unknown[] = Array.isArray(parsed) ? parsed : [parsed]
  expect(responses.length).toBeGreaterThan(0)
  for (const response of responses) {
    expect(response).toBeTypeOf('object')
    const members = Object.keys(response as object).sort()
    expect([
      ['id', 'jsonrpc', 'result'],
      ['error', 'id', 'jsonrpc'],
      ['error', 'id', 'result'],
    ]).toContainEqual(members)
    const { error } = response as { error?: { code: unknown; message: unknown } | null }
    if (error !== undefined && error !== null) {
      expect(Number.isInteger(error.code)).toBe(true)
      expect(error.message).toBeTypeOf('string')
    }
  }
}

async function answerTo(opener: string | undefined, message: Uint8Array): Promise<void> {
  const session = narrow.open(new FakeHost())
  if (opener !== undefined) await session.handle(Buffer.from(opener))
  const answer = (await session.handle(message))?.toString()
  if (answer !== undefined) expect(isUtf8(Buffer.from(answer))).toBe(true)
  checkAnswer(answer)
}

describe('envelope', () => {
  it('answers any bytes well or not at all', async () => {
    await fc.assert(fc.asyncProperty(openers, fc.uint8Array({ maxLength: 60 }), answerTo), { numRuns: 500 })
  })

  it('answers any JSON well or not at all', async () => {
    const message = fc.oneof(json, nearlyRequest, fc.array(fc.oneof(nearlyRequest, json), { maxLength: 7 }))
    await fc.assert(
      fc.asyncProperty(openers, message, (opener, value) => answerTo(opener, Buffer.from(writeJson(value)))),
      { numRuns: 3000 },
    )
  })

  it('gives back every id of 2.0 as it came', async () => {
    const id = fc.oneof(fc.string(), fc.integer(), fc.bigInt(), fc.boolean())
    await fc.assert(
      fc.asyncProperty(id, async (value) => {
        const text = writeJson(value)
        const message = `{"jsonrpc":"2.0","method":"server.ping","id":${text}}`
        const answer = await wide.open(new FakeHost()).handle(Buffer.from(message))
        expect(answer).toBe(`{"jsonrpc":"2.0","result":null,"id":${text}}`)
      }),
    )
  })
})
