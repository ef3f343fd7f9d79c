import type { z } from 'zod'
import { COINS } from '../coins/registry.ts'
import { ConfigError } from '../errors.ts'
import type { Setting } from './setting.ts'
import { FOREIGN_SETTINGS, SETTINGS } from './table.ts'
import { DEFAULT_PORTS, LOOPBACK, OPERATOR_KINDS, type ServiceKind, type ServiceUrl, USUAL_KINDS } from './values.ts'

type Parsed = { readonly [K in keyof typeof SETTINGS]: ValueOf<(typeof SETTINGS)[K]> }
type ValueOf<E> = E extends Setting<infer S, infer F> ? z.output<S> | (F extends string ? never : undefined) : never

/** Settings as the server uses them: defaults that depend on others are filled in. */
export type Settings = Omit<Parsed, 'net' | 'services' | 'peerDiscovery'> & {
  readonly net: string
  readonly peerDiscovery: 'on' | 'self' | 'off'
  readonly services: readonly ServiceUrl[]
  /** Things an operator should be told at start: settings without effect. */
  readonly notes: readonly string[]
}

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads all settings. Throws ConfigError naming every problem at once, each with what would be allowed. An empty value
 * counts as unset, as in ElectrumX's own env files, but where a setting says otherwise.
 */
export function readSettings(environment: Environment): Settings {
  const problems: string[] = []
  const notes: string[] = []
  const values: Record<string, unknown> = {}
  for (const [key, entry] of Object.entries<Setting>(SETTINGS)) {
    const given = environment[entry.env] === '' ? entry.empty : environment[entry.env]
    const raw = given ?? entry.fallback
    if (given !== undefined && entry.notYet !== undefined) notes.push(`${entry.env} has no effect: ${entry.notYet}`)
    if (raw === undefined) continue
    const parsed = entry.schema.safeParse(raw)
    if (parsed.success) values[key] = parsed.data
    else problems.push(`${entry.env} is ${shown(entry, raw)}: it must be ${entry.allowed}`)
  }
  for (const [env, reason] of Object.entries(FOREIGN_SETTINGS)) {
    if ((environment[env] ?? '') !== '') notes.push(`${env} has no effect: ${reason}`)
  }
  // The table's keys become the type that is computed from the same table.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  const parsed = values as unknown as Parsed
  const settings = withDependentDefaults(parsed, notes)
  problems.push(...contradictions(settings))
  if (parsed.atomicals === false)
    notes.push(...activationHeights(parsed).map((env) => `${env} has no effect: ATOMICALS is off`))
  if (problems.length > 0) throw new ConfigError(problems)
  return settings
}

function withDependentDefaults(parsed: Parsed, notes: readonly string[]): Settings {
  const own = parsed.daemonUrls === undefined
  const net = parsed.net ?? (own ? 'regtest' : 'mainnet')
  return {
    ...parsed,
    net,
    peerDiscovery: parsed.peerDiscovery ?? (net === 'regtest' ? 'off' : 'on'),
    services: parsed.services ?? USUAL_KINDS.map((kind) => defaultService(kind, own)),
    notes,
  }
}

function defaultService(kind: ServiceKind, loopbackOnly: boolean): ServiceUrl {
  return { kind, host: loopbackOnly || kind === 'rpc' ? LOOPBACK : '', port: DEFAULT_PORTS[kind] }
}

/** Settings of heights of Atomicals rules that are set. */
function activationHeights(given: Readonly<Record<string, unknown>>): string[] {
  const entries = Object.entries<Setting>(SETTINGS)
  const set = entries.filter(([key]) => key.startsWith('atomicalsActivation') && given[key] !== undefined)
  return set.map(([, { env }]) => env)
}

/** What is right by itself and wrong together. */
function contradictions(settings: Settings): string[] {
  return [...nodeContradictions(settings), ...limitContradictions(settings), ...serviceContradictions(settings)]
}

function nodeContradictions(settings: Settings): string[] {
  const problems: string[] = []
  if (settings.daemonUrls === undefined && settings.net !== 'regtest') {
    problems.push(`NET is ${settings.net} without DAEMON_URL: the built-in node has regtest only; name a bitcoind`)
  }
  if (settings.daemonUrls === undefined && settings.daemonCookieFile !== undefined) {
    problems.push('DAEMON_COOKIE_FILE is set without DAEMON_URL: name the bitcoind that it belongs to')
  }
  if (settings.daemonUrls === undefined && settings.daemonZmq !== undefined) {
    problems.push('DAEMON_ZMQ is set without DAEMON_URL: name the bitcoind that it belongs to')
  }
  if (settings.coin !== undefined && !COINS.some((coin) => coin.name === settings.coin && coin.net === settings.net)) {
    problems.push(`COIN ${settings.coin} has no network ${settings.net}`)
  }
  if (settings.net !== 'regtest') {
    for (const env of activationHeights(settings))
      problems.push(`${env} is set on ${settings.net}: it is for regtest only`)
  }
  return problems
}

function limitContradictions(settings: Settings): string[] {
  const problems: string[] = []
  if (settings.maxUnsent !== undefined && settings.maxUnsent < settings.maxSend) {
    problems.push(
      `MAX_UNSENT (${settings.maxUnsent}) is below MAX_SEND (${settings.maxSend}): one answer would be too much`,
    )
  }
  if (settings.costHardLimit > 0 && settings.costSoftLimit >= settings.costHardLimit) {
    problems.push(
      `COST_SOFT_LIMIT (${settings.costSoftLimit}) is not below COST_HARD_LIMIT (${settings.costHardLimit}), ` +
        'so that nothing would be limited: raise COST_HARD_LIMIT; COST_HARD_LIMIT=0 switches the limiter off',
    )
  }
  return problems
}

function serviceContradictions(settings: Settings): string[] {
  const problems: string[] = []
  if ((settings.sslCertFile === undefined) !== (settings.sslKeyFile === undefined)) {
    problems.push('SSL_CERTFILE and SSL_KEYFILE go together: set both or none')
  }
  if ((settings.reportServices ?? []).some(({ kind, host }) => OPERATOR_KINDS.has(kind) || host === '')) {
    problems.push('REPORT_SERVICES names rpc, metrics or no host: it tells clients outside how to reach this server')
  }
  if ((settings.services ?? []).filter(({ kind }) => kind === 'rpc').length > 1) {
    problems.push('SERVICES names rpc more than once: there is one admin port')
  }
  const taken = new Map<string, ServiceKind>()
  for (const { kind, host, port } of settings.services ?? []) {
    const place = `${host}:${port}`
    const other = taken.get(place)
    if (port !== 0 && other !== undefined) problems.push(`SERVICES names ${place} for both ${other} and ${kind}`)
    taken.set(place, kind)
  }
  return problems
}

/** The value as it may be shown: a URL can carry a password. */
function shown(entry: Setting, raw: string): string {
  return entry.env === 'DAEMON_URL' ? 'not understood' : JSON.stringify(raw.replaceAll(/\/\/\S*@/g, '//…@'))
}
