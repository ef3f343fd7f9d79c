import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { callAdmin, toRequest } from '../../src/rpc-client.ts'

describe('the command line', () => {
  it.each([
    [['getinfo'], { method: 'getinfo', params: [] }],
    [['disconnect', '7', 'abc'], { method: 'disconnect', params: [7, 'abc'] }],
    [['disconnect', '209.59.102.0/24', '34', '2'], { method: 'disconnect', params: [['209.59.102.0/24', 34, 2]] }],
    [['disconnect', 'all', 'going home.'], { method: 'disconnect', params: ['all', 'going home.'] }],
    [['disconnect', '3', '2001:db8::/48', 'bad'], { method: 'disconnect', params: [[3, '2001:db8::/48'], 'bad'] }],
    [['disconnect'], { method: 'disconnect', params: [] }],
    [['regtest', 'mine', '1'], { method: 'regtest.mine', params: [1] }],
    [['regtest', 'send', 'bcrt1q', '1.5'], { method: 'regtest.send', params: ['bcrt1q', '1.5'] }],
  ])('%j becomes a request', (words, request) => {
    expect(toRequest(words)).toEqual(request)
  })
})

describe('callAdmin', () => {
  let server: Server | undefined
  afterEach(() => server?.close())

  async function answering(answer: (line: string) => string): Promise<{ host: string; port: number }> {
    server = createServer((socket) => socket.on('data', (data) => socket.end(answer(data.toString())))).listen(
      0,
      '127.0.0.1',
    )
    await once(server, 'listening')
    return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
  }

  it('sends one line and gives back the result', async () => {
    const port = await answering((line) => `${JSON.stringify({ id: 0, result: JSON.parse(line) as unknown })}\n`)
    expect(await callAdmin(port, ['getinfo'])).toEqual({
      ok: true,
      result: { jsonrpc: '2.0', id: 0, method: 'getinfo', params: [] },
    })
  })

  it("gives back the server's words of refusal", async () => {
    const port = await answering(() => '{"id":0,"error":{"code":1,"message":"no such session"}}\n')
    expect(await callAdmin(port, ['disconnect', '9'])).toEqual({ ok: false, message: 'no such session' })
  })

  it('rejects when the connection ends without an answer', async () => {
    const port = await answering(() => '')
    await expect(callAdmin(port, ['getinfo'])).rejects.toThrow('without an answer')
  })
})
