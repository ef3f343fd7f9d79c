import { expect, it } from 'vitest'
import type { Tx } from '../../src/chain/tx.ts'
import { toDisplayHex, toHex, toLatin1 } from '../../src/lib/bytes.ts'
import { seededRandom } from '../support/chain-builder.ts'
import { HttpCaller, type NodeClient } from '../support/node-contract.ts'
import { call, plainChain, submit } from '../support/node-contract-chain.ts'
import { Bitcoind, BuiltInNode, type NodeUnderTest } from '../support/node-contract-nodes.ts'
import {
  block,
  coinbase,
  idOf,
  type Outpoint,
  type Place,
  placeOf,
  spending,
  subsidy,
} from '../support/regtest-blocks.ts'

/*
 * Random transactions, packages, blocks, reorganisations: what the node answers and what its mempool then holds, told step
 * by step. Where BITCOIN names a bitcoind, the built-in node has to tell the very same; without it, the same twice.
 */

const LENGTH = 130
const STEPS = 120
const SEEDS = [1, 2, 3]
const { blocks, places, coins } = plainChain(LENGTH)

interface Known extends Outpoint {
  readonly value: bigint
}

class Story {
  readonly #caller = new HttpCaller()
  readonly #client: NodeClient
  readonly #random: () => number
  readonly #lines: string[] = []
  readonly #outputs: Known[] = coins.slice(0, 25).map((coin, i) => ({ ...coin, value: subsidy(i + 1) }))
  readonly #txs = new Map<string, Tx>()
  readonly #places: Place[] = [...places]
  #salt = 0

  constructor(client: NodeClient, seed: number) {
    this.#client = client
    this.#random = seededRandom(seed)
  }

  async tell(): Promise<readonly string[]> {
    try {
      for (const raw of blocks) await submit(this.#caller, this.#client, raw)
      for (let i = 0; i < STEPS; i++) {
        await this.#step()
        if (i % 10 === 9) await this.#look()
      }
      return this.#lines
    } finally {
      this.#caller.close()
    }
  }

  async #step(): Promise<void> {
    const chance = this.#random()
    if (chance < 0.72) await this.#send()
    else if (chance < 0.86) await this.#package()
    else if (chance < 0.94) await this.#mine(this.#tip)
    else if (chance < 0.97) await this.#reorganize()
    else await this.#invalidate()
    const mempool = (await this.#call('getrawmempool')) as string[]
    this.#say(`mempool ${mempool.sort().join(' ')}`)
  }

  get #tip(): Place {
    return this.#places.at(-1) ?? failed()
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #say(line: string): void {
    this.#lines.push(line)
  }

  async #call(method: string, ...params: unknown[]): Promise<unknown> {
    return call(this.#caller, this.#client, method, ...params)
  }

