import type { Candidate } from '../../src/atomicals/candidates.ts'
import { compactOfIdText } from '../../src/atomicals/id-text.ts'
import type { AtomicalRow } from '../../src/atomicals/layout.ts'
import type { AtomicalsQueries } from '../../src/atomicals/queries.ts'
import { isMintInitiated, type SubCandidate } from '../../src/atomicals/statuses.ts'
import { toDisplayHex, toHex } from '../../src/lib/bytes.ts'
import { CborMap, CborSimple, CborTag, type CborValue } from '../../src/lib/cbor/values.ts'

/** Plain JSON, as the answers of the reference are. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** State as the reference shows it: bytes as `{$b, $len, $auto}`. */
export function jsonOf(value: CborValue | undefined): Json {
  if (typeof value === 'bigint') return Number(value)
  if (value instanceof Uint8Array) return { $b: toHex(value), $len: value.length + 33, $auto: true }
  if (Array.isArray(value)) return value.map(jsonOf)
  if (value instanceof CborMap) {
    return Object.fromEntries(Array.from(value.entries(), ({ key, value: inner }) => [keyText(key), jsonOf(inner)]))
  }
  if (value instanceof CborSimple) return [value.value]
  // Tags are shown encoded again, which is the formatter's business.
  if (value instanceof CborTag) return '<tag>'
  if (value === null || typeof value === 'boolean' || typeof value === 'number' || typeof value === 'string')
    return value
  return '<other>'
}

function keyText(key: CborValue): string {
  return typeof key === 'string' ? key : JSON.stringify(jsonOf(key))
}

function isSub(candidate: Candidate | SubCandidate): candidate is SubCandidate {
  return 'rule' in candidate
}

function candidateJson(queries: AtomicalsQueries, candidate: Candidate | SubCandidate): Json {
  const base: { [key: string]: Json } = {
    tx_num: candidate.txNum,
    atomical_id: compactOfIdText(candidate.id),
    commit_height: candidate.commitHeight,
    reveal_location_height: queries.atomical(candidate.id)?.height ?? null,
  }
  if (!isSub(candidate)) return base
  const { payment, rule } = candidate
  return {
    ...base,
    payment: payment === undefined ? null : compactOfIdText(payment.location),
    payment_type: isMintInitiated(candidate) ? 'mint_initiated' : 'applicable_rule',
    payment_subtype: isMintInitiated(candidate) ? (payment?.kind === 'parent' ? 'parent' : 'bitwork') : null,
    rule: rule === undefined ? null : rule.source,
  }
}

function maxSupply({ type, satoshis, terms }: AtomicalRow): number | undefined {
  if (type === 'nft') return undefined
  if (terms === undefined) return satoshis
  const { mode, mintAmount, maxMints } = terms
  if (mode.kind === 'fixed') return mintAmount * maxMints
  return mode.maxMintsGlobal === undefined ? -1 : mintAmount * mode.maxMintsGlobal
}

/** Values of an atomical under the names that the reference gives them. */
export async function atomicalValues(queries: AtomicalsQueries, id: string): Promise<{ [key: string]: Json }> {
  const row = queries.atomical(id)
  if (row === undefined) return { error: true }
  const values: { [key: string]: Json | undefined } = {
    number: row.number,
    type: row.type === 'nft' ? 'NFT' : 'FT',
    commit_tx_num: row.commitTxNum,
    commit_height: row.commitHeight,
    reveal_tx_num: row.txNum,
    reveal_height: row.height,
    reveal_txid: toDisplayHex(row.revealTxid),
    script: toHex(row.script),
    value: row.satoshis,
    immutable: row.type === 'nft' ? row.immutable : undefined,
    max_supply: maxSupply(row),
    mint_height: row.terms?.mintHeight,
    mint_amount: row.terms?.mintAmount,
    max_mints: row.terms?.maxMints,
    mode: row.terms?.mode.kind,
  }
  const seal = queries.seal(id)
  if (seal !== undefined) values['sealed'] = compactOfIdText(seal)
  Object.assign(values, await requestValues(queries, id))
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, Json] => entry[1] !== undefined))
}

