import { z } from 'zod'
import { ERROR_CODES, RpcError } from '../../errors.ts'
import { clip } from '../failure.ts'
import { RawJson, writeJson } from '../json.ts'
import {
  compareVersions,
  defineMethod,
  type ProtocolVersion,
  type RpcContext,
  type RpcMethod,
  type ServerInfo,
} from '../method.ts'
import { Hash, Padding, shown, WholeNumber } from '../schemas.ts'
import { BEFORE_1_7, formatVersion, parseVersion, V1_7 } from '../versions.ts'

/** Longest name of a client that is remembered; as in ElectrumX. */
const LONGEST_SOFTWARE = 100

const ClientName = z
  .unknown()
  .transform((value) => (typeof value === 'string' ? value.slice(0, LONGEST_SOFTWARE) : clip(shown(value))))
  .meta({ type: 'string', description: 'What the client calls itself.' })

const Wanted = z.unknown().meta({
  description:
    'A version, or the list of the lowest and the highest that the client speaks. null and absent mean the lowest of the server.',
})

interface WantedVersions {
  readonly min: ProtocolVersion
  readonly max: ProtocolVersion
  /** The highest as the client spelled it; it gets it back letter by letter, because some compare the text. */
  readonly spelled: string | undefined
}

function wantedVersions(wanted: unknown, lowest: ProtocolVersion): WantedVersions {
  if (wanted === undefined || wanted === null) return { min: lowest, max: lowest, spelled: undefined }
  const list: readonly unknown[] = Array.isArray(wanted) && wanted.length === 2 ? wanted : [wanted, wanted]
  const [min, max] = list
  return { min: parseVersion(min), max: parseVersion(max), spelled: typeof max === 'string' ? max.trim() : undefined }
}

export const version = defineMethod({
  name: 'server.version',
  summary: 'Identifies the client and chooses the protocol version of the session. Counts once.',
  params: z.object({ client_name: ClientName.optional(), protocol_version: Wanted.optional() }),
  extraParams: 'ignored',
  result: z.tuple([z.string(), z.string()]),
  cost: () => 0.5,
  since: [1, 0, 0],
  example: { params: ['electrum/4.8.1', ['1.4', '1.6']], result: ['Valence 0.1.0', '1.6'] },
  handler: (ctx, { client_name: software = '', protocol_version: wanted }): [string, string] => {
    const { min, max, spelled } = wantedVersions(wanted, ctx.server.protocolMin)
    const chosen = ctx.client.identify(software, { min, max })
    const same = spelled !== undefined && compareVersions(chosen, max) === 0
    return [ctx.server.software, same ? spelled : formatVersion(chosen)]
  },
})

export const ping = defineMethod({
  name: 'server.ping',
  summary: 'Keeps the session alive and tells the client that the server is there.',
  params: z.object({}),
  result: z.null(),
  cost: () => 0.1,
  since: [1, 2, 0],
  until: BEFORE_1_7,
  example: { params: [], result: null },
  handler: () => null,
})

/** Characters of padding for one unit of cost, sent or not: of a batch with more than may be sent all of it is made. */
const PADDING_PER_COST = 100_000

/** `longestPong`: bytes that the answer may have. */
function paddedPing(longestPong: number): RpcMethod {
  return defineMethod({
    name: 'server.ping',
    summary: 'Keeps the session alive and hides what is said: the client asks for an answer of a given length.',
    params: z.object({
      pong_len: WholeNumber('Characters of padding in the answer.').optional(),
      data: Padding.optional(),
    }),
    result: z.object({ data: z.string() }),
    cost: ({ pong_len: length = 0 }) => 0.1 + Math.min(length, longestPong) / PADDING_PER_COST,
    since: V1_7,
    notification: V1_7,
    example: { params: [4, 'ffff'], result: { data: '0000' } },
    handler: (_ctx, { pong_len: length = 0 }) => {
      if (length > longestPong) throw new RpcError(ERROR_CODES.badRequest.code, 'pong_len value too high')
      return { data: '0'.repeat(length) }
    },
  })
}

export const banner = defineMethod({
  name: 'server.banner',
  summary: 'A text of the operator that wallets show.',
  params: z.object({}),
  result: z.string(),
  cost: () => 0.5,
  since: [1, 0, 0],
  example: { params: [], result: 'Welcome.' },
  handler: (ctx) => ctx.server.banner(ctx.client),
})

export const donationAddress = defineMethod({
  name: 'server.donation_address',
  summary: 'An address of the operator, or an empty text.',
  params: z.object({}),
  result: z.string(),
  cost: () => 0.1,
  since: [1, 0, 0],
  example: { params: [], result: 'bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq' },
  handler: (ctx) => ctx.server.donationAddress,
})

