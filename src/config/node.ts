import { z } from 'zod'
import { COINS } from '../coins/registry.ts'
import { setting } from './setting.ts'
import { daemonUrl, list, text, whole, wholeWords } from './values.ts'

/** Which node and network is indexed, and where to. */
export const NODE_SETTINGS = {
  daemonUrls: setting({
    env: 'DAEMON_URL',
    schema: list(daemonUrl).refine((urls) => urls.length > 0),
    allowed:
      'a comma-separated list of http(s)://[user:password@]host[:port]/, with , / # ? % of a password as %2C %2F %23 %3F %25',
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
} as const
