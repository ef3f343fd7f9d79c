import { z } from 'zod'
import { LOG_LEVELS } from '../log.ts'
import { setting } from './setting.ts'
import { list, oneOf, pattern, SERVICE_KINDS, service, serviceList, text } from './values.ts'

/** Levels that are called otherwise in files made for ElectrumX. */
const PYTHON_LEVELS: ReadonlyMap<string, string> = new Map([
  ['warning', 'warn'],
  ['critical', 'fatal'],
])

const BANNER_PATH = 'a path; where it is not absolute it begins at DB_DIRECTORY, as in ElectrumX'

/** Where clients are served, and what the server tells of itself. */
export const SERVICE_SETTINGS = {
  services: setting({
    env: 'SERVICES',
    schema: serviceList,
    allowed: `a comma-separated list of kind://[host][:port] with kind one of ${SERVICE_KINDS.join(', ')}; rpc on loopback only`,
    fallback: undefined,
    fallbackNote:
      'all kinds but https and metrics at their usual ports; on loopback without DAEMON_URL, on all interfaces (rpc: loopback) with it',
    sentence:
      'What to listen on. Usual ports: tcp 50001, ssl 50002, ws 50003, wss 50004, http 8080, https 8443, ' +
      'rpc 8000 (administration), metrics 9332 (GET /metrics for Prometheus; it tells nothing of single clients, and ' +
      'is on loopback unless another host is named).',
  }),
  reportServices: setting({
    env: 'REPORT_SERVICES',
    schema: list(service),
    allowed: 'a comma-separated list of kind://host[:port]',
    fallback: '',
    sentence: 'How clients outside reach this server: what server.features tells as hosts.',
  }),
  sslCertFile: setting({
    env: 'SSL_CERTFILE',
    schema: text,
    allowed: 'a path',
    fallback: undefined,
    fallbackNote: 'unset: a self-signed one, made on first start and kept',
    sentence:
      'Certificate chain (PEM) for ssl, wss and https. Read again when the file changes and at SIGHUP; connections live on.',
  }),
  sslKeyFile: setting({
    env: 'SSL_KEYFILE',
    schema: text,
    allowed: 'a path',
    fallback: undefined,
    sentence: 'Key (PEM) that goes with SSL_CERTFILE.',
  }),
  bannerFile: setting({
    env: 'BANNER_FILE',
    schema: text,
    allowed: BANNER_PATH,
    fallback: undefined,
    sentence:
      'Text that wallets show; $SERVER_VERSION, $SERVER_SUBVERSION, $DAEMON_VERSION, $DAEMON_SUBVERSION and ' +
      '$DONATION_ADDRESS are replaced.',
  }),
  torBannerFile: setting({
    env: 'TOR_BANNER_FILE',
    schema: text,
    allowed: BANNER_PATH,
    fallback: undefined,
    fallbackNote: 'unset: BANNER_FILE',
    sentence: 'The same for clients that come from the address of the Tor proxy, that is, to a hidden service.',
  }),
  donationAddress: setting({
    env: 'DONATION_ADDRESS',
    schema: z.string(),
    allowed: 'an address',
    fallback: '',
    sentence: 'Shown by wallets that offer to donate to the server.',
  }),
  dropClient: setting({
    env: 'DROP_CLIENT',
    schema: pattern,
    allowed: 'a regular expression',
    fallback: undefined,
    sentence:
      'Clients whose name matches from its beginning are disconnected, as in ElectrumX; `(?i)` before it: in either case.',
  }),
  logLevel: setting({
    env: 'LOG_LEVEL',
    schema: z
      .string()
      .transform((raw) => PYTHON_LEVELS.get(raw.trim().toLowerCase()) ?? raw.trim().toLowerCase())
      .pipe(oneOf(...LOG_LEVELS)),
    allowed: `one of ${LOG_LEVELS.join(', ')} (also warning and critical, as ElectrumX has them)`,
    fallback: 'info',
    sentence: 'From which level on the log is written.',
  }),
  anonLogs: setting({
    env: 'ANON_LOGS',
    schema: z.string().transform((raw) => raw !== ''),
    allowed: 'anything (on) or nothing (off)',
    fallback: '',
    sentence: "Leaves clients' addresses out of the log.",
  }),
} as const
