import { createHash } from 'node:crypto'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { compactOfIdText } from '../../../src/atomicals/id-text.ts'
import { ATOMICALS, LOCATIONS, NAMES, SUBNAMES } from '../../../src/atomicals/layout.ts'
import { scriptHashOf, scriptHashToHex } from '../../../src/chain/script.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { CORPUS_ENVIRONMENT, type CorpusBlock, corpusBlocks, Replay } from '../../support/atomicals-replay.ts'
import { withDirectory } from '../../support/chain-index.ts'
import type { WireClient, WireMessage } from '../../support/wire-client.ts'
import { Station } from '../protocol/station.ts'

/** Corpus A on the built-in node: real transactions that mint, move, change, seal and ask for names, and lost branches. */

const SCRIPT = 'blockchain.atomicals.scripthash'
const ATOMICAL = 'blockchain.atomicals'
const NAME = 'blockchain.atomicals.name'
const GLOBAL = 'blockchain.atomicals.global'
const ENVIRONMENT = {
  ...CORPUS_ENVIRONMENT,
  REORG_LIMIT: '400',
  SERVICES: 'tcp://127.0.0.1:0,ws://127.0.0.1:0,http://127.0.0.1:0,rpc://127.0.0.1:0',
  COST_SOFT_LIMIT: '0',
  COST_HARD_LIMIT: '0',
}

/** Every so many of some 1,200 are followed, which leaves hundreds: each is asked for at each tip. */
const SAMPLE = 5
/** Blocks that are lost. */
const DEPTH = 30

/** A subscription as a client asks for it. */
interface Asked {
  readonly method: string
  readonly params: readonly unknown[]
  /** Parameters of its notifications before the status. */
  readonly told: readonly unknown[]
}

const blocks = corpusBlocks()
let subjects: readonly Asked[] = []

/** Everything that can be followed in the corpus, whichever branch it is on. */
async function subjectsOf(path: string): Promise<Asked[]> {
  const replay = await Replay.open(path)
  const found = new Map<string, Asked>()
  const add = (method: string, params: readonly unknown[], told = params): void => {
    found.set(JSON.stringify([method, params]), { method, params, told })
  }
  const nothing = new Uint8Array(0)
  for (const [i, block] of blocks.entries()) {
    await replay.add(block)
    if (i % 20 !== 19 && i !== blocks.length - 1) continue
    await replay.db.flush()
    for (const { key } of await replay.rows.rows(ATOMICALS, nothing)) add(ATOMICAL, [compactOfIdText(key.id)])
    for (const { key } of await replay.rows.rows(NAMES, nothing)) {
      add(NAME, [key.kind, key.name], [key.kind, key.name, null])
    }
    for (const { key } of await replay.rows.rows(SUBNAMES, nothing)) {
      add(NAME, [key.kind, key.name, compactOfIdText(key.parent)])
    }
    for (const { value } of await replay.rows.rows(LOCATIONS, nothing)) {
      add(SCRIPT, [scriptHashToHex(scriptHashOf(value.script))])
    }
  }
  await replay.close()
  return [...found.values()].filter((_, i) => i % SAMPLE === 0)
}

let station: Station | undefined

beforeAll(() =>
  withDirectory(async (path) => {
    subjects = await subjectsOf(path)
  }),
)

afterEach(async () => {
  await station?.stop()
  station = undefined
})

/** A server whose node has the corpus up to a block. */
async function serverWith(count: number, environment: Readonly<Record<string, string>> = {}): Promise<Station> {
  station = await Station.start({ ...ENVIRONMENT, ...environment }, { blocks: 0 })
  for (const block of blocks.slice(0, count)) give(block)
  const client = await station.client()
  await reached(client, await state(client))
  client.destroy()
  return station
}

/** True if the node has another tip by it. */
function give({ hex }: CorpusBlock): boolean {
  const { node } = station!
  const before = node.bestBlockHash
  expect([null, 'inconclusive']).toContain(node.submitBlock(fromHex(hex)))
  return node.bestBlockHash !== before
}

interface GlobalState {
  readonly height: number
  readonly block_hash: string
  readonly atomicals_hash: string | null
}

async function state(client: WireClient): Promise<GlobalState> {
  return (await client.request(`${GLOBAL}.subscribe`)) as GlobalState
}

/** Settles once the client is told of the node's tip; of some other things that it changed it is told only then. */
async function reached(client: WireClient, known?: GlobalState): Promise<GlobalState> {
  let at = known
  while (at?.block_hash !== station!.node.bestBlockHash) {
    at = ((await client.notification(`${GLOBAL}.subscribe`)) as [GlobalState])[0]
  }
  return at
}

async function statuses(client: WireClient, asked: readonly Asked[]): Promise<unknown[]> {
  return Promise.all(asked.map(({ method, params }) => client.request(`${method}.subscribe`, params)))
}

/** Takes what the client was told of and nobody has looked at: waits for so much, and takes all that there is. */
async function told(client: WireClient, least = 0): Promise<string[]> {
  const news: WireMessage[] = []
  while (news.length < least || client.unread.length > 0) news.push(await client.next())
  return news.map(({ method, params }) => JSON.stringify([method, params]))
}

