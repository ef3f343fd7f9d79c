import { assert, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { DaemonError, DaemonUnavailableError, ERROR_CODES, RpcError } from '../../../src/errors.ts'
import { LongText } from '../../../src/lib/long-text.ts'
import { createLogger } from '../../../src/log.ts'
import { Envelope, type EnvelopeOptions } from '../../../src/rpc/envelope.ts'
import { RawJson } from '../../../src/rpc/json.ts'
import { defineMethod, type RpcMethod } from '../../../src/rpc/method.ts'
import { MethodRegistry } from '../../../src/rpc/registry.ts'
import { electrumEnvelope, FakeHost } from '../../support/rpc-host.ts'

const STRICT = '{"jsonrpc":"2.0","method":"server.donation_address","params":[],"id":"opener"}'
const LOOSE = '{"method":"server.donation_address","params":[],"id":"opener"}'
const V1 = '{"jsonrpc":"1.0","method":"server.donation_address","params":[],"id":"opener"}'

const bytes = (text: string): Uint8Array => Buffer.from(text)

async function talk(opener: string | undefined, message: string | Uint8Array, options: Partial<EnvelopeOptions> = {}) {
  const host = new FakeHost()
  const session = electrumEnvelope(options).open(host)
  if (opener !== undefined) await session.handle(bytes(opener))
  host.failures.length = 0
  const answer = (await session.handle(typeof message === 'string' ? bytes(message) : message))?.toString()
  return { host, session, answer, json: answer === undefined ? undefined : (JSON.parse(answer) as unknown) }
}

const ping = (rest: string): string => `{"jsonrpc":"2.0","method":"server.ping"${rest}}`
const error = (id: unknown, code: number, message: string | RegExp) => ({
  jsonrpc: '2.0',
  error: { code, message: typeof message === 'string' ? message : (expect.stringMatching(message) as unknown) },
  id,
})
const result = (id: unknown, value: unknown = null) => ({ jsonrpc: '2.0', result: value, id })

/** clients.md, "JSON-RPC: ElectrumX against json-rpc-2.0", and what aiorpcX does beyond it. undefined: no answer. */
const ROWS: readonly { id: string; opener?: string; message: string; expected: unknown; failures?: number }[] = [
  {
    id: 'no-jsonrpc-loose',
    opener: LOOSE,
    message: '{"method":"server.ping","params":[],"id":1}',
    expected: result(1),
  },
  { id: 'no-jsonrpc-first', message: '{"method":"server.ping","params":[],"id":1}', expected: result(1) },
  {
    id: 'no-jsonrpc-strict',
    opener: STRICT,
    message: '{"method":"server.ping","params":[],"id":1}',
    expected: error(1, -32600, '"jsonrpc" is not "2.0"'),
  },
  { id: 'jsonrpc-in-loose', opener: LOOSE, message: ping(',"id":1'), expected: result(1) },
  { id: 'id-null', opener: STRICT, message: ping(',"params":[],"id":null'), expected: undefined, failures: 1 },
  { id: 'id-list', opener: STRICT, message: ping(',"id":[1]'), expected: error(null, -32600, /id/) },
  { id: 'id-object', opener: STRICT, message: ping(',"id":{"a":1}'), expected: error(null, -32600, /id/) },
  { id: 'id-beyond-doubles', opener: STRICT, message: ping(',"id":1e400'), expected: error(null, -32600, /id/) },
  { id: 'id-bool', opener: STRICT, message: ping(',"id":true'), expected: result(true) },
  { id: 'id-text', opener: STRICT, message: ping(',"id":"a\\u0000\\ud800"'), expected: result('a\0\ud800') },
  { id: 'id-zero', opener: STRICT, message: ping(',"id":0'), expected: result(0) },
  { id: 'empty-object', opener: STRICT, message: '{}', expected: undefined, failures: 1 },
  { id: 'empty-object-first', message: '{}', expected: undefined, failures: 1 },
  { id: 'no-method', opener: STRICT, message: '{"jsonrpc":"2.0","id":1}', expected: undefined, failures: 1 },
  {
    id: 'method-number',
    opener: STRICT,
    message: '{"jsonrpc":"2.0","method":5,"id":1}',
    expected: error(1, -32601, 'method must be a string'),
  },
  {
    id: 'method-null-as-notification',
    opener: STRICT,
    message: '{"jsonrpc":"2.0","method":null}',
    expected: error(null, -32601, 'method must be a string'),
  },
  {
    id: 'method-unknown',
    opener: STRICT,
    message: '{"jsonrpc":"2.0","method":"x","id":1}',
    expected: error(1, -32601, 'unknown method "x"'),
  },
  ...['constructor', 'toString', '__proto__', 'hasOwnProperty', ''].map((name) => ({
    id: `method-${name}`,
    opener: STRICT,
    message: `{"jsonrpc":"2.0","method":"${name}","id":1}`,
    expected: error(1, -32601, `unknown method "${name}"`),
  })),
  {
    id: 'params-null',
    opener: STRICT,
    message: ping(',"params":null,"id":1'),
    expected: error(1, -32602, 'invalid request arguments: None'),
  },
  {
    id: 'params-number',
    opener: LOOSE,
    message: ping(',"params":7,"id":1'),
    expected: error(1, -32602, 'invalid request arguments: 7'),
  },
  { id: 'params-absent', opener: STRICT, message: ping(',"id":1'), expected: result(1) },
  { id: 'params-named', opener: STRICT, message: ping(',"params":{},"id":1'), expected: result(1) },
  {
    id: 'params-wrong-name',
    opener: STRICT,
    message: ping(',"params":{"foo":1},"id":1'),
    expected: error(1, -32602, 'method "server.ping" does not take parameter "foo"'),
  },
  {
    id: 'params-proto-name',
    opener: STRICT,
    message: ping(',"params":{"__proto__":1},"id":1'),
    expected: error(1, -32602, 'method "server.ping" does not take parameter "__proto__"'),
  },
  {
    id: 'params-too-many',
    opener: STRICT,
    message: ping(',"params":[1,2,3],"id":1'),
    expected: error(1, -32602, '3 arguments passed to method "server.ping" taking at most 0'),
  },
  {
    id: 'params-too-few',
    opener: STRICT,
    message: '{"jsonrpc":"2.0","method":"blockchain.block.headers","params":[1],"id":1}',
    expected: error(1, -32602, '1 argument passed to method "blockchain.block.headers" but it requires 2'),
  },
  {
    id: 'params-missing-name',
    opener: STRICT,
    message: '{"jsonrpc":"2.0","method":"blockchain.block.headers","params":{"count":1},"id":1}',
    expected: error(1, -32602, 'method "blockchain.block.headers" requires parameter "start_height"'),
  },
  { id: 'json-broken', opener: STRICT, message: '{"jsonrpc":', expected: error(null, -32700, 'invalid JSON') },
  { id: 'json-empty', opener: STRICT, message: '', expected: error(null, -32700, 'invalid JSON') },
  { id: 'json-two-values', opener: STRICT, message: '{} {}', expected: error(null, -32700, 'invalid JSON') },
  { id: 'json-bom', opener: STRICT, message: `\ufeff${STRICT}`, expected: error(null, -32700, 'invalid JSON') },
  { id: 'scalar', opener: STRICT, message: '5', expected: error(null, -32600, 'request object must be a dictionary') },
  { id: 'null', opener: STRICT, message: 'null', expected: error(null, -32600, 'request object must be a dictionary') },
  {
    id: 'too-deep',
    opener: STRICT,
    message: ping(`,"params":${'['.repeat(5000)}${']'.repeat(5000)},"id":1`),
    expected: error(null, -32600, /deep/),
  },
  { id: 'too-deep-unclosed', opener: STRICT, message: '['.repeat(900_000), expected: error(null, -32600, /deep/) },
  {
    id: 'with-result-member',
    opener: STRICT,
    message: ping(',"result":5,"id":1'),
    expected: result(1),
  },
  { id: 'response', opener: STRICT, message: '{"jsonrpc":"2.0","result":5,"id":1}', expected: undefined, failures: 1 },
  {
    id: 'response-batch',
    opener: STRICT,
    message: '[{"jsonrpc":"2.0","result":5,"id":1},{"jsonrpc":"2.0","error":{},"id":2}]',
    expected: undefined,
    failures: 1,
  },
  { id: 'batch-empty', opener: STRICT, message: '[]', expected: error(null, -32600, 'batch is empty') },
  { id: 'batch-of-one', opener: STRICT, message: `[${ping(',"id":7')}]`, expected: [result(7)] },
  {
    id: 'batch-of-notifications',
    opener: STRICT,
    message: `[${ping('')},${ping(',"id":null')}]`,
    expected: undefined,
    failures: 2,
  },
  {
    id: 'batch-with-null',
    opener: STRICT,
    message: `[null,${ping(',"id":7')}]`,
    expected: [error(null, -32600, 'request object must be a dictionary'), result(7)],
    failures: 1,
  },
  {
    id: 'batch-in-batch',
    opener: STRICT,
    message: `[[${ping(',"id":7')}]]`,
    expected: [error(null, -32600, 'request object must be a dictionary')],
    failures: 1,
  },
  {
    id: 'batch-entry-without-method',
    opener: LOOSE,
    message: '[{"id":3},{"method":"server.ping","id":4}]',
    expected: [error(3, -32601, 'method must be a string'), result(4)],
    failures: 1,
  },
  {
    id: 'batch-mixed-with-notification',
    opener: STRICT,
    message: `[${ping(',"id":1')},${ping('')},${ping(',"id":2')}]`,
    expected: [result(1), result(2)],
    failures: 1,
  },
  {
    id: 'v1-answer',
    opener: V1,
    message: '{"method":"server.ping","params":[],"id":1}',
    expected: { result: null, error: null, id: 1 },
  },
  {
    id: 'v1-error',
    opener: V1,
    message: '{"method":"nope","params":[],"id":1}',
    expected: { result: null, error: { code: -32601, message: 'unknown method "nope"' }, id: 1 },
  },
  {
    id: 'v1-any-id',
    opener: V1,
    message: '{"method":"server.ping","params":[],"id":{"a":[1,123456789012345678901234567890]}}',
    expected: { result: null, error: null, id: { a: [1, Number('123456789012345678901234567890')] } },
  },
  {
    id: 'v1-no-id',
    opener: V1,
    message: '{"method":"server.ping","params":[]}',
    expected: { result: null, error: { code: -32600, message: 'request has no "id"' }, id: null },
  },
  { id: 'v1-notification', opener: V1, message: '{"method":"server.ping","params":[],"id":null}', expected: undefined },
  {
    id: 'v1-named-params',
    opener: V1,
    message: '{"method":"server.ping","params":{},"id":1}',
    expected: { result: null, error: { code: -32602, message: 'invalid request arguments: an object' }, id: 1 },
  },
  {
    id: 'v1-no-params',
    opener: V1,
    message: '{"method":"server.ping","id":1}',
    expected: { result: null, error: { code: -32602, message: 'invalid request arguments: None' }, id: 1 },
  },
  {
    id: 'v1-batch',
    opener: V1,
    message: '[{"method":"server.ping","params":[],"id":1}]',
    expected: { result: null, error: { code: -32600, message: 'request object must be a dictionary' }, id: null },
  },
  {
    id: 'v1-first-by-members',
    message: '{"method":"server.ping","params":[],"result":null,"error":null,"id":1}',
    expected: { result: null, error: null, id: 1 },
  },
]

describe('envelope', () => {
  it.each(ROWS)('answers as ElectrumX: $id', async ({ opener, message, expected, failures }) => {
    const { json, host } = await talk(opener, message)
    expect(json).toEqual(expected)
    if (failures !== undefined) expect(host.failures).toHaveLength(failures)
  })

  it('has an id of its own for each row of the table', () => {
    expect(new Set(ROWS.map(({ id }) => id)).size).toBe(ROWS.length)
  })

  it('gives back ids beyond 2^53 digit by digit', async () => {
    const { answer } = await talk(STRICT, ping(',"id":123456789012345678901234567890'))
    expect(answer).toBe('{"jsonrpc":"2.0","result":null,"id":123456789012345678901234567890}')
    expect((await talk(STRICT, ping(',"id":-9007199254740993'))).answer).toContain('"id":-9007199254740993}')
  })

  it('refuses bytes that are not UTF-8', async () => {
    const { json, host } = await talk(STRICT, Uint8Array.of(0x22, 0xff, 0x22))
    expect(json).toEqual(error(null, -32700, 'messages must be encoded in UTF-8'))
    expect(host.failures.map(({ cost }) => cost)).toEqual([1100])
  })

  it('answers what cannot be understood as 2.0 and decides on the dialect later', async () => {
    const host = new FakeHost()
    const session = electrumEnvelope().open(host)
    expect(JSON.parse(String(await session.handle(bytes('nonsense'))))).toHaveProperty('jsonrpc')
    expect(session.dialect).toBeUndefined()
    await session.handle(bytes(V1))
    expect(session.dialect).toBe('v1')
    expect(session.notification('x', [])).toBe('{"method":"x","params":[],"id":null}')
    expect(await session.handle(bytes('nonsense'))).toBe(
      '{"result":null,"error":{"code":-32700,"message":"invalid JSON"},"id":null}',
    )
  })

  it.each([
    ['[{"method":"a"},{"jsonrpc":"2.0","method":"a"}]', 'strict'],
    ['[{"method":"a"},{"jsonrpc":"1.0","method":"a"}]', 'v1'],
    ['[{"method":"a"},7]', 'loose'],
    ['7', 'loose'],
    ['{"jsonrpc":"3.0"}', 'loose'],
  ])('takes the strictest dialect in the first message: %s', async (message, dialect) => {
    const session = electrumEnvelope().open(new FakeHost())
    await session.handle(bytes(message))
    expect(session.dialect).toBe(dialect)
  })

  it('charges each failed entry of a batch, and asks the host for room for each entry that can run', async () => {
    const { host } = await talk(STRICT, `[null,7,${ping(',"id":1')},{"jsonrpc":"2.0","method":"nope","id":2}]`)
    expect(host.failures.map(({ code, cost }) => [code, cost])).toEqual([
      [-32600, 100],
      [-32600, 100],
      [-32601, 100],
    ])
    expect(host.calls.slice(1)).toEqual([
      { method: 'server.ping', notification: false },
      { method: 'nope', notification: false },
    ])
  })

  it('has given everything that a message asks for to the host before it waits for anything', async () => {
    const host = new FakeHost()
    const message = `[${ping(',"id":1')},${ping('')},{"jsonrpc":"2.0","method":"nope","id":2}]`
    const answer = electrumEnvelope().open(host).handle(bytes(message))
    expect(host.calls.map(({ method }) => method)).toEqual(['server.ping', 'server.ping', 'nope'])
    await answer
  })

  it('refuses a batch above the cap as a whole', async () => {
    const batch = (count: number): string =>
      `[${Array.from({ length: count }, (_, i) => ping(`,"id":${i}`)).join(',')}]`
    expect((await talk(STRICT, batch(3), { maxBatch: 3 })).json).toHaveLength(3)
    const { json, host } = await talk(STRICT, batch(4), { maxBatch: 3 })
    expect(json).toEqual(error(null, -32600, /Batch limit exceeded/))
    expect(host.calls.slice(1)).toEqual([])
  })

  it('sends a notification in the dialect of the client, raw parts unread', async () => {
    const { session } = await talk(LOOSE, '{}')
    expect(session.notification('a.b', new RawJson('[1.0]'))).toBe('{"jsonrpc":"2.0","method":"a.b","params":[1.0]}')
  })

  it('answers with the refusal of a host that has no room', async () => {
    const host = new FakeHost()
    const session = electrumEnvelope().open(host)
    host.refusal = new RpcError(ERROR_CODES.excessiveUsage.code, 'excessive resource usage')
    const answer = await session.handle(bytes(ping(',"id":1')))
    expect(JSON.parse(String(answer))).toEqual(error(1, -101, 'excessive resource usage'))
    expect(host.failures).toEqual([{ code: -101, message: 'excessive resource usage', cost: 100 }])
  })
})

interface Scene {
  readonly envelope: Envelope
  readonly lines: Record<string, unknown>[]
}

/** Methods that do what `handler` says, under the name t. */
function scene(handler: RpcMethod['handler'], options: Partial<EnvelopeOptions> = {}): Scene {
  const lines: Record<string, unknown>[] = []
  const log = createLogger('debug', { write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>) })
  const method = defineMethod({
    name: 't',
    summary: '',
    params: z.object({ a: z.unknown().optional() }),
    result: z.unknown(),
    cost: () => 1,
    since: [1, 0, 0],
    example: { params: [], result: null },
    handler,
  })
  let next = 0
  const registry = new MethodRegistry({}, [method])
  const envelope = new Envelope(
    { maxSend: 0, maxBatch: 10, ...options },
    { registry, log, requestId: () => `id${next++}` },
  )
  return { envelope, lines }
}

