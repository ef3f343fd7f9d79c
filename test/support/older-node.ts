import type { ProxiedAnswer, ProxiedAsk, Trick } from './node-proxy.ts'

interface Call {
  readonly id: unknown
  readonly method: string
  readonly params: readonly unknown[]
}

interface Reply {
  result: unknown
  error: { readonly code: number; readonly message: string } | null
  id: unknown
}

/** Since which version of Bitcoin Core there is what, as its release notes and documentation say. */
const SINCE = {
  methods: { getindexinfo: 0.21, submitpackage: 24 },
  /** There before, but for regtest alone. */
  outsideRegtest: { submitpackage: 26 },
  paths: { '/rest/spenttxouts/': 30, '/rest/blockpart/': 31 },
  fields: {
    getmempoolinfo: { minrelaytxfee: 0.19, unbroadcastcount: 0.21, fullrbf: 24, incrementalrelayfee: 24 },
    getrawmempool: { mempool_sequence: 0.21 },
    getblockchaininfo: { time: 23, bits: 29, target: 29, signet_challenge: 28 },
    getnetworkinfo: { connections_in: 0.21, connections_out: 0.21 },
  },
  /** The most parameters that a method takes before a version. */
  parameters: { getrawmempool: { most: 1, before: 0.21 } },
} as const

/** What makes a node answer as Bitcoin Core of a version (22, or 0.20 for those before) does, with -rest or without it. */
export function olderNode(version: number, hasRest: boolean): Trick {
  const lacks = (table: Readonly<Record<string, number>>, name: string): boolean => (table[name] ?? 0) > version
  const fields: Record<string, Record<string, number>> = SINCE.fields
  const parameters: Record<string, { most: number; before: number }> = SINCE.parameters
  const replyTo = ({ id, method, params }: Call, reply: Reply): Reply => {
    if (lacks(SINCE.methods, method)) return { result: null, error: { code: -32601, message: 'Method not found' }, id }
    if (lacks(SINCE.outsideRegtest, method)) {
      return {
        result: null,
        error: { code: -1, message: `${method} is for regression testing (-regtest mode) only` },
        id,
      }
    }
    const bound = parameters[method]
    if (bound !== undefined && version < bound.before && params.length > bound.most) {
      return { result: null, error: { code: -1, message: `${method} ( verbose )\n\nUsage` }, id }
    }
    if (method === 'submitpackage' && version < 27) return refusedAsError(reply)
    const { result, error } = reply
    return { result: method === 'getnetworkinfo' ? named(version, result) : without(result), error, id }
    function without(value: unknown): unknown {
      const later = Object.entries(fields[method] ?? {}).flatMap(([name, since]) => (since > version ? [name] : []))
      if (later.length === 0 || typeof value !== 'object' || value === null || Array.isArray(value)) return value
      return Object.fromEntries(Object.entries(value).filter(([name]) => !later.includes(name)))
    }
  }
  return (ask, node) => {
    if (ask.methods.length === 0) {
      const unknown = Object.entries(SINCE.paths).some(([path, since]) => ask.path.startsWith(path) && since > version)
      // A path that has no handler gets no words.
      return hasRest && !unknown ? undefined : Promise.resolve({ status: 404, body: '' })
    }
    const known = ask.methods.every((method) => method === 'getrawtransaction' || method === 'getblock')
    return known ? undefined : rewritten(ask, node, replyTo)
  }
}

async function rewritten(
  ask: ProxiedAsk,
  node: () => Promise<ProxiedAnswer>,
  replyTo: (call: Call, reply: Reply) => Reply,
): Promise<ProxiedAnswer> {
  const { status, body } = await node()
  const calls = JSON.parse(ask.body) as Call | Call[]
  const replies = JSON.parse(Buffer.from(body).toString()) as Reply | Reply[]
  if (!Array.isArray(calls) || !Array.isArray(replies)) {
    const reply = replyTo(calls as Call, replies as Reply)
    const code = reply.error?.code
    // Before 28 every answer is as those to JSON-RPC 1.0: errors have a status of their own.
    const said = code === undefined ? status : code === -32601 ? 404 : 500
    return { status: said, body: `${JSON.stringify(reply)}\n` }
  }
  const byId = new Map(replies.map((reply) => [reply.id, reply]))
  const answers = calls.map((call) => replyTo(call, byId.get(call.id)!))
  return { status, body: `${JSON.stringify(answers)}\n` }
}

/** Core 26 answered a package with results only if all was taken, and did not say that it was. */
function refusedAsError(reply: Reply): Reply {
  if (reply.error !== null) return reply
  const { package_msg: said, ...result } = reply.result as { readonly package_msg: string }
  if (said === 'success') return { ...reply, result }
  return { ...reply, result: null, error: { code: -26, message: said } }
}

function named(version: number, info: unknown): unknown {
  const number = version < 1 ? Math.round(version * 1_000_000) : version * 10_000
  return { ...(info as object), version: number, subversion: `/Satoshi:${version < 1 ? version : `${version}.0`}.0/` }
}
