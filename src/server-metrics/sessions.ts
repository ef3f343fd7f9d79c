import { LIMIT_NAMES } from '../errors.ts'
import type { Metric } from '../metrics.ts'
import { REFUSALS } from '../session/admission.ts'
import { REMARKS } from '../session/handle.ts'
import { PEER_STATUSES } from '../session/peers/peer.ts'
import { CLOSE_REASONS } from '../session/transports/connection.ts'
import { each, type MetricSource, metric, sum } from './source.ts'

/** What clients ask, and what they get. */
export const requestMetrics: readonly Metric<MetricSource>[] = [
  metric({
    name: 'valence_requests_total',
    kind: 'counter',
    unit: 'requests',
    sentence: 'Requests of clients by method; names that are no method count together.',
    labels: [{ name: 'method', values: 'the methods of PROTOCOL.md, and unknown method' }],
    *read({ tally }) {
      for (const { name, calls } of tally.methods.values()) yield [[name], calls]
      yield [[tally.unknown.name], tally.unknown.calls]
    },
  }),
  metric({
    name: 'valence_request_seconds',
    kind: 'histogram',
    unit: 'seconds',
    sentence: 'From the arrival of a request to its answer, waiting included, by the beginning of its method.',
    labels: [{ name: 'family', values: 'names of methods without their last part, and unknown' }],
    *read({ tally }) {
      for (const [family, seconds] of tally.families) yield [[family], seconds]
    },
  }),
  metric({
    name: 'valence_errors_total',
    kind: 'counter',
    unit: 'errors',
    sentence: 'Errors answered to clients, by code.',
    labels: [{ name: 'code', values: 'the codes of ERRORS.md' }],
    read: ({ tally }) => each(tally.errors),
  }),
  metric({
    name: 'valence_reached_limits_total',
    kind: 'counter',
    unit: 'limits',
    sentence: 'How often clients met a limit that is not already a reason of a refusal or of an end of a session.',
    labels: [{ name: 'limit', values: LIMIT_NAMES }],
    read: ({ tally }) => each(LIMIT_NAMES.map((name) => [name, tally.limits[name]])),
  }),
  metric({
    name: 'valence_notifications_total',
    kind: 'counter',
    unit: 'notifications',
    sentence: 'Notifications sent, by what they are about.',
    labels: [{ name: 'subject', values: ['tip', 'script', 'outpoint', 'atomicals'] }],
    read: ({ tally }) => each(Object.entries(tally.notifications)),
  }),
  metric({
    name: 'valence_sent_transactions_total',
    kind: 'counter',
    unit: 'transactions',
    sentence: 'Transactions of clients that bitcoind took.',
    read: ({ tally }) => tally.transactionsSent,
  }),
]