const CALL = '{"jsonrpc":"2.0","method":"t","params":[],"id":1}'

describe('errors of handlers', () => {
  const thrown = async (failure: unknown): Promise<{ answer: string; lines: Record<string, unknown>[] }> => {
    const { envelope, lines } = scene(() => {
      throw failure
    })
    return { answer: String(await envelope.open(new FakeHost()).handle(bytes(CALL))), lines }
  }

  it('keeps the message of an unknown exception to itself and names the line in the log', async () => {
    const { answer, lines } = await thrown(new Error('secret of /home/me'))
    expect(JSON.parse(answer)).toEqual(error(1, -32603, 'internal server error (request id0)'))
    expect(lines).toEqual([
      expect.objectContaining({
        method: 't',
        request: 'id0',
        err: expect.objectContaining({ message: 'secret of /home/me' }) as unknown,
      }),
    ])
  })

  it.each([
    ['text', 'secret'],
    ['undefined', undefined],
    ['an object with a code', { code: 5, message: 'secret' }],
  ])('keeps what is thrown and is no error to itself as well: %s', async (_, value) => {
    const { answer } = await thrown(value)
    expect(answer).not.toContain('secret')
    expect(JSON.parse(answer)).toMatchObject({ error: { code: -32603 } })
  })

  it.each([
    [-5, new DaemonError(-5, 'No such transaction'), 2, 'daemon error: No such transaction'],
    [0, new DaemonUnavailableError('connect ECONNREFUSED 127.0.0.1:8332'), -102, /^server busy(?!.*127)/],
    [0, new DOMException('stop', 'AbortError'), -102, /timed out/],
    [0, new RpcError(10001, 'history too long'), 10001, 'history too long'],
  ])('tells the client by class (%#)', async (_, failure, code, message) => {
    const { answer } = await thrown(failure)
    expect(JSON.parse(answer)).toEqual(error(1, code, message))
  })

  it('turns a result that JSON does not have into an internal error', async () => {
    const { envelope, lines } = scene(() => ({ a: () => 1 }))
    expect(JSON.parse(String(await envelope.open(new FakeHost()).handle(bytes(CALL))))).toMatchObject({
      error: { code: -32603 },
    })
    expect(lines).toHaveLength(1)
  })

  it('charges a notification that fails and answers nothing', async () => {
    const { envelope } = scene(() => null)
    const host = new FakeHost()
    expect(await envelope.open(host).handle(bytes('{"jsonrpc":"2.0","method":"t"}'))).toBeUndefined()
    expect(host.failures).toEqual([{ code: -32601, message: 'unknown method "t"', cost: 100 }])
    expect(host.calls).toEqual([{ method: 't', notification: true }])
  })
})