function news({ method, told: params }: Asked, status: unknown): string {
  return JSON.stringify([`${method}.subscribe`, [...params, status]])
}

describe('subscriptions to Atomicals', () => {
  it('tell once of every status that a tip has changed, on lost branches too, and of nothing else', async () => {
    const first = 105
    const { node } = await serverWith(first)
    const [follower, oracle] = [await station!.client(), await station!.client('1.4', 'ws')]
    let known = await statuses(follower, subjects)
    expect(known.every((status) => status === null)).toBe(true)
    await state(follower)
    const kinds = new Map<string, number>()
    let tips = 0
    for (const block of blocks.slice(first)) {
      if (!give(block)) continue
      tips += 1
      const at = await reached(follower)
      const expected = await statuses(oracle, subjects)
      const changed = subjects.flatMap((asked, i) => (expected[i] === known[i] ? [] : [news(asked, expected[i])]))
      // What is told beyond that, or twice, is found with the next tip at the latest.
      expect((await told(follower, changed.length)).sort(), `height ${at.height}`).toEqual(changed.sort())
      for (const text of changed) {
        const [method] = JSON.parse(text) as [string]
        kinds.set(method, (kinds.get(method) ?? 0) + 1)
      }
      known = expected
      for (const { method, params } of subjects) oracle.request(`${method}.unsubscribe`, params).catch(() => {})
    }
    await follower.request('server.ping')
    expect(await told(follower)).toEqual([])
    expect(tips).toBeGreaterThan(150)
    expect(node.height).toBe(310)
    expect(Math.min(...[ATOMICAL, NAME, SCRIPT].map((name) => kinds.get(`${name}.subscribe`) ?? 0))).toBeGreaterThan(20)
  })

  it('tell the old status again when a block is lost, and the new one when it is back', async () => {
    const { node } = await serverWith(blocks.length)
    const client = await station!.client()
    const after = await statuses(client, subjects)
    const tip = await state(client)
    // Some blocks, in which something happens to each kind.
    const lost = await station!.rpc('getblockhash', node.height - DEPTH + 1)
    node.invalidate(String(lost))
    await reached(client)
    const back = await station!.client()
    const before = await statuses(back, subjects)
    const changed = subjects.flatMap((asked, i) => (before[i] === after[i] ? [] : [{ asked, i }]))
    expect(new Set(changed.map(({ asked }) => asked.method)).size).toBe(3)
    const lostOnes = changed.map(({ asked, i }) => news(asked, before[i]))
    expect((await told(client, changed.length)).sort()).toEqual(lostOnes.sort())
    node.reconsider(String(lost))
    expect(await reached(client)).toEqual(tip)
    const foundOnes = changed.map(({ asked, i }) => news(asked, after[i]))
    expect((await told(client, changed.length)).sort()).toEqual(foundOnes.sort())
  })

  it('have statuses that are the hashes of what other methods answer', async () => {
    await serverWith(blocks.length)
    const client = await station!.client()
    const texts = new Map([
      [ATOMICAL, textOfAtomical],
      [NAME, textOfName],
      [SCRIPT, textOfScript],
    ])
    let hashes = 0
    for (const { method, params } of subjects) {
      const text = await texts.get(method)!(client, params.map(String))
      const status = await client.request(`${method}.subscribe`, params)
      expect(status, text).toBe(text === '' ? null : createHash('sha256').update(text).digest('hex'))
      if (status !== null) hashes += 1
    }
    expect(hashes).toBeGreaterThan(100)
    const { height, block_hash: hash, atomicals_hash: own } = await state(client)
    const { global } = (await client.request('blockchain.atomicals.get_global', [1])) as {
      readonly global: { readonly height: number; readonly block_tip: string; readonly atomicals_block_tip: string }
    }
    expect([height, hash, own]).toEqual([global.height, global.block_tip, global.atomicals_block_tip])
  })

  it('end with unsubscribing: of what is over nothing is told', async () => {
    await serverWith(blocks.length - 20)
    const [client, other] = [await station!.client(), await station!.client()]
    for (const one of [client, other]) await statuses(one, subjects)
    for (const { method, params } of subjects) {
      expect(await client.request(`${method}.unsubscribe`, params)).toBe(true)
      expect(await client.request(`${method}.unsubscribe`, params)).toBe(false)
    }
    for (const one of [client, other]) await state(one)
    expect(await client.request(`${GLOBAL}.unsubscribe`)).toBe(true)
    expect(await client.request(`${GLOBAL}.unsubscribe`)).toBe(false)
    for (const block of blocks.slice(-20)) give(block)
    await reached(other)
    await client.request('server.ping')
    expect(await told(client)).toEqual([])
    expect((await told(other, 1)).length).toBeGreaterThan(0)
    expect(await station!.metric('valence_subscriptions')).toBe(subjects.length + 1)
    other.destroy()
    while ((await station!.metric('valence_subscriptions')) !== 0) continue
  })

  it('count with all others towards the limits, and are refused where nothing can be told', async () => {
    await serverWith(blocks.length, { MAX_SUBSCRIPTIONS_PER_SESSION: '3', MAX_SUBSCRIPTIONS: '4' })
    const [client, other] = [await station!.client(), await station!.client()]
    const one = subjects.find(({ method }) => method === ATOMICAL)!
    const script = 'ab'.repeat(32)
    await client.request('blockchain.scripthash.subscribe', [script])
    await client.request(`${SCRIPT}.subscribe`, [script])
    await client.request(`${one.method}.subscribe`, one.params)
    // A second time is no second subscription.
    await client.request(`${one.method}.subscribe`, one.params)
    await state(other)
    await expect(other.request(`${one.method}.subscribe`, one.params)).rejects.toMatchObject({ code: -101 })
    await other.closed
    await expect(state(client)).rejects.toMatchObject({ code: -101 })
    for (const limit of ['MAX_SUBSCRIPTIONS', 'MAX_SUBSCRIPTIONS_PER_SESSION']) {
      expect(await station!.metric(`valence_reached_limits_total{limit="${limit}"}`)).toBe(1)
    }
    const response = await fetch(`http://127.0.0.1:${station!.port('http')}/`, {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: `${GLOBAL}.subscribe`, params: [] }),
    })
    expect(await response.json()).toMatchObject({ error: { code: expect.any(Number) as number } })
  })

  it('are asked for and ended by what notifications call them, null for the parent that a name does not have', async () => {
    await serverWith(blocks.length)
    const client = await station!.client()
    const { params, told: called } = subjects.find((subject) => subject.told.includes(null))!
    expect(await client.request(`${NAME}.subscribe`, called)).toBe(await client.request(`${NAME}.subscribe`, params))
    expect(await client.request(`${NAME}.unsubscribe`, called)).toBe(true)
    expect(await client.request(`${NAME}.unsubscribe`, params)).toBe(false)
  })

  it('refuse names that nobody can ask for and parents that do not belong there', async () => {
    await serverWith(blocks.length)
    const client = await station!.client()
    const { params } = subjects.find(({ method }) => method === ATOMICAL)!
    for (const bad of [
      ['nothing', 'a'],
      ['realm', 'é'],
      ['realm', 'a'.repeat(66)],
      ['subrealm', 'a'],
      ['subrealm', 'a', null],
      ['realm', 'a', ...params],
    ]) {
      await expect(client.request(`${NAME}.subscribe`, bad)).rejects.toMatchObject({ code: 1 })
    }
    await expect(client.request(`${ATOMICAL}.subscribe`, [123456])).rejects.toMatchObject({ code: 1 })
  })
})

