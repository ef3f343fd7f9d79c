import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import { SessionKit } from '../../support/session-kit.ts'

const HOST = '127.0.0.1'
const HTTP = { kind: 'http', host: HOST, port: 0 } as const
const CALL = '{"jsonrpc":"2.0","id":1,"method":"echo","params":["one"]}'
/** What a second request hides in that is no part of the first. */
const HIDDEN = 'GET /proxy/echo?params=%5B%22hidden%22%5D HTTP/1.1\r\nHost: x\r\n\r\n'

describe('HTTP as nobody should speak it', () => {
  let kit: SessionKit | undefined
  const sockets: Socket[] = []

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await kit?.stop()
    kit = undefined
  })

  /** All that is answered until the server closes, which it is asked to after the last request. */
  async function answerTo(sent: string | Uint8Array): Promise<string> {
    kit ??= await new SessionKit({
      listeners: [HTTP],
      shared: { costs: { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 } },
    }).start()
    const socket = connect(kit.port('http'), HOST)
    sockets.push(socket)
    socket.on('error', () => {}) // It may be cut.
    let text = ''
    socket.on('data', (part: Buffer) => (text += part.toString('latin1')))
    socket.end(sent)
    await once(socket, 'close')
    return text
  }

  const statuses = (text: string): string[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status = '']) => status)
  const post = (headers: string, body: string): string => `POST / HTTP/1.1\r\nHost: x\r\n${headers}\r\n${body}`
  const LENGTH = `Content-Length: ${CALL.length}\r\n`
  const CHUNKED = 'Transfer-Encoding: chunked\r\n'
  const chunk = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

  it.each([
    ['two lengths', post(`${LENGTH}Content-Length: 3\r\n`, CALL + HIDDEN)],
    ['one length twice', post(LENGTH + LENGTH, CALL + HIDDEN)],
    ['a list of lengths', post(`Content-Length: ${CALL.length}, ${CALL.length}\r\n`, CALL + HIDDEN)],
    ['a negative length', post('Content-Length: -1\r\n', CALL + HIDDEN)],
    ['a length with a sign', post(`Content-Length: +${CALL.length}\r\n`, CALL + HIDDEN)],
    ['a length in hex', post('Content-Length: 0x39\r\n', CALL + HIDDEN)],
    ['a length beyond 64 bits', post('Content-Length: 99999999999999999999999\r\n', CALL + HIDDEN)],
    ['a length and chunks', post(LENGTH + CHUNKED, chunk(CALL) + HIDDEN)],
    ['chunks and a length', post(CHUNKED + LENGTH, chunk(CALL) + HIDDEN)],
    ['chunks that are not the last coding', post('Transfer-Encoding: chunked, gzip\r\n', chunk(CALL) + HIDDEN)],
    ['a coding that nobody knows', post('Transfer-Encoding: xchunked\r\n', chunk(CALL) + HIDDEN)],
    ['a blank before the colon', post(`Content-Length : ${CALL.length}\r\n`, CALL + HIDDEN)],
    ['a carriage return inside of a header', post(`X: a\rb\r\n${LENGTH}`, CALL + HIDDEN)],
    ['a NUL inside of a header', post(`X: a\0b\r\n${LENGTH}`, CALL + HIDDEN)],
    ['no host', `POST / HTTP/1.1\r\n${LENGTH}\r\n${CALL}${HIDDEN}`],
    ['a chunk as long as an integer wraps', post(CHUNKED, `FFFFFFFFFFFFFFFFF\r\n${CALL}\r\n0\r\n\r\n${HIDDEN}`)],
    ['a chunk whose length is no number', post(CHUNKED, `zz\r\n${CALL}\r\n0\r\n\r\n${HIDDEN}`)],
    ['a chunk with a long extension', post(CHUNKED, `1;${'x'.repeat(40_000)}\r\na\r\n0\r\n\r\n${HIDDEN}`)],
    ['a chunk that goes on behind its end', post(CHUNKED, `1\r\nabc\r\n0\r\n\r\n${HIDDEN}`)],
    ['headers that are too long', post(`X: ${'x'.repeat(20_000)}\r\n${LENGTH}`, CALL + HIDDEN)],
    ['headers that are too many', post(`${'a:b\r\n'.repeat(10_000)}${LENGTH}`, CALL + HIDDEN)],
    ['a target that is too long', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n${HIDDEN}`],
    ['HTTP/0.9', `GET /\r\n${HIDDEN}`],
    ['HTTP/2', `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${HIDDEN}`],
    ['TLS', Buffer.concat([Buffer.from([0x16, 3, 1, 2, 0, 1, 0]), Buffer.from(HIDDEN)])],
  ])('is refused and nothing behind it is heard: %s', async (_what, sent) => {
    const text = await answerTo(sent)
    expect(statuses(text)).toEqual(['400'])
    expect(text).not.toContain('hidden')
  })

  it('ends a tunnel that is asked for without a word', async () => {
    expect(await answerTo(`CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n${HIDDEN}`)).toBe('')
  })

  it.each([
    ['an upgrade', `Connection: Upgrade\r\nUpgrade: h2c\r\n${LENGTH}`, CALL],
    [
      'chunks, their extensions and trailers',
      CHUNKED,
      `${CALL.length.toString(16)};a=b\r\n${CALL}\r\n0\r\n__proto__: x\r\n\r\n`,
    ],
    ['a wait for 100', `Expect: 100-continue\r\n${LENGTH}`, CALL],
    ['headers of prototypes', `__proto__: x\r\nconstructor: y\r\n${LENGTH}`, CALL],
  ])('is understood where there is only one meaning: %s', async (_what, headers, body) => {
    const text = await answerTo(post(headers, body))
    expect(statuses(text).filter((status) => status !== '100')).toEqual(['200'])
    expect(text).toContain('"result":"one"')
  })

  it.each([
    ['/proxy/echo?params=[%22a%22]&params=[%22b%22]', 200, '"a"'],
    ['/proxy/echo?__proto__=x&constructor=y&params=[%22a%22]', 200, '"a"'],
    ['http://elsewhere.example/proxy/echo?params=[%22a%22]', 200, '"a"'],
    ['/x/../proxy/echo?params=[%22a%22]', 200, '"a"'],
    ['/proxy/%65cho?params=[%22a%22]', 200, '"a"'],
    ['/proxy/%2565cho?params=[%22a%22]', 500, 'unknown method \\"%65cho\\"'],
    ['/proxy/echo%00?params=[%22a%22]', 500, 'unknown method \\"echo\\u0000\\"'],
    ['/proxy/echo/..;/x', 500, 'unknown method \\"echo/..;/x\\"'],
    ['/proxy/__proto__', 500, 'unknown method \\"__proto__\\"'],
    ['/proxy/constructor', 500, 'unknown method \\"constructor\\"'],
    ['/proxy/%', 500, 'unknown method \\"%\\"'],
    ['/proxy/%ff%fe', 500, 'unknown method \\"%ff%fe\\"'],
    [`/proxy/${'x'.repeat(10_000)}`, 500, `unknown method \\"${'x'.repeat(100)}…\\"`],
    ['/proxy/echo?params={%22__proto__%22:1}', 422, 'invalid params not array'],
    ['/proxy/echo?params=[[[[', 422, 'invalid params decode'],
    [`/proxy/echo?params=${'['.repeat(100)}${']'.repeat(100)}`, 422, 'invalid params decode'],
    ['/proxy/echo?params=%ff', 422, 'invalid params decode'],
    ['/proxy/../../etc/passwd', 404, 'Not Found - /etc/passwd'],
    ['//proxy/echo', 404, 'Not Found'],
    ['/urn/validate/atom:btc:realm:%00', 200, '\\u0000'],
    ['/urn/%0d%0aSet-Cookie:%20x', 422, 'Invalid URN'],
    ['*', 400, 'no such address'],
    ['ftp://x/', 400, 'no such address'],
    ['http://', 400, 'no such address'],
  ])('has odd addresses answered for what they are: %s', async (target, status, said) => {
    const text = await answerTo(`GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`)
    const [head = '', body] = text.split('\r\n\r\n')
    expect(statuses(text)).toEqual([String(status)])
    expect(Buffer.from(body ?? '', 'latin1').toString()).toContain(said)
    expect(head).not.toContain('Set-Cookie')
  })
})
