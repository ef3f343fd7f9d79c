import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import { AtomicalsQueries } from '../../../src/atomicals/queries.ts'
import { ViewRows } from '../../../src/atomicals/rows.ts'
import { headerHash } from '../../../src/chain/headers.ts'
import type { Tx, TxOutput } from '../../../src/chain/tx.ts'
import { ERROR_CODES } from '../../../src/errors.ts'
import { fromDisplayHex, fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { AtomicalsChain, compactAt, type Outpoint, out, type Plain, spend } from '../../support/atomicals-chain.ts'
import { type BuiltBlock, seededRandom } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'
import { type Payee, payee, Station } from '../protocol/station.ts'
import { FEE, FUND, type Members, to, Wallet } from './mempool-wallet.ts'

const AMOUNT = 1_000
const COMMIT = 12_000
/** Outputs of the transaction that pays for all of a round. */
const COINS = 60

/** What sits at an output, as far as this test looks: units by id, and which of them are tokens. */
interface Held {
  readonly place: string
  readonly id: string
  readonly isToken: boolean
  readonly value: number
}

/** Outputs that mining coloured, as they were told: surely or not; and those that a transaction was refused for. */
interface Seen {
  sure: number
  unsure: number
  refused: number
}

/** A server on a node, both at work, and what they are made to do at random. */
class World {
  readonly people: readonly Payee[] = [1, 2, 3, 4].map((n) => payee(`person ${n}`))
  readonly random: () => number
  readonly #station: Station
  #wallet: Wallet
  readonly #txs = new Map<string, Tx>()
  /** Outputs that nothing spends yet, those of persons; and coins that carry nothing. */
  readonly #outputs: Outpoint[] = []
  readonly #coins: Outpoint[] = []
  readonly #ids: string[] = []
  readonly #blocks = new Map<string, BuiltBlock>()
  /** Transactions still to be sent, in an order in which they can be. */
  readonly #plan: (() => Tx)[] = []
  readonly #seen: Seen

  private constructor(station: Station, wallet: Wallet, random: () => number, seen: Seen) {
    this.#station = station
    this.#wallet = wallet
    this.random = random
    this.#seen = seen
  }

  /** `seen` is counted up. */
  static async begin(station: Station, seed: number, seen: Seen): Promise<World> {
    const wallet = new Wallet(station, await station.client('1.4'))
    const world = new World(station, wallet, seededRandom(seed), seen)
    await world.#prepare(String(seed))
    return world
  }

  /** A token with a few mints, and the transactions that will quarrel about it, about a realm and about a new token. */
  async #prepare(name: string): Promise<void> {
    const maker = this.#wallet.someone()
    const [fund, own] = await this.#wallet.funds(2)
    const commit = spend({ from: [own!], to: [to(maker, FUND - FEE)], work: '1234' })
    const each = Math.floor((FUND - FEE) / COINS)
    const coins = spend({ from: [fund!], to: Array.from({ length: COINS }, () => to(maker, each)) })
    for (const tx of [commit, coins]) await this.#wallet.send(tx, maker)
    await this.#station.mine(1)
    const terms = { bitworkc: '1234', mint_amount: AMOUNT, mint_height: 1 }
    const args = { ...terms, request_ticker: `m${name}`, max_mints: 2 }
    await this.#wallet.send(spend({ from: [out(commit)], to: [to(maker, 546)], op: 'dft', payload: { args } }), maker)
    await this.#station.mine(5)
    this.#coins.push(...coins.outputs.map((_, vout) => out(coins, vout)))

    const commitWith = (work?: string): Tx =>
      this.#spend([this.#coins.pop()!], [COMMIT], work === undefined ? {} : { work })
    const plain = Array.from({ length: 6 }, () => commitWith())
    const worked = Array.from({ length: 3 }, () => commitWith('1234'))
    const [own1, own2, deploy] = worked
    this.#ids.push(compactAt(commit), compactAt(deploy!))
    const reveals: [Tx, string, Plain][] = [
      ...plain.slice(0, 4).map((tx): [Tx, string, Plain] => [tx, 'dmt', { mint_ticker: `m${name}` }]),
      ...plain.slice(4).map((tx): [Tx, string, Plain] => [tx, 'dmt', { mint_ticker: `n${name}` }]),
      [own1!, 'nft', { request_realm: `r${name}`, bitworkc: '1234' }],
      [own2!, 'nft', { request_realm: `r${name}`, bitworkc: '1234' }],
      [deploy!, 'dft', { ...terms, request_ticker: `n${name}`, max_mints: 1 }],
    ]
    this.#shuffle(plain)
    this.#plan.push(...[...worked, ...plain].map((tx) => () => tx))
    for (const [tx, op, args] of this.#shuffle(reveals)) {
      this.#plan.push(() => this.#spend([out(tx)], [AMOUNT, ...this.#values(1)], { op, payload: { args } }))
      if (this.random() < 0.7) this.#plan.push(() => this.#move())
    }
    this.#plan.push(...Array.from({ length: 4 }, () => () => this.#move()))
  }

  /** Something happens to the node. */
  async step(): Promise<void> {
    const chance = this.random()
    if (chance < 0.6 && this.#plan.length > 0) {
      for (const make of this.#plan.splice(0, 2 + this.#below(5))) this.#send(make())
    } else if (chance < 0.75) await this.#mine(await this.#pick())
    else await this.#reorganise(1 + this.#below(4))
    await this.settled()
  }

  async restart(): Promise<void> {
    await this.#station.restart()
    this.#wallet = new Wallet(this.#station, await this.#station.client('1.4'))
    await this.settled()
  }

  /** Settles once the server has the node's tip and mempool. */
  async settled(): Promise<void> {
    const mempool = await this.#mempool()
    const expected = this.people.map(({ bytes }) => {
      const script = toHex(bytes)
      return mempool
        .filter((tx) => this.#touches(tx, script))
        .map(({ txid }) => toDisplayHex(txid))
        .sort()
    })
    for (;;) {
      const tip = (await this.#wallet.ask('blockchain.headers.subscribe')) as { readonly hex: string }
      const isThere = toDisplayHex(headerHash(fromHex(tip.hex))) === this.#station.node.bestBlockHash
      if (isThere && JSON.stringify(await this.#known()) === JSON.stringify(expected)) return
    }
  }

  /**
   * Mines parts of the mempool on a copy of the chain, in random orders, and asks the server whether it told of all that
   * is coloured there; and whether what is confirmed is what the chain says.
   */
  async check(samples: number): Promise<void> {
    const mempool = await this.#mempool()
    await withDirectory(async (directory) => {
      const chain = await AtomicalsChain.replay(directory, await this.#chain())
      const found = new Map<string, Held>()
      for (let i = 0; i < samples; i++) {
        const blocks = this.#split(this.#order(mempool, this.random() < 0.5 ? 0 : 0.15))
        for (const txs of blocks) await chain.mine(...txs)
        for (const held of this.#coloured(chain, blocks.flat())) found.set(`${held.place} ${held.id}`, held)
        for (const _ of blocks) await chain.rollBack()
      }
      const told = await this.#told()
      for (const held of found.values()) await this.#checkOne(held, told)
      const txs = [...this.#txs.values()].filter((tx) => !mempool.includes(tx))
      const confirmed = new Map<string, Record<string, number>>()
      for (const { place, id, value } of this.#coloured(chain, txs)) {
        confirmed.set(place, { ...confirmed.get(place), [id]: value })
      }
      for (const [place, row] of told.rows) {
        // Persons have outputs of the rounds before too.
        const isOwn = this.#txs.has(String(row['tx_hash']))
        if (isOwn && row['height'] !== 0) expect(row['atomicals'], place).toEqual(confirmed.get(place) ?? {})
      }
      await chain.close()
    })
  }

  async #checkOne({ place, id, isToken, value }: Held, told: Told): Promise<void> {
    const at = (await this.#wallet.atomicals('at_location', place)) as { readonly atomicals: readonly Members[] }
    const own = at.atomicals.find(({ atomical_id: known }) => known === id)
    expect(own, `${id} at ${place}`).toBeDefined()
    this.#seen[own?.['may_carry'] === true ? 'unsure' : 'sure'] += 1
    const row = told.rows.get(place)
    if (row === undefined) return
    expect(row['atomicals'], place).toHaveProperty([id])
    expect(told.listed, place).toContain(place)
    const owner = String(row['owner'])
    expect(told.balances, owner).toContain(`${owner} ${id}`)
    if (!isToken || value < 2) return
    const [txid, vout] = place.split('i')
    const from = [{ txid: fromDisplayHex(txid!), vout: Number(vout) }]
    const burning = toHex(spend({ from, to: [to(this.people[0]!, 1)] }).raw)
    await expect(this.#wallet.ask('blockchain.atomicals.validate', burning), place).rejects.toMatchObject({
      code: ERROR_CODES.atomicalsRule.code,
    })
    this.#seen.refused += 1
  }

  async #told(): Promise<Told> {
    const rows = new Map<string, Members>()
    const listed: string[] = []
    const balances: string[] = []
    for (const person of this.people) {
      const unspent = (await this.#wallet.ask('blockchain.scripthash.listunspent', person.hash)) as readonly Members[]
      for (const row of unspent)
        rows.set(`${String(row['tx_hash'])}i${String(row['tx_pos'])}`, { ...row, owner: person.hash })
      const { unconfirmed } = await this.#wallet.listing(person)
      for (const utxo of unconfirmed?.utxos ?? []) listed.push(`${String(utxo['txid'])}i${String(utxo['vout'])}`)
      for (const type of ['ft', 'nft'] as const) {
        const { balances: sure, unconfirmed: more = {} } = await this.#wallet.balances(type, person)
        for (const id of Object.keys({ ...(sure as object), ...(more as object) }))
          balances.push(`${person.hash} ${id}`)
      }
    }
    return { rows, listed, balances }
  }

  #coloured(chain: AtomicalsChain, txs: readonly Tx[]): Held[] {
    const view = chain.db.acquireView()
    const queries = new AtomicalsQueries({ height: chain.height }, new ViewRows(view))
    const found: Held[] = []
    for (const tx of txs) {
      for (const vout of tx.outputs.keys()) {
        for (const { id, kind, value } of queries.location(idText(tx.txid, vout))?.held ?? []) {
          found.push({ place: compactAt(tx, vout), id: compactOfIdText(id), isToken: kind === 'token', value })
        }
      }
    }
    view.release()
    return found
  }

  /** The node's best chain. */
  async #chain(): Promise<BuiltBlock[]> {
    const chain: BuiltBlock[] = []
    for (let height = 0; height <= this.#station.node.height; height++) {
      const hash = String(await this.#station.rpc('getblockhash', height))
      let block = this.#blocks.get(hash)
      if (block === undefined) {
        const raw = fromHex(String(await this.#station.rpc('getblock', hash, 0)))
        block = { height, hash: fromDisplayHex(hash), prevHash: raw.slice(4, 36), raw, txs: [] }
        this.#blocks.set(hash, block)
      }
      chain.push(block)
    }
    return chain
  }

  async #mempool(): Promise<Tx[]> {
    const txids = (await this.#station.rpc('getrawmempool')) as readonly string[]
    return txids.map((txid) => this.#txs.get(txid)).filter((tx) => tx !== undefined)
  }

  /** What the server says is in the mempool, of each person. */
  async #known(): Promise<string[][]> {
    const known: string[][] = []
    for (const { hash } of this.people) {
      const items = (await this.#wallet.ask('blockchain.scripthash.get_mempool', hash)) as readonly Members[]
      known.push(items.map(({ tx_hash: txid }) => String(txid)).sort())
    }
    return known
  }

  #touches(tx: Tx, script: string): boolean {
    const spent = tx.inputs.map(({ prevTxid, prevIndex }) => this.#txs.get(toDisplayHex(prevTxid))?.outputs[prevIndex])
    return [...tx.outputs, ...spent].some((output) => output !== undefined && toHex(output.script) === script)
  }

  /** Part of the mempool in some order, as ids. */
  async #pick(): Promise<string[]> {
    return this.#order(await this.#mempool(), 0.4).map(({ txid }) => toDisplayHex(txid))
  }

  async #mine(txids: readonly string[]): Promise<void> {
    await this.#station.rpc('generateblock', payee('miner').address, txids)
  }

  /** Other blocks in place of the last ones, and one more: empty, or with some of what is in the mempool then. */
  async #reorganise(depth: number): Promise<void> {
    const { node } = this.#station
    node.invalidate(String(await this.#station.rpc('getblockhash', node.height - depth + 1)))
    for (let i = 0; i <= depth; i++) await this.#mine(this.random() < 0.5 ? [] : await this.#pick())
  }

  /** Transactions without a part of them, parents before children. */
  #order(txs: readonly Tx[], without: number): Tx[] {
    const gone = new Set(txs.filter(() => this.random() < without).map(({ txid }) => toDisplayHex(txid)))
    const waiting = new Map(txs.map((tx) => [toDisplayHex(tx.txid), tx]))
    const block: Tx[] = []
    while (waiting.size > 0) {
      const free = [...waiting].filter(
        ([, { inputs }]) => !inputs.some(({ prevTxid }) => waiting.has(toDisplayHex(prevTxid))),
      )
      const [txid, tx] = free[this.#below(free.length)]!
      waiting.delete(txid)
      if (gone.has(txid) || tx.inputs.some(({ prevTxid }) => gone.has(toDisplayHex(prevTxid)))) gone.add(txid)
      else block.push(tx)
    }
    return block
  }

  #split(order: readonly Tx[]): Tx[][] {
    const blocks: Tx[][] = Array.from({ length: 1 + this.#below(5) }, () => [])
    let at = 0
    for (const tx of order) {
      if (at < blocks.length - 1 && this.random() < 4 / order.length) at += 1
      blocks[at]!.push(tx)
    }
    return blocks
  }

  #send(tx: Tx): void {
    this.#txs.set(toDisplayHex(tx.txid), tx)
    this.#station.node.submitTx(tx.raw)
  }

  #spend(
    from: readonly Outpoint[],
    values: readonly number[],
    more: { op?: string; payload?: Plain; work?: string },
  ): Tx {
    const outputs: TxOutput[] = values.map((value) => to(this.people[this.#below(this.people.length)]!, value))
    const tx = spend({ from, to: outputs, ...more })
    // Commits are spent by their reveals alone.
    if (more.work === undefined && values[0] !== COMMIT) this.#outputs.push(...outputs.map((_, vout) => out(tx, vout)))
    return tx
  }

  #move(): Tx {
    const from = [...this.#take(1 + this.#below(3)), this.#coins.pop()!]
    const op = ['', '', '', 'x', 'y', 'z'][this.#below(6)]!
    if (op === '') return this.#spend(from, this.#values(4), {})
    const payload = Object.fromEntries(
      this.#ids.map((id) => [id, op === 'z' ? { [String(this.#below(3))]: 600 } : this.#below(1_500)]),
    )
    return this.#spend(from, this.#values(4), { op, payload })
  }

  /** They are fewer satoshis than a coin has. */
  #values(most: number): number[] {
    return Array.from({ length: 1 + this.#below(most) }, () => [330, 600, AMOUNT, 2_500][this.#below(4)]!)
  }

  #take(count: number): Outpoint[] {
    const taken: Outpoint[] = []
    for (let i = 0; i < count && this.#outputs.length > 0; i++) {
      const last = Math.max(0, this.#outputs.length - 5)
      taken.push(...this.#outputs.splice(last + this.#below(this.#outputs.length - last), 1))
    }
    return taken
  }

  #shuffle<T>(list: T[]): T[] {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.#below(i + 1)
      ;[list[i], list[j]] = [list[j]!, list[i]!]
    }
    return list
  }

  #below(limit: number): number {
    return Math.floor(this.random() * limit)
  }
}

interface Told {
  /** Unspent outputs of all persons by place. */
  readonly rows: ReadonlyMap<string, Members>
  /** Places that listscripthash has for what is not confirmed. */
  readonly listed: readonly string[]
  /** `<person> <id>` of what is in balances in any way. */
  readonly balances: readonly string[]
}

const SEEDS = [11, 12, 13]
const STEPS = 16
const SAMPLES = 4

describe('what an output may come to carry', () => {
  let station: Station

  beforeAll(async () => {
    station = await Station.start({
      SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0',
      COST_SOFT_LIMIT: '0',
      COST_HARD_LIMIT: '0',
    })
  })

  afterAll(() => station.stop())

  it('is told by every answer through mints, blocks, reorganisations and a restart, in any order of mining', async () => {
    const seen = { sure: 0, unsure: 0, refused: 0 }
    for (const seed of SEEDS) {
      const world = await World.begin(station, seed, seen)
      const restartAt = 4 + Math.floor(world.random() * (STEPS - 4))
      for (let i = 0; i < STEPS; i++) {
        await world.step()
        await world.check(SAMPLES)
        if (i !== restartAt) continue
        await world.restart()
        await world.check(SAMPLES)
      }
    }
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(0)
  })
})
