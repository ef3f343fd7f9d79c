import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AtomicalsIndexer } from '../../src/atomicals/indexer.ts'
import { parseBlock } from '../../src/chain/block.ts'
import type { Disk } from '../../src/db/disk.ts'
import { IndexDatabase } from '../../src/db/index-db.ts'
import type { IndexCollaborators, IndexOptions } from '../../src/db/index-options.ts'
import { invariant } from '../../src/errors.ts'
import { toHex } from '../../src/lib/bytes.ts'
import { AtomicalsChain, heightsFrom } from './atomicals-chain.ts'
import { type BuiltBlock, seededRandom } from './chain-builder.ts'
import { advanceBy, dumpOf, withDirectory } from './chain-index.ts'
import { RandomAtomicals } from './random-atomicals.ts'

/** What an index is made to do; blocks are on the way for good once a flush says so. */
export type Step =
  | { readonly kind: 'mine'; readonly block: BuiltBlock }
  | { readonly kind: 'lose' }
  | { readonly kind: 'flush' }
  /** Closed, its files made longer than they are, opened again. */
  | { readonly kind: 'reopen' }

export interface FaultScript {
  readonly steps: readonly Step[]
  /** The chain at the end. */
  readonly blocks: readonly BuiltBlock[]
  /** What an index that was never disturbed holds then, line by line. */
  readonly dump: readonly string[]
}

/** How an index is opened: as sources are, on one thread, or compiled, with one that writes. */
export type Open = (options: IndexOptions, collaborators: IndexCollaborators) => Promise<IndexDatabase>

export const openSources: Open = (options, collaborators) => IndexDatabase.open(options, collaborators)

/** Blocks of the first catch-up; those that can be taken back are the last few of them. */
const CATCH_UP = 20
const REORG_LIMIT = 8
/** From here on nobody tells what blocks spend: outputs are listed then, in the middle of it all. */
const UNTOLD = 12
/** A flush every few blocks. */
const PENDING_BYTES = 30_000

/** A catch-up, then blocks and reorganisations at the tip, with atomicals in all of them. */
export async function faultScript(seed: number, rounds: number): Promise<FaultScript> {
  return withDirectory(async (directory) => {
    const random = seededRandom(seed)
    const chain = await AtomicalsChain.open(directory)
    const maker = new RandomAtomicals(chain, random)
    await maker.token('aa')
    while (chain.height < CATCH_UP) await maker.block()
    const steps: Step[] = chain.blocks.map((block) => ({ kind: 'mine', block }))
    steps.push({ kind: 'flush' }, { kind: 'reopen' })
    let known = [...chain.blocks]
    let highest = chain.height
    for (let round = 0; round < rounds; round++) {
      if (random() < 0.35) {
        const lowest = highest - REORG_LIMIT
        await chain.lose(Math.min(1 + Math.floor(random() * 4), chain.height - lowest))
        maker.forgetLost()
      } else {
        await maker.block()
      }
      highest = Math.max(highest, chain.height)
      steps.push(...stepsBetween(known, chain.blocks))
      known = [...chain.blocks]
      if (random() < 0.4) steps.push({ kind: 'flush' })
      if (round === rounds >> 1) steps.push({ kind: 'reopen' })
    }
    steps.push({ kind: 'flush' })
    const blocks = known
    await chain.close()
    const dump = await withDirectory(async (undisturbed) => {
      const run = await FaultRun.open({ directory: undisturbed, blocks, open: openSources })
      try {
        return await run.finish()
      } finally {
        await run.close()
      }
    })
    return { steps, blocks, dump }
  })
}

function stepsBetween(before: readonly BuiltBlock[], after: readonly BuiltBlock[]): Step[] {
  let common = 0
  while (common < before.length && before[common] === after[common]) common++
  const lost = before.slice(common).map((): Step => ({ kind: 'lose' }))
  return [...lost, ...after.slice(common).map((block): Step => ({ kind: 'mine', block }))]
}

