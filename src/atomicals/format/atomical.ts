import { headerHash } from '../../chain/headers.ts'
import type { ChainView } from '../../db/view.ts'
import { toDisplayHex, toHex } from '../../lib/bytes.ts'
import { CborMap } from '../../lib/cbor/values.ts'
import { sha256d } from '../../lib/hash.ts'
import { compactOfIdText, idText, indexOfIdText, txidOfIdText } from '../id-text.ts'
import { atomicalRef } from '../ids.ts'
import type { AtomicalRow } from '../layout.ts'
import type { DftTerms } from '../mint/dft.ts'
import { argsOf } from '../mint/request.ts'
import { isTruthy, type MaybeValue, textOf } from '../python.ts'
import { type AtomicalsQueries, isSubRequest, type RequestAnswer } from '../queries.ts'
import type { IdText } from '../transfer/holding.ts'
import { type CandidateWire, wireOfCandidate, wireOfStatus, wireOfSubCandidate } from './names.ts'
import { extend, ShownValues, type Wire, type WireObject, wireOf } from './values.ts'

/** An atomical as `get` shows it; other methods add to it. */
export interface AtomicalWire extends WireObject {
  readonly atomical_id: string
  readonly atomical_number: number
  readonly atomical_ref: string
  readonly type: 'FT' | 'NFT'
  readonly subtype?: string | undefined
  readonly confirmed: boolean
  readonly mint_info: WireObject
}

/** SHA-256d of a script as displayed: what Atomicals answers call a script hash. */
export function scriptHashText(script: Uint8Array): string {
  return toDisplayHex(sha256d(script))
}

/** Makes what `get` shows out of rows. One serves one view. */
export class AtomicalFormat {
  readonly #queries: AtomicalsQueries
  readonly #view: ChainView
  readonly #shown: ShownValues

  constructor(queries: AtomicalsQueries, view: ChainView, shown: ShownValues = new ShownValues()) {
    this.#queries = queries
    this.#view = view
    this.#shown = shown
  }

  /**
   * The atomical with its names, or undefined if nobody minted it. One whose reveal is not in the view's chain has the
   * number -1 and null for what is not known of blocks yet.
   */
  async atomical(id: IdText): Promise<AtomicalWire | undefined> {
    const row = this.#queries.atomical(id)
    if (row === undefined) return undefined
    const payload = this.#queries.payload(row.txNum)
    const args = argsOf(payload) ?? new CborMap()
    const extras = this.#mintExtras(row, args)
    const request = await this.#queries.request(id)
    const confirmed = this.#isConfirmed(row.txNum)
    const nameFields = await this.#nameFields(id, row, args, request)
    const dmintField = await this.#dmintField(id, request)
    const wire: AtomicalWire = {
      atomical_id: compactOfIdText(id),
      atomical_number: confirmed ? row.number : -1,
      atomical_ref: atomicalRef(txidOfIdText(id)),
      type: row.type === 'nft' ? 'NFT' : 'FT',
      confirmed,
      mint_info: extend(this.#mintInfo(id, row, payload, args), requestFields(row, args), extras),
    }
    return extend(wire, this.#tokenFields(row, args), extras, nameFields, this.#sealedField(id), dmintField, {
      mint_data: { fields: wireOf(payload, this.#shown) },
    })
  }

  #mintInfo(id: IdText, row: AtomicalRow, payload: CborMap, args: CborMap): WireObject {
    const commit = compactOfIdText(id)
    const isCommitted = this.#isConfirmed(row.commitTxNum)
    return {
      commit_txid: toDisplayHex(txidOfIdText(id)),
      commit_index: indexOfIdText(id),
      commit_location: commit,
      commit_tx_num: isCommitted ? row.commitTxNum : null,
      commit_height: isCommitted ? row.commitHeight : null,
      reveal_location_txid: toDisplayHex(row.revealTxid),
      reveal_location_index: 0,
      reveal_location: compactOfIdText(idText(row.revealTxid, 0)),
      ...this.#revealBlock(row),
      reveal_location_scripthash: scriptHashText(row.script),
      reveal_location_script: toHex(row.script),
      reveal_location_value: row.satoshis,
      args: this.#wire(args),
      meta: this.#wire(mapOrEmpty(payload.get('meta'))),
      ctx: this.#wire(mapOrEmpty(payload.get('ctx'))),
    }
  }

  #isConfirmed(txNum: number): boolean {
    return txNum < this.#view.tip.txCount
  }

