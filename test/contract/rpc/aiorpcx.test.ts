import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { isList } from '../../../src/rpc/dialect.ts'
import { type Json, readJsonText, writeJson } from '../../../src/rpc/json.ts'
import { electrumEnvelope, FakeHost } from '../../support/rpc-host.ts'

interface Conversation {
  readonly messages: readonly string[]
  readonly answers: readonly { readonly answer?: Json; readonly unsent?: true }[]
}

const FILE = resolve(import.meta.dirname, '../../fixtures/envelope/aiorpcx.jsonl.gz')
const conversations = gunzipSync(readFileSync(FILE))
  .toString()
  .trim()
  .split('\n')
  // Read by our own reader, because ids beyond 2^53 are among them; it is tested apart.
  .map((line) => readJsonText(line) as unknown as Conversation)

/** An answer without the words of its errors. */
function slim(answer: string | undefined): Json {
  if (answer === undefined) return null
  return strip(readJsonText(answer))
}

function strip(value: Json): Json {
  if (Array.isArray(value)) return value.map((item: Json) => strip(item))
  const response = value as Record<string, Json>
  const error = response['error'] as Record<string, Json> | null | undefined
  return error ? { ...response, error: error['code'] ?? null } : response
}

/** Answers of a batch may come in any order. */
function expectSame(ours: Json, theirs: Json | undefined): void {
  if (theirs === undefined || !isList(ours) || !isList(theirs)) return expect(ours).toEqual(theirs)
  const sorted = (list: readonly Json[]): string[] => list.map((item) => writeJson(item)).sort()
  return expect(sorted(ours)).toEqual(sorted(theirs))
}

describe('the envelope beside aiorpcX', () => {
  it('has conversations to compare, and every kind of answer in them', () => {
    expect(conversations.length).toBeGreaterThan(1900)
    const answers = conversations.flatMap((conversation) => conversation.answers)
    const codes = answers.map(({ answer }) => (answer as { error?: unknown } | null | undefined)?.error)
    for (const code of [-32700, -32600, -32601, -32602]) expect(codes).toContain(code)
    expect(answers.filter(({ unsent }) => unsent).length).toBeGreaterThan(10)
  })

  it('answers each message with the same result or code and the same id', async () => {
    const envelope = electrumEnvelope()
    for (const { messages, answers } of conversations) {
      const session = envelope.open(new FakeHost())
      for (const [i, message] of messages.entries()) {
        const ours = slim((await session.handle(Buffer.from(message)))?.toString())
        const theirs = answers[i]
        if (theirs?.unsent === true) {
          // The one difference: we send the errors that aiorpcX makes and forgets.
          expect(ours, message).toSatisfy(
            (list) => Array.isArray(list) && list.every((item: object) => 'error' in item),
          )
        } else expectSame(ours, theirs?.answer)
      }
    }
  })
})
