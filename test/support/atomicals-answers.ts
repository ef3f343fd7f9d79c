import { compactOfIdText, idText, idTextOfCompact } from '../../src/atomicals/id-text.ts'
import type { ActivityRow, HeldKind, PayloadRow } from '../../src/atomicals/layout.ts'
import type { AtomicalsQueries } from '../../src/atomicals/queries.ts'
import { addressOf, BITCOIN_ADDRESSES } from '../../src/chain/address.ts'
import type { ChainView } from '../../src/db/view.ts'
import { fromDisplayHex, toDisplayHex, toHex, writeUint64LE } from '../../src/lib/bytes.ts'
import { sha256d } from '../../src/lib/hash.ts'
import { answeredValues, atomicalValues, type Json, jsonOf } from './atomicals-values.ts'

/**
 * The values in answers of the Atomicals API, out of the rows of the index: `own` makes them, `answered` picks the same out
 * of what the reference answered. Undefined: the row says nothing that is in the index (unconfirmed mints, wrong parameters).
 */
export interface AnswerCheck {
  own(world: World, params: readonly unknown[]): Promise<Json | undefined>
  answered(result: never): Json
}

export interface World {
  readonly queries: AtomicalsQueries
  readonly view: ChainView
}

type Map = { [key: string]: Json }
type Answer = { result: Map }

/** The atomical that a parameter names, if it is in the index. */
function idIn({ queries }: World, param: unknown): string | undefined {
  const id =
    typeof param === 'string'
      ? idTextOfCompact(param)
      : typeof param === 'number'
        ? queries.idOfNumber(param)
        : undefined
  return id === undefined || queries.atomical(id) === undefined ? undefined : id
}

function ofAtomical(own: (world: World, id: string) => Promise<Json> | Json): AnswerCheck['own'] {
  return async (world, params) => {
    const id = idIn(world, params[0])
    return id === undefined ? undefined : own(world, id)
  }
}

function address(script: Uint8Array): Json {
  return addressOf(script, BITCOIN_ADDRESSES.regtest) ?? null
}

function typeOf(kind: HeldKind): string {
  return kind === 'token' ? 'FT' : 'NFT'
}

/** Sums by script, the largest first; scripts that hold the same in no order. */
async function holdings({ queries }: World, id: string): Promise<Json> {
  const sums = new Map<string, number>()
  const addresses = new Map<string, Json>()
  for (const { script, value } of await queries.holders(id)) {
    const key = toHex(script)
    sums.set(key, (sums.get(key) ?? 0) + value)
    addresses.set(key, address(script))
  }
  return sorted([...sums].map(([key, holding]) => ({ address: addresses.get(key) ?? null, holding })))
}

function sorted(list: readonly Json[]): Json[] {
  return [...list].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
}

const changes = (kind: 'state' | 'events'): AnswerCheck => ({
  own: ofAtomical(async ({ queries }, id) => {
    const recorded = await (kind === 'state' ? queries.changes(id) : queries.events(id))
    return recorded
      .map(({ txNum, height, txid, vout, payload }) => ({
        tx_num: txNum,
        height,
        txid: toDisplayHex(txid),
        index: vout,
        data: jsonOf(payload),
      }))
      .reverse()
  }),
  answered: ({ result }: Answer) => (result[kind] as Map)['history'] ?? null,
})

async function heldBy(world: World, scripthash: unknown, kind: 'FT' | 'NFT'): Promise<Json | undefined> {
  if (typeof scripthash !== 'string' || scripthash.length !== 64) return undefined
  const hashX = fromDisplayHex(scripthash).subarray(0, 11)
  const sums: Map = {}
  for (const { txid, vout } of await world.view.utxos(hashX)) {
    for (const held of world.queries.location(idText(txid, vout))?.held ?? []) {
      if (typeOf(held.kind) !== kind) continue
      const id = compactOfIdText(held.id)
      sums[id] = Number(sums[id] ?? 0) + held.value
    }
  }
  return sums
}

const balances = (kind: 'FT' | 'NFT'): AnswerCheck => ({
  own: (world, [scripthash]) => heldBy(world, scripthash, kind),
  answered: ({ balances: answer }: { balances: Map }) =>
    Object.fromEntries(Object.entries(answer).map(([id, entry]) => [id, (entry as Map)['confirmed'] ?? null])),
})

function moved(entries: Json | undefined): Json {
  const lists = Object.entries((entries ?? {}) as { [key: string]: Json[] })
  return Object.fromEntries(lists.map(([index, list]) => [index, sorted(list)]))
}

