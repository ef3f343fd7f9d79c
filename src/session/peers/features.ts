import { startOf } from '../../lib/bytes.ts'
import type { JsonObject } from '../../rpc/json.ts'
import { isOnion } from '../outbound/address.ts'

/** What a server says of itself in server.features, as far as others need it, and cleaned. */
export interface PeerFeatures {
  /** Host as spelled by the server, to its ports. */
  readonly hosts: ReadonlyMap<string, PeerPorts>
  /** Hex as displayed, as given. */
  readonly genesisHash: string | undefined
  readonly software: string | undefined
  readonly protocolMin: string | undefined
  readonly protocolMax: string | undefined
  readonly pruning: number | undefined
}

export interface PeerPorts {
  readonly ssl: number | undefined
  readonly tcp: number | undefined
}

const MAX_HOSTS = 20
/** Characters of a name in DNS. */
const MAX_HOST = 253
const MAX_TEXT = 100
const VERSION = /^\d{1,4}(?:\.\d{1,4}){0,3}$/
const WHOLE = /^\d{1,10}$/
export const DEFAULT_PORTS = { tcp: 50_001, ssl: 50_002 } as const

/** Undefined if it is no answer of server.features at all. Members that make no sense are left out. */
export function readFeatures(value: unknown): PeerFeatures | undefined {
  if (!isObject(value)) return undefined
  const hosts = value['hosts']
  if (!isObject(hosts)) return undefined
  return {
    hosts: new Map(
      Object.entries(hosts)
        .filter(([host]) => host.length <= MAX_HOST)
        .slice(0, MAX_HOSTS)
        .map(([host, ports]) => [host, readPorts(ports)]),
    ),
    genesisHash: text(value['genesis_hash']),
    software: text(value['server_version']),
    protocolMin: version(value['protocol_min']),
    protocolMax: version(value['protocol_max']),
    pruning: positive(value['pruning']),
  }
}

/** As JSON, for administrators. */
export function writeFeatures(features: PeerFeatures): JsonObject {
  const hosts: Record<string, JsonObject> = {}
  for (const [host, { ssl, tcp }] of features.hosts) hosts[host] = { ssl_port: ssl ?? null, tcp_port: tcp ?? null }
  return {
    hosts,
    genesis_hash: features.genesisHash ?? null,
    server_version: features.software ?? null,
    protocol_min: features.protocolMin ?? null,
    protocol_max: features.protocolMax ?? null,
    pruning: features.pruning ?? null,
  }
}

/** `['v1.4.2', 'p100', 's50002', 't50001']`: how server.peers.subscribe tells a server's features. */
export function detailsOf(features: PeerFeatures, host: string): readonly string[] {
  const details = [`v${features.protocolMax ?? '0.0'}`]
  const { ssl, tcp } = portsOf(features, host)
  if (features.pruning !== undefined) details.push(`p${features.pruning}`)
  if (ssl !== undefined) details.push(`s${ssl}`)
  if (tcp !== undefined) details.push(`t${tcp}`)
  return details
}

/** The other way round; a letter without a number means the usual port. */
export function featuresOf(host: string, details: readonly string[]): PeerFeatures {
  let ssl: number | undefined
  let tcp: number | undefined
  let protocol: string | undefined
  let pruning: number | undefined
  for (const detail of details) {
    const rest = detail.slice(1)
    if (detail.startsWith('s')) ssl = rest === '' ? DEFAULT_PORTS.ssl : port(rest)
    else if (detail.startsWith('t')) tcp = rest === '' ? DEFAULT_PORTS.tcp : port(rest)
    else if (detail.startsWith('v')) protocol = version(rest)
    else if (detail.startsWith('p')) pruning = positive(rest)
  }
  return {
    hosts: new Map([[host, { ssl, tcp }]]),
    genesisHash: undefined,
    software: undefined,
    protocolMin: protocol,
    protocolMax: protocol,
    pruning,
  }
}

/** The ports of one of a server's hosts, whatever the case of its letters. */
export function portsOf(features: PeerFeatures, host: string): PeerPorts {
  const wanted = host.toLowerCase()
  for (const [name, ports] of features.hosts) if (name.toLowerCase() === wanted) return ports
  return { ssl: undefined, tcp: undefined }
}

export function mentionsHost(features: PeerFeatures, host: string): boolean {
  const wanted = host.toLowerCase()
  return [...features.hosts.keys()].some((name) => name.toLowerCase() === wanted)
}

/** The host by which the world reaches a server without Tor. */
export function clearnetHost(features: PeerFeatures): string | undefined {
  return [...features.hosts.keys()].find((host) => !isOnion(host))
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value)
}

function readPorts(value: unknown): PeerPorts {
  return isObject(value)
    ? { ssl: port(value['ssl_port']), tcp: port(value['tcp_port']) }
    : { ssl: undefined, tcp: undefined }
}

function port(value: unknown): number | undefined {
  const number = positive(value)
  return number !== undefined && number < 65_536 ? number : undefined
}

function positive(value: unknown): number | undefined {
  const number = typeof value === 'string' && WHOLE.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number > 0 ? number : undefined
}

function version(value: unknown): string | undefined {
  return typeof value === 'string' && VERSION.test(value) ? value : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? startOf(value, MAX_TEXT) : undefined
}
