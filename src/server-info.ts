import { readFile } from 'node:fs/promises'
import type { Coin } from './coins/coin.ts'
import { OPERATOR_KINDS, type ServiceUrl } from './config/values.ts'
import type { Daemon } from './daemon/daemon.ts'
import { DaemonUnavailableError } from './errors.ts'
import type { ProtocolVersion, RpcClient, ServerInfo } from './rpc/method.ts'
import type { PeerRow } from './session/peers/peer.ts'
import { SOFTWARE, VERSION } from './version.ts'

/** What is announced, and offered of the table of methods. */
const PROTOCOL: { readonly min: ProtocolVersion; readonly max: ProtocolVersion } = { min: [1, 4, 0], max: [1, 7, 0] }

export interface ServerInfoOptions {
  readonly coin: Coin
  readonly reorgLimit: number
  readonly bannerFile: string | undefined
  /** Instead, for clients that come over Tor. */
  readonly torBannerFile: string | undefined
  readonly donationAddress: string
  /** How clients outside reach the server (REPORT_SERVICES). */
  readonly reported: readonly ServiceUrl[]
}

/** What is known of other servers, and of clients that come over our own Tor proxy. */
export interface PeerDirectory {
  list(overTor: boolean): readonly PeerRow[]
  isOverTor(address: string): boolean
  addPeer(features: unknown, sourceAddress: string): Promise<boolean>
}

export interface ServerInfoCollaborators {
  readonly daemon: Daemon
  /** Made after this, for peers are told what is said here. */
  readonly peers: () => PeerDirectory | undefined
}

/** What the server says of itself to clients. */
export function serverInfo(options: ServerInfoOptions, { daemon, peers }: ServerInfoCollaborators): ServerInfo {
  const { coin, reorgLimit, donationAddress } = options
  const features = {
    hosts: hostsOf(options.reported),
    services: options.reported.map(({ kind, host, port }) => `${kind}://${host}:${port}`),
  }
  const isOverTor = ({ address }: RpcClient): boolean => peers()?.isOverTor(address) ?? false
  return {
    software: SOFTWARE,
    protocolMin: PROTOCOL.min,
    protocolMax: PROTOCOL.max,
    genesisHash: coin.genesisHash,
    reorgLimit,
    donationAddress,
    features: () => features,
    banner: (client) =>
      banner((isOverTor(client) ? options.torBannerFile : undefined) ?? options.bannerFile, options, daemon),
    peers: (client) => peers()?.list(isOverTor(client)) ?? [],
    addPeer: (features, { address }) => peers()?.addPeer(features, address) ?? Promise.resolve(false),
  }
}

/** `{"example.org": {"tcp_port": 50001, "ssl_port": 50002}}`: protocol paragraph server.features. */
function hostsOf(reported: readonly ServiceUrl[]): Record<string, Record<string, number>> {
  const hosts: Record<string, Record<string, number>> = {}
  for (const { kind, host, port } of reported) {
    if (!OPERATOR_KINDS.has(kind)) hosts[host] = { ...hosts[host], [`${kind}_port`]: port }
  }
  return hosts
}

const DEFAULT_BANNER = `You are connected to ${SOFTWARE}.`

async function banner(
  file: string | undefined,
  options: Pick<ServerInfoOptions, 'donationAddress'>,
  daemon: Daemon,
): Promise<string> {
  const text = file === undefined ? DEFAULT_BANNER : await readFile(file, 'utf8')
  if (!text.includes('$')) return text
  const node = await daemon.networkInfo().catch((error: unknown) => {
    if (error instanceof DaemonUnavailableError) return undefined
    throw error
  })
  const values: Readonly<Record<string, string>> = {
    $SERVER_VERSION: VERSION,
    $SERVER_SUBVERSION: SOFTWARE,
    $DAEMON_VERSION: node === undefined ? 'unknown' : formatDaemonVersion(node.version),
    $DAEMON_SUBVERSION: node?.subversion ?? 'unknown',
    $DONATION_ADDRESS: options.donationAddress,
  }
  return text.replaceAll(/\$[A-Z_]+/g, (name) => values[name] ?? name)
}

/** 300102 as 30.1.2; before version 22 (219900 and lower) Core counted with a leading zero, 0.21.1 as 210100. */
function formatDaemonVersion(version: number): string {
  return [Math.floor(version / 10_000), Math.floor(version / 100) % 100, version % 100].join('.')
}