export interface FaultRunOptions {
  readonly directory: string
  /** The chain that finish() leads to. */
  readonly blocks: readonly BuiltBlock[]
  /** Blocks of every branch. */
  readonly all?: readonly BuiltBlock[]
  readonly open: Open
  readonly disk?: Disk
}

/** One index on its way through a script, or on to its end after something went wrong. */
export class FaultRun {
  readonly #options: FaultRunOptions
  #db: IndexDatabase
  /** The blocks below the tip and the tip. */
  #chain: BuiltBlock[] = []
  /** Tips that it had, by their turn; '' is the empty index. */
  readonly tips: string[] = ['']
  /** The turn of the last tip that is safe, as a call that settled has said. */
  safe = 0

  private constructor(options: FaultRunOptions, db: IndexDatabase) {
    this.#options = options
    this.#db = db
  }

  static async open(options: FaultRunOptions): Promise<FaultRun> {
    return new FaultRun(options, await FaultRun.#opened(options))
  }

  static async #opened({ directory, blocks, open, disk }: FaultRunOptions): Promise<IndexDatabase> {
    const genesis = blocks[0]
    invariant(genesis !== undefined, 'a chain has a genesis')
    const db = await open(
      {
        directory,
        coin: 'Bitcoin',
        net: 'regtest',
        genesisHash: genesis.hash,
        reorgLimit: REORG_LIMIT,
        cacheBytes: 1 << 20,
        txidCacheBytes: 16 << 10,
        pendingBytes: PENDING_BYTES,
      },
      {
        indexers: [new AtomicalsIndexer({ heights: heightsFrom(), filterBits: 1 << 12 })],
        ...(disk === undefined ? {} : { disk }),
      },
    )
    db.warm()
    return db
  }

  get tip(): string {
    return this.#db.tip.height < 0 ? '' : toHex(this.#db.tip.hash)
  }

  async follow(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#take(step)
  }

  async #take(step: Step): Promise<void> {
    if (step.kind === 'mine') {
      this.#chain.push(step.block)
      this.tips.push(toHex(step.block.hash))
      await this.#advance(this.#chain, Math.max(CATCH_UP, step.block.height))
    } else if (step.kind === 'lose') {
      this.#chain.pop()
      this.tips.push(toHex(this.#chain.at(-1)?.hash ?? new Uint8Array(0)))
      await this.#db.rollBack()
      this.safe = this.tips.length - 1
    } else if (step.kind === 'flush') {
      await this.#db.flush()
      this.safe = this.tips.length - 1
    } else {
      await this.#db.close()
      this.safe = this.tips.length - 1
      const { directory } = this.#options
      for (const name of ['txids', 'inputstarts', 'inputs'])
        await appendFile(join(directory, name), Buffer.alloc(77, 7))
      this.#db = await FaultRun.#opened(this.#options)
    }
  }

  /** From wherever it is back to the fork with the chain, and on to its end. Gives the dump there. */
  async finish(): Promise<string[]> {
    const { blocks, all = blocks } = this.#options
    for (let { lacking } = this.#db; lacking !== undefined; lacking = this.#db.lacking) {
      const hash = toHex(lacking.hash)
      const block = all.find((each) => toHex(each.hash) === hash)
      invariant(block !== undefined, 'the index has blocks of the script')
      await this.#db.restore(parseBlock(block.raw))
    }
    const isOurs = (): boolean =>
      this.tip === '' || this.tip === toHex(blocks[this.#db.tip.height]?.hash ?? Uint8Array.of())
    while (!isOurs()) await this.#db.rollBack()
    while (this.#db.tip.height < blocks.length - 1) {
      await this.#advance(blocks.slice(0, this.#db.tip.height + 2), blocks.length - 1)
    }
    await this.#db.flush()
    await this.#db.listOutputs()
    return dumpOf(this.#db)
  }

  close(): Promise<void> {
    return this.#db.close()
  }

  async #advance(blocks: readonly BuiltBlock[], nodeHeight: number): Promise<void> {
    await advanceBy(this.#db, blocks, nodeHeight, blocks.length <= UNTOLD ? 'told' : 'looked up')
    await this.#db.flushIfDue()
  }
}
