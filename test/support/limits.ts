import type { Setting } from '../../src/config/setting.ts'
import { SETTINGS } from '../../src/config/table.ts'
import type { LimitName } from '../../src/errors.ts'
import { MAX_DEPTH, MAX_PARTS } from '../../src/rpc/json.ts'
import { OUTBOUND_LIMITS } from '../../src/server-peers.ts'
import { DEFAULT_ADMIN } from '../../src/session/admin.ts'
import type { Refusal } from '../../src/session/admission.ts'
import { DEFAULT_MANAGER } from '../../src/session/manager.ts'
import { OPEN_FILES_RESERVED } from '../../src/session/open-files.ts'
import { PORT_DEFAULTS } from '../../src/session/outbound/manager.ts'
import { LEAST_TIMEOUT, MAX_BAD_MESSAGES, PEER_TIMEOUT } from '../../src/session/peers/checker.ts'
import { MAX_CHECKS } from '../../src/session/peers/manager.ts'
import type { CloseReason } from '../../src/session/transports/connection.ts'

type SettingKey = keyof typeof SETTINGS

/** One limit, what happens at it, where it shows, and the test that reaches it. docs/LIMITS.md is printed from these. */
export interface LimitRow {
  readonly limit: string
  /** The setting, or the figure where none can be set. */
  readonly value: SettingKey | { readonly fixed: string }
  readonly reaction: string
  /** Where it is counted; nothing where each one is only answered. */
  readonly counter: string
  /** Metrics that show it; nothing where neither a client nor the server can be in trouble by it. */
  readonly metrics: readonly string[]
  /** File below test/, and the beginning of the test's title. */
  readonly test: readonly [file: string, title: string]
}

const CLOSED = (reason: string) => `\`sessions.closed["${reason}"]\``
const REFUSED = (reason: string) => `\`sessions.refusals["${reason}"]\``
const ERRORS = '`errors` of the session'
const REACHED = (limit: LimitName) => `valence_reached_limits_total{limit="${limit}"}`
const ENDED = (reason: CloseReason) => `valence_disconnects_total{reason="${reason}"}`
const CUT = (reason: Refusal) => `valence_refusals_total{reason="${reason}"}`
const OURS_ENDED = (reason: CloseReason) => `valence_outbound_disconnects_total{reason="${reason}"}`
const OURS_CLOSED = (reason: CloseReason) => `\`sessions.outbound.closed["${reason}"]\``
const STACK = 'integration/protocol/limits.test.ts'
const HOSTILE = 'integration/session/hostile.test.ts'