/** Groups rows under an index as the reference does. */
function grouped(rows: readonly { readonly index: number; readonly entry: Json }[]): Json {
  const groups: { [key: string]: Json[] } = {}
  for (const { index, entry } of rows) (groups[index] ??= []).push(entry)
  return moved(groups)
}

async function transaction({ queries, view }: World, txid: unknown): Promise<Json | undefined> {
  if (typeof txid !== 'string' || txid.length !== 64) return undefined
  const position = await view.findTransaction(fromDisplayHex(txid))
  const activity = position === undefined ? undefined : queries.activity(position.txNum)
  if (position === undefined || activity === undefined) return undefined
  const scriptAt = (location: string): Json => address(queries.location(location)?.script ?? new Uint8Array(0))
  return {
    tx_num: position.txNum,
    height: position.height,
    op: activity.op === 'none' ? unnamed(activity, queries.operation(position.txNum)) : activity.op,
    is_burned: activity.burnt.length > 0,
    burned_fts: Object.fromEntries(activity.burnt.map(({ id, value }) => [compactOfIdText(id), value])),
    is_cleanly_assigned: activity.clean,
    inputs: grouped(
      activity.spent.map(({ input, location, id, kind, value }) => ({
        index: input,
        entry: {
          address: scriptAt(location),
          atomical_id: compactOfIdText(id),
          type: typeOf(kind),
          index: input,
          value,
        },
      })),
    ),
    outputs: grouped(
      activity.outputs.map(({ output, id, kind, value }) => ({
        index: output,
        entry: {
          address: scriptAt(idText(fromDisplayHex(txid), output)),
          atomical_id: compactOfIdText(id),
          type: typeOf(kind),
          index: output,
          value,
        },
      })),
    ),
  }
}

/** What the reference calls a transaction that it has no name for: a transfer that burnt everything is one all the same. */
function unnamed({ spent }: ActivityRow, operation: PayloadRow | undefined): string {
  return spent.length > 0 && operation === undefined ? 'transfer' : ''
}

const byName = (kind: 'realm' | 'container' | 'ticker'): AnswerCheck => ({
  own: async ({ queries }, [name]) => {
    if (typeof name !== 'string' || !/^[a-z0-9-]+\n?$/.test(name)) return undefined
    const { candidates, holder } = await queries.name(kind, name)
    return nameJson(candidates, holder)
  },
  answered: ({ result }: Answer) => answeredName(result),
})

const bySubname = (kind: 'subrealm' | 'dmitem'): AnswerCheck => ({
  own: async (world, [parent, name]) => {
    const id = idIn(world, parent)
    if (id === undefined || typeof name !== 'string' || !/^[a-z0-9-]+\n?$/.test(name)) return undefined
    const { candidates, holder } = await world.queries.subname(kind, id, name)
    return nameJson(candidates, holder)
  },
  answered: ({ result }: Answer) => answeredName(result),
})

function nameJson(
  candidates: readonly { readonly id: string; readonly txNum: number }[],
  holder: { readonly status: string; readonly id?: string },
): Json {
  return {
    status: holder.status === 'none' ? null : holder.status,
    candidate: holder.id === undefined ? null : compactOfIdText(holder.id),
    candidates: candidates.map(({ id, txNum }) => [compactOfIdText(id), txNum]),
  }
}

function answeredName(result: Map): Json {
  const candidates = (result['candidates'] ?? []) as Map[]
  return {
    status: result['status'] ?? null,
    candidate: result['candidate_atomical_id'] ?? null,
    candidates: candidates.map(({ atomical_id, tx_num }) => [atomical_id ?? null, tx_num ?? null]),
  }
}

