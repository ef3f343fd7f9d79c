import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Environment } from '../../../src/config/settings.ts'
import { CLOSE_REASONS, type CloseReason } from '../../../src/session/transports/connection.ts'
import { WireClient } from '../../support/wire-client.ts'
import { Station } from './station.ts'

const HOST = '127.0.0.1'
const VERSION = '{"jsonrpc":"2.0","id":0,"method":"server.version","params":["me","1.4"]}\n'

interface Cause {
  readonly settings?: Environment
  /** Brings it about, with clients that are connected here. */
  readonly happen: (station: Station) => Promise<void>
}

/** For every reason of the closed list what really leads to it; the type sees to it that none is missing. */
const CAUSES: Readonly<Record<CloseReason, Cause>> = {
  'client closed': { happen: async (station) => (await station.client()).close() },
  'client reset': {
    happen: async (station) => {
      const socket = connect(station.port('tcp'), HOST)
      socket.write(VERSION)
      await once(socket, 'data')
      socket.resetAndDestroy()
    },
  },
  'handshake timeout': {
    settings: { HANDSHAKE_TIMEOUT: '1' },
    happen: async (station) => (await station.connect()).closed,
  },
  'idle timeout': {
    settings: { SESSION_TIMEOUT: '1' },
    happen: async (station) => (await station.client()).closed,
  },
  'slow reader': {
    settings: { SEND_TIMEOUT: '1' },
    happen: async (station) => {
      const client = await station.client('1.7')
      client.pause()
      for (let i = 0; i < 5; i++) client.request('server.ping', [4_000_000]).catch(() => {})
      await station.sessionsUntil(({ closed }) => closed['slow reader'] === 1)
    },
  },
  'excessive usage': {
    settings: { COST_SOFT_LIMIT: '10', COST_HARD_LIMIT: '200' },
    happen: async (station) => {
      const client = await station.client()
      for (let i = 0; i < 2; i++) await client.request('no.such.method').catch(() => {})
      await expect(client.request('server.ping')).rejects.toMatchObject({ code: -101 })
      await client.closed
    },
  },
  'protocol breach': {
    happen: async (station) => {
      const client = await station.connect()
      await client.request('server.ping')
      await expect(client.request('server.version', ['me', '1.6'])).rejects.toMatchObject({ code: 1 })
      await client.closed
    },
  },
  'unsupported version': {
    happen: async (station) => {
      const client = await station.connect()
      await expect(client.request('server.version', ['me', '1.3'])).rejects.toMatchObject({ code: 1 })
      await client.closed
    },
  },
  'client refused': {
    settings: { DROP_CLIENT: '^bad' },
    happen: async (station) => {
      const client = await station.connect()
      await expect(client.request('server.version', ['bad one', '1.4'])).rejects.toMatchObject({ code: 1 })
      await client.closed
    },
  },
  'server full': {
    settings: { MAX_SESSIONS: '1', MAX_HANDSHAKING: '10' },
    happen: async (station) => {
      const late = await station.connect()
      await station.sessionsUntil(({ handshaking }) => handshaking === 1)
      await station.client()
      await expect(late.request('server.version', ['me', '1.4'])).rejects.toMatchObject({ code: -102 })
      await late.closed
    },
  },
  operator: {
    happen: async (station) => {
      const client = await station.client()
      await station.admin('disconnect', 'all')
      await client.closed
    },
  },
  shutdown: {
    happen: async (station) => {
      const client = await station.client()
      expect(await station.shutdown()).toBeUndefined()
      await client.closed
    },
  },
  'transport error': {
    happen: async (station) => {
      const upstream = connect(station.port('ssl'), HOST)
      const relay = createServer((socket) => {
        socket.on('error', () => {}) // It breaks when the other half does.
        socket.pipe(upstream).pipe(socket)
      })
      relay.listen(0, HOST)
      await once(relay, 'listening')
      const client = await WireClient.connect({ kind: 'ssl', port: (relay.address() as AddressInfo).port })
      await client.request('server.version', ['me', '1.4'])
      upstream.write('this is no TLS record at all, and no part of one')
      await client.closed
      relay.close()
    },
  },
}

/** Those that are the client's fault, and the operator's to know. */
const AUDITED: readonly CloseReason[] = ['excessive usage', 'protocol breach', 'client refused']

describe('a session ends with the reason', () => {
  let station: Station | undefined

  afterEach(async () => {
    await station?.stop()
    station = undefined
  })

  it.each(CLOSE_REASONS)('%s, in the log and in the count', async (reason) => {
    const { settings = {}, happen } = CAUSES[reason]
    station = await Station.start(settings)
    await happen(station)
    const line = await station.until(({ msg, ...rest }) => msg === 'session closed' && rest['reason'] === reason)
    expect(line).toMatchObject({ session: expect.any(Number) as number, kind: expect.any(String) as string })
    if (reason !== 'shutdown') expect((await station.sessions()).closed[reason]).toBe(1)
    const audit = station.log.filter((entry) => entry['audit'] === true && entry.msg === 'disconnected for abuse')
    expect(audit).toHaveLength(AUDITED.includes(reason) ? 1 : 0)
    if (audit.length === 0) return
    expect(audit[0]).toMatchObject({
      level: 30,
      session: line['session'],
      remote: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      reason,
      cost: expect.any(Number) as number,
    })
  })

  it('by the operator in the audit: whose session, by which act, and why', async () => {
    station = await Station.start()
    const client = await station.client()
    await station.admin('disconnect', 'all', 'maintenance')
    await client.closed
    const ended = await station.until(({ msg }) => msg === 'disconnected by the operator')
    expect(ended).toMatchObject({ audit: true, session: 1, kind: 'tcp', reason: 'operator' })
    const act = await station.until(({ msg }) => msg === 'administrator')
    expect(act).toMatchObject({ audit: true, level: 30, method: 'disconnect', reason: 'maintenance' })
    expect(act['params']).toBe('{"session_ids":"all"}')
    const answer = await station.until(({ msg }) => msg === 'administrator was answered')
    expect(answer).toMatchObject({ act: act['act'], outcome: 'done', result: '["disconnected 1"]' })
  })

  it('of a WebSocket in its close code', async () => {
    station = await Station.start({ MAX_RECV: '1000' })
    const client = await WireClient.connect({ kind: 'ws', port: station.port('ws') })
    client.sendRaw('x'.repeat(1001))
    await client.closed
    expect(client.closeCode).toBe(1009)
    await station.sessionsUntil(({ closed }) => closed['protocol breach'] === 1)
  })
})