interface HistoryAnswer {
  readonly tx: { readonly history: readonly { readonly tx_hash: string; readonly height: number }[] }
  readonly [member: string]: unknown
}

async function textOfAtomical(client: WireClient, [id = '']: readonly string[]): Promise<string> {
  const asked = client.request('blockchain.atomicals.get_tx_history', [id])
  const answer = await asked.then(
    (whole) => (whole as { readonly result: HistoryAnswer }).result,
    () => undefined,
  )
  if (answer === undefined) return ''
  const name = Object.keys(answer).find((member) => /^\$request_\w+_status$/.test(member))
  const claim = name === undefined ? '' : ((answer[name] as { readonly status: string | null }).status ?? '')
  // get_tx_history has blocks from the last to the first, and chain order inside of each.
  const inOrder = answer.tx.history.toSorted((a, b) => a.height - b.height)
  const list = inOrder.map(({ tx_hash: txid, height }) => `${txid}:${height}:`).join('')
  const history = createHash('sha256').update(list).digest('hex')
  return `${id}:${history}:${claim}:`
}

async function textOfName(client: WireClient, [type = '', name = '', parent]: readonly string[]): Promise<string> {
  const params = parent === undefined ? [name] : [parent, name]
  const { result } = (await client.request(`blockchain.atomicals.get_by_${type}`, params)) as {
    readonly result: {
      readonly status: string | null
      readonly candidate_atomical_id: string | null
      readonly candidates: readonly { readonly atomical_id: string; readonly commit_height: number }[]
    }
  }
  if (result.candidates.length === 0) return ''
  const list = result.candidates.map(({ atomical_id: id, commit_height: height }) => `${id}:${height}:`).join('')
  return `${result.status ?? ''}:${result.candidate_atomical_id ?? ''}:${list}`
}

async function textOfScript(client: WireClient, [scripthash = '']: readonly string[]): Promise<string> {
  const { utxos } = (await client.request('blockchain.atomicals.listscripthash', [scripthash])) as {
    readonly utxos: readonly {
      readonly txid: string
      readonly vout: number
      readonly atomicals: Record<string, number>
    }[]
  }
  return utxos
    .flatMap(({ txid, vout, atomicals }) =>
      Object.entries(atomicals).map(([id, amount]) => `${txid}:${vout}:${id}:${amount}:`),
    )
    .join('')
}
