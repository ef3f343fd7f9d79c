import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { access, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { z } from 'zod'
import type { Coin } from './coins/coin.ts'
import { coinOf } from './coins/registry.ts'
import type { Settings } from './config/settings.ts'
import { Bitcoind } from './daemon/bitcoind.ts'
import { realDisk } from './db/disk.ts'
import type { IndexDatabase } from './db/index-db.ts'
import { type AnyKeySpace, OUTPUTS, STATE } from './db/layout.ts'
import { openLevelStore } from './db/level-store.ts'
import { RebuiltRows } from './db/rebuilt-rows.ts'
import type { Store } from './db/store.ts'
import { ChainError, ConfigError, DaemonError, isAbort, isFromOutside, StorageError } from './errors.ts'
import { type Difference, IndexCheck, type OwnIndexes } from './index-check/check.ts'
import { coinIndexers, type IndexPlace, openIndex } from './index-opening.ts'
import { fromHex, toDisplayHex, toHex } from './lib/bytes.ts'
import { systemClock } from './lib/clock.ts'
import type { Service } from './lib/service.ts'
import { createLogger, type Logger } from './log.ts'
import { RegtestNode } from './regtest/node.ts'

export const INDEX_USAGE = `  valence index dump [--rows]    tip and one digest of everything in the index, or the rows themselves; same chain,
                                 same digest. What is kept only because the node does not tell what blocks spend has
                                 a digest of its own (outputs). Only while no server runs on DB_DIRECTORY
  valence index check            compare the whole index with the node's blocks and say where it differs. Reads every
                                 block and looks up every input: hours for millions of transactions
`

/** The command is not one of ours, or its words are not. */
export class IndexUsageError extends Error {
  override readonly name = 'IndexUsageError'
}

export interface IndexCommandStreams {
  /** The answer. */
  readonly out: Writable
  /** Progress and trouble. */
  readonly trouble: Writable
}

const MIB = 1024 * 1024
/** Text that is put together for one write, about. */
const PIECE = 64 * 1024
const PROGRESS_MS = 1000
const PROGRESS_PLAIN_MS = 10_000
/** Differences that are told one by one. */
const MOST_TOLD = 50

/**
 * Runs `dump [--rows]` or `check` on the index in DB_DIRECTORY. True if it did and found nothing wrong. Throws
 * IndexUsageError and ConfigError; what is wrong with index or node is told and gives false, as does an end by `signal`.
 */
export async function runIndexCommand(
  words: readonly string[],
  settings: Settings,
  streams: IndexCommandStreams,
  signal: AbortSignal,
): Promise<boolean> {
  const run = commandOf(words)
  try {
    return await withIndex(settings, (db) => run(db, settings, streams, signal))
  } catch (error) {
    if (error instanceof ConfigError) throw error
    if (signal.aborted && isAbort(error)) await say(streams.trouble, 'stopped before the end\n')
    else if (error instanceof StorageError || error instanceof DaemonError || isFromOutside(error)) {
      await say(streams.trouble, `${error.message}\n`)
    } else throw error
    return false
  }
}

type Command = (
  db: IndexDatabase,
  settings: Settings,
  streams: IndexCommandStreams,
  signal: AbortSignal,
) => Promise<boolean>

function commandOf([verb, ...options]: readonly string[]): Command {
  const rows = options.length === 1 && options[0] === '--rows'
  if (verb === 'dump' && (rows || options.length === 0)) {
    return async (db, _settings, { out }) => {
      await (rows ? printRows(db, out) : printDigest(db, out))
      return true
    }
  }
  if (verb === 'check' && options.length === 0) return check
  throw new IndexUsageError('index dump [--rows], or index check')
}

async function withIndex<T>(settings: Settings, work: (db: IndexDatabase) => Promise<T>): Promise<T> {
  const directory = settings.dbDirectory
  try {
    // Opening would make one.
    await access(join(directory, 'index'))
  } catch (error) {
    throw new StorageError('io', `there is no index in ${directory} (DB_DIRECTORY)`, { cause: error })
  }
  const coin = coinOf(settings.coin, settings.net)
  const db = await openIndex({ settings, coin }, { cacheBytes: (settings.cacheMb * MIB) / 4, pendingBytes: MIB })
  try {
    return await work(db)
  } finally {
    await db.close()
  }
}

const rowsOf = ({ prefix }: AnyKeySpace): string => `row ${prefix.toString(16).padStart(2, '0')}`
const OUTPUT_ROWS = rowsOf(OUTPUTS)
const STATE_ROW = rowsOf(STATE)

/** Outputs that are listed because a node does not tell what blocks spend have a digest of their own, beside that of the chain. */
async function printDigest(db: IndexDatabase, out: Writable): Promise<void> {
  const [chain, outputs] = [createHash('sha256'), createHash('sha256')]
  for await (const line of db.canonicalDump()) {
    if (line.startsWith(OUTPUT_ROWS)) outputs.update(`${line}\n`)
    else chain.update(`${line.startsWith(STATE_ROW) ? unlisted(line) : line}\n`)
  }
  const { height, hash } = db.tip
  const listed = db.listsOutputs ? `outputs ${outputs.digest('hex')}\n` : ''
  await say(out, `height ${height}\nhash ${toDisplayHex(hash)}\ndigest ${chain.digest('hex')}\n${listed}`)
}

/** The row of the state as it is where outputs are not listed. */
function unlisted(line: string): string {
  const [, key = '', value = ''] = line.split(' ')
  const state = { ...STATE.readValue(fromHex(value)), listsOutputs: 0 }
  return `row ${key} ${toHex(STATE.valueBytes(state))}`
}

async function printRows(db: IndexDatabase, out: Writable): Promise<void> {
  let piece = ''
  for await (const line of db.canonicalDump()) {
    piece += `${line}\n`
    if (piece.length < PIECE) continue
    await say(out, piece)
    piece = ''
  }
  await say(out, piece)
}

const check: Command = async (db, settings, { out, trouble }, signal) => {
  const coin = coinOf(settings.coin, settings.net)
  const running: Service[] = []
  const progress = new CheckProgress(trouble)
  try {
    const daemon = await startNode(settings, coin, { running, trouble }, signal)
    const openStore = await storesBeside(settings, running)
    const own = ownIndexes({ settings, coin }, openStore)
    const show = (step: string): void => progress.show(step)
    const result = await new IndexCheck({ db, daemon, own, openStore, progress: show }).run(signal)
    progress.end()
    for (const difference of result.differences.slice(0, MOST_TOLD)) await say(out, `${describe(difference)}\n`)
    const left = result.differences.length - MOST_TOLD
    if (left > 0) await say(out, `and ${left} more\n`)
    if (result.unknownRows > 0) {
      await say(out, `${result.unknownRows} rows of no known index were not looked at\n`)
    }
    const same = result.differences.length === 0
    const what = `${result.blocks} blocks with ${result.transactions} transactions`
    await say(
      out,
      same ? `the index agrees with ${what} of the node\n` : `the index DIFFERS from ${what} of the node\n`,
    )
    return same
  } finally {
    progress.end()
    for (const service of running.toReversed()) await service.stop()
  }
}

/** Stores for what is made anew: beside the index, where there is room for them, and removed afterwards. */
async function storesBeside(settings: Settings, running: Service[]): Promise<() => Promise<Store>> {
  const directory = await mkdtemp(join(settings.dbDirectory, 'check-'))
  running.push({
    name: 'check',
    start: () => Promise.resolve(),
    stop: () => rm(directory, { recursive: true, force: true }),
  })
  const cacheBytes = (settings.cacheMb * MIB) / 4
  let stores = 0
  return () => {
    stores += 1
    return openLevelStore(join(directory, String(stores)), { cacheBytes }, realDisk)
  }
}

function ownIndexes(place: IndexPlace, openStore: () => Promise<Store>): OwnIndexes {
  return {
    spaces: coinIndexers(place).flatMap(({ spaces }) => spaces),
    rebuild: async () => new RebuiltRows(coinIndexers(place), await openStore()),
  }
}

/** The node that DAEMON_URL names, or the built-in one with the chain that it has. */
async function startNode(
  settings: Settings,
  coin: Coin,
  { running, trouble }: { readonly running: Service[]; readonly trouble: Writable },
  signal: AbortSignal,
): Promise<Bitcoind> {
  const log = troubleLogger(trouble)
  let place: { readonly urls: readonly string[]; readonly cookieFile: string | undefined }
  if (settings.daemonUrls === undefined) {
    const node = new RegtestNode({ directory: join(settings.dbDirectory, 'regtest-node'), policy: 'ordinary' })
    running.push(node)
    await node.start(signal)
    place = { urls: [node.url], cookieFile: node.cookieFile }
  } else {
    place = { urls: settings.daemonUrls, cookieFile: settings.daemonCookieFile }
  }
  const daemon = new Bitcoind({ ...place, defaultPort: coin.rpcPort }, { log, clock: systemClock })
  running.push(daemon)
  await daemon.start(signal)
  const { chain } = await daemon.chainInfo(signal)
  if (chain !== coin.daemonChain) {
    throw new ChainError(`the node is on the network "${chain}", NET=${coin.net} wants "${coin.daemonChain}"`)
  }
  return daemon
}

/** What keeps us waiting for the node, in its words; the rest of its story is for the log of a server. */
function troubleLogger(trouble: Writable): Logger {
  return createLogger('warn', {
    write: (line) => {
      const { reason, msg } = TroubleLine.parse(JSON.parse(line))
      trouble.write(`${reason ?? msg}\n`)
    },
  })
}

const TroubleLine = z.object({ msg: z.string(), reason: z.string().optional() })

function describe({ height, kind, missing, extra }: Difference): string {
  const place = height === 'any' ? 'whole index' : height === undefined ? 'beyond the tip' : `height ${height}`
  const parts = [...missing.map((row) => `  missing: ${row}`), ...extra.map((row) => `  in excess: ${row}`)]
  return [`${place}: ${kind}`, ...parts].join('\n')
}

/** A line that is overwritten on a terminal, and one now and then where there is none. */
class CheckProgress {
  readonly #stream: Writable
  readonly #terminal: boolean
  #shownAt: number
  #open = false

  constructor(stream: Writable) {
    this.#stream = stream
    this.#terminal = 'isTTY' in stream && stream.isTTY === true
    this.#shownAt = this.#terminal ? Number.NEGATIVE_INFINITY : performance.now()
  }

  show(step: string): void {
    const now = performance.now()
    if (now - this.#shownAt < (this.#terminal ? PROGRESS_MS : PROGRESS_PLAIN_MS)) return
    this.#shownAt = now
    this.#stream.write(this.#terminal ? `\r\u001b[K${step}` : `${step}\n`)
    this.#open = this.#terminal
  }

  end(): void {
    if (this.#open) this.#stream.write('\r\u001b[K')
    this.#open = false
  }
}

async function say(stream: Writable, text: string): Promise<void> {
  if (text !== '' && !stream.write(text)) await once(stream, 'drain')
}
