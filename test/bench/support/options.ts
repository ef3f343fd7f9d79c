import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type ChainParameters, DEFAULT_PARAMETERS } from '../chain/parameters.ts'

export type NodeKind = 'built-in' | 'bitcoind'

/** What the environment may change of a bench; test/bench/README.md lists it. */
export interface BenchOptions {
  readonly chain: ChainParameters
  /** Program of a bitcoind, or undefined for the built-in node. */
  readonly bitcoind: string | undefined
  /** Whether bitcoind has an index of transactions. */
  readonly txIndex: boolean
  /** Where chains are kept between runs. */
  readonly cache: string
  /** The server's main file. */
  readonly server: string
  /** Flags of Node with which the server runs, as `npm start` has them. */
  readonly nodeFlags: readonly string[]
  /** Directory for CPU profiles of the server, if they are wanted. */
  readonly profile: string | undefined
  /** More of the server's environment. */
  readonly environment: Readonly<Record<string, string>>
}

/** Settings of the server, and of its malloc, that benches take over from their own environment. */
const PASSED_ON = [
  'ATOMICALS',
  'CACHE_MB',
  'TABLE_MB',
  'LOG_LEVEL',
  'MALLOC_ARENA_MAX',
  'MALLOC_MMAP_THRESHOLD_',
  'MALLOC_TRIM_THRESHOLD_',
] as const

const NODE_FLAGS = '--expose-gc --max-semi-space-size=32'

/** Throws if something is not understood. */
export function benchOptions(): BenchOptions {
  const kind = env('BENCH_NODE') ?? (env('BITCOIND') === undefined ? 'built-in' : 'bitcoind')
  if (kind !== 'built-in' && kind !== 'bitcoind') throw new Error('BENCH_NODE is neither built-in nor bitcoind')
  if (kind === 'bitcoind' && env('BITCOIND') === undefined) throw new Error('BENCH_NODE=bitcoind wants $BITCOIND')
  return {
    chain: {
      ...DEFAULT_PARAMETERS,
      seed: env('BENCH_SEED') ?? DEFAULT_PARAMETERS.seed,
      lightBlocks: wholeFrom('BENCH_LIGHT_BLOCKS', DEFAULT_PARAMETERS.lightBlocks),
      heavyBlocks: wholeFrom('BENCH_BLOCKS', DEFAULT_PARAMETERS.heavyBlocks),
    },
    bitcoind: kind === 'bitcoind' ? env('BITCOIND') : undefined,
    txIndex: isOn('BENCH_TXINDEX'),
    cache: env('BENCH_CACHE') ?? join(tmpdir(), 'valence-bench'),
    server: resolve(env('BENCH_SERVER') ?? join(import.meta.dirname, '../../../dist/main.js')),
    nodeFlags: (env('BENCH_NODE_FLAGS') ?? NODE_FLAGS).split(' '),
    profile: env('BENCH_PROFILE'),
    environment: Object.fromEntries(
      PASSED_ON.flatMap((name) => {
        const value = env(name)
        return value === undefined ? [] : [[name, value]]
      }),
    ),
  }
}

/** A variable of the environment; undefined if it is empty too. */
export function env(name: string): string | undefined {
  const value = process.env[name]
  return value === '' ? undefined : value
}

/** `on` or `off`, on by default. Throws on anything else. */
export function isOn(name: string): boolean {
  const text = env(name) ?? 'on'
  if (text !== 'on' && text !== 'off') throw new Error(`${name} is neither on nor off`)
  return text === 'on'
}

/** A whole number from the environment. Throws on anything else. */
export function wholeFrom(name: string, fallback: number): number {
  const text = env(name)
  if (text === undefined) return fallback
  if (!/^\d+$/.test(text)) throw new Error(`${name} is not a whole number`)
  return Number(text)
}

/** A number from the environment. Throws on anything else. */
export function numberFrom(name: string, fallback: number): number {
  const text = env(name)
  if (text === undefined) return fallback
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0) throw new Error(`${name} is not a number`)
  return value
}
