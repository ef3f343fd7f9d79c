import { readFile } from 'node:fs/promises'
import type { Coin } from './coins/coin.ts'
import type { ServiceUrl } from './config-values.ts'
import type { Daemon } from './daemon/daemon.ts'
import { DaemonUnavailableError } from './errors.ts'
import type { MomentSource } from './mempool/moment.ts'
import type { ProtocolVersion, ServerInfo } from './rpc/method.ts'
import { SOFTWARE, VERSION } from './version.ts'

/** What is announced; methods of later versions are in the table but not offered. */
const PROTOCOL: { readonly min: ProtocolVersion; readonly max: ProtocolVersion } = { min: [1, 4, 0], max: [1, 6, 0] }

export interface ServerInfoOptions {
  readonly coin: Coin
  readonly reorgLimit: number
  readonly bannerFile: string | undefined
  readonly donationAddress: string
  /** How clients outside reach the server (REPORT_SERVICES). */
  readonly reported: readonly ServiceUrl[]
}

/** What the server says of itself to clients. */
export function serverInfo(
  options: ServerInfoOptions,
  collaborators: { readonly daemon: Daemon; readonly moments: MomentSource },
): ServerInfo {
  const { coin, reorgLimit, donationAddress } = options
  const hosts = hostsOf(options.reported)
  return {
    software: SOFTWARE,
    protocolMin: PROTOCOL.min,
    protocolMax: PROTOCOL.max,
    genesisHash: coin.genesisHash,
    reorgLimit,
    donationAddress,
    features: () => ({ hosts, services: options.reported.map(({ kind, host, port }) => `${kind}://${host}:${port}`) }),
    banner: () => banner(options, collaborators.daemon),
    // Other servers are not looked for.
    peers: () => [],
  }
}

/** `{"example.org": {"tcp_port": 50001, "ssl_port": 50002}}`: protocol paragraph server.features. */
function hostsOf(reported: readonly ServiceUrl[]): Record<string, Record<string, number>> {
  const hosts: Record<string, Record<string, number>> = {}
  for (const { kind, host, port } of reported) {
    if (kind !== 'rpc') hosts[host] = { ...hosts[host], [`${kind}_port`]: port }
  }
  return hosts
}

const DEFAULT_BANNER = `You are connected to ${SOFTWARE}.`

async function banner(options: ServerInfoOptions, daemon: Daemon): Promise<string> {
  const text = options.bannerFile === undefined ? DEFAULT_BANNER : await readFile(options.bannerFile, 'utf8')
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
