import { type Json, MAX_DEPTH, readJsonText } from '../../src/rpc/json.ts'
import { canonical, sortUnconfirmed, uncoloured } from './atomicals-compare.ts'
import { fixture } from './atomicals-replay.ts'

/** A question of the corpus and what the reference answered. */
export interface CorpusRow {
  readonly id: number
  /** The lost branch that was the chain then. */
  readonly at?: string
  readonly via?: 'http' | 'httppost'
  readonly method: string
  readonly params: readonly Json[]
  readonly defect?: string
  readonly accept?: string | readonly string[]
  readonly alt?: readonly Json[]
  readonly daemon?: boolean
  readonly suggest?: Json
  readonly result?: Json
  readonly error?: { readonly code: number }
}

/** An answer as a client read it. */
export interface ClientAnswer {
  readonly result?: Json
  readonly error?: { readonly code: number; readonly message: string }
}

/** `right`: the reference is known to be wrong, and the answer is one that may stand in its place. */
export type Verdict = 'equal' | 'right' | 'different'

/**
 * Rows that the corpus does not mark, though they show the same defects as rows that it does, and what may stand in
 * their place: candidates of one name in the order of the bytes of a little-endian number (the same, in another order),
 * and an item that a search for containers ran into (any result; a test says what it must have).
 */
const UNMARKED: ReadonlyMap<number, string> = new Map([
  [11926, 'reordered'],
  [11930, 'reordered'],
  [11937, 'reordered'],
  [11939, 'reordered'],
  [11943, 'reordered'],
  [11950, 'result'],
  [14776, 'reordered'],
])

/** Every row of the final tip, or of the lost branches. Numbers beyond 2^53 are bigint; what is no JSON (NaN) is null. */
export function corpusRows(file: 'expected' | 'branch' = 'expected'): CorpusRow[] {
  return fixture('corpus-a', `${file}.jsonl.gz`)
    .toString()
    .trim()
    .split('\n')
    .map((line) => line.replace(/: ?(?:NaN|-?Infinity)/g, ':null'))
    .map((line) => readJsonText(line, 10 * MAX_DEPTH) as unknown as CorpusRow)
}

export function judge(row: CorpusRow, own: ClientAnswer): Verdict {
  if (isEqual(row, own)) return 'equal'
  return acceptedIn(row).some((accept) => isAccepted(accept, row, own)) ? 'right' : 'different'
}

function acceptedIn({ id, defect, accept }: CorpusRow): readonly string[] {
  const unmarked = UNMARKED.get(id)
  if (unmarked !== undefined) return [unmarked]
  return defect === undefined ? [] : [accept ?? 'any'].flat()
}

function isEqual(row: CorpusRow, { result, error }: ClientAnswer): boolean {
  if (row.error !== undefined) return error?.code === row.error.code
  const answered = [row.result, row.suggest, ...(row.alt ?? [])].filter((answer) => answer !== undefined)
  return result !== undefined && answered.some((answer) => comparable(row, result) === comparable(row, answer))
}

/** Members of server.features and server.info that say what server it is. */
const OWN_WORDS: Readonly<Record<string, readonly string[]>> = {
  'server.info': ['version'],
  'server.features': ['server_version', 'hosts', 'services', 'protocol_min', 'protocol_max'],
}

function comparable({ method, result: recorded }: CorpusRow, answer: Json): string {
  const words = OWN_WORDS[method]
  if (words === undefined) return canonical(sortUnconfirmed(answer))
  const members = Object.entries(answer as { [name: string]: Json })
  // A server may say more of itself.
  const known = members.filter(([name]) => Object.hasOwn(recorded as object, name) && !words.includes(name))
  return canonical(Object.fromEntries(known))
}

function isAccepted(accept: string, row: CorpusRow, { result, error }: ClientAnswer): boolean {
  if (accept === 'any') return true
  if (accept === 'error') return error !== undefined
  if (result === undefined) return false
  if (accept === 'reordered') return canonical(result, true) === canonical(row.result ?? null, true)
  if (accept === 'uncoloured') return plain(result) === plain(row.result ?? null)
  return accept === 'result'
}

/** Without what sits at outputs in the mempool, and those in no order. */
function plain(answer: Json): string {
  return canonical(sortUnconfirmed(uncoloured(answer)))
}