  #revealBlock({ txNum, height }: AtomicalRow): WireObject {
    const header = this.#isConfirmed(txNum) ? (this.#view.header(height) ?? new Uint8Array(0)) : undefined
    return {
      reveal_location_tx_num: header === undefined ? null : txNum,
      reveal_location_height: header === undefined ? null : height,
      reveal_location_header: header === undefined ? null : toHex(header),
      // As hashed, not as displayed: so the reference has it.
      reveal_location_blockhash: header === undefined ? null : toHex(headerHash(header)),
    }
  }

  /** What stands both in the mint info and at the top. */
  #mintExtras({ terms }: AtomicalRow, args: CborMap): WireObject {
    const [commit, reveal] = [args.get('bitworkc'), args.get('bitworkr')]
    const asksWork = isTruthy(commit) || isTruthy(reveal)
    const parents = args.get('parents')
    const fixed = terms?.mode.kind === 'fixed' ? terms.mode : undefined
    return {
      $bitwork: asksWork ? { bitworkc: this.#wireIfSet(commit), bitworkr: this.#wireIfSet(reveal) } : undefined,
      $parents: isTruthy(parents) ? this.#wire(parents) : undefined,
      $mint_bitworkc: fixed?.commitWork,
      $mint_bitworkr: fixed?.revealWork,
    }
  }

  #tokenFields({ type, satoshis, terms }: AtomicalRow, args: CborMap): WireObject {
    if (type === 'nft') return {}
    if (terms === undefined) return { subtype: 'direct', $max_supply: satoshis }
    return {
      subtype: 'decentralized',
      $mint_mode: terms.mode.kind,
      $max_supply: maxSupply(terms),
      ...(terms.mode.kind === 'perpetual' ? this.#perpetualFields(args) : {}),
      // As the payload has them: true where it says true for 1.
      $mint_height: this.#wire(args.get('mint_height')),
      $mint_amount: this.#wire(args.get('mint_amount')),
      $max_mints: this.#wire(args.get('max_mints')),
    }
  }

  #perpetualFields(args: CborMap): WireObject {
    const or = (name: string, otherwise: number): Wire => {
      const value = args.get(name)
      return value === undefined ? otherwise : this.#wire(value)
    }
    return {
      $mint_bitwork_vec: this.#wire(args.get('bv')),
      $mint_bitworkc_inc: or('bci', 0),
      $mint_bitworkc_start: or('bcs', 64),
      $mint_bitworkr_inc: or('bri', 0),
      $mint_bitworkr_start: or('brs', 64),
      $max_mints_global: this.#wire(args.get('maxg')),
    }
  }

  async #nameFields(
    id: IdText,
    row: AtomicalRow,
    args: CborMap,
    request: RequestAnswer | undefined,
  ): Promise<WireObject> {
    const name = row.request?.name
    if (request === undefined || name === undefined) return {}
    const { kind } = request
    const holds = request.status?.status === 'verified'
    const own: WireObject = {
      [`$${kind}_candidates`]: this.#candidates(request),
      [`$request_${kind}_status`]: wireOfStatus(request, id),
      [`$request_${kind}`]: name,
      [`$${kind}`]: holds ? name : undefined,
    }
    return extend<WireObject>(
      // That of a ticker is the one that its token has.
      kind === 'ticker' ? {} : { subtype: holds ? kind : `request_${kind}` },
      own,
      await this.#parentFields(id, row, args),
      kind === 'realm' && holds ? { $full_realm_name: name } : {},
    )
  }

  /** What blocks will say of those that are not in one is null here too. */
  #candidates(request: RequestAnswer): WireObject[] {
    const atomical = (id: IdText): AtomicalRow | undefined => {
      const row = this.#queries.atomical(id)
      return row !== undefined && this.#isConfirmed(row.txNum) ? row : undefined
    }
    const known = (wire: CandidateWire): WireObject => (this.#isConfirmed(wire.tx_num) ? wire : withoutCommit(wire))
    return isSubRequest(request)
      ? request.name.candidates.map((candidate) => known(wireOfSubCandidate(candidate, atomical, this.#shown)))
      : request.name.candidates.map((candidate) => known(wireOfCandidate(candidate, atomical)))
  }

  async #parentFields(id: IdText, { request }: AtomicalRow, args: CborMap): Promise<WireObject> {
    const parent = request?.parent
    if (parent === undefined) return {}
    if (request?.kind === 'subrealm') {
      const full = (await this.#queries.realmPath(id))?.join('.')
      return { $request_full_realm_name: full, $full_realm_name: full, $parent_realm: textOf(args.get('parent_realm')) }
    }
    const container = await this.#queries.request(parent)
    const held = container?.kind === 'container' && container.status?.status === 'verified'
    return {
      $parent_container: textOf(args.get('parent_container')),
      $parent_container_name: held ? this.#queries.atomical(parent)?.request?.name : undefined,
    }
  }

  #sealedField(id: IdText): WireObject {
    const seal = this.#queries.seal(id)
    return seal === undefined ? {} : { $sealed: compactOfIdText(seal) }
  }

  /** Only of containers that have their name. */
  async #dmintField(id: IdText, request: RequestAnswer | undefined): Promise<WireObject> {
    if (request?.kind !== 'container' || request.status?.status !== 'verified') return {}
    const dmint = await this.#queries.dmint(id)
    if (dmint === undefined) return {}
    return {
      $container_dmint_status: {
        status: dmint.valid ? 'valid' : 'invalid',
        dmint: this.#wire(dmint.dmint),
        errors: dmint.errors,
      },
    }
  }

  #wire(value: MaybeValue): Wire {
    return wireOf(value, this.#shown)
  }

  #wireIfSet(value: MaybeValue): Wire {
    return isTruthy(value) ? this.#wire(value) : null
  }
}

