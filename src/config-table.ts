import { z } from 'zod'
import { COINS } from './coins/registry.ts'
import {
  daemonUrl,
  list,
  oneOf,
  onOff,
  pattern,
  SERVICE_KINDS,
  service,
  serviceList,
  subnet,
  text,
  webUrl,
  whole,
  wholeWords,
  yesNo,
  yesNoWords,
} from './config-values.ts'
import { LOG_LEVELS } from './log.ts'

/**
 * All settings, from the environment. Names are ElectrumX's own where it has one, so that an operator's file carries
 * over. docs/CONFIG.md, the table of the README and config/electrumx.env.example are printed from this table.
 */

export interface Setting<S extends z.ZodType = z.ZodType, F extends string | undefined = string | undefined> {
  readonly env: string
  /** From the text of the environment to the value; what it refuses, `allowed` puts into words. */
  readonly schema: S
  readonly allowed: string
  /** The default as one would write it, or undefined where unset is a state of its own. */
  readonly fallback: F
  /** Said in docs where the default depends on something else. */
  readonly fallbackNote?: string
  /** What an empty text stands for, where ElectrumX does not take it for unset. */
  readonly empty?: string
  readonly unit?: string
  readonly sentence: string
  /** Checked and kept, but without effect yet; said in a warning at start and in the docs. */
  readonly notYet?: string
}

function setting<S extends z.ZodType, F extends string | undefined>(entry: Setting<S, F>): Setting<S, F> {
  return entry
}

const height = whole(1, 100_000_000)

