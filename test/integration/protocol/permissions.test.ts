import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { electrumMethods } from '../../../src/rpc/methods/table.ts'
import { callAdmin } from '../../../src/rpc-client.ts'
import { peerAdminMethods } from '../../../src/session/peers/admin-methods.ts'
import { Station } from './station.ts'

const UNKNOWN = { code: -32601 }
const OF_SESSIONS = ['getinfo', 'sessions', 'groups', 'inspect_session', 'disconnect', 'stop', 'metrics']
const OF_PEERS = peerAdminMethods({
  summary: undefined as never,
  adminView: () => undefined as never,
  addByName: () => false,
}).map(({ name }) => name)

/** Two registries, each on its own ports: who may do what is decided by where he asks. */
describe('permission', () => {
  let station: Station

  beforeAll(async () => {
    station = await Station.start()
  })

  afterAll(async () => {
    await station.stop()
  })

  it.each([...OF_SESSIONS, ...OF_PEERS])('to call %s is not given to clients', async (name) => {
    const client = await station.client()
    await expect(client.request(name, [])).rejects.toMatchObject(UNKNOWN)
    const response = await fetch(`http://127.0.0.1:${station.port('http')}/`, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: name, params: [] }),
    })
    expect(await response.json()).toMatchObject({ error: UNKNOWN })
    client.destroy()
  })

  it("of the administrator's port does not reach to what is for clients", async () => {
    const place = { host: '127.0.0.1', port: station.port('rpc') }
    const reached: string[] = []
    for (const { name } of electrumMethods()) {
      const answer = await callAdmin(place, [name])
      if (answer.ok || !answer.message.startsWith('unknown method')) reached.push(name)
    }
    expect(reached).toEqual([])
  })

  it('to call them is given on the port of the administrator', async () => {
    for (const name of ['getinfo', 'sessions', 'groups', 'peers', 'metrics']) {
      expect(await station.admin(name)).toBeDefined()
    }
  })
})