/** A candidate whose commit is in no block: its number is not known, nor the heights that follow from that of the commit. */
function withoutCommit(wire: CandidateWire): WireObject {
  const { make_payment_from_height: window } = wire
  return {
    ...wire,
    tx_num: null,
    commit_height: null,
    ...(window === undefined ? {} : { make_payment_from_height: null, payment_due_no_later_than_height: null }),
  }
}

function mapOrEmpty(value: MaybeValue): CborMap {
  return value instanceof CborMap ? value : new CborMap()
}

/** What the mint asked for; parents as it spelled them. */
function requestFields({ type, immutable, request }: AtomicalRow, args: CborMap): WireObject {
  return extend<WireObject>(request === undefined ? {} : { [`$request_${request.kind}`]: request.name }, {
    $parent_realm: request?.kind === 'subrealm' ? textOf(args.get('parent_realm')) : undefined,
    $parent_container: request?.kind === 'dmitem' ? textOf(args.get('parent_container')) : undefined,
    $immutable: type === 'nft' ? immutable : undefined,
  })
}

/** Units that there can be at most; -1 of a perpetual token without an end. */
export function maxSupply({ mode, mintAmount, maxMints }: DftTerms): number {
  if (mode.kind === 'fixed') return mintAmount * maxMints
  return mode.maxMintsGlobal === undefined ? -1 : mintAmount * mode.maxMintsGlobal
}
