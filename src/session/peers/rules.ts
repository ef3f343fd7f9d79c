/** What is known to work among Electrum servers, after ElectrumX. Times in seconds. */
export interface PeerRules {
  /** A peer verified within this is told to others. */
  readonly recent: number
  /** A good peer is verified again after this. */
  readonly recheck: number
  /** First wait after a failure; doubled with each further one. */
  readonly retry: number
  /** Failures in a row until a peer that was good is forgotten, and any other. */
  readonly triesOfGood: number
  readonly triesOfOthers: number
  /** New peers taken from one source at once. */
  readonly perSource: number
  /** In an answer, from one network of so many bits. */
  readonly perNetwork: number
  readonly networkBits: { readonly ipv4: number; readonly ipv6: number }
  /** Known good ones of one such network: more are of one hand. */
  readonly crowdBits: { readonly ipv4: number; readonly ipv6: number }
  /** Onion peers in an answer to a client that came over Tor. */
  readonly onionsOverTor: number
  /** And to others: at least so many, else this part of the other peers. */
  readonly onionsLeast: number
  readonly onionsPart: number
  /** As long as there are fewer onion peers, nobody counts how many of all they are. */
  readonly onionsFree: number
  /** Names of one domain are taken by add_peer once in so long; addresses all count as one. */
  readonly addPause: number
  /** Onion peers are taken by add_peer once in a random time up to this. */
  readonly onionPause: number
  /** A peer's tip may differ so much from ours. */
  readonly heightTolerance: number
  /** Headers are compared so far below the lower tip: shorter forks are nobody's fault. */
  readonly forkDepth: number
  /** Peers known in all, and domains remembered by add_peer. */
  readonly maxPeers: number
  readonly maxDomains: number
  readonly blacklistRefresh: number
  readonly proxySearch: number
}

const MINUTE = 60
const HOUR = 60 * MINUTE

export const PEER_RULES: PeerRules = {
  recent: 24 * HOUR,
  recheck: 3 * HOUR - 10 * MINUTE,
  retry: 5 * MINUTE,
  triesOfGood: 10,
  triesOfOthers: 3,
  perSource: 2,
  perNetwork: 1,
  networkBits: { ipv4: 16, ipv6: 32 },
  crowdBits: { ipv4: 32, ipv6: 64 },
  onionsOverTor: 50,
  onionsLeast: 10,
  onionsPart: 1 / 4,
  onionsFree: 100,
  addPause: 10 * MINUTE,
  onionPause: 20 * MINUTE,
  heightTolerance: 5,
  forkDepth: 10,
  maxPeers: 1_000,
  maxDomains: 10_000,
  blacklistRefresh: 10 * MINUTE,
  proxySearch: 15 * MINUTE,
}

/** Seconds until a peer is tried again after so many failures in a row; 0 failures: it was good. */
export function pauseAfter(failures: number, rules: PeerRules): number {
  return failures === 0 ? rules.recheck : rules.retry * 2 ** failures
}
