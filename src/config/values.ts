import ipaddr from 'ipaddr.js'
import { z } from 'zod'

/** From the text of an environment variable to the value that is meant; what a schema refuses, the table puts into words. */

export const SERVICE_KINDS = ['tcp', 'ssl', 'ws', 'wss', 'http', 'https', 'rpc', 'metrics'] as const
export type ServiceKind = (typeof SERVICE_KINDS)[number]
/** Kinds that are the operator's own, with no place on all interfaces unless one is named. */
export const OPERATOR_KINDS: ReadonlySet<ServiceKind> = new Set(['rpc', 'metrics'])

/** Where to listen. An empty host means all interfaces. */
export interface ServiceUrl {
  readonly kind: ServiceKind
  readonly host: string
  readonly port: number
}

export const DEFAULT_PORTS: Readonly<Record<ServiceKind, number>> = {
  tcp: 50001,
  ssl: 50002,
  ws: 50003,
  wss: 50004,
  http: 8080,
  https: 8443,
  rpc: 8000,
  metrics: 9332,
}

/** Kinds that need a certificate. */
export const SECURE_KINDS: ReadonlySet<ServiceKind> = new Set(['ssl', 'wss', 'https'])

/** What there is without SERVICES. */
export const USUAL_KINDS = ['tcp', 'ssl', 'ws', 'wss', 'http', 'rpc'] as const satisfies readonly ServiceKind[]

export const LOOPBACK = '127.0.0.1'

export const text = z.string().min(1)

export function whole(least: number, most: number) {
  return z.string().regex(/^\d+$/).transform(Number).pipe(z.number().int().min(least).max(most))
}

export function wholeWords(least: number, most: number): string {
  return `a whole number from ${least} to ${most}`
}

export function oneOf<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words)
}

const SWITCH: ReadonlyMap<string, boolean> = new Map([
  ...['on', 'yes', 'true', '1'].map((word) => [word, true] as const),
  ...['off', 'no', 'false', '0'].map((word) => [word, false] as const),
])

/** The words that operators write where ElectrumX takes any text at all for yes. */
export const yesNo = z.string().transform((raw, context) => {
  const value = SWITCH.get(raw.trim().toLowerCase())
  if (value === undefined) context.addIssue({ code: 'custom', message: 'neither yes nor no' })
  return value ?? z.NEVER
})

export const yesNoWords = 'on or off (also yes, true, 1; no, false, 0)'

export function list<T>(item: z.ZodType<T, string>) {
  return z
    .string()
    .transform((raw) =>
      raw
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item))
}

export const subnet = z.string().transform((raw, context) => {
  try {
    const [address, bits] = ipaddr.parseCIDR(raw.includes('/') ? raw : `${raw}/${raw.includes(':') ? 128 : 32}`)
    return `${address.toString()}/${bits}`
  } catch (cause) {
    context.addIssue({ code: 'custom', message: `${raw}: ${String(cause)}` })
    return z.NEVER
  }
})

export const daemonUrl = z.string().transform((raw, context) => {
  const whole = raw.includes('://') ? raw : `http://${raw}`
  const url = URL.canParse(whole) ? new URL(whole) : undefined
  // An @ after the host: a password with a / or # in it, half of which would be told as host, port and path.
  const rest = url === undefined ? '' : url.pathname + url.search + url.hash
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '' || rest.includes('@')) {
    context.addIssue({ code: 'custom', message: 'no such URL' })
    return z.NEVER
  }
  return whole
})

export const webUrl = z.string().refine((raw) => {
  const url = URL.canParse(raw) ? new URL(raw) : undefined
  return url?.protocol === 'http:' || url?.protocol === 'https:'
})

export const service = z.string().transform((raw, context): ServiceUrl => {
  const match = /^([a-z]+):\/\/(\[[0-9a-f:.%a-z]+\]|[^:/[\]]*)(?::(\d{1,5}))?\/?$/i.exec(raw)
  const kind = SERVICE_KINDS.find((known) => known === match?.[1]?.toLowerCase())
  if (match === null || kind === undefined) {
    context.addIssue({ code: 'custom', message: 'no such service' })
    return z.NEVER
  }
  const port = match[3] === undefined ? DEFAULT_PORTS[kind] : Number(match[3])
  const host = (match[2] ?? '').replace(/^\[|\]$/g, '')
  if (port > 65_535) context.addIssue({ code: 'custom', message: 'no such port' })
  return { kind, host: (host === '' && OPERATOR_KINDS.has(kind)) || host === 'localhost' ? LOOPBACK : host, port }
})

export const serviceList = list(service).superRefine((services, context) => {
  for (const { kind, host } of services) {
    if (kind === 'rpc' && !isLoopback(host)) {
      context.addIssue({ code: 'custom', message: 'rpc answers without a password and must stay on loopback' })
    }
  }
})

/** What stands first in many patterns that were written for Python. */
const IGNORE_CASE = '(?i)'

/** Matches from the beginning of a text, as Python's re.match. Anchors of its own do no harm. */
export const pattern = z.string().transform((raw, context) => {
  const ignoresCase = raw.startsWith(IGNORE_CASE)
  try {
    // By itself first: what is wrapped could be in order where this is not.
    const { source } = new RegExp(ignoresCase ? raw.slice(IGNORE_CASE.length) : raw)
    return new RegExp(`^(?:${source})`, ignoresCase ? 'i' : '')
  } catch (cause) {
    context.addIssue({ code: 'custom', message: String(cause) })
    return z.NEVER
  }
})

function isLoopback(host: string): boolean {
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback'
}
