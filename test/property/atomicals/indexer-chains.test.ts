import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import type { HeldKind } from '../../../src/atomicals/layout.ts'
import { HOLDERS, LOCATIONS } from '../../../src/atomicals/layout.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { toLatin1 } from '../../../src/lib/bytes.ts'
import {
  AtomicalsChain,
  burnOutput,
  heightsFrom,
  type Outpoint,
  out,
  type PlainMap,
  spend,
} from '../../support/atomicals-chain.ts'
import { seededRandom } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

/** Makes blocks at random: mints, transfers of every kind, some of them inside one block. */
class RandomAtomicals {
  readonly #chain: AtomicalsChain
  readonly #random: () => number
  /** Outputs that may carry something, and ids that were asked for. */
  #outputs: Outpoint[] = []
  readonly #ids: string[] = []

  constructor(chain: AtomicalsChain, random: () => number) {
    this.#chain = chain
    this.#random = random
  }

  /** A token whose supply is the value of its output. */
  async token(ticker: string): Promise<void> {
    const { tx, compact } = await this.#chain.mint(
      'ft',
      { args: { request_ticker: ticker, bitworkc: '1234' } },
      { work: '1234', value: 10_000 },
    )
    this.#ids.push(compact)
    this.#outputs.push(out(tx))
  }

  async block(): Promise<void> {
    const txs: Tx[] = []
    for (let i = this.#below(5); i > 0; i--) {
      const tx = this.#random() < 0.3 ? this.#mint(txs) : this.#move()
      txs.push(tx)
      this.#outputs.push(...tx.outputs.flatMap(({ script }, vout) => (script[0] === 0x6a ? [] : [out(tx, vout)])))
    }
    await this.#chain.mine(...txs)
  }

  /** Forgets outputs of blocks that are lost. */
  forgetLost(): void {
    const known = new Set(this.#chain.blocks.flatMap(({ txs }) => txs.map(({ txid }) => toLatin1(txid))))
    this.#outputs = this.#outputs.filter(({ txid }) => known.has(toLatin1(txid)))
  }

  #mint(txs: Tx[]): Tx {
    const commit = spend({ from: [this.#chain.fund()], to: [50_000] })
    txs.push(commit)
    this.#ids.push(compactOfIdText(idText(commit.txid, 0)))
    const payload: PlainMap = this.#random() < 0.2 ? { a: 1, args: { i: true } } : { a: this.#below(3) }
    return spend({ from: [out(commit), ...this.#take(this.#below(2))], to: this.#values(), op: 'nft', payload })
  }

  #move(): Tx {
    const from = [...this.#take(1 + this.#below(3)), this.#chain.fund()]
    const op = ['', '', 'x', 'y', 'z', 'z', 'mod', 'evt', 'sl', 'dat'][this.#below(10)] ?? ''
    if (op === '') return spend({ from, to: this.#values() })
    return spend({ from, to: this.#values(), op, payload: this.#payload(op), opInput: this.#below(from.length) })
  }

  #payload(op: string): PlainMap {
    const payload: Record<string, PlainMap | number> = { n: this.#below(4) }
    for (const id of this.#ids) {
      if (op === 'y' && this.#random() < 0.5) payload[id] = this.#below(3_000)
      if (op === 'z' && this.#random() < 0.8)
        payload[id] = { [String(this.#below(4))]: this.#below(4_000), [String(this.#below(4))]: 700 }
    }
    return payload
  }

  #values(): (number | ReturnType<typeof burnOutput>)[] {
    return Array.from({ length: 1 + this.#below(4) }, () => {
      if (this.#random() < 0.15) return burnOutput(this.#below(2) * 500)
      return [0, 500, 1_000, 2_500, 10_000][this.#below(5)] ?? 0
    })
  }

  #take(count: number): Outpoint[] {
    const taken: Outpoint[] = []
    for (let i = 0; i < count && this.#outputs.length > 0; i++) {
      taken.push(...this.#outputs.splice(this.#below(this.#outputs.length), 1))
    }
    return taken
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

interface Seat {
  readonly id: string
  readonly kind: HeldKind
  readonly location: string
  readonly value: number
}

/** What sits at unspent outputs, once by holder and once by location. */
async function seats(chain: AtomicalsChain): Promise<{ readonly holders: Seat[]; readonly locations: Seat[] }> {
  const holders: Seat[] = []
  const locations: Seat[] = []
  const rows = await chain.rows(LOCATIONS)
  const txids = new Map<string, Uint8Array>()
  for (const { txs } of chain.blocks) for (const { txid } of txs) txids.set(toLatin1(txid.subarray(0, 16)), txid)
  for (const { key, value } of rows) {
    if (value.spentBy !== undefined) continue
    const location = idText(txids.get(toLatin1(key.txid)) ?? new Uint8Array(32), key.vout)
    for (const { id, kind, value: units } of value.held) locations.push({ id, kind, location, value: units })
  }
  const kinds = new Map(locations.map(({ id, kind }) => [id, kind]))
  for (const { key, value } of await chain.rows(HOLDERS)) {
    holders.push({ ...key, kind: kinds.get(key.id) ?? 'nft', value: value.value })
  }
  return { holders, locations }
}

function byPlace(a: Seat, b: Seat): number {
  return a.id + a.location < b.id + b.location ? -1 : 1
}

const CHAINS = { numRuns: 12, endOnFailure: true }

describe('random Atomicals chains', () => {
  it('keep every atomical in one place and every token within its supply, and roll back to what was', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), fc.constantFrom(1, 14, 1_000), (seed, customColoring) =>
        withDirectory(async (directory) => {
          const chain = await AtomicalsChain.open(
            directory,
            heightsFrom({ customColoring, dmint: Math.min(customColoring, 10) }),
          )
          const maker = new RandomAtomicals(chain, seededRandom(seed))
          const dumps: string[][] = [await chain.dump()]
          const note = async (): Promise<void> => void dumps.push(await chain.dump())
          const first = chain.height
          await maker.token('aa')
          await maker.token('bb')
          while (dumps.length < chain.height - first + 1) dumps.push([])
          for (let i = 0; i < 16; i++) {
            await maker.block()
            await note()
            const { holders, locations } = await seats(chain)
            expect([...holders].sort(byPlace)).toEqual([...locations].sort(byPlace))
            const nfts = holders.filter(({ kind }) => kind !== 'token').map(({ id }) => id)
            expect(new Set(nfts).size).toBe(nfts.length)
            const supply = new Map<string, number>()
            for (const { id, kind, value } of holders)
              if (kind === 'token') supply.set(id, (supply.get(id) ?? 0) + value)
            expect([...supply.values()].every((units) => units <= 10_000)).toBe(true)
          }
          for (let at = dumps.length - 2; at >= 0; at--) {
            await chain.rollBack()
            if (dumps[at]?.length !== 0) expect(await chain.dump()).toEqual(dumps[at])
          }
          await chain.close()
        }),
      ),
      CHAINS,
    ))

  it('come out the same in one go and one block at a time after reorganisations', () =>
    fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1 << 30 }), (seed) =>
        withDirectory((live) =>
          withDirectory(async (fresh) => {
            const chain = await AtomicalsChain.open(live)
            const random = seededRandom(seed)
            const maker = new RandomAtomicals(chain, random)
            await maker.token('aa')
            for (let i = 0; i < 12; i++) {
              await maker.block()
              if (random() >= 0.3) continue
              await chain.lose(1 + Math.floor(random() * 3))
              maker.forgetLost()
            }
            const synced = await AtomicalsChain.replay(fresh, chain.blocks)
            expect(await synced.dump()).toEqual(await chain.dump())
            await synced.close()
            await chain.close()
          }),
        ),
      ),
      CHAINS,
    ))
})
