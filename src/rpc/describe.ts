import { z } from 'zod'
import { MAINNET_HEIGHTS } from '../atomicals/constants.ts'
import { BITCOIN_ADDRESSES } from '../chain/address.ts'
import { VERSION } from '../version.ts'
import type { RpcMethod } from './method.ts'
import { atomicalsMethods } from './methods/atomicals/table.ts'
import { electrumMethods, withMethods } from './methods/table.ts'
import { paramNames } from './registry.ts'
import { formatVersion } from './versions.ts'

/** A schema in the sense of JSON Schema, as far as zod can tell it. */
type JsonSchema = Readonly<Record<string, unknown>>

/** A method as OpenRPC describes one; what OpenRPC has no word for begins with `x-`. */
export interface MethodDescription {
  readonly name: string
  readonly summary: string
  readonly params: readonly { readonly name: string; readonly required: boolean; readonly schema: JsonSchema }[]
  readonly result: { readonly name: string; readonly schema: JsonSchema }
  readonly paramStructure: 'either'
  readonly examples: readonly ExamplePairing[]
  readonly 'x-since': string
  readonly 'x-until'?: string
  readonly 'x-stream-only'?: true
  readonly 'x-earlier'?: readonly MethodDescription[]
  readonly 'x-notification-since'?: string
}

interface ExamplePairing {
  readonly name: string
  readonly params: readonly { readonly name: string; readonly value: unknown }[]
  readonly result: { readonly name: string; readonly value: unknown }
}

export interface ProtocolDescription {
  readonly openrpc: string
  readonly info: { readonly title: string; readonly version: string }
  readonly methods: readonly MethodDescription[]
}

/** The rows of a server with Atomicals; without, some are missing, and `listunspent` is as plain as in Electrum. */
export function everyMethod(): readonly RpcMethod[] {
  const settings = {
    coin: 'Bitcoin',
    network: 'mainnet',
    addresses: BITCOIN_ADDRESSES.mainnet,
    heights: MAINNET_HEIGHTS,
  }
  return withMethods(electrumMethods(), atomicalsMethods(settings))
}

/** The table as OpenRPC has it, for programs: `GET /openrpc.json` and docs/openrpc.json. */
export function describeAsJson(methods: readonly RpcMethod[] = everyMethod()): ProtocolDescription {
  return {
    openrpc: '1.3.2',
    info: { title: 'Valence', version: VERSION },
    methods: withEarlier(sorted(methods).map(describeMethod)),
  }
}

/** The table as Markdown without a title, for docs/PROTOCOL.md. */
export function describeMethods(methods: readonly RpcMethod[] = everyMethod()): string {
  const rows = sorted(methods)
  return [
    'Messages are JSON-RPC 2.0. Over TCP and SSL each is a line of its own, over WS and WSS a frame; over HTTP there are',
    '`POST /` and the addresses of [HTTP.md](HTTP.md). Several go as one, in a list, up to MAX_BATCH.',
    '',
    'A session begins with `server.version`, which names the versions that the client speaks; the newest that both know',
    'counts (`protocol_min` and `protocol_max` of `server.features` are ours). Whoever leaves it out has the lowest. From',
    '1.6 on it has to be the first message. Over HTTP nothing is chosen: the lowest version counts, or the newest for',
    'methods that the lowest does not have.',
    '',
    'What was subscribed to comes as a message without `id`: its `method` is that of the subscription, its `params` say of',
    'what and the new status, if nothing else is said below. Errors are in [ERRORS.md](ERRORS.md), limits in',
    '[LIMITS.md](LIMITS.md), and the same for programs is in [openrpc.json](openrpc.json).',
    '',
    'Every method there is, with the protocol versions that have it. Parameters go by position or by name. Where an',
    'answer may be one of several, `|` stands between them; `?` marks what may be missing. What a call costs is shown',
    'for the example; long answers cost more. Examples leave out `jsonrpc` and `id`.',
    '',
    '| method | versions | cost | |',
    '| --- | --- | --- | --- |',
    ...rows.map(
      (method) => `| \`${method.name}\` | ${versionsOf(method)} | ${costOf(method)} | ${cell(method.summary)} |`,
    ),
    ...rows.flatMap(section),
  ].join('\n')
}

function sorted(methods: readonly RpcMethod[]): readonly RpcMethod[] {
  return methods.toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
}

