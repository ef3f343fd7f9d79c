import { compactOfIdText, idTextOfCompact } from '../../src/atomicals/id-text.ts'
import { rampedWork } from '../../src/atomicals/mint/distributed.ts'
import { CborMap } from '../../src/lib/cbor/values.ts'
import { ANSWER_CHECKS, type World } from './atomicals-answers.ts'
import { fixture } from './atomicals-replay.ts'
import { atomicalValues, type Json, jsonOf } from './atomicals-values.ts'

/** A statement of the corpus about the final chain. */
export interface Assertion {
  readonly scenario: string
  readonly method: string
  readonly params: readonly unknown[]
  readonly path: string
  /** Absent: there must be nothing at the path. */
  readonly value?: Json
  readonly note: string
}

export function corpusAssertions(): Assertion[] {
  const file = JSON.parse(fixture('corpus-a', 'assertions.json.gz').toString()) as { readonly expects: Assertion[] }
  return file.expects
}

type Map = { [key: string]: Json | undefined }

const NAMES = ['realm', 'container', 'ticker', 'subrealm', 'dmitem'] as const

/** The parts of an answer of `get` that statements are about. */
async function getAnswer(world: World, id: string | undefined): Promise<Json | undefined> {
  const row = id === undefined ? undefined : world.queries.atomical(id)
  if (id === undefined || row === undefined) return undefined
  const values = await atomicalValues(world.queries, id)
  const payload = world.queries.payload(row.txNum)
  const args = payload.get('args')
  const arg = (name: string): Json | undefined => {
    const value = args instanceof CborMap ? args.get(name) : undefined
    return value === undefined ? undefined : jsonOf(value)
  }
  const mode = row.terms?.mode
  const result: Map = {
    type: values['type'],
    mint_info: {
      meta: jsonOf(payload.get('meta') ?? new CborMap()),
      args: args === undefined ? {} : jsonOf(args),
      $immutable: row.immutable,
      reveal_location_value: row.satoshis,
      commit_index: Number(compactOfIdText(id).slice(65)),
    },
    $bitwork: { bitworkc: arg('bitworkc') ?? null, bitworkr: arg('bitworkr') ?? null },
    $max_supply: values['max_supply'],
    $mint_mode: values['mode'],
    $mint_height: values['mint_height'],
    $mint_amount: values['mint_amount'],
    $mint_bitworkc: mode?.kind === 'fixed' ? mode.commitWork : undefined,
    $mint_bitworkr: mode?.kind === 'fixed' ? mode.revealWork : undefined,
    $mint_bitworkr_inc: mode?.kind === 'perpetual' ? (mode.reveal?.increment ?? 0) : undefined,
    $sealed: values['sealed'],
    $full_realm_name: values['full_realm_name'],
    $container_dmint_status: values['dmint'],
    subtype: subtypeOf(row.type, values),
    $parent_container_name: await parentContainer(world, id),
  }
  for (const name of NAMES) {
    result[`$${name}`] = values[name]
    if (values[`request_${name}`] !== undefined)
      result[`$request_${name}_status`] = { status: values['status'] ?? null }
  }
  return { result } as Json
}

function subtypeOf(type: string, values: Map): Json | undefined {
  if (type !== 'nft') return type === 'dft' ? 'decentralized' : 'direct'
  const name = NAMES.find((kind) => values[`request_${kind}`] !== undefined)
  if (name === undefined) return undefined
  return values[name] === undefined ? `request_${name}` : name
}

async function parentContainer({ queries }: World, id: string): Promise<Json | undefined> {
  const request = queries.atomical(id)?.request
  const parent = request?.kind === 'dmitem' ? request.parent : undefined
  const name = parent === undefined ? undefined : (await atomicalValues(queries, parent))['container']
  return name
}

async function infoAnswer(world: World, params: readonly unknown[], id: string | undefined): Promise<Json | undefined> {
  const info = (await ANSWER_CHECKS['get_ft_info']!.own(world, params)) as Map | undefined
  const terms = id === undefined ? undefined : world.queries.atomical(id)?.terms
  if (info === undefined) return undefined
  const dft: Map = { mint_count: info['mint_count'] }
  if (id !== undefined && terms?.mode.kind === 'perpetual' && terms.mode.commit !== undefined) {
    const { vector, commit } = terms.mode
    const count = world.queries.mintCount(id)
    dft['mint_bitworkc_current'] = rampedWork(vector, commit, count, terms.maxMints)
    dft['mint_bitworkc_next'] = rampedWork(vector, commit, count + terms.maxMints, terms.maxMints)
  }
  const { unique_holders, circulating_supply } = info
  return { result: { dft_info: dft, location_summary: { unique_holders, circulating_supply } } } as Json
}

/** What the index says where a statement asks a method; undefined if statements about it are not checked here. */
async function answerOf(
  world: World,
  { method, params }: Assertion,
): Promise<{ readonly answer: Json | undefined } | undefined> {
  const name = method.split('.').at(-1) ?? ''
  const id = typeof params[0] === 'string' ? idTextOfCompact(params[0]) : undefined
  const own = async (): Promise<Json | undefined> => ANSWER_CHECKS[name]?.own(world, params)
  switch (name) {
    case 'get':
      return { answer: await getAnswer(world, id) }
    case 'get_ft_info':
      return { answer: await infoAnswer(world, params, id) }
    case 'get_state':
      return { answer: { result: { state: { latest: (await own()) ?? null } } } }
    case 'get_events':
      return { answer: { result: { events: { history: (await own()) ?? null } } } }
    case 'get_location':
      return { answer: { result: { location_info: (await own()) ?? null } } }
    case 'transaction': {
      const values = (await own()) as Map | undefined
      return { answer: { op: values?.['op'] ?? '', transfers: { is_burned: values?.['is_burned'] ?? null } } }
    }
    case 'get_by_ticker':
    case 'get_by_realm':
    case 'get_by_container': {
      const values = (await own()) as Map | undefined
      const status = values?.['status'] ?? null
      return {
        answer: { result: { status, atomical_id: status === 'verified' ? (values?.['candidate'] ?? null) : null } },
      }
    }
    default:
      return undefined
  }
}

/** Whether a statement holds of the index; undefined if it is not about the index. */
export async function holds(world: World, assertion: Assertion): Promise<boolean | undefined> {
  if (assertion.path === '!holds') return holdsAt(world, assertion)
  const found = await answerOf(world, assertion)
  if (found === undefined) return undefined
  if (assertion.path === '!error') return (found.answer === undefined) === assertion.value
  const value = follow(found.answer, assertion.path.split('.'))
  return JSON.stringify(value ?? null) === JSON.stringify(assertion.value ?? null)
}

function holdsAt({ queries }: World, { params, value }: Assertion): boolean {
  const location = typeof params[0] === 'string' ? idTextOfCompact(params[0]) : undefined
  const held = (location === undefined ? undefined : queries.location(location)?.held) ?? []
  const own = Object.fromEntries(held.map(({ id, value: units }) => [compactOfIdText(id), units]))
  const wanted = value as { [key: string]: Json }
  return (
    Object.keys(own).length === Object.keys(wanted).length &&
    Object.entries(wanted).every(([id, units]) => own[id] === units)
  )
}

function follow(value: Json | undefined, path: readonly string[]): Json | undefined {
  let at = value
  for (const step of path) {
    if (Array.isArray(at)) at = step === 'length' ? at.length : at[Number(step)]
    else if (typeof at === 'object' && at !== null) at = Object.hasOwn(at, step) ? at[step] : undefined
    else return undefined
  }
  return at
}
