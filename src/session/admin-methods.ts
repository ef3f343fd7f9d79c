import { z } from 'zod'
import { addressText } from '../lib/address-text.ts'
import { toDisplayHex } from '../lib/bytes.ts'
import { type AdminMethod, defineAdminMethod } from './admin.ts'
import type { ClientHandle, ServerHandle } from './handle.ts'
import type { SessionManager } from './manager.ts'
import type { SharedSession } from './shared.ts'

export interface AdminSurroundings {
  readonly shared: SharedSession
  readonly manager: SessionManager
  /** Begins an orderly stop of the whole server; does not wait for it. */
  readonly stop: () => void
  /** What other parts have to say in getinfo: sync, mempool, database. */
  readonly info?: () => Readonly<Record<string, unknown>>
}

/** The administrator's methods that are about sessions; others come from whoever builds the server. */
export function sessionAdminMethods(around: AdminSurroundings): readonly AdminMethod[] {
  return [getInfo(around), listSessions(around), listGroups(around), inspect(around), disconnect(around), stop(around)]
}

const NO_PARAMS = z.object({})
/** Why it is done, for the audit. */
const Reason = z.string().max(200).optional()

function getInfo({ shared, manager, info }: AdminSurroundings): AdminMethod {
  const started = shared.clock.now()
  return defineAdminMethod({
    name: 'getinfo',
    summary: 'What the server is doing: tip, node, sessions, traffic.',
    params: NO_PARAMS,
    example: { params: [], result: { version: 'Valence 0.1.0', pid: 1, uptime: 60 } },
    handler: async () => ({
      version: shared.server.software,
      pid: process.pid,
      uptime: Math.round((shared.clock.now() - started) / 1000),
      daemon: shared.daemon.address,
      ready: shared.moments.ready,
      tip: shared.moments.ready ? await shared.moments.with(async ({ tip }) => describeTip(tip)) : null,
      sessions: manager.counts,
      notifications: { backlog: shared.notifier.backlog, scripts: shared.subscriptions.scripts },
      requests: requestCounts(manager),
      memory: process.memoryUsage.rss(),
      ...info?.(),
    }),
  })
}

function listSessions({ shared, manager }: AdminSurroundings): AdminMethod {
  return defineAdminMethod({
    name: 'sessions',
    summary:
      'Every session, of clients and with servers that we dialled, with its state, cost and traffic, oldest first.',
    params: NO_PARAMS,
    example: { params: [], result: [{ id: 1, kind: 'tcp', state: 'active' }] },
    handler: () =>
      [...manager.sessions()].sort((a, b) => a.id - b.id).map((session) => describeSession(session, shared)),
  })
}

function listGroups({ manager }: AdminSurroundings): AdminMethod {
  return defineAdminMethod({
    name: 'groups',
    summary: 'Subnets and times with sessions, or with cost that sessions left behind.',
    params: NO_PARAMS,
    example: {
      params: [],
      result: [{ name: '203.0.113.0/24', weight: 1, sessions: 2, session_cost: 12.5, retained_cost: 0 }],
    },
    handler: () =>
      [...manager.groups.all].map((group) => ({
        name: group.name,
        weight: group.weight,
        sessions: group.members.size,
        session_cost: round(group.sessionCost),
        retained_cost: round(group.retainedCost),
      })),
  })
}

function inspect({ shared, manager }: AdminSurroundings): AdminMethod {
  return defineAdminMethod({
    name: 'inspect_session',
    summary: 'One session in full, with the methods it called.',
    params: z.object({ session_id: z.coerce.number().int() }),
    example: { params: [1], result: { id: 1, kind: 'tcp', calls: { 'server.version': 1 } } },
    handler: ({ session_id: id }) => {
      const session = manager.find(id)
      return session === undefined
        ? null
        : {
            ...describeSession(session, shared),
            ...(session.direction === 'inbound' ? { calls: Object.fromEntries(session.calls) } : {}),
          }
    },
  })
}

