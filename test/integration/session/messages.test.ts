import { connect } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_COSTS } from '../../../src/session/cost.ts'
import type { Remark } from '../../../src/session/handle.ts'
import { type KitOptions, SessionKit } from '../../support/session-kit.ts'

describe('what the session of a client tells the manager', () => {
  let kit: SessionKit | undefined

  afterEach(async () => {
    await kit?.stop()
    kit = undefined
  })

  async function start(options: KitOptions = {}): Promise<SessionKit> {
    // No limits of cost, so that nothing has to wait for the clock.
    const costs = { ...DEFAULT_COSTS, softLimit: 0, hardLimit: 0 }
    kit = await new SessionKit({ shared: { costs }, ...options }).start()
    return kit
  }

  const heard = () => kit!.shared.tally.heard.inbound
  const NONE: Record<Remark, number> = { valid: 0, invalid: 0, 'bad message': 0, 'protocol breach': 0 }

  it('is valid of a request that was understood, whatever came of it, each of a batch', async () => {
    const { manager } = await start()
    const client = await kit!.active()
    await expect(client.request('fail')).rejects.toMatchObject({ code: -32603 })
    client.send([
      { jsonrpc: '2.0', id: 'a', method: 'echo', params: ['1'] },
      { jsonrpc: '2.0', id: 'b', method: 'hold' },
    ])
    await kit!.held.begun(1)
    kit!.held.release()
    await client.next((message) => message.id === 'b')
    expect(heard()).toEqual({ ...NONE, valid: 4 })
    expect([...manager.clients()][0]?.traffic.receivedMessages).toBe(3)
  })

  it.each([
    ['of an unknown method', '{"jsonrpc":"2.0","id":1,"method":"nothing"}'],
    ['with parameters that there are not', '{"jsonrpc":"2.0","id":1,"method":"echo","params":[]}'],
    ['that is no request', '{"jsonrpc":"2.0","id":1,"method":7}'],
    ['that is an answer to a question nobody asked', '{"jsonrpc":"2.0","id":1,"result":1}'],
    ['that is an empty batch', '[]'],
    ['nested beyond reason', `${'['.repeat(2000)}${']'.repeat(2000)}`],
  ])('is invalid of JSON %s', async (_what, line) => {
    await start()
    const client = await kit!.active()
    client.sendRaw(line)
    await kit!.until(() => heard().invalid > 0)
    await client.request('echo', ['after'])
    expect(heard()).toEqual({ ...NONE, valid: 2, invalid: 1 })
  })

  it('is a bad message of what is no JSON, or longer than is read', async () => {
    await start()
    const client = await kit!.active()
    client.sendRaw('nonsense')
    client.sendRaw('x'.repeat(200_000))
    await client.request('echo', ['after'])
    expect(heard()).toEqual({ ...NONE, valid: 2, 'bad message': 2 })
  })

  it('says nothing against a client whose answer was too long to be sent', async () => {
    await start({ maxSend: 1000 })
    const client = await kit!.active()
    await expect(client.request('big', [5000])).rejects.toMatchObject({ code: -32600 })
    expect(heard()).toEqual({ ...NONE, valid: 2 })
  })

  it('is a breach of the protocol, once, then the end, when server.version comes too late for 1.6', async () => {
    const { manager } = await start()
    const client = await kit!.connect()
    await client.request('echo', ['first'])
    await expect(client.request('server.version', ['me', [1, 6]])).rejects.toMatchObject({ code: 1 })
    await client.closed
    await kit!.until(() => manager.counts.closed['protocol breach'] === 1)
    expect(heard()['protocol breach']).toBe(1)
  })

  it('is a breach of the protocol when a transport has found it', async () => {
    const { manager } = await start({ listeners: [{ kind: 'ws', host: '127.0.0.1', port: 0 }] })
    const client = await kit!.active('ws')
    client.sendRaw('x'.repeat(200_000))
    await client.closed
    await kit!.until(() => manager.counts.closed['protocol breach'] === 1)
    expect(heard()['protocol breach']).toBe(1)
  })

  it('is one end, of either kind, after everything else', async () => {
    const { manager } = await start()
    const client = await kit!.active()
    await client.close()
    const socket = connect(kit!.port(), '127.0.0.1', () => socket.resetAndDestroy())
    await kit!.until(() => manager.counts.accepted === 2 && manager.counts.active + manager.counts.handshaking === 0)
    const ends = Object.entries(manager.counts.closed).filter(([, count]) => count > 0)
    expect(ends).toEqual([
      ['client closed', 1],
      ['client reset', 1],
    ])
  })
})