async function requestValues(queries: AtomicalsQueries, id: string): Promise<{ [key: string]: Json | undefined }> {
  const request = await queries.request(id)
  if (request === undefined) return {}
  const row = queries.atomical(id)
  const name = row?.request?.name ?? ''
  const holds = request.status?.status === 'verified'
  const values: { [key: string]: Json | undefined } = {
    [`request_${request.kind}`]: name,
    candidates: request.name.candidates.map((candidate) => candidateJson(queries, candidate)),
    status: request.status?.status === 'none' ? null : (request.status?.status ?? null),
    [request.kind]: holds ? name : undefined,
  }
  const path = request.kind === 'realm' || request.kind === 'subrealm' ? await queries.realmPath(id) : undefined
  if (path !== undefined) values['full_realm_name'] = path.join('.')
  if (request.kind === 'container' && holds) {
    const dmint = await queries.dmint(id)
    if (dmint !== undefined) values['dmint'] = { status: dmint.valid ? 'valid' : 'invalid', errors: [...dmint.errors] }
  }
  return values
}

type JsonMap = { [key: string]: Json }

const NAMES = ['realm', 'container', 'ticker', 'subrealm', 'dmitem'] as const

/** The same values out of an answer of `blockchain.atomicals.get`. */
export function answeredValues(answer: JsonMap): JsonMap {
  const mint = answer['mint_info'] as JsonMap
  const values: JsonMap = {}
  const put = (name: string, value: Json | undefined): void => {
    if (value !== undefined) values[name] = value
  }
  put('number', answer['atomical_number'])
  put('type', answer['type'])
  put('commit_tx_num', mint['commit_tx_num'])
  put('commit_height', mint['commit_height'])
  put('reveal_tx_num', mint['reveal_location_tx_num'])
  put('reveal_height', mint['reveal_location_height'])
  put('reveal_txid', mint['reveal_location_txid'])
  put('script', mint['reveal_location_script'])
  put('value', mint['reveal_location_value'])
  put('immutable', answer['type'] === 'NFT' ? mint['$immutable'] : undefined)
  put('max_supply', answer['$max_supply'])
  put('mint_height', numeric(answer['$mint_height']))
  put('mint_amount', numeric(answer['$mint_amount']))
  put('max_mints', numeric(answer['$max_mints']))
  put('mode', answer['$mint_mode'])
  put('sealed', answer['$sealed'])
  put('full_realm_name', answer['$full_realm_name'])
  for (const name of NAMES) {
    const candidates = answer[`$${name}_candidates`]
    if (candidates === undefined) continue
    put(`request_${name}`, answer[`$request_${name}`])
    put('status', (answer[`$request_${name}_status`] as JsonMap)['status'])
    put('candidates', (candidates as JsonMap[]).map(answeredCandidate))
    put(name, answer[`$${name}`])
  }
  const dmint = answer['$container_dmint_status'] as JsonMap | undefined
  if (dmint !== undefined) put('dmint', { status: dmint['status'] ?? null, errors: dmint['errors'] ?? [] })
  return values
}

/** True counts as 1 among integers. */
function numeric(value: Json | undefined): Json | undefined {
  return value === true ? 1 : value === false ? 0 : value
}

function answeredCandidate(candidate: JsonMap): Json {
  const { tx_num, atomical_id, commit_height, reveal_location_height } = candidate
  const base = {
    tx_num: tx_num ?? null,
    atomical_id: atomical_id ?? null,
    commit_height: commit_height ?? null,
    reveal_location_height: reveal_location_height ?? null,
  }
  if (!('payment' in candidate)) return base
  const rule = candidate['applicable_rule'] as JsonMap | null
  return {
    ...base,
    payment: candidate['payment'] ?? null,
    payment_type: candidate['payment_type'] ?? null,
    payment_subtype: candidate['payment_subtype'] ?? null,
    rule: rule === null ? null : ((rule['matched_rule'] as JsonMap)['p'] ?? null),
  }
}