describe('size of answers', () => {
  it('replaces an answer above the limit by an error', async () => {
    const { envelope } = scene(() => 'x'.repeat(500), { maxSend: 500 })
    const answer = await envelope.open(new FakeHost()).handle(bytes(CALL))
    expect(JSON.parse(String(answer))).toEqual(error(1, -32600, 'response too large (over 500 bytes)'))
  })

  it('counts bytes, not characters', async () => {
    const { envelope } = scene(() => 'ü'.repeat(300), { maxSend: 500 })
    expect(await envelope.open(new FakeHost()).handle(bytes(CALL))).toContain('too large')
  })

  it('replaces it alone inside a batch, so that what fits is still answered', async () => {
    const { envelope } = scene((_, { a }) => 'x'.repeat(Number(a)), { maxSend: 500 })
    const entries = [10, 450, 20].map((size, i) => `{"jsonrpc":"2.0","method":"t","params":[${size}],"id":${i}}`)
    const answer = await envelope.open(new FakeHost()).handle(bytes(`[${entries.join(',')}]`))
    expect(JSON.parse(String(answer))).toEqual([
      result(0, 'x'.repeat(10)),
      error(1, -32600, 'response too large (over 500 bytes)'),
      result(2, 'x'.repeat(20)),
    ])
  })

  it('puts JSON made elsewhere in as it is', async () => {
    const { envelope } = scene(() => new RawJson('{"value":0.10000000,"n":12345678901234567890}'))
    expect(await envelope.open(new FakeHost()).handle(bytes(CALL))).toBe(
      '{"jsonrpc":"2.0","result":{"value":0.10000000,"n":12345678901234567890},"id":1}',
    )
  })

  it('sends the bytes of a long text as they are, alone in every dialect, and copies them into a batch', async () => {
    const text = `"${'x'.repeat(20_000)}"`
    const long = LongText.ofAscii(text)
    const { envelope } = scene(() => new RawJson(long))
    const answerTo = async (message: string) => envelope.open(new FakeHost()).handle(bytes(message))
    const answer = await answerTo(CALL)
    assert(answer instanceof LongText && long instanceof LongText)
    expect(answer.body).toBe(long.body)
    expect(answer.toString()).toBe(`{"jsonrpc":"2.0","result":${text},"id":1}`)
    const old = await answerTo('{"method":"t","params":[],"id":"é","jsonrpc":"1.0"}')
    expect([old instanceof LongText, old?.toString()]).toEqual([true, `{"result":${text},"error":null,"id":"é"}`])
    expect(await answerTo(`[${CALL}]`)).toBe(`[${answer.toString()}]`)
    expect(await answerTo('{"method":"t","params":[],"jsonrpc":"2.0"}')).toBeUndefined()
  })

  it('holds a long text to the limit by its bytes', async () => {
    const long = LongText.ofAscii(`"${'x'.repeat(20_000)}"`)
    const fits = 20_002 + '{"jsonrpc":"2.0","result":,"id":1}'.length
    for (const maxSend of [fits, fits - 1]) {
      const { envelope } = scene(() => new RawJson(long), { maxSend })
      const answer = await envelope.open(new FakeHost()).handle(bytes(CALL))
      const tooLarge = error(1, -32600, `response too large (over ${maxSend} bytes)`)
      expect(JSON.parse(String(answer))).toEqual(maxSend < fits ? tooLarge : result(1, 'x'.repeat(20_000)))
    }
  })

  it('answers entries of a batch whatever order they end in', async () => {
    const waiting: (() => void)[] = []
    const { envelope } = scene(async (_, { a }) => {
      if (a === 0) await new Promise<void>((resolve) => waiting.push(resolve))
      else waiting.splice(0).forEach((resolve) => resolve())
      return a
    })
    const entries = [0, 1].map((a) => `{"jsonrpc":"2.0","method":"t","params":[${a}],"id":${a}}`)
    const answer = await envelope.open(new FakeHost()).handle(bytes(`[${entries.join(',')}]`))
    expect(JSON.parse(String(answer))).toEqual([result(0, 0), result(1, 1)])
  })
})

