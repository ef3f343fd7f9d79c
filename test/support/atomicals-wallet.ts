import { encodeCbor, type PlainMap } from './atomicals-chain.ts'
import type { ProxyClient } from './proxy-client.ts'
import {
  addressOfScript,
  type Coin,
  commitTo,
  type Payee,
  type SpentCoin,
  scripthashOf,
  TaprootKey,
  transactionOf,
} from './taproot.ts'
import type { WalletWorld } from './wallet-world.ts'

/** What a reveal, and a transaction without envelope, pays the miner; enough for what tests send. */
const FEE = 3_000
const DUST = 546

/** Members of an output at which an atomical sits that wallets read. */
export interface Location {
  readonly txid: string
  readonly index: number
  readonly value: number
  readonly script: string
  readonly atomicals_at_location?: readonly string[]
}

/** Members of an atomical that wallets read; which there are depends on the method that was asked. */
export interface AtomicalInfo {
  readonly atomical_id: string
  readonly atomical_number: number
  readonly type: 'NFT' | 'FT'
  readonly subtype?: string | null
  readonly confirmed: boolean
  readonly mint_info?: MintInfo
  readonly location_info_obj?: { readonly locations: readonly Location[] }
  readonly state?: { readonly latest: PlainMap; readonly history: readonly unknown[] }
  readonly events?: { readonly history: readonly { readonly txid: string; readonly data: unknown }[] }
  readonly dft_info?: DftInfo
  readonly [name: `$${string}`]: unknown
}

export interface MintInfo {
  readonly commit_txid: string
  readonly reveal_location_height: number
  readonly reveal_location_header: string
  readonly reveal_location_script: string
}

export interface DftInfo {
  readonly mint_count: number
  readonly mint_bitworkc_current?: string
  readonly mint_bitworkc_next?: string
  readonly mint_bitworkr_current?: string
}

export interface Found<T = AtomicalInfo> {
  readonly global: { readonly height: number }
  readonly result: T
}

/** What the lookup of a name says, of a free one too. */
export interface NameResult {
  readonly atomical_id?: string | null
  readonly candidates: readonly { readonly atomical_id: string }[]
  readonly status?: string | null
  readonly missing_name_parts?: string | null
  readonly nearest_parent_realm_atomical_id?: string | null
  readonly nearest_parent_realm_subrealm_mint_rules?: {
    readonly current_height: number
    readonly current_height_rules: readonly MintRule[]
  } | null
}

export interface MintRule {
  readonly p: string
  readonly o?: Readonly<Record<string, { readonly v: number; readonly id?: string }>>
  readonly bitworkc?: string
  readonly bitworkr?: string
}

/** An entry of `atomicals` of listscripthash. */
export interface HeldInfo {
  readonly atomical_id: string
  readonly type: 'NFT' | 'FT'
  readonly subtype?: string | null
  readonly confirmed: number
  readonly [name: string]: unknown
}

export interface Holdings {
  readonly global: { readonly height: number }
  readonly atomicals: Readonly<Record<string, HeldInfo>>
  readonly utxos: readonly HeldOutput[]
}

export interface HeldOutput {
  readonly txid: string
  readonly index: number
  readonly value: number
  readonly height: number
  /** Ids, or amounts by id. */
  readonly atomicals: readonly string[] | Readonly<Record<string, number>>
}

export interface OperationPlan {
  readonly to: readonly Payee[]
  /** Coins of the owner that the reveal spends besides the commitment. */
  readonly with?: readonly SpentCoin[]
  /** Work on the commit. With it the commit is paid by the funding address, without it by who reads the address. */
  readonly bitworkc?: string | undefined
  readonly bitworkr?: string | undefined
}

export interface Operation {
  readonly atomicalId: string
  readonly commitTxid: string
  readonly revealTxid: string
}

/** What a wallet needs of the world around it. */
export type AtomicalsWorld = Pick<WalletWorld, 'api' | 'give' | 'until'>

/** The methods that show an atomical, by what the command line of atomicals-js calls them. */
export const VIEWS = {
  get: 'get',
  location: 'get_location',
  state: 'get_state',
  'state-history': 'get_state_history',
  'event-history': 'get_events',
  'tx-history': 'get_tx_history',
} as const

/**
 * What atomicals-js does, in the order in which it does it: an owner's address for what is coloured, another for fees.
 * Everything that it knows it asks of the server over HTTP.
 */
export class AtomicalsWallet {
  readonly owner: TaprootKey
  readonly funding: TaprootKey
  readonly api: ProxyClient
  readonly #world: AtomicalsWorld

  constructor(world: AtomicalsWorld, name: string, api = world.api) {
    this.#world = world
    this.api = api
    this.owner = new TaprootKey(`${name} owner`)
    this.funding = new TaprootKey(`${name} funding`)
  }

  /** An output to the owner. */
  mine(value: number): Payee {
    return { script: this.owner.script, value }
  }

  /** Somebody pays to the funding address. */
  async deposit(value = 100_000): Promise<void> {
    await this.#world.give({ script: this.funding.script, value })
  }