export const LIMITS: readonly LimitRow[] = [
  {
    limit: 'active sessions',
    value: 'maxSessions',
    reaction: `every listener is closed; open again below 95 %. A newcomer whose place is gone by then: -102, closed. Never more than the limit of open files less ${OPEN_FILES_RESERVED}`,
    counter: `\`sessions.active\`, \`sessions.paused\`, ${CLOSED('server full')}`,
    metrics: [REACHED('MAX_SESSIONS'), 'valence_sessions{stage="active"}', 'valence_paused_listeners'],
    test: [STACK, 'MAX_SESSIONS closes the listeners'],
  },
  {
    limit: 'sessions of one subnet',
    value: 'maxSessionsPerGroup',
    reaction: 'newcomer cut',
    counter: REFUSED('group is full'),
    metrics: [CUT('group is full')],
    test: [STACK, 'MAX_SESSIONS_PER_GROUP cuts'],
  },
  {
    limit: 'newcomers',
    value: 'maxHandshaking',
    reaction: 'newcomer cut before anything is allocated for it',
    counter: `\`sessions.handshaking\`, ${REFUSED('too many newcomers')}`,
    metrics: [CUT('too many newcomers'), 'valence_sessions{stage="pending"}'],
    test: [STACK, 'MAX_HANDSHAKING cuts newcomers'],
  },
  {
    limit: 'newcomers of one host',
    value: 'maxHandshakingPerHost',
    reaction: 'newcomer cut; exempt subnets and trusted proxies have no such limit, a private address has half of all',
    counter: REFUSED('too many newcomers of one host'),
    metrics: [CUT('too many newcomers of one host')],
    test: [STACK, 'MAX_HANDSHAKING_PER_HOST leaves room'],
  },
  {
    limit: 'time to the first request',
    value: 'handshakeTimeout',
    reaction: 'closed; counted apart for TLS, PROXY header and WebSocket upgrade, and then for the first request',
    counter: CLOSED('handshake timeout'),
    metrics: [ENDED('handshake timeout')],
    test: [STACK, 'HANDSHAKE_TIMEOUT cuts'],
  },
  {
    limit: 'silence',
    value: 'sessionTimeout',
    reaction: 'closed at the next sweep, which is once a minute, or more often if this is shorter',
    counter: CLOSED('idle timeout'),
    metrics: [ENDED('idle timeout')],
    test: [STACK, 'SESSION_TIMEOUT closes'],
  },
  {
    limit: 'cost until a client is slowed down',
    value: 'costSoftLimit',
    reaction: 'fewer requests at once and a delay for each, in proportion',
    counter: '`cost`, `extra_cost` and `concurrency` of the session',
    metrics: [REACHED('COST_SOFT_LIMIT')],
    test: [STACK, 'COST_SOFT_LIMIT slows down'],
  },
  {
    limit: 'cost until a client is cut off',
    value: 'costHardLimit',
    reaction:
      '-101, closed, also after 64 KiB that ask for nothing; the cost stays with the subnet and is forgiven by and by',
    counter: `${CLOSED('excessive usage')}, \`groups\``,
    metrics: [REACHED('COST_HARD_LIMIT'), 'valence_groups_cost'],
    test: [STACK, 'COST_SOFT_LIMIT slows down by up to REQUEST_SLEEP, COST_HARD_LIMIT ends'],
  },
  {
    limit: 'delay of a request',
    value: 'requestSleep',
    reaction: 'never longer',
    counter: 'none',
    metrics: [REACHED('COST_SOFT_LIMIT'), 'valence_request_seconds'],
    test: ['unit/session/cost.test.ts', 'has the figures of ElectrumX'],
  },
  {
    limit: 'requests of one client that run at once',
    value: 'initialConcurrent',
    reaction: 'further ones wait in order',
    counter: '`unanswered` of the session',
    metrics: [REACHED('INITIAL_CONCURRENT')],
    test: ['integration/session/requests.test.ts', 'run as many at once as the limit says'],
  },
  {
    limit: 'messages of one client that run or wait',
    value: 'maxPipelined',
    reaction: 'reading stops until half of them are answered; HTTP: 503',
    counter: '`unanswered` of the session',
    metrics: [REACHED('MAX_PIPELINED'), 'valence_unanswered_messages'],
    test: ['integration/session/requests.test.ts', 'stop being read while too many of them wait'],
  },
  {
    limit: 'requests of one client that run or wait, in batches',
    value: 'maxPipelined',
    reaction: 'the same; one batch may be longer',
    counter: 'none',
    metrics: [REACHED('MAX_PIPELINED')],
    test: [HOSTILE, 'has no more requests wait than messages'],
  },
  {
    limit: 'bytes of messages of one client that run or wait',
    value: { fixed: '256 KiB, HTTP: 1 MiB' },
    reaction: 'reading stops until half of them are answered; one message may be longer',
    counter: 'none',
    metrics: [REACHED('MAX_PIPELINED')],
    test: [HOSTILE, 'has no more messages wait than 256 KiB'],
  },
  {
    limit: 'time of a request, waiting included',
    value: 'requestTimeout',
    reaction: '-102; the handler is told to stop',
    counter: ERRORS,
    metrics: [REACHED('REQUEST_TIMEOUT')],
    test: [STACK, 'REQUEST_TIMEOUT answers -102'],
  },
  {
    limit: 'length of a message',
    value: 'maxRecv',
    reaction: 'a line is dropped and charged, the session lives; a WebSocket is closed (1009); HTTP: 413, closed',
    counter: `${ERRORS}, ${CLOSED('protocol breach')}`,
    metrics: [REACHED('MAX_RECV')],
    test: [STACK, 'MAX_RECV drops a line'],
  },
  {
    limit: 'entries of a batch',
    value: 'maxBatch',
    reaction: '-32600 for the whole of it',
    counter: ERRORS,
    metrics: [REACHED('MAX_BATCH')],
    test: [STACK, 'MAX_BATCH refuses'],
  },
  {
    limit: 'depth of a message',
    value: { fixed: `${MAX_DEPTH} levels` },
    reaction: '-32600, before anything is built of it',
    counter: ERRORS,
    metrics: [REACHED('nesting')],
    test: [STACK, 'nesting is refused beyond 64'],
  },
  {
    limit: 'lists, objects and members of a message',
    value: { fixed: `${MAX_PARTS} parts, or ${MAX_PARTS / 1000} for each of MAX_BATCH` },
    reaction: '-32600, before anything is built of it',
    counter: ERRORS,
    metrics: [REACHED('parts')],
    test: [HOSTILE, 'is refused a message of more parts'],
  },
  {
    limit: 'length of an answer',
    value: 'maxSend',
    reaction: '-32600 in its place; in a batch that entry alone',
    counter: ERRORS,
    metrics: [REACHED('MAX_SEND')],
    test: [STACK, 'MAX_SEND replaces an answer'],
  },
  {
    limit: 'transactions of a history',
    value: { fixed: '(MAX_SEND − 100) ÷ 99' },
    reaction: '10001 for the history and its status; who follows such a script is closed',
    counter: `${ERRORS}, ${CLOSED('excessive usage')}`,
    metrics: [REACHED('history')],
    test: [STACK, 'a history that MAX_SEND could not hold'],
  },
  {
    limit: 'headers of one answer',
    value: { fixed: '2016 headers' },
    reaction: 'no more are given; the answer says how many',
    counter: 'none',
    metrics: [],
    test: [STACK, 'headers come 2016 at a time'],
  },
  {
    limit: 'subscriptions of one session',
    value: 'maxSubscriptionsPerSession',
    reaction: '-101, closed',
    counter: `\`subscriptions\` of the session, ${CLOSED('excessive usage')}`,
    metrics: [REACHED('MAX_SUBSCRIPTIONS_PER_SESSION')],
    test: [STACK, 'MAX_SUBSCRIPTIONS_PER_SESSION and MAX_SUBSCRIPTIONS'],
  },
  {
    limit: 'subscriptions in all',
    value: 'maxSubscriptions',
    reaction: '-101, closed',
    counter: `\`sessions.subscriptions\`, ${CLOSED('excessive usage')}`,
    metrics: [REACHED('MAX_SUBSCRIPTIONS'), 'valence_subscriptions'],
    test: [STACK, 'MAX_SUBSCRIPTIONS_PER_SESSION and MAX_SUBSCRIPTIONS'],
  },
  {
    limit: 'bytes that wait for a client',
    value: 'maxUnsent',
    reaction: 'cut; long before, at 1 MiB, reading stops and no further request is begun',
    counter: CLOSED('slow reader'),
    metrics: [ENDED('slow reader'), 'valence_unsent_bytes'],
    test: [STACK, 'MAX_UNSENT cuts'],
  },
  {
    limit: 'time in which a client takes nothing',
    value: 'sendTimeout',
    reaction: 'cut',
    counter: CLOSED('slow reader'),
    metrics: [ENDED('slow reader')],
    test: [STACK, 'SEND_TIMEOUT cuts'],
  },
  {
    limit: 'time for which a notification waits',
    value: 'notifyTimeout',
    reaction: 'closed; meanwhile changes are merged and nothing is kept of them',
    counter: CLOSED('slow reader'),
    metrics: [REACHED('NOTIFY_TIMEOUT'), ENDED('slow reader')],
    test: [STACK, 'NOTIFY_TIMEOUT cuts'],
  },
  {
    limit: 'length of a PROXY header',
    value: { fixed: '107 bytes (version 1), 4096 bytes (version 2)' },
    reaction: 'cut',
    counter: 'a warning in the log',
    metrics: [],
    test: ['integration/session/proxies.test.ts', 'are cut with a broken header'],
  },
  {
    limit: 'connections of administrators',
    value: { fixed: `${DEFAULT_ADMIN.maxConnections} connections` },
    reaction: 'cut',
    counter: 'none',
    metrics: ['valence_admin_refusals_total'],
    test: ['integration/session/admin.test.ts', 'has a bounded number of connections'],
  },
  {
    limit: 'silence of an administrator',
    value: { fixed: `${DEFAULT_ADMIN.idleTimeout / 1000} s` },
    reaction: 'closed, and after HANDSHAKE_TIMEOUT already where nothing was ever asked; never while a command runs',
    counter: 'none',
    metrics: ['valence_admin_idle_disconnects_total'],
    test: ['integration/session/admin.test.ts', 'closes a connection on which nothing is said'],
  },
  {
    limit: "time of an administrator's command",
    value: { fixed: `${DEFAULT_ADMIN.requestTimeout / 1000} s` },
    reaction: '-102',
    counter: 'none',
    metrics: ['valence_admin_timeouts_total'],
    test: ['integration/session/admin.test.ts', 'is told when a method takes too long'],
  },
  {
    limit: 'time for running requests at shutdown',
    value: { fixed: `${DEFAULT_MANAGER.shutdownGrace / 1000} s` },
    reaction: 'closed',
    counter: CLOSED('shutdown'),
    metrics: [ENDED('shutdown')],
    test: ['integration/session/manager.test.ts', 'does not wait for ever at shutdown'],
  },
  {
    limit: 'servers looked into at once',
    value: { fixed: `${MAX_CHECKS} servers` },
    reaction: 'others wait for their turn',
    counter: '`peers.checks`',
    metrics: ['valence_sessions{direction="outbound"}'],
    test: ['integration/peers/discovery.test.ts', 'looks into a good peer again after its time, and into no more'],
  },
  {
    limit: 'servers that are dialled, until a version is agreed on',
    value: { fixed: `${OUTBOUND_LIMITS.pending} sessions` },
    reaction: 'nothing is begun; the peer is looked into later, without blame',
    counter: '`sessions.outbound.handshaking`',
    metrics: ['valence_sessions{stage="pending"}'],
    test: ['integration/outbound/session.test.ts', 'is not begun where there is no place'],
  },
  {
    limit: 'servers that are connected',
    value: { fixed: `${OUTBOUND_LIMITS.active} sessions` },
    reaction: 'closed again; the peer is looked into later, without blame',
    counter: '`sessions.outbound.active`',
    metrics: ['valence_sessions{stage="active"}'],
    test: ['integration/outbound/session.test.ts', 'is pending still where there is no place'],
  },
  {
    limit: 'time to be connected to a server',
    value: { fixed: `${PEER_TIMEOUT.direct / 1000} s, over Tor ${PEER_TIMEOUT.tor / 1000} s` },
    reaction: 'given up; the next door of the peer is tried, and later the peer again',
    counter: OURS_CLOSED('handshake timeout'),
    metrics: [OURS_ENDED('handshake timeout')],
    test: ['integration/outbound/dial.test.ts', 'ends after its time when a handshake hangs'],
  },
  {
    limit: 'time of a server for an answer',
    value: {
      fixed: `by its measured round trip, ${LEAST_TIMEOUT / 1000} to ${PEER_TIMEOUT.direct / 1000} s, over Tor to ${PEER_TIMEOUT.tor / 1000} s`,
    },
    reaction: 'the question is given up, the connection closed, the peer tried again later',
    counter: OURS_CLOSED('client closed'),
    metrics: [OURS_ENDED('client closed')],
    test: ['unit/outbound/port.test.ts', 'follow the measured round trip'],
  },
  {
    limit: 'time for which a server owes an answer, or talks nonsense, and says nothing right',
    value: { fixed: `${PORT_DEFAULTS.breachTimeout / 1000} s` },
    reaction: 'closed; a peer is taken for a bad one',
    counter: OURS_CLOSED('protocol breach'),
    metrics: [OURS_ENDED('protocol breach'), 'valence_heard_messages_total{message="protocol breach"}'],
    test: ['unit/outbound/port.test.ts', 'is dropped once it has owed answers'],
  },
  {
    limit: 'messages of a server in a row that are none',
    value: { fixed: `${MAX_BAD_MESSAGES} message` },
    reaction: 'closed; a peer is taken for a bad one',
    counter: OURS_CLOSED('protocol breach'),
    metrics: [OURS_ENDED('protocol breach'), 'valence_heard_messages_total{message="bad message"}'],
    test: ['integration/outbound/client.test.ts', 'drops a server whose talk'],
  },
  {
    limit: 'questions that wait until a server takes more',
    value: { fixed: `${PORT_DEFAULTS.maxQueued} questions` },
    reaction: 'the question ends with AbortedError (queue full)',
    counter: '`unanswered` of the session',
    metrics: [OURS_ENDED('client closed')],
    test: ['unit/outbound/port.test.ts', 'has a bound for its queue'],
  },
  {
    limit: 'questions to a server without an answer',
    value: { fixed: `${PORT_DEFAULTS.maxId + 1} ids` },
    reaction: 'the oldest one ends with AbortedError (id taken back)',
    counter: '`unanswered` of the session',
    metrics: [OURS_ENDED('client closed')],
    test: ['integration/outbound/client.test.ts', 'gives back an id when all are in use'],
  },
  {
    limit: 'life of a conversation with a server',
    value: { fixed: `${PORT_DEFAULTS.maxLife / 1000} s` },
    reaction: 'ends with TimeoutError, whatever is said in it',
    counter: '`unanswered` of the session',
    metrics: [OURS_ENDED('client closed')],
    test: ['unit/outbound/conversation.test.ts', 'ends with TimeoutError when its life is over'],
  },
]

/** `MAX_SEND`, its default and unit; or the figure that cannot be set. */
export function valueOf({ value }: LimitRow): { readonly setting: string; readonly standard: string } {
  if (typeof value !== 'string') return { setting: 'fixed', standard: value.fixed }
  const entry: Setting = SETTINGS[value]
  const standard =
    entry.fallbackNote ?? `${entry.fallback ?? 'unset'}${entry.unit === undefined ? '' : ` ${entry.unit}`}`
  return { setting: `\`${entry.env}\``, standard: entry.fallback === '0' ? 'none' : standard }
}