  /** Spends one to three outputs, mostly late ones, whether they are spent already or not. */
  #make(from?: Known): Tx {
    const chosen = new Map<string, Known>()
    if (from !== undefined) chosen.set(keyOf(from), from)
    const count = 1 + this.#below(3)
    while (chosen.size < count) {
      const back = Math.floor(this.#random() ** 2 * Math.min(this.#outputs.length, 30))
      const output = this.#outputs.at(-1 - back) ?? failed()
      chosen.set(keyOf(output), output)
    }
    const inputs = [...chosen.values()]
    const total = inputs.reduce((sum, { value }) => sum + value, 0n)
    const fee = BigInt([0, 3, 8, 10, 20, 60, 200, 1000, 5000, 20_000, 90_000][this.#below(11)] ?? 0)
    const parts = 1 + this.#below(4)
    const left = total > fee ? total - fee : 0n
    const values = Array.from({ length: parts }, (_, i) =>
      i === 0 ? left - (left / BigInt(parts)) * BigInt(parts - 1) : left / BigInt(parts),
    )
    const tx = spending(inputs, values)
    this.#txs.set(toDisplayHex(tx.txid), tx)
    return tx
  }

  #learn(tx: Tx): void {
    tx.outputs.forEach(({ value }, index) => this.#outputs.push({ txid: tx.txid, index, value }))
  }

  async #send(): Promise<void> {
    const tx = this.#make()
    const answer = String(await this.#call('sendrawtransaction', toHex(tx.raw), 0))
    this.#say(`send ${answer}`)
    if (!answer.startsWith('-')) this.#learn(tx)
  }

  async #package(): Promise<void> {
    const parent = this.#make()
    const child = this.#make({ txid: parent.txid, index: 0, value: parent.outputs[0]?.value ?? 0n })
    const answer = await this.#call('submitpackage', [toHex(parent.raw), toHex(child.raw)], 0)
    this.#say(`package ${canonical(answer)}`)
    if (canonical(answer).includes('"success"')) for (const tx of [parent, child]) this.#learn(tx)
  }

  /** A block of what the mempool holds, or of a part of it, parents first. */
  async #mine(on: Place): Promise<void> {
    const ids = new Set((await this.#call('getrawmempool')) as string[])
    const txs: Tx[] = []
    const visit = (id: string): void => {
      const tx = this.#txs.get(id)
      if (tx === undefined || !ids.delete(id)) return
      for (const { prevTxid } of tx.inputs) visit(toDisplayHex(prevTxid))
      txs.push(tx)
    }
    for (const id of [...ids].sort()) visit(id)
    const part = this.#random() < 0.5 ? txs : txs.slice(0, this.#below(txs.length + 1))
    await this.#submit(on, part)
  }

  async #submit(on: Place, txs: readonly Tx[]): Promise<void> {
    this.#salt += 1
    const extra = Uint8Array.of(2, this.#salt & 0xff, this.#salt >> 8)
    const raw = block(on, { txs: [coinbase(on.height + 1, { others: txs, extra }), ...txs] })
    this.#say(`block of ${txs.length}: ${String(await submit(this.#caller, this.#client, raw))}`)
    this.#places.length = on.height + 1
    this.#places.push(placeOf(raw, on))
  }

  async #reorganize(): Promise<void> {
    const depth = 1 + this.#below(3)
    const from = this.#places.at(-1 - depth) ?? failed()
    let on = from
    for (let i = 0; i <= depth; i++) {
      await this.#submit(on, [])
      on = this.#tip
    }
  }

  async #invalidate(): Promise<void> {
    const depth = 1 + this.#below(2)
    const node = idOf(this.#places.at(-depth) ?? failed())
    this.#say(
      `invalidate ${String(await this.#call('invalidateblock', node))} ${String(await this.#call('getbestblockhash'))}`,
    )
    this.#say(`mempool ${((await this.#call('getrawmempool')) as string[]).sort().join(' ')}`)
    this.#say(
      `reconsider ${String(await this.#call('reconsiderblock', node))} ${String(await this.#call('getbestblockhash'))}`,
    )
  }

  async #look(): Promise<void> {
    this.#say(`tip ${String(await this.#call('getbestblockhash'))}`)
    this.#say(`entries ${canonical(await this.#call('getrawmempool', true))}`)
    this.#say(`sequence ${canonical(await this.#call('getrawmempool', false, true))}`)
  }
}

function failed(): never {
  throw new Error('the story has no such place')
}

function keyOf({ txid, index }: Outpoint): string {
  return `${toLatin1(txid)}${index}`
}

/** JSON with members and lists of texts sorted, without times. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).sort().join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).filter(([name]) => name !== 'time')
  return `{${members
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`)
    .sort()
    .join(',')}}`
}

async function storyOf(node: NodeUnderTest, seed: number): Promise<readonly string[]> {
  try {
    return await new Story(await node.start({ policy: 'loose', txindex: false }), seed).tell()
  } finally {
    await node.remove()
  }
}

const program = process.env['BITCOIN']

it.each(SEEDS)('tells the same story as a bitcoind, or the same twice (seed %i)', async (seed) => {
  const story = await storyOf(new BuiltInNode(), seed)
  const other = await storyOf(program === undefined ? new BuiltInNode() : new Bitcoind(program), seed)
  const first = story.findIndex((line, i) => line !== other[i])
  expect(story.slice(Math.max(0, first), first + 1)).toEqual(other.slice(Math.max(0, first), first + 1))
  expect(story.length).toBe(other.length)
  const text = story.join('\n')
  for (const word of [
    'insufficient fee',
    'min relay fee not met',
    'missingorspent',
    '"success"',
    'block of',
    'inconclusive',
  ]) {
    expect(text).toContain(word)
  }
})