export const ANSWER_CHECKS: Readonly<Record<string, AnswerCheck>> = {
  get: {
    own: ofAtomical(({ queries }, id) => atomicalValues(queries, id)),
    answered: ({ result }: Answer) => answeredValues(result),
  },
  get_state: {
    own: async (world, params) => {
      const id = idIn(world, params[0])
      const state = id === undefined ? undefined : jsonOf(await world.queries.state(id))
      // Tags are shown encoded again, which is the formatter's business.
      return JSON.stringify(state ?? null).includes('<tag>') ? undefined : state
    },
    answered: ({ result }: Answer) => (result['state'] as Map)['latest'] ?? null,
  },
  get_state_history: changes('state'),
  get_events: changes('events'),
  get_location: {
    own: ofAtomical(async ({ queries }, id) => {
      const holders = await queries.holders(id)
      return sorted(
        holders.map(({ location, satoshis, script }) => ({
          location: compactOfIdText(location),
          value: satoshis,
          script: toHex(script),
          tx_num: queries.location(location)?.txNum ?? null,
        })),
      )
    }),
    answered: ({ result }: Answer) =>
      sorted(
        (result['location_info'] as Map[]).map(({ location, value, script, tx_num }) => ({
          location: location ?? null,
          value: value ?? null,
          script: script ?? null,
          tx_num: tx_num ?? null,
        })),
      ),
  },
  get_holders: {
    own: async (world, params) => {
      const id = idIn(world, params[0])
      return id === undefined || params.length > 1 ? undefined : holdings(world, id)
    },
    answered: (result: Map[]) =>
      sorted(result.map(({ address: to, holding }) => ({ address: to ?? null, holding: holding ?? null }))),
  },
  get_ft_info: {
    own: ofAtomical(async ({ queries }, id) => {
      const holders = await queries.holders(id)
      const dft = queries.atomical(id)?.type === 'dft'
      return {
        mint_count: dft ? queries.mintCount(id) : null,
        unique_holders: new Set(holders.map(({ script }) => toHex(script))).size,
        circulating_supply: holders.reduce((sum, { value }) => sum + value, 0),
      }
    }),
    answered: ({ result }: Answer) => {
      const summary = result['location_summary'] as Map
      return {
        mint_count: (result['dft_info'] as Map | undefined)?.['mint_count'] ?? null,
        unique_holders: summary['unique_holders'] ?? null,
        circulating_supply: summary['circulating_supply'] ?? null,
      }
    },
  },
  get_dft_mints: {
    own: async (world, params) => {
      const id = idIn(world, params[0])
      if (id === undefined || params.length > 1) return undefined
      const mints = await world.queries.mints(id)
      return mints.slice(0, 20).map(({ value, script }) => {
        const amount = new Uint8Array(8)
        writeUint64LE(amount, BigInt(value), 0)
        return toHex(sha256d(script)) + toHex(amount)
      })
    },
    answered: ({ result }: { result: Json }) => result,
  },
  at_location: {
    own: async ({ queries }, [compact]) => {
      const location = typeof compact === 'string' ? idTextOfCompact(compact) : undefined
      if (location === undefined) return undefined
      const row = queries.location(location)
      if (row === undefined || row.held.length === 0) return { script: null, value: null, atomicals: [] }
      // The reference takes an output of 0 satoshis for one that is not there.
      return {
        script: row.satoshis === 0 ? null : toHex(row.script),
        value: row.satoshis === 0 ? null : row.satoshis,
        atomicals: row.held.map(({ id, kind, value }) => ({
          atomical_id: compactOfIdText(id),
          atomical_number: queries.atomical(id)?.number ?? null,
          type: typeOf(kind),
          value,
        })),
      }
    },
    answered: ({ location_info, atomicals }: { location_info: Map; atomicals: Map[] }) => ({
      script: location_info['script'] ?? null,
      value: location_info['value'] ?? null,
      atomicals: atomicals.map(({ atomical_id, atomical_number, type, value }) => ({
        atomical_id: atomical_id ?? null,
        atomical_number: atomical_number ?? null,
        type: type ?? null,
        value: value ?? null,
      })),
    }),
  },
  get_block_txs: {
    own: async ({ queries, view }, [height]) => {
      const row = typeof height === 'number' ? queries.block(height) : undefined
      const ids = typeof height === 'number' ? await view.blockTxids(height) : undefined
      if (row === undefined || ids === undefined) return undefined
      return row.positions.map((position) => toDisplayHex(ids.subarray(position * 32, position * 32 + 32)))
    },
    answered: ({ result }: { result: Json }) => result,
  },
  get_ft_balances_scripthash: balances('FT'),
  get_nft_balances_scripthash: balances('NFT'),
  transaction: {
    own: (world, [txid]) => transaction(world, txid),
    answered: (result: Map) => {
      const transfers = result['transfers'] as Map
      return {
        tx_num: result['tx_num'] ?? null,
        height: result['height'] ?? null,
        op: result['op'] ?? null,
        is_burned: transfers['is_burned'] ?? null,
        burned_fts: transfers['burned_fts'] ?? null,
        is_cleanly_assigned: transfers['is_cleanly_assigned'] ?? null,
        inputs: moved(transfers['inputs']),
        outputs: moved(transfers['outputs']),
      }
    },
  },
  get_by_realm: byName('realm'),
  get_by_container: byName('container'),
  get_by_ticker: byName('ticker'),
  get_by_subrealm: bySubname('subrealm'),
  get_by_dmitem: bySubname('dmitem'),
}