/** A way to each code that a client can see. */
const WAYS: Readonly<Record<number, (host: FakeHost) => string>> = {
  [-32700]: () => 'nonsense',
  [-32600]: () => '[]',
  [-32601]: () => '{"method":"nope","id":1}',
  [-32602]: () => '{"method":"server.ping","params":[1],"id":1}',
  [-32603]: (host) => {
    host.ctx.server.banner = async () => Promise.reject(new Error('no such file'))
    return '{"method":"server.banner","id":1}'
  },
  [-101]: (host) => {
    host.ctx.hardLimit = 0
    return '{"method":"server.ping","id":1}'
  },
  [-102]: (host) => {
    host.ctx.daemon.failure = new DaemonUnavailableError('connection refused')
    return '{"method":"blockchain.relayfee","id":1}'
  },
  1: () => '{"method":"blockchain.block.header","params":[-1],"id":1}',
  2: () => `{"method":"blockchain.transaction.get","params":["${'ab'.repeat(32)}"],"id":1}`,
  10001: (host) => {
    host.ctx.moment.historyLimit = -1
    return `{"method":"blockchain.scripthash.get_history","params":["${'ab'.repeat(32)}"],"id":1}`
  },
  800422: (host) => {
    host.refusal = new RpcError(800422, 'would burn an Atomical')
    return '{"method":"blockchain.transaction.broadcast","params":["00"],"id":1}'
  },
}

describe('every code of the catalogue', () => {
  it.each(Object.values(ERROR_CODES))('$code can be reached', async ({ code }) => {
    const host = new FakeHost()
    const message = WAYS[code]?.(host) ?? 'no way is known'
    const answer = await electrumEnvelope().open(host).handle(bytes(message))
    expect(JSON.parse(String(answer))).toMatchObject({ error: { code } })
    expect(host.failures).toEqual([
      { code, message: expect.any(String) as unknown, cost: code === -32700 ? 1100 : 100 },
    ])
  })
})
