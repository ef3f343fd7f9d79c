import { z } from 'zod'
import { setting } from './setting.ts'
import { oneOf, text, webUrl, whole, wholeWords, yesNo, yesNoWords } from './values.ts'

/** Other servers of the network. */
export const PEER_SETTINGS = {
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
} as const