/** A name stands once in OpenRPC: what it meant at earlier versions goes with what it means at the newest. */
function withEarlier(rows: readonly MethodDescription[]): readonly MethodDescription[] {
  const byName = new Map<string, MethodDescription[]>()
  for (const row of rows) byName.set(row.name, [...(byName.get(row.name) ?? []), row])
  return [...byName.values()].flatMap((group) => {
    const newest = group.find((row) => row['x-until'] === undefined) ?? group.at(-1)
    if (newest === undefined) return []
    const earlier = group.filter((row) => row !== newest)
    return [earlier.length === 0 ? newest : { ...newest, 'x-earlier': earlier }]
  })
}

function describeMethod(method: RpcMethod): MethodDescription {
  const { names, required } = paramNames(method)
  const params = names.map((name) => ({
    name,
    required: required.includes(name),
    schema: schemaOf(method.params.shape[name]),
  }))
  return {
    name: method.name,
    summary: method.summary,
    params,
    result: { name: 'result', schema: schemaOf(method.result) },
    paramStructure: 'either',
    examples: [
      {
        name: 'example',
        params: method.example.params.map((value, i) => ({ name: names[i] ?? String(i), value })),
        result: { name: 'result', value: method.example.result },
      },
    ],
    'x-since': formatVersion(method.since),
    ...(method.until === undefined ? {} : { 'x-until': formatVersion(method.until) }),
    ...(method.over === 'stream' ? { 'x-stream-only': true as const } : {}),
    ...(method.notification === undefined ? {} : { 'x-notification-since': formatVersion(method.notification) }),
  }
}

function schemaOf(schema: unknown): JsonSchema {
  if (!(schema instanceof z.ZodType)) return {}
  const {
    $schema: _draft,
    '~standard': _standard,
    ...rest
  } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest
}

function section(method: RpcMethod): string[] {
  const { params, result } = describeMethod(method)
  const signature = params.map(({ name, required }) => (required ? name : `${name}?`)).join(', ')
  const notes = [
    method.over === 'stream' ? 'Only over connections that stay open.' : '',
    method.notification === undefined ? '' : 'May come as a notification.',
    method.extraParams === 'ignored' ? 'Further arguments are ignored.' : '',
  ].filter((note) => note !== '')
  return [
    '',
    `## ${method.name}(${signature})`,
    '',
    [`Versions ${versionsOf(method)}.`, method.summary, ...notes].join(' '),
    '',
    ...params.map(({ name, required, schema }) => `- \`${name}\`${required ? '' : ' (optional)'}: ${spell(schema)}`),
    `- result: ${spell(result.schema)}`,
    '',
    '```json',
    JSON.stringify({ method: method.name, params: method.example.params }),
    JSON.stringify({ result: method.example.result }),
    '```',
  ]
}

function versionsOf({ since, until }: RpcMethod): string {
  if (until === undefined) return `from ${formatVersion(since)}`
  return `${formatVersion(since)} to ${formatVersion(until)}`
}

function costOf(method: RpcMethod): string {
  const { names } = paramNames(method)
  const named = Object.fromEntries(method.example.params.map((value, i) => [names[i] ?? '', value]))
  const cost = method.cost(method.params.parse(named))
  return String(Number(cost.toPrecision(3)))
}

/** A schema in a line: its type, and what it is. */
function spell(schema: JsonSchema): string {
  const description = typeof schema['description'] === 'string' ? ` — ${schema['description']}` : ''
  return `\`${typeText(schema)}\`${description}`
}

function typeText(schema: JsonSchema): string {
  const any = schema['anyOf']
  if (Array.isArray(any)) return unique(any.map(nested)).join(' | ')
  if ('const' in schema) return JSON.stringify(schema['const'])
  const values = schema['enum']
  if (Array.isArray(values)) return values.map((value) => JSON.stringify(value)).join(' | ')
  if (schema['type'] === 'array') return listText(schema)
  if (schema['type'] === 'object') return objectText(schema)
  const { type } = schema
  if (Array.isArray(type)) return type.join(' | ')
  return typeof type === 'string' ? type : 'any'
}

function listText(schema: JsonSchema): string {
  const places = schema['prefixItems']
  if (Array.isArray(places)) return `[${places.map(nested).join(', ')}]`
  return 'items' in schema ? `${nested(schema['items'])}[]` : 'array'
}

function objectText(schema: JsonSchema): string {
  const members = schema['properties']
  if (!isSchema(members) || Object.keys(members).length === 0) return 'object'
  const required: readonly unknown[] = Array.isArray(schema['required']) ? schema['required'] : []
  const texts = Object.entries(members).map(
    ([name, member]) => `${name}${required.includes(name) ? '' : '?'}: ${nested(member)}`,
  )
  return `{${texts.join(', ')}}`
}

function nested(schema: unknown): string {
  return isSchema(schema) ? typeText(schema) : 'any'
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)]
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