/** Words that stand for any number of sessions, none as well. */
const MANY: ReadonlySet<string> = new Set(['all', 'pending'])

function disconnect({ manager }: AdminSurroundings): AdminMethod {
  return defineAdminMethod({
    name: 'disconnect',
    acts: true,
    summary:
      'Closes sessions by id, those of a group by its name, `pending` ones that have asked nothing yet, or `all`. Says ' +
      'what was done with each.',
    params: z.object({
      session_ids: z.union([z.array(z.union([z.string(), z.number()])), z.string(), z.number()]),
      reason: Reason,
    }),
    example: { params: [['1', '203.0.113.0/24']], result: ['disconnected 1'] },
    handler: ({ session_ids: ids }) =>
      (Array.isArray(ids) ? ids : [ids]).flatMap((item) => {
        const found = matching(manager, String(item))
        for (const session of found) session.command({ type: 'close', reason: 'operator' })
        const nobody = MANY.has(String(item).toLowerCase()) ? 'nobody there' : `unknown: ${item}`
        return found.length === 0 ? [nobody] : found.map(({ id }) => `disconnected ${id}`)
      }),
  })
}

function stop({ stop }: AdminSurroundings): AdminMethod {
  return defineAdminMethod({
    name: 'stop',
    acts: true,
    summary: 'Shuts the server down in order.',
    params: z.object({ reason: Reason }),
    example: { params: [], result: 'stopping' },
    handler: () => {
      // After the answer has left.
      setImmediate(stop)
      return 'stopping'
    },
  })
}

function matching(manager: SessionManager, item: string): readonly (ClientHandle | ServerHandle)[] {
  if (item.toLowerCase() === 'all') return [...manager.sessions()]
  if (item.toLowerCase() === 'pending') {
    return [...manager.sessions()].filter(({ state }) => state === 'handshaking')
  }
  const one = /^\d+$/.test(item) ? manager.find(Number(item)) : undefined
  if (one !== undefined) return [one]
  return [...manager.clients()].filter(({ groups }) => groups.some(({ name }) => name === item))
}

function describeSession(session: ClientHandle | ServerHandle, shared: SharedSession): object {
  return {
    id: session.id,
    kind: session.kind,
    direction: session.direction,
    state: session.state,
    software: session.software ?? null,
    protocol: session.protocol?.join('.') ?? null,
    features: session.features ?? null,
    ...(session.direction === 'inbound' ? describeClient(session, shared) : describeServer(session)),
    unanswered: session.unanswered,
    unsent_bytes: session.unsent,
    received_messages: session.traffic.receivedMessages,
    received_bytes: session.traffic.receivedBytes,
    sent_messages: session.traffic.sentMessages,
    sent_bytes: session.traffic.sentBytes,
    errors: session.traffic.errors,
    seconds: Math.round((shared.clock.now() - session.established) / 1000),
  }
}

function describeClient(session: ClientHandle, shared: SharedSession): object {
  return {
    remote: shared.addressForLog(session.remote),
    peer: session.features !== undefined,
    cost: round(session.cost),
    extra_cost: round(session.totalCost - session.cost),
    concurrency: session.concurrency,
    groups: session.groups.map(({ name }) => name),
    follows_tip: session.followsTip,
    subscriptions: session.subscriptionCount,
    transactions_sent: session.transactionsSent,
  }
}

/** Servers are public: their addresses are nobody's secret. */
function describeServer({ host, remote, roundTrip }: ServerHandle): object {
  return {
    host,
    remote: addressText(remote),
    round_trip_ms: roundTrip === undefined ? null : round(roundTrip),
  }
}

function requestCounts(manager: SessionManager): Record<string, number> {
  const counts = new Map<string, number>()
  for (const { calls } of manager.clients()) {
    for (const [name, count] of calls) counts.set(name, (counts.get(name) ?? 0) + count)
  }
  return Object.fromEntries(counts)
}

function describeTip({ height, hash }: { readonly height: number; readonly hash: Uint8Array }): object {
  return { height, hash: toDisplayHex(hash) }
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