/** Who is there, and what they use. */
export const sessionMetrics: readonly Metric<MetricSource>[] = [
  metric({
    name: 'valence_sessions',
    kind: 'gauge',
    unit: 'sessions',
    sentence: 'Connections: pending until their handshake is done, then active; accepted or begun by us.',
    labels: [
      { name: 'stage', values: ['pending', 'active'] },
      { name: 'direction', values: ['inbound', 'outbound'] },
    ],
    *read({ sessions: { counter } }) {
      for (const stage of ['pending', 'active'] as const) {
        for (const direction of ['inbound', 'outbound'] as const) {
          yield [[stage, direction], counter.count(stage, direction)]
        }
      }
    },
  }),
  metric({
    name: 'valence_accepted_sessions_total',
    kind: 'counter',
    unit: 'sessions',
    sentence: 'Sessions of clients there ever were.',
    read: (source) => source.sessions.counts.accepted,
  }),
  metric({
    name: 'valence_refusals_total',
    kind: 'counter',
    unit: 'refusals',
    sentence: 'Newcomers cut before they were sessions.',
    labels: [{ name: 'reason', values: REFUSALS }],
    read: (source) => each(Object.entries(source.sessions.counts.refusals)),
  }),
  metric({
    name: 'valence_disconnects_total',
    kind: 'counter',
    unit: 'disconnects',
    sentence: 'Sessions of clients that ended.',
    labels: [{ name: 'reason', values: CLOSE_REASONS }],
    read: (source) => each(Object.entries(source.sessions.counts.closed)),
  }),
  metric({
    name: 'valence_outbound_disconnects_total',
    kind: 'counter',
    unit: 'disconnects',
    sentence: 'Sessions with servers that we dialled which ended, also before they were connected.',
    labels: [{ name: 'reason', values: CLOSE_REASONS }],
    read: (source) => each(Object.entries(source.sessions.dialled.closed)),
  }),
  metric({
    name: 'valence_heard_messages_total',
    kind: 'counter',
    unit: 'messages',
    sentence:
      'What remotes sent: requests of clients, each of a batch, and answers of servers that were valid; what was JSON ' +
      'but neither, or for a method or with parameters that there are not; what was no message; breaches of the protocol.',
    labels: [
      { name: 'direction', values: ['inbound', 'outbound'] },
      { name: 'message', values: REMARKS },
    ],
    *read({ tally: { heard } }) {
      for (const direction of ['inbound', 'outbound'] as const) {
        for (const remark of REMARKS) yield [[direction, remark], heard[direction][remark]]
      }
    },
  }),
  metric({
    name: 'valence_paused_listeners',
    kind: 'gauge',
    unit: 'listeners',
    sentence: '1 while listeners are closed (as many sessions as there may be, or nothing to serve from), else 0.',
    read: (source) => Number(source.sessions.counts.paused),
  }),
  metric({
    name: 'valence_received_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    sentence: 'Bytes received from clients.',
    read: (source) => source.sessions.traffic.receivedBytes,
  }),
  metric({
    name: 'valence_sent_bytes_total',
    kind: 'counter',
    unit: 'bytes',
    sentence: 'Bytes sent to clients.',
    read: (source) => source.sessions.traffic.sentBytes,
  }),
  metric({
    name: 'valence_unsent_bytes',
    kind: 'gauge',
    unit: 'bytes',
    sentence: 'Bytes that wait for clients to take them.',
    *read(source) {
      yield [[], sum([...source.sessions.clients()].map(({ unsent }) => unsent))]
    },
  }),
  metric({
    name: 'valence_unanswered_messages',
    kind: 'gauge',
    unit: 'messages',
    sentence: 'Messages of clients that run or wait.',
    read: (source) => source.sessions.counts.unanswered,
  }),
  metric({
    name: 'valence_groups',
    kind: 'gauge',
    unit: 'groups',
    sentence: 'Groups of sessions (subnets, times) with sessions, or with cost that sessions left behind.',
    read: (source) => source.sessions.counts.groups,
  }),
  metric({
    name: 'valence_groups_cost',
    kind: 'gauge',
    unit: 'cost',
    sentence: 'Cost of all groups: of their sessions, and left behind by those that are gone.',
    labels: [{ name: 'of', values: ['sessions', 'gone'] }],
    *read({ sessions: { groups } }) {
      const all = [...groups.all]
      yield [['sessions'], sum(all.map(({ sessionCost }) => sessionCost))]
      yield [['gone'], sum(all.map(({ retainedCost }) => retainedCost))]
    },
  }),
  metric({
    name: 'valence_subscriptions',
    kind: 'gauge',
    unit: 'subscriptions',
    sentence: 'Scripts and outpoints followed, each as often as somebody follows it.',
    read: ({ subscriptions }) => subscriptions.total,
  }),
  metric({
    name: 'valence_followed_scripts',
    kind: 'gauge',
    unit: 'scripts',
    sentence: 'Different scripts and outpoints that somebody follows.',
    read: ({ subscriptions }) => subscriptions.scripts,
  }),
  metric({
    name: 'valence_notifier_backlog_scripts',
    kind: 'gauge',
    unit: 'scripts',
    sentence: 'Scripts whose status is to be worked out anew.',
    read: ({ notifier }) => notifier.backlog,
  }),
  metric({
    name: 'valence_notifier_failing_scripts',
    kind: 'gauge',
    unit: 'scripts',
    sentence: 'Scripts and outpoints whose status could not be worked out when it was last tried.',
    read: ({ notifier }) => notifier.failing,
  }),
  metric({
    name: 'valence_peers',
    kind: 'gauge',
    unit: 'peers',
    sentence: 'Other servers that are known, by what became of them.',
    labels: [{ name: 'status', values: PEER_STATUSES }],
    read: ({ peers }) => each(Object.entries(peers.summary.counts).filter(([status]) => status !== 'total')),
  }),
  metric({
    name: 'valence_admin_refusals_total',
    kind: 'counter',
    unit: 'refusals',
    sentence: "Connections of administrators above the port's number.",
    read: ({ administrators }) => administrators.refused,
  }),
  metric({
    name: 'valence_admin_idle_disconnects_total',
    kind: 'counter',
    unit: 'disconnects',
    sentence: 'Connections of administrators that were closed because nothing was said.',
    read: ({ administrators }) => administrators.idle,
  }),
  metric({
    name: 'valence_admin_timeouts_total',
    kind: 'counter',
    unit: 'timeouts',
    sentence: "Administrators' commands that took too long.",
    read: ({ administrators }) => administrators.timedOut,
  }),
]
