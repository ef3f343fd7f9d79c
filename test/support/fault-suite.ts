import { existsSync } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { seededRandom } from './chain-builder.ts'
import { withDirectory } from './chain-index.ts'
import { FaultRun, type FaultScript, faultScript, type Open, openSources } from './fault-script.ts'
import {
  canBeHalf,
  copyIndex,
  type DiskCall,
  FAULTS,
  type Fault,
  FaultyDisk,
  type Instant,
  newestLog,
  tearFile,
} from './faulty-disk.ts'

const ALL = process.env['FAULTS'] === 'all'
const SEED = Number(process.env['FAULTS_SEED'] ?? 20_090_103)
const ROUNDS = 14
const TIMEOUT_MS = ALL ? 3_600_000 : 900_000

interface Crash {
  readonly directory: string
  readonly what: string
  readonly turn: number
  readonly safe: number
}

/** Faults and crashes of an index that is opened in one way, and how it has to come out of them. */
class FaultSuite {
  readonly #open: Open
  readonly #script: FaultScript

  constructor(open: Open, script: FaultScript) {
    this.#open = open
    this.#script = script
  }

  /** What is found after a fault or a crash is at one of the tips from the last safe one on, and goes on to the end. */
  async expectRecovers(directory: string, open: Open, tips: readonly string[], safe: number): Promise<void> {
    const { steps, blocks, dump } = this.#script
    const all = steps.flatMap((step) => (step.kind === 'mine' ? [step.block] : []))
    const run = await FaultRun.open({ directory, blocks, all, open })
    try {
      expect(tips.slice(safe)).toContain(run.tip)
      expect(await run.finish()).toEqual(dump)
    } finally {
      await run.close()
    }
  }