/**
 * The answer to server.features as JSON, written once for each server, kind of client and state of the mempool: wallets
 * ask for it at every start. Written anew when the server has other features of its own.
 */
class KeptFeatures {
  readonly #texts = new Map<string, RawJson>()
  #server: ServerInfo | undefined
  #own: Readonly<Record<string, unknown>> | undefined

  get({ server, client, moment }: RpcContext): RawJson {
    const own = server.features()
    if (server !== this.#server || own !== this.#own) {
      this.#texts.clear()
      this.#server = server
      this.#own = own
    }
    const { complete } = moment.mempool
    const key = `${saysHashFunction(client.protocol)} ${complete}`
    let text = this.#texts.get(key)
    if (text === undefined) {
      text = new RawJson(writeJson({ ...featuresOf(server, client.protocol), mempool_complete: complete }), true)
      this.#texts.set(key, text)
    }
    return text
  }
}

function features(): RpcMethod {
  const kept = new KeptFeatures()
  return defineMethod({
    name: 'server.features',
    summary: 'What the server is: its chain, its software, its protocol versions, where it can be reached.',
    params: z.object({}),
    result: z.looseObject({
      hosts: z.record(z.string(), z.record(z.string(), z.unknown())),
      pruning: z.null(),
      server_version: z.string(),
      protocol_min: z.string(),
      protocol_max: z.string(),
      genesis_hash: Hash,
      hash_function: z.literal('sha256').optional().meta({ description: 'Until 1.6.' }),
      services: z.array(z.string()).meta({ description: 'What the operator says of REPORT_SERVICES, as URLs.' }),
      mempool_complete: z
        .boolean()
        .meta({ description: 'False while the mempool is first loaded: confirmed data is served already.' }),
    }),
    cost: () => 0.2,
    since: [1, 1, 0],
    example: {
      params: [],
      result: {
        hosts: { 'electrum.example.org': { tcp_port: 50001, ssl_port: 50002 } },
        pruning: null,
        server_version: 'Valence 0.1.0',
        protocol_min: '1.4',
        protocol_max: '1.7',
        genesis_hash: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
        hash_function: 'sha256',
        services: ['tcp://electrum.example.org:50001', 'ssl://electrum.example.org:50002'],
        mempool_complete: true,
      },
    },
    handler: (ctx) => kept.get(ctx),
  })
}

function saysHashFunction(protocol: ProtocolVersion): boolean {
  return compareVersions(protocol, V1_7) < 0
}

/** What the server says of itself to a client of this version, and to other servers when it asks to be listed. */
export function featuresOf(server: ServerInfo, protocol: ProtocolVersion) {
  return {
    hosts: {},
    pruning: null,
    server_version: server.software,
    protocol_min: formatVersion(server.protocolMin),
    protocol_max: formatVersion(server.protocolMax),
    genesis_hash: server.genesisHash,
    ...(saysHashFunction(protocol) ? { hash_function: 'sha256' as const } : {}),
    ...server.features(),
  }
}

export const peersSubscribe = defineMethod({
  name: 'server.peers.subscribe',
  summary: 'Other servers. A subscription in name only: nothing is ever sent by itself.',
  params: z.object({}),
  result: z.array(z.tuple([z.string(), z.string(), z.array(z.string()).readonly()]).readonly()).readonly(),
  cost: () => 1,
  since: [1, 0, 0],
  example: { params: [], result: [['192.0.2.7', 'electrum.example.org', ['v1.6', 's50002', 't50001']]] },
  handler: (ctx) => ctx.server.peers(ctx.client),
})

export const addPeer = defineMethod({
  name: 'server.add_peer',
  summary:
    'Another server asks to be listed, once per connection. Answered false where peers are not looked for or it is refused.',
  params: z.object({ features: z.record(z.string(), z.unknown()) }),
  result: z.boolean(),
  cost: () => 100,
  since: [1, 1, 0],
  example: { params: [{ hosts: { 'electrum.example.org': { ssl_port: 50002 } } }], result: false },
  handler: async ({ server, client }, { features: announced }) => {
    if (!client.becomePeer(announced)) return false
    return (await server.addPeer?.(announced, client)) ?? false
  },
})

export function serverMethods(options: { readonly longestPong: number }): readonly RpcMethod[] {
  return [version, ping, paddedPing(options.longestPong), banner, donationAddress, features(), peersSubscribe, addPeer]
}