  /** The smallest plain coin of a script that will do, asked for until there is one. */
  async waitForCoin(scripthash: string, least: number): Promise<Coin> {
    return this.#world.until(`${least} satoshis`, async () => {
      const rows = await this.api.call<readonly UnspentRow[]>('blockchain.scripthash.listunspent', scripthash)
      const plain = rows.filter(({ atomicals, value }) => Object.keys(atomicals).length === 0 && value >= least)
      const [row] = plain.sort((a, b) => a.value - b.value)
      return row === undefined ? undefined : { txid: row.tx_hash, vout: row.tx_pos, value: row.value }
    })
  }

  /** Commits and reveals. The reveal goes out as soon as the server knows the commit. */
  async operate(op: string, payload: PlainMap, plan: OperationPlan): Promise<Operation> {
    const { to, with: coins = [], bitworkc, bitworkr } = plan
    const work = {
      ...(bitworkc === undefined ? {} : { bitworkc, nonce: 0, time: 1_700_000_000 }),
      ...(bitworkr === undefined ? {} : { bitworkr }),
    }
    const args = { ...(payload['args'] as PlainMap | undefined), ...work }
    const whole = Object.keys(args).length === 0 ? payload : { ...payload, args }
    const commitment = commitTo(this.funding, op, encodeCbor(whole))
    const brought = coins.reduce((sum, { coin }) => sum + coin.value, 0)
    const value = Math.max(sumOf(to) + FEE - brought, DUST)
    await (bitworkc === undefined
      ? this.#world.give({ script: commitment.script, value })
      : this.#commit({ script: commitment.script, value }, bitworkc))
    const coin = await this.waitForCoin(commitment.scripthash, value)
    const from = [{ coin, key: this.funding, commitment }, ...coins]
    const reveal = transactionOf({ from, to, ...(bitworkr === undefined ? {} : { work: bitworkr }) })
    const revealTxid = await this.broadcast(reveal.hex)
    return { atomicalId: `${coin.txid}i0`, commitTxid: coin.txid, revealTxid }
  }

  async #commit(payee: Payee, work: string): Promise<void> {
    const coin = await this.waitForCoin(this.funding.scripthash, payee.value + FEE + DUST)
    const change = { script: this.funding.script, value: coin.value - payee.value - FEE }
    const tx = transactionOf({ from: [{ coin, key: this.funding }], to: [payee, change], work })
    await this.broadcast(tx.hex)
  }

  /** A transaction without an envelope; the funding address pays for it and gets the change. */
  async send(coins: readonly SpentCoin[], to: readonly Payee[], force = false): Promise<string> {
    const missing = sumOf(to) + FEE - coins.reduce((sum, { coin }) => sum + coin.value, 0)
    const fee = await this.waitForCoin(this.funding.scripthash, Math.max(missing, 0) + DUST)
    const change = { script: this.funding.script, value: fee.value - missing }
    const tx = transactionOf({ from: [...coins, { coin: fee, key: this.funding }], to: [...to, change] })
    return this.broadcast(tx.hex, force)
  }

  /** All of these coins to one output, so that whatever sits at them has no other place. */
  sendAll(coins: readonly SpentCoin[], to: Payee): Promise<string> {
    return this.broadcast(transactionOf({ from: coins, to: [to] }).hex)
  }

  broadcast(hex: string, force = false): Promise<string> {
    return this.api.call(`blockchain.transaction.broadcast${force ? '_force' : ''}`, hex)
  }

  /** What is under a realm path (`+…` or with a dot), `#container`, `$ticker`, an id or a number. */
  async resolve(name: string | number, view: keyof typeof VIEWS = 'get'): Promise<AtomicalInfo> {
    const id = typeof name === 'number' ? name : await this.#idOf(name)
    const { result } = await this.api.call<Found>(`blockchain.atomicals.${VIEWS[view]}`, id)
    return result
  }

  async #idOf(name: string): Promise<string> {
    const lookup =
      name.startsWith('+') || name.includes('.')
        ? this.realmInfo(name)
        : name.startsWith('#')
          ? this.api.call<Found<NameResult>>('blockchain.atomicals.get_by_container', name.slice(1))
          : name.startsWith('$')
            ? this.api.call<Found<NameResult>>('blockchain.atomicals.get_by_ticker', name.slice(1))
            : undefined
    if (lookup === undefined) return name
    const { result } = await lookup
    if (typeof result.atomical_id !== 'string') throw new Error(`nobody has ${name}`)
    return result.atomical_id
  }

  /** With the second parameter that servers once had. */
  realmInfo(name: string): Promise<Found<NameResult>> {
    return this.api.call('blockchain.atomicals.get_realm_info', name.replace(/^\+/, ''), 0)
  }

  /** Where an atomical sits, if that is at one output of the owner. */
  async located(name: string | number): Promise<SpentCoin> {
    const { location_info_obj: info } = await this.resolve(name, 'location')
    const [location] = info?.locations ?? []
    if (location === undefined) throw new Error(`${name} is nowhere`)
    return this.coinAt(location)
  }

  /** Throws for an output that is not the owner's. */
  coinAt({ txid, index, value, script }: Location): SpentCoin {
    if (addressOfScript(Buffer.from(script, 'hex')) !== this.owner.address) throw new Error('controlled by another')
    return { coin: { txid, vout: index, value }, key: this.owner }
  }

  /** What an address has; the owner's unless another script is given. */
  holdings(script: Uint8Array = this.owner.script): Promise<Holdings> {
    return this.api.call('blockchain.atomicals.listscripthash', scripthashOf(script), true)
  }

  /** Outputs of the owner where a token sits, as `utxo.atomicals` says in either form. */
  async coinsOf(id: string): Promise<SpentCoin[]> {
    const { utxos } = await this.holdings()
    return utxos
      .filter(({ atomicals }) => (isList(atomicals) ? atomicals.some((one) => one === id) : id in atomicals))
      .map(({ txid, index, value }) => ({ coin: { txid, vout: index, value }, key: this.owner }))
  }
}

interface UnspentRow {
  readonly tx_hash: string
  readonly tx_pos: number
  readonly value: number
  readonly atomicals: HeldOutput['atomicals']
}

function isList(atomicals: HeldOutput['atomicals']): atomicals is readonly string[] {
  return Array.isArray(atomicals)
}

function sumOf(payees: readonly Payee[]): number {
  return payees.reduce((sum, { value }) => sum + value, 0)
}