export const SETTINGS = {
  daemonUrls: setting({
    env: 'DAEMON_URL',
    schema: list(daemonUrl).refine((urls) => urls.length > 0),
    allowed: 'a comma-separated list of http(s)://[user:password@]host[:port]/',
    fallback: undefined,
    fallbackNote: 'unset: the built-in regtest node',
    sentence:
      'The bitcoind to index; several are tried in turn. Without it the server starts a regtest node of its own, which ' +
      'is not the Bitcoin network.',
  }),
  daemonCookieFile: setting({
    env: 'DAEMON_COOKIE_FILE',
    schema: text,
    allowed: 'a path',
    fallback: undefined,
    sentence: "bitcoind's .cookie, read again whenever bitcoind refuses it; used for URLs without user and password.",
  }),
  daemonZmq: setting({
    env: 'DAEMON_ZMQ',
    schema: z.string().regex(/^(?:tcp|ipc):\/\/.+$/),
    allowed: 'an endpoint like tcp://127.0.0.1:28332',
    fallback: undefined,
    fallbackNote: 'unset: polling only',
    sentence:
      'Where bitcoind publishes the topic sequence (its option zmqpubsequence): blocks and transactions are then served at once instead of at the next poll.',
  }),
  coin: setting({
    env: 'COIN',
    schema: z.string().transform((raw, context) => {
      const name = [...new Set(COINS.map((coin) => coin.name))].find(
        (known) => known.toLowerCase() === raw.toLowerCase(),
      )
      if (name === undefined) context.addIssue({ code: 'custom', message: 'no such coin' })
      return name ?? z.NEVER
    }),
    allowed: `one of ${[...new Set(COINS.map((coin) => coin.name))].join(', ')}`,
    fallback: 'Bitcoin',
    sentence: 'The coin.',
  }),
  net: setting({
    env: 'NET',
    schema: z.string().transform((raw, context) => {
      const net = [...new Set(COINS.map((coin) => coin.net))].find((known) => known === raw.toLowerCase())
      if (net === undefined) context.addIssue({ code: 'custom', message: 'no such network' })
      return net ?? z.NEVER
    }),
    allowed: `one of ${[...new Set(COINS.map((coin) => coin.net))].join(', ')}`,
    fallback: undefined,
    fallbackNote: 'mainnet with DAEMON_URL, regtest without',
    sentence: 'The network. An index of another network is refused, never touched.',
  }),
  dbDirectory: setting({
    env: 'DB_DIRECTORY',
    schema: text,
    allowed: 'a path',
    fallback: 'valence-data',
    sentence: 'Where the index lives (and the self-signed certificate, and the chain of the built-in node).',
  }),
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
  ...peerSettings(),
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
    allowed: 'a path',
    fallback: undefined,
    sentence:
      'Text that wallets show; $SERVER_VERSION, $SERVER_SUBVERSION, $DAEMON_VERSION, $DAEMON_SUBVERSION and ' +
      '$DONATION_ADDRESS are replaced.',
  }),
  torBannerFile: setting({
    env: 'TOR_BANNER_FILE',
    schema: text,
    allowed: 'a path',
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
    sentence: 'Clients whose name matches are disconnected.',
  }),
  logLevel: setting({
    env: 'LOG_LEVEL',
    schema: oneOf(...LOG_LEVELS),
    allowed: `one of ${LOG_LEVELS.join(', ')}`,
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
  maxSessions: setting({
    env: 'MAX_SESSIONS',
    schema: whole(1, 1_000_000),
    allowed: wholeWords(1, 1_000_000),
    fallback: '1000',
    unit: 'sessions',
    sentence:
      'At this number listeners pause; below 95 % of it they resume. Lowered to what the limit of open files leaves, ' +
      'less 350 for everything else.',
  }),
  maxSessionsPerGroup: setting({
    env: 'MAX_SESSIONS_PER_GROUP',
    schema: whole(0, 1_000_000),
    allowed: wholeWords(0, 1_000_000),
    fallback: '0',
    unit: 'sessions',
    sentence: 'Sessions from one subnet (SESSION_GROUP_BY_SUBNET_IPV4, _IPV6); 0 for any number.',
  }),
  maxHandshaking: setting({
    env: 'MAX_HANDSHAKING',
    schema: whole(1, 1_000_000),
    allowed: wholeWords(1, 1_000_000),
    fallback: undefined,
    fallbackNote: 'as many as MAX_SESSIONS',
    unit: 'connections',
    sentence: 'Connections that have not asked anything yet; they are counted apart from sessions.',
  }),
  maxHandshakingPerHost: setting({
    env: 'MAX_HANDSHAKING_PER_HOST',
    schema: whole(0, 1_000_000),
    allowed: wholeWords(0, 1_000_000),
    fallback: '50',
    unit: 'connections',
    sentence:
      'The same from one public address; one private address may have half of MAX_HANDSHAKING. 0 for any number.',
  }),
  handshakeTimeout: setting({
    env: 'HANDSHAKE_TIMEOUT',
    schema: whole(1, 3600),
    allowed: wholeWords(1, 3600),
    fallback: '60',
    unit: 's',
    sentence: 'From the first packet to the end of TLS or the WebSocket upgrade, and again to the first request.',
  }),
  maxSend: setting({
    env: 'MAX_SEND',
    schema: whole(350_000, 1_000_000_000),
    allowed: wholeWords(350_000, 1_000_000_000),
    fallback: '8100000',
    unit: 'bytes',
    sentence: 'Largest answer; also the longest history served: (MAX_SEND − 100) ÷ 99 transactions.',
  }),
  maxRecv: setting({
    env: 'MAX_RECV',
    schema: whole(1_000, 1_000_000_000),
    allowed: wholeWords(1_000, 1_000_000_000),
    fallback: '1000000',
    unit: 'bytes',
    sentence: 'Largest message accepted; a longer line is dropped and charged.',
  }),
  maxUnsent: setting({
    env: 'MAX_UNSENT',
    schema: whole(1_000_000, 1_000_000_000_000),
    allowed: wholeWords(1_000_000, 1_000_000_000_000),
    fallback: undefined,
    fallbackNote: 'four times MAX_SEND',
    unit: 'bytes',
    sentence: 'Answers that wait for a client to take them; above it the connection is cut. At 1 MiB reading stops.',
  }),
  sendTimeout: setting({
    env: 'SEND_TIMEOUT',
    schema: whole(1, 3600),
    allowed: wholeWords(1, 3600),
    fallback: '20',
    unit: 's',
    sentence: 'A client that takes no byte for so long while more than 1 MiB waits for it is cut.',
  }),
  notifyTimeout: setting({
    env: 'NOTIFY_TIMEOUT',
    schema: whole(1, 3600),
    allowed: wholeWords(1, 3600),
    fallback: '30',
    unit: 's',
    sentence: 'A client that cannot be told of a change for so long, because it does not read, is cut.',
  }),
  maxPipelined: setting({
    env: 'MAX_PIPELINED',
    schema: whole(1, 1_000_000),
    allowed: wholeWords(1, 1_000_000),
    fallback: '500',
    unit: 'messages',
    sentence: 'Messages of one client that run or wait; above it nothing more is read until half of them are answered.',
  }),
  maxSubscriptions: setting({
    env: 'MAX_SUBSCRIPTIONS',
    schema: whole(0, 1_000_000_000),
    allowed: wholeWords(0, 1_000_000_000),
    fallback: '10000000',
    unit: 'scripts',
    sentence: 'Subscriptions of all sessions together; 0 for any number.',
  }),
  maxSubscriptionsPerSession: setting({
    env: 'MAX_SUBSCRIPTIONS_PER_SESSION',
    schema: whole(0, 1_000_000_000),
    allowed: wholeWords(0, 1_000_000_000),
    fallback: '75000',
    unit: 'scripts',
    sentence: 'Subscriptions of one session; 0 for any number.',
  }),
  maxBatch: setting({
    env: 'MAX_BATCH',
    schema: whole(1, 1_000_000),
    allowed: wholeWords(1, 1_000_000),
    fallback: '1000',
    unit: 'requests',
    sentence: 'Entries of one JSON-RPC batch; a longer one is refused whole.',
  }),
  costSoftLimit: setting({
    env: 'COST_SOFT_LIMIT',
    schema: whole(0, 1_000_000_000),
    allowed: wholeWords(0, 1_000_000_000),
    fallback: '1000',
    unit: 'cost',
    sentence: 'Above it a session gets slower.',
  }),
  costHardLimit: setting({
    env: 'COST_HARD_LIMIT',
    schema: whole(0, 1_000_000_000),
    allowed: wholeWords(0, 1_000_000_000),
    fallback: '10000',
    unit: 'cost',
    sentence: 'Above it a session is cut off; 0 (with the soft limit) switches the limiter off.',
  }),
  bandwidthUnitCost: setting({
    env: 'BANDWIDTH_UNIT_COST',
    schema: whole(1, 1_000_000_000),
    allowed: wholeWords(1, 1_000_000_000),
    fallback: '5000',
    unit: 'bytes',
    sentence: 'So many bytes in or out cost 1.',
  }),
  initialConcurrent: setting({
    env: 'INITIAL_CONCURRENT',
    schema: whole(1, 10_000),
    allowed: wholeWords(1, 10_000),
    fallback: '10',
    unit: 'requests',
    sentence: 'Requests of one session that run at the same time before it is slowed down.',
  }),
  requestSleep: setting({
    env: 'REQUEST_SLEEP',
    schema: whole(0, 60_000),
    allowed: wholeWords(0, 60_000),
    fallback: '2500',
    unit: 'ms',
    sentence: 'Longest delay of a request as the cost nears the hard limit.',
  }),
  requestTimeout: setting({
    env: 'REQUEST_TIMEOUT',
    schema: whole(1, 3600),
    allowed: wholeWords(1, 3600),
    fallback: '30',
    unit: 's',
    sentence: 'A request that takes longer is answered with -102.',
  }),
  sessionTimeout: setting({
    env: 'SESSION_TIMEOUT',
    schema: whole(1, 1_000_000),
    allowed: wholeWords(1, 1_000_000),
    fallback: '600',
    unit: 's',
    sentence: 'A session that has sent nothing for so long is closed.',
  }),
  groupBitsIpv4: setting({
    env: 'SESSION_GROUP_BY_SUBNET_IPV4',
    schema: whole(1, 32),
    allowed: wholeWords(1, 32),
    fallback: '24',
    unit: 'bits',
    sentence: 'Clients of one such subnet are judged together.',
  }),
  groupBitsIpv6: setting({
    env: 'SESSION_GROUP_BY_SUBNET_IPV6',
    schema: whole(1, 128),
    allowed: wholeWords(1, 128),
    fallback: '48',
    unit: 'bits',
    sentence: 'The same for IPv6.',
  }),
  groupByTime: setting({
    env: 'SESSION_GROUP_BY_TIME',
    schema: whole(0, 86_400),
    allowed: wholeWords(0, 86_400),
    fallback: '0',
    unit: 's',
    sentence:
      'Clients that came within the same stretch of so many seconds are judged together, too: 3 % of what the others ' +
      'used counts for each, so that a flood from many addresses gets slower. 0 for no such groups.',
  }),
  limitExemptSubnets: setting({
    env: 'LIMIT_EXEMPT_SUBNETS',
    schema: list(subnet),
    allowed: 'a comma-separated list of subnets like 192.0.2.0/24',
    fallback: '',
    sentence: 'Clients from here are never slowed down or cut off.',
  }),
  trustedProxies: setting({
    env: 'TRUSTED_PROXIES',
    schema: list(subnet),
    allowed: 'a comma-separated list of subnets like 10.0.0.0/8',
    fallback: '',
    sentence:
      'Reverse proxies that are believed about where a client is: X-Forwarded-For over HTTP and WebSocket, the PROXY ' +
      'protocol (versions 1 and 2) in front of any kind. One that says nothing is served as itself.',
  }),
  logSessions: setting({
    env: 'LOG_SESSIONS',
    schema: whole(0, 1_000_000),
    allowed: wholeWords(0, 1_000_000),
    fallback: '3600',
    unit: 's',
    sentence: 'How often the number of sessions and what became of them is logged; 0 for never.',
  }),
  cacheMb: setting({
    env: 'CACHE_MB',
    schema: whole(16, 1_000_000),
    allowed: wholeWords(16, 1_000_000),
    fallback: '256',
    unit: 'MB',
    sentence: 'Memory for the tables and caches of the index.',
  }),
  reorgLimit: setting({
    env: 'REORG_LIMIT',
    schema: whole(10, 100_000),
    allowed: wholeWords(10, 100_000),
    fallback: undefined,
    fallbackNote: 'by network: 200 on mainnet and regtest, 8000 on the test networks',
    unit: 'blocks',
    sentence: 'Deepest reorganisation that can be followed; undo is kept for so many blocks.',
  }),
  pollBlocks: setting({
    env: 'DAEMON_POLL_INTERVAL_BLOCKS',
    schema: whole(10, 600_000),
    allowed: wholeWords(10, 600_000),
    fallback: '5000',
    unit: 'ms',
    sentence: 'How often bitcoind is asked for new blocks (with DAEMON_ZMQ it tells by itself).',
  }),
  pollMempool: setting({
    env: 'DAEMON_POLL_INTERVAL_MEMPOOL',
    schema: whole(10, 600_000),
    allowed: wholeWords(10, 600_000),
    fallback: '1000',
    unit: 'ms',
    sentence: 'How often bitcoind is asked for its mempool.',
  }),
  atomicals: setting({
    env: 'ATOMICALS',
    schema: onOff,
    allowed: 'on or off',
    fallback: undefined,
    fallbackNote: 'on',
    sentence:
      'The Atomicals index. An index made with it is refused without it, and the other way round; off serves plain ' +
      'Electrum and keeps nothing of Atomicals.',
  }),
  atomicalsShape: setting({
    env: 'ATOMICALS_SHAPE',
    schema: oneOf('object', 'list'),
    allowed: 'object or list',
    fallback: 'object',
    sentence:
      'Form of `atomicals` in `listunspent` for who asks for none: id to amount, or a list of ids as before 1.5, which ' +
      'atomicals-js (0.1.80 and 0.1.84) needs in order not to spend what sits at an output. See docs/HTTP.md.',
  }),
  ...activationHeights(),
} as const satisfies Readonly<Record<string, Setting>>

function peerSettings() {
  return {
    peerDiscovery: setting({
      env: 'PEER_DISCOVERY',
      schema: z
        .string()
        .transform((raw) => raw.trim().toLowerCase())
        .pipe(oneOf('on', 'self', 'off')),
      allowed: 'on, self or off',
      fallback: undefined,
      fallbackNote: 'on; off on regtest',
      empty: 'off',
      sentence:
        'Finds other servers of the network, verifies them and tells wallets of them; self tells of this server alone, ' +
        'off of none. An empty text is off.',
    }),
    peerAnnounce: setting({
      env: 'PEER_ANNOUNCE',
      schema: yesNo,
      allowed: yesNoWords,
      fallback: 'on',
      empty: 'off',
      sentence:
        'Asks the servers that were found to list this one, where REPORT_SERVICES names a public host. An empty text is off.',
    }),
    forceProxy: setting({
      env: 'FORCE_PROXY',
      schema: yesNo,
      allowed: yesNoWords,
      fallback: 'off',
      sentence: 'Other servers are reached through the Tor proxy only, so that none learns the address of this one.',
    }),
    torProxyHost: setting({
      env: 'TOR_PROXY_HOST',
      schema: text,
      allowed: 'a host',
      fallback: 'localhost',
      sentence: 'Where the SOCKS5 proxy of Tor is, by which hidden services are reached.',
    }),
    torProxyPort: setting({
      env: 'TOR_PROXY_PORT',
      schema: whole(1, 65_535),
      allowed: wholeWords(1, 65_535),
      fallback: undefined,
      fallbackNote: 'unset: 9050, 9150 and 1080 are tried',
      sentence: 'Its port.',
    }),
    blacklistUrl: setting({
      env: 'BLACKLIST_URL',
      schema: webUrl,
      allowed: 'a URL with http or https',
      fallback: undefined,
      sentence: 'A JSON list of hosts that are never told of: names, addresses, and *.domain for all below.',
    }),
  }
}

function activationHeights() {
  const entry = (env: string, rule: string) =>
    setting({
      env,
      schema: height,
      allowed: `${wholeWords(1, 100_000_000)}, on regtest only`,
      fallback: undefined,
      fallbackNote: 'regtest: 1',
      sentence: `Height from which ${rule} on regtest. An index remembers it and is refused with another.`,
    })
  return {
    atomicalsActivation: entry('ATOMICALS_ACTIVATION_HEIGHT', 'Atomicals count'),
    atomicalsActivationDmint: entry('ATOMICALS_ACTIVATION_HEIGHT_DMINT', 'dmint rules count'),
    atomicalsActivationCommitz: entry('ATOMICALS_ACTIVATION_HEIGHT_COMMITZ', 'named mints need commit output 0'),
    atomicalsActivationDensity: entry('ATOMICALS_ACTIVATION_HEIGHT_DENSITY', 'the density rules count'),
    atomicalsActivationRollover: entry(
      'ATOMICALS_ACTIVATION_HEIGHT_DFT_BITWORK_ROLLOVER',
      'perpetual mints may roll over',
    ),
    atomicalsActivationCustomColoring: entry('ATOMICALS_ACTIVATION_HEIGHT_CUSTOM_COLORING', 'custom colouring counts'),
  }
}

/** Settings of ElectrumX that mean nothing here, with the reason; set ones are named at start. */
export const FOREIGN_SETTINGS: Readonly<Record<string, string>> = {
  DB_ENGINE: 'the index is always LevelDB',
  EVENT_LOOP_POLICY: 'it chooses an event loop of Python',
  ALLOW_ROOT: 'no such check; the container runs as an ordinary user',
  LOG_FORMAT: 'the log is one JSON object a line',
}
