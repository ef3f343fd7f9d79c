import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Coin } from './coins/coin.ts'
import { OPERATOR_KINDS, type ServiceUrl } from './config/values.ts'
import type { Daemon } from './daemon/daemon.ts'
import { DaemonUnavailableError, messageOf } from './errors.ts'
import { addressText } from './lib/address-text.ts'
import type { Logger } from './log.ts'
import type { ProtocolVersion, RpcClient, ServerInfo } from './rpc/method.ts'
import type { PeerRow } from './session/peers/peer.ts'
import { SOFTWARE, VERSION } from './version.ts'

/** What is announced, and offered of the table of methods. */
const PROTOCOL: { readonly min: ProtocolVersion; readonly max: ProtocolVersion } = { min: [1, 4, 0], max: [1, 7, 0] }

export interface ServerInfoOptions {
  readonly coin: Coin
  readonly reorgLimit: number
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
  readonly banners: Pick<BannerFiles, 'text'>
  /** Made after this, for peers are told what is said here. */
  readonly peers: () => PeerDirectory | undefined
}

/** What the server says of itself to clients. */
export function serverInfo(
  options: ServerInfoOptions,
  { daemon, banners, peers }: ServerInfoCollaborators,
): ServerInfo {
  const { coin, reorgLimit, donationAddress } = options
  const features = {
    hosts: hostsOf(options.reported),
    services: options.reported.map(({ kind, host, port }) => `${kind}://${addressText({ host, port })}`),
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
    banner: async (client) => filledIn(await banners.text(isOverTor(client)), options, daemon),
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

export interface BannerFilesOptions {
  /** Where paths that are not absolute begin: DB_DIRECTORY, as in ElectrumX. */
  readonly dbDirectory: string
  readonly bannerFile: string | undefined
  /** Instead, for clients that come over Tor. */
  readonly torBannerFile: string | undefined
}

/** The operator's texts, read whenever somebody asks. A file that cannot be read costs no wallet its answer. */
export class BannerFiles {
  readonly #options: BannerFilesOptions
  readonly #log: Logger
  /** What is wrong with which file, so that it is told once. */
  readonly #troubles = new Map<string, string>()

  constructor(options: BannerFilesOptions, { log }: { readonly log: Logger }) {
    this.#options = options
    this.#log = log
  }

  /** Says so at once if one of the files cannot be read. */
  async look(): Promise<void> {
    await this.text(false)
    await this.text(true)
  }

  async text(overTor: boolean): Promise<string> {
    const { dbDirectory, bannerFile, torBannerFile } = this.#options
    const named = (overTor ? torBannerFile : undefined) ?? bannerFile
    if (named === undefined) return DEFAULT_BANNER
    const file = resolve(dbDirectory, named)
    try {
      const text = await readFile(file, 'utf8')
      this.#troubles.delete(file)
      return text
    } catch (error) {
      const reason = messageOf(error)
      if (this.#troubles.get(file) !== reason) {
        this.#log.warn(
          { file, reason },
          'the banner (BANNER_FILE, TOR_BANNER_FILE) cannot be read, a plain one stands in',
        )
      }
      this.#troubles.set(file, reason)
      return DEFAULT_BANNER
    }
  }
}

async function filledIn(
  text: string,
  options: Pick<ServerInfoOptions, 'donationAddress'>,
  daemon: Daemon,
): Promise<string> {
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