  /** The calls of a run that nothing disturbs. */
  async calls(): Promise<readonly { readonly call: DiskCall; readonly n: number }[]> {
    return withDirectory(async (directory) => {
      const disk = new FaultyDisk({})
      const run = await FaultRun.open({ directory, blocks: this.#script.blocks, open: this.#open, disk })
      await run.follow(this.#script.steps)
      await run.close()
      return [...disk.calls].flatMap(([call, count]) => Array.from({ length: count }, (_, n) => ({ call, n })))
    })
  }

  async expectSurvives(at: string, fault: Fault): Promise<string> {
    return withDirectory(async (directory) => {
      const disk = new FaultyDisk({ fault: (call, n) => (`${call} ${n}` === at ? fault : undefined) })
      let run: FaultRun | undefined
      let error: unknown
      try {
        run = await FaultRun.open({ directory, blocks: this.#script.blocks, open: this.#open, disk })
        await run.follow(this.#script.steps)
        await run.close()
      } catch (thrown) {
        error = thrown
      }
      // How often what is read is not the same each time: flushes go on beside the rest.
      if (disk.failed === undefined) return 'no such call'
      expect(error).toMatchObject({ name: 'StorageError', code: fault === 'full' ? 'full' : 'io' })
      await run?.close().catch((thrown: unknown) => expect(thrown).toMatchObject({ name: 'StorageError' }))
      // What is on disk is the same to either kind of index; a thread takes longer to start than all the rest takes.
      await this.expectRecovers(directory, openSources, run?.tips ?? [''], run?.safe ?? 0)
      return `${disk.failed.call} ${fault}`
    })
  }

  /** Runs the script once and leaves a copy of the index at each of the instants that are wanted. */
  async crashes(
    directory: string,
    isWanted: (instant: string) => boolean,
  ): Promise<{ readonly all: Crash[]; readonly tips: readonly string[] }> {
    const all: Crash[] = []
    let run: FaultRun | undefined
    const instant = (call: DiskCall, n: number, when: Instant): void => {
      if (!isWanted(`${call} ${n} ${when}`)) return
      const copy = join(directory, `crash-${call}-${n}-${when}`)
      copyIndex(join(directory, 'run'), copy)
      all.push({ directory: copy, what: `${call} ${when}`, turn: run?.tips.length ?? 1, safe: run?.safe ?? 0 })
    }
    await mkdir(join(directory, 'run'))
    const { blocks, steps } = this.#script
    const disk = new FaultyDisk({ instant })
    run = await FaultRun.open({ directory: join(directory, 'run'), blocks, open: this.#open, disk })
    await run.follow(steps)
    await run.close()
    return { all, tips: run.tips }
  }
}

/** Some of the values, of each kind about as many; or all of them. */
function some<T>(values: readonly T[], count: number, kindOf: (value: T) => string): T[] {
  if (ALL) return [...values]
  const random = seededRandom(SEED)
  const kinds = new Map<string, T[]>()
  for (const value of values) kinds.set(kindOf(value), [...(kinds.get(kindOf(value)) ?? []), value])
  return [...kinds.values()].flatMap((kind) => {
    const left = [...kind]
    const wanted = Math.ceil(count / kinds.size)
    while (left.length > wanted) left.splice(Math.floor(random() * left.length), 1)
    return left
  })
}

/**
 * A catch-up, reorganisations, flushes and restarts with Atomicals; every call that reaches the disk fails in every way,
 * and the process ends before, within and after each. `count`: about so many of all that; all of it with
 * `npm run test:faults` (minutes), and another script with FAULTS_SEED.
 */
export function faultTests(name: string, count: number, open: Open): void {
  describe(`an index ${name}`, () => {
    let suite: FaultSuite

    beforeAll(async () => {
      suite = new FaultSuite(open, await faultScript(SEED, ROUNDS))
    })

    it('stops at a call that fails, says why, and goes on to the same end when it is opened again', {
      timeout: TIMEOUT_MS,
    }, async () => {
      const calls = await suite.calls()
      const cases = calls.flatMap(({ call, n }) =>
        FAULTS.filter((fault) => fault !== 'half' || canBeHalf(call)).map((fault) => ({
          at: `${call} ${n}`,
          fault,
          kind: `${call} ${fault}`,
        })),
      )
      const seen = new Set<string>()
      for (const { at, fault } of some(cases, count, ({ kind }) => kind))
        seen.add(await suite.expectSurvives(at, fault))
      for (const call of ['commit', 'writeAt', 'sync', 'truncate', 'readNow'] as const) {
        for (const fault of FAULTS) if (fault !== 'half' || canBeHalf(call)) expect(seen).toContain(`${call} ${fault}`)
      }
    })

    it('that is killed before, within or after a write goes on to the same end', { timeout: TIMEOUT_MS }, () =>
      withDirectory(async (directory) => {
        const calls = await suite.calls()
        const instants = calls.flatMap(({ call, n }) =>
          (['before', 'half', 'after'] as const).map((when) => ({
            at: `${call} ${n} ${when}`,
            kind: `${call} ${when}`,
          })),
        )
        const wanted = new Set(some(instants, count, ({ kind }) => kind).map(({ at }) => at))
        const { all, tips } = await suite.crashes(directory, (at) => wanted.has(at))
        for (const { directory: copy, what, turn, safe } of all) {
          await suite.expectRecovers(copy, open, tips.slice(0, turn), safe).catch((error: unknown) => {
            throw new Error(`killed ${what}`, { cause: error })
          })
          await rm(copy, { recursive: true })
        }
        for (const what of ['commit before', 'commit after', 'writeAt half', 'sync after', 'truncate after']) {
          expect(all.map((crash) => crash.what)).toContain(what)
        }
      }),
    )

    it(
      'that is killed and whose newest log and files are cut anywhere goes on to the same end',
      { timeout: TIMEOUT_MS },
      () =>
        withDirectory(async (directory) => {
          const random = seededRandom(SEED)
          const { all, tips } = await suite.crashes(directory, () => random() < (ALL ? 1 : count / 1000))
          expect(all.length).toBeGreaterThan(count / 5)
          for (const { directory: copy, what, turn } of all) {
            const log = newestLog(copy)
            const files = ['txids', 'inputstarts', 'inputs'].map((file) => join(copy, file)).filter(existsSync)
            const cut = [...files.filter(() => random() < 0.3), ...(log !== undefined && random() < 0.8 ? [log] : [])]
            const torn = cut.map((path) => tearFile(path, random))
            await suite.expectRecovers(copy, openSources, tips.slice(0, turn), 0).catch((error: unknown) => {
              throw new Error(`killed ${what}; ${torn.join('; ')}`, { cause: error })
            })
            await rm(copy, { recursive: true })
          }
        }),
    )
  })
}
