import { describe, expect, it } from 'vitest'
import { everyMethod } from '../../../../src/rpc/describe.ts'
import { compareVersions, type ProtocolVersion, type RpcMethod } from '../../../../src/rpc/method.ts'
import { electrumMethods } from '../../../../src/rpc/methods/table.ts'
import { isOffered, MethodRegistry, paramNames } from '../../../../src/rpc/registry.ts'
import { formatVersion } from '../../../../src/rpc/versions.ts'

const methods = electrumMethods()
const own = new Set(methods.map(({ summary }) => summary))
const all = [...methods, ...everyMethod().filter(({ summary }) => !own.has(summary))]
const rows = all.map((method) => ({ id: `${method.name} from ${formatVersion(method.since)}`, method }))

function exampleParams(method: RpcMethod): unknown {
  const { names } = paramNames(method)
  return Object.fromEntries(method.example.params.map((value, i) => [names[i], value]))
}

describe.each(rows)('$id', ({ method }) => {
  it('has an example whose parameters it takes', () => {
    const { names, required } = paramNames(method)
    expect(method.example.params.length).toBeGreaterThanOrEqual(required.length)
    expect(method.example.params.length).toBeLessThanOrEqual(names.length)
    expect(method.params.safeParse(exampleParams(method)).error).toBeUndefined()
  })

  it('has an example whose result it could give', () => {
    expect(method.result.safeParse(method.example.result).error).toBeUndefined()
  })

  it('charges something', () => {
    expect(method.cost(method.params.parse(exampleParams(method)))).toBeGreaterThan(0)
  })

  it('says what it is', () => {
    expect(method.summary).toMatch(/^\S.*\.$/)
    if (method.until !== undefined) expect(compareVersions(method.since, method.until)).toBeLessThan(0)
  })
})

/** Methods that a server has at each version: protocol-methods and protocol-removed, and ElectrumX's handlers for 1.7. */
const ALWAYS = [
  'blockchain.block.header',
  'blockchain.block.headers',
  'blockchain.estimatefee',
  'blockchain.headers.subscribe',
  'blockchain.transaction.broadcast',
  'blockchain.transaction.get',
  'blockchain.transaction.get_merkle',
  'blockchain.transaction.id_from_pos',
  'mempool.get_fee_histogram',
  'server.add_peer',
  'server.banner',
  'server.donation_address',
  'server.features',
  'server.peers.subscribe',
  'server.ping',
  'server.version',
]
const BY_SCRIPT = ['get_balance', 'get_history', 'get_mempool', 'listunspent', 'subscribe']
const scripthash = BY_SCRIPT.map((name) => `blockchain.scripthash.${name}`)
const scriptpubkey = [...BY_SCRIPT, 'unsubscribe'].map((name) => `blockchain.scriptpubkey.${name}`)
const outpoint = ['get_status', 'subscribe', 'unsubscribe'].map((name) => `blockchain.outpoint.${name}`)
const FROM_1_6 = ['blockchain.transaction.broadcast_package', 'mempool.get_info']

const VERSIONS: readonly { version: ProtocolVersion; more: readonly string[] }[] = [
  { version: [1, 4, 0], more: [...scripthash, 'blockchain.relayfee'] },
  { version: [1, 4, 1], more: [...scripthash, 'blockchain.relayfee'] },
  { version: [1, 4, 2], more: [...scripthash, 'blockchain.scripthash.unsubscribe', 'blockchain.relayfee'] },
  { version: [1, 4, 3], more: [...scripthash, 'blockchain.scripthash.unsubscribe', 'blockchain.relayfee'] },
  { version: [1, 5, 3], more: [...scripthash, 'blockchain.scripthash.unsubscribe', 'blockchain.relayfee'] },
  { version: [1, 6, 0], more: [...scripthash, 'blockchain.scripthash.unsubscribe', ...FROM_1_6] },
  {
    version: [1, 7, 0],
    more: [...scriptpubkey, ...outpoint, ...FROM_1_6, 'blockchain.transaction.testmempoolaccept', 'mempool.recent'],
  },
]

describe('the table', () => {
  it.each(VERSIONS)('offers at $version what the protocol has, and nothing else', ({ version, more }) => {
    const offered = methods.filter((method) => isOffered(method, version)).map(({ name }) => name)
    expect(offered.sort()).toEqual([...ALWAYS, ...more].sort())
  })

  it('makes a registry', () => {
    expect(new MethodRegistry({}, methods).methods).toHaveLength(methods.length)
  })
})
