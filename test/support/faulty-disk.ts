import { appendFileSync, copyFileSync, mkdirSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { type Disk, realDisk } from '../../src/db/disk.ts'

export type DiskCall = keyof Disk

/**
 * In which way a call fails: not done at all, done and told to have failed, done by half, or by half since the disk is
 * full. What cannot be done by half is not done.
 */
export const FAULTS = ['before', 'after', 'half', 'full'] as const
export type Fault = (typeof FAULTS)[number]

/** False for calls that are done or not, for which `half` is what `before` is. */
export function canBeHalf(call: DiskCall): boolean {
  return call === 'writeAt'
}

/** Where a process may end in a call. */
export type Instant = 'before' | 'half' | 'after'

export interface FaultPlan {
  /** Asked for every call; `n` counts those of its kind. */
  readonly fault?: (call: DiskCall, n: number) => Fault | undefined
  /** Told of every instant of the calls that write. */
  readonly instant?: (call: DiskCall, n: number, instant: Instant) => void
}

/** The real disk, which fails by plan. */
export class FaultyDisk implements Disk {
  readonly #plan: FaultPlan
  /** How many there were of each kind. */
  readonly calls = new Map<DiskCall, number>()
  /** The fault that happened, if one has. */
  failed: { readonly call: DiskCall; readonly fault: Fault } | undefined

  constructor(plan: FaultPlan) {
    this.#plan = plan
  }

  readAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
    return this.#run('readAt', () => realDisk.readAt(file, bytes, position))
  }

  readNow(file: FileHandle, bytes: Uint8Array, position: number): void {
    const fault = this.#next('readNow')
    if (fault !== undefined) throw this.#error(fault, 'readNow')
    realDisk.readNow(file, bytes, position)
  }

  commit(write: () => Promise<void>): Promise<void> {
    return this.#run('commit', () => realDisk.commit(write))
  }

  writeAt(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
    const half = (): Promise<void> => realDisk.writeAt(file, bytes.subarray(0, bytes.length >> 1), position)
    return this.#run('writeAt', () => realDisk.writeAt(file, bytes, position), half)
  }

  sync(file: FileHandle): Promise<void> {
    return this.#run('sync', () => realDisk.sync(file))
  }

  truncate(file: FileHandle, length: number): Promise<void> {
    return this.#run('truncate', () => realDisk.truncate(file, length))
  }

  async #run(call: DiskCall, act: () => Promise<void>, half?: () => Promise<void>): Promise<void> {
    const n = this.calls.get(call) ?? 0
    const fault = this.#next(call)
    if (fault === 'after') await act()
    if (fault === 'half' || fault === 'full') await half?.()
    if (fault !== undefined) throw this.#error(fault, call)
    this.#plan.instant?.(call, n, 'before')
    if (half !== undefined && this.#plan.instant !== undefined) {
      await half()
      this.#plan.instant(call, n, 'half')
    }
    await act()
    this.#plan.instant?.(call, n, 'after')
  }

  #next(call: DiskCall): Fault | undefined {
    const n = this.calls.get(call) ?? 0
    this.calls.set(call, n + 1)
    return this.#plan.fault?.(call, n)
  }

  #error(fault: Fault, call: DiskCall): Error {
    this.failed = { call, fault }
    const code = fault === 'full' ? 'ENOSPC' : 'EIO'
    return Object.assign(new Error(`${code}: ${call} fails ${fault}`), { code })
  }
}

/** Copies an index as it is at this instant, as a process that is killed leaves it. */
export function copyIndex(from: string, to: string): void {
  const names = (): string =>
    readdirSync(join(from, 'index'))
      .filter(isData)
      .map((name) => `${name} ${statSync(join(from, 'index', name)).size}`)
      .join()
  for (;;) {
    try {
      const before = names()
      mkdirSync(join(to, 'index'), { recursive: true })
      for (const name of readdirSync(join(from, 'index'))) {
        if (isData(name)) copyFileSync(join(from, 'index', name), join(to, 'index', name))
      }
      for (const name of readdirSync(from)) if (name !== 'index') copyFileSync(join(from, name), join(to, name))
      // LevelDB puts its files together at any time: then the copy is of no one instant.
      if (names() === before) return
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
    rmSync(to, { recursive: true, force: true })
  }
}

function isData(name: string): boolean {
  return name !== 'LOCK' && !name.startsWith('LOG')
}

/** The log of LevelDB that is written last, by its path; undefined if there is none. */
export function newestLog(directory: string): string | undefined {
  const index = join(directory, 'index')
  const logs = readdirSync(index).filter((name) => name.endsWith('.log'))
  const name = logs.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).at(-1)
  return name === undefined ? undefined : join(index, name)
}

/** Cuts a file at some place, or puts bytes of no meaning behind it. Says what it did. */
export function tearFile(path: string, random: () => number): string {
  const { size } = statSync(path)
  if (random() < 0.3) {
    const garbage = Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256))
    appendFileSync(path, Buffer.from(garbage))
    return `${path} of ${size} bytes, ${garbage.length} appended`
  }
  const end = Math.floor(random() * (size + 1))
  truncateSync(path, end)
  return `${path} of ${size} bytes cut at ${end}`
}
