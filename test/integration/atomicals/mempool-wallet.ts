import { expect } from 'vitest'
import { parseWholeTx, type Tx, type TxOutput } from '../../../src/chain/tx.ts'
import { fromHex, toDisplayHex } from '../../../src/lib/bytes.ts'
import { type Outpoint, out } from '../../support/atomicals-chain.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { type Payee, payee, type Station } from '../protocol/station.ts'

export interface Unspent {
  readonly tx_hash: string
  readonly tx_pos: number
  readonly height: number
  readonly atomicals: Readonly<Record<string, number>>
}

export type Members = Readonly<Record<string, unknown>>

export interface Listing {
  readonly atomicals: Readonly<Record<string, Members>>
  readonly utxos: readonly Members[]
  readonly unconfirmed?: { readonly atomicals: Readonly<Record<string, Members>>; readonly utxos: readonly Members[] }
}

export const FUND = 1_000_000
export const FEE = 1_000

/** Mints and moves Atomicals through a node, and asks the server what it makes of that. */
export class Wallet {
  readonly station: Station
  /** Another one after a restart of the server. */
  client: WireClient
  #people = 0

  constructor(station: Station, client: WireClient) {
    this.station = station
    this.client = client
  }

  someone(): Payee {
    this.#people += 1
    return payee(`someone ${this.#people}`)
  }

  /** Confirmed coins of nobody in particular. */
  async funds(count: number): Promise<Outpoint[]> {
    const keeper = this.someone()
    const txids = Array.from({ length: count }, () => this.station.node.send(keeper.address, BigInt(FUND)))
    const raws = await Promise.all(txids.map((txid) => this.station.rpc('getrawtransaction', txid)))
    await this.station.mine(1)
    return raws.map((raw) => {
      const tx = parseWholeTx(fromHex(String(raw)))
      const vout = tx.outputs.findIndex(({ value }) => value === BigInt(FUND))
      return out(tx, vout)
    })
  }

  /** Puts a transaction into the node's mempool; settles once the server has it too. */
  async send(tx: Tx, touches: Payee): Promise<Tx> {
    expect(this.station.node.submitTx(tx.raw)).toMatchObject({ kind: 'accepted' })
    await this.until(touches, (txids) => txids.includes(toDisplayHex(tx.txid)))
    return tx
  }

  /** Settles once what the mempool has of a script is so. */
  async until({ hash }: Payee, holds: (txids: readonly string[]) => boolean): Promise<void> {
    for (;;) {
      const items = (await this.ask('blockchain.scripthash.get_mempool', hash)) as readonly {
        readonly tx_hash: string
      }[]
      if (holds(items.map(({ tx_hash: txid }) => txid))) return
    }
  }

  ask(method: string, ...params: unknown[]): Promise<unknown> {
    return this.client.request(method, params)
  }

  async atomicals(method: string, ...params: unknown[]): Promise<Members> {
    return (await this.ask(`blockchain.atomicals.${method}`, ...params)) as Members
  }

  /** What sits at the unspent outputs of somebody, by place; undefined where nothing does. */
  async held({ hash }: Payee): Promise<Record<string, Members>> {
    const outputs = (await this.ask('blockchain.scripthash.listunspent', hash)) as readonly Unspent[]
    return Object.fromEntries(
      outputs.map(({ tx_hash: txid, tx_pos: vout, atomicals }) => [`${txid}i${vout}`, atomicals]),
    )
  }

  async balances(type: 'ft' | 'nft', { hash }: Payee): Promise<Members> {
    return this.atomicals(`get_${type}_balances_scripthash`, hash)
  }

  async listing({ hash }: Payee): Promise<Listing> {
    return (await this.atomicals('listscripthash', hash)) as unknown as Listing
  }
}

export function to({ bytes }: Payee, satoshis: number): TxOutput {
  return { value: BigInt(satoshis), script: bytes }
}
