import { ATOMICALS_SETTINGS } from './atomicals.ts'
import { LIMIT_SETTINGS } from './limits.ts'
import { NODE_SETTINGS } from './node.ts'
import { PEER_SETTINGS } from './peers.ts'
import { SERVICE_SETTINGS } from './services.ts'
import type { Setting } from './setting.ts'
import { STORAGE_SETTINGS } from './storage.ts'

/**
 * All settings, from the environment. Names are ElectrumX's own where it has one, so that an operator's file carries
 * over. docs/CONFIG.md, the table of the README and config/electrumx.env.example are printed from this table.
 */
export const SETTINGS = {
  ...NODE_SETTINGS,
  ...SERVICE_SETTINGS,
  ...PEER_SETTINGS,
  ...LIMIT_SETTINGS,
  ...STORAGE_SETTINGS,
  ...ATOMICALS_SETTINGS,
} as const satisfies Readonly<Record<string, Setting>>

const BY_SERVICES = 'SERVICES says where to listen'
const BY_REPORT_SERVICES = 'REPORT_SERVICES says how clients outside reach the server'

/** Settings of ElectrumX that mean nothing here, with the reason; set ones are named at start. */
export const FOREIGN_SETTINGS: Readonly<Record<string, string>> = {
  DB_ENGINE: 'the index is always LevelDB',
  EVENT_LOOP_POLICY: 'it chooses an event loop of Python',
  ALLOW_ROOT: 'no such check; the container runs as an ordinary user',
  LOG_FORMAT: 'the log is one JSON object a line',
  // Of atomicals-electrumx.
  DAEMON_PROXY_URL: 'bitcoind is reached without a proxy',
  DROP_CLIENT_UNKNOWN: 'clients that give no name are served',
  ENABLE_RATE_LIMIT: 'COST_SOFT_LIMIT and COST_HARD_LIMIT limit clients; COST_HARD_LIMIT=0 switches that off',
  SESSION_MAX_SIZE_HTTP: 'MAX_RECV bounds messages of every kind',
  SESSION_MAX_SIZE_WS: 'MAX_RECV bounds messages of every kind',
  // Of old files: ElectrumX refuses to start with these.
  TCP_PORT: BY_SERVICES,
  SSL_PORT: BY_SERVICES,
  RPC_HOST: BY_SERVICES,
  RPC_PORT: BY_SERVICES,
  REPORT_HOST: BY_REPORT_SERVICES,
  REPORT_TCP_PORT: BY_REPORT_SERVICES,
  REPORT_SSL_PORT: BY_REPORT_SERVICES,
  REPORT_HOST_TOR: BY_REPORT_SERVICES,
  REPORT_TCP_PORT_TOR: BY_REPORT_SERVICES,
  REPORT_SSL_PORT_TOR: BY_REPORT_SERVICES,
  MAX_SUBS: 'MAX_SUBSCRIPTIONS bounds those of all sessions',
  MAX_SESSION_SUBS: 'MAX_SUBSCRIPTIONS_PER_SESSION bounds those of one session',
  BANDWIDTH_LIMIT: 'COST_HARD_LIMIT and BANDWIDTH_UNIT_COST limit traffic',
}
