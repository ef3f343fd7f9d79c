import type { Found } from '../../support/atomicals-wallet.ts'
import { AtomicalsWallet, type AtomicalsWorld } from '../../support/atomicals-wallet.ts'
import type { SeededRandom } from '../../support/crash-random.ts'
import type { ProxyClient } from '../../support/proxy-client.ts'
import type { TaprootKey } from '../../support/taproot.ts'
import type { Oracle } from './oracle.ts'

const TICKER = 'soak'
const MINTED = 700
const DEPOSIT = 5_000_000
/** Deposits and operations from one to the next. */
const DEPOSIT_EVERY = 30
/** NFTs that are still looked after. */
const KEPT = 40
const CHECKED = 6

/** An NFT and the transactions that it was in, in order: it sits at the first output of the last one that has a block. */
interface Nft {
  readonly id: string
  readonly txids: string[]
  /** Whether it is still the minter's own. */
  own: boolean
}

/** Mints NFTs and units of a token, changes and moves them, and knows where they should be. */
export class Minting {
  readonly wallet: AtomicalsWallet
  /** Ids of all that was minted lately. */
  readonly ids: string[] = []
  token = ''
  readonly #api: ProxyClient
  readonly #oracle: Oracle
  readonly #random: SeededRandom
  readonly #keys: readonly TaprootKey[]
  readonly #nfts: Nft[] = []
  readonly #mints: string[] = []
  #count = 0

  constructor(world: AtomicalsWorld, oracle: Oracle, random: SeededRandom, keys: readonly TaprootKey[]) {
    this.wallet = new AtomicalsWallet(world, 'soak')
    this.#api = world.api
    this.#oracle = oracle
    this.#random = random
    this.#keys = keys
  }

  /** Deploys the token, which wants some blocks before anybody mints. */
  async deploy(): Promise<void> {
    await this.wallet.deposit(DEPOSIT)
    const args = { mint_amount: MINTED, mint_height: 0, max_mints: 1_000_000, request_ticker: TICKER }
    const plan = { to: [this.wallet.mine(1_000)], bitworkc: '7777' }
    const { atomicalId } = await this.wallet.operate('dft', { name: 'Soak', args }, plan)
    this.token = atomicalId
    this.ids.push(atomicalId)
  }

  /** One round: something is minted, and now and then something is changed or goes to somebody else. */
  async operate(): Promise<void> {
    const count = this.#count++
    if (count % DEPOSIT_EVERY === 0) await this.wallet.deposit(DEPOSIT)
    await this.#mint(count)
    if (count % 2 === 0) await this.#mintUnits()
    if (count % 3 === 0) await this.#change('mod', { count, at: 'x' })
    if (count % 4 === 1) await this.#change('evt', { count, evt: 'y' })
    if (count % 3 === 1) await this.#move()
  }

  /** What differs from what should be, of the token and of some NFTs. */
  async check(): Promise<string | undefined> {
    const confirmed = this.#mints.filter((txid) => this.#oracle.heightOf(txid) !== undefined).length
    const { result } = await this.#api.call<Found>('blockchain.atomicals.get_ft_info', this.token)
    const counted = result.dft_info?.mint_count
    if (counted !== confirmed) return `the token has ${counted} mints, its blocks ${confirmed}`
    const holders = await this.#api.call<readonly { holding: number }[]>(
      'blockchain.atomicals.get_holders',
      this.token,
      1000,
    )
    const held = holders.reduce((sum, { holding }) => sum + holding, 0)
    if (held !== confirmed * MINTED) return `${held} units of the token are held, ${confirmed * MINTED} were minted`
    const settled = this.#nfts.filter(({ txids }) => this.#isConfirmed(txids[0]!))
    for (let i = 0; i < Math.min(CHECKED, settled.length); i++) {
      const found = await this.#checkPlace(this.#random.pick(settled))
      if (found !== undefined) return found
    }
    return undefined
  }

  async #checkPlace({ id, txids }: Nft): Promise<string | undefined> {
    const last = txids.filter((txid) => this.#isConfirmed(txid)).at(-1)
    const { location_info_obj: info } = await this.wallet.resolve(id, 'location')
    const places = (info?.locations ?? []).map(({ txid, index }) => `${txid}:${index}`)
    return places.join() === `${last}:0` ? undefined : `${id} sits at ${places.join() || 'nothing'}, not at ${last}:0`
  }

  #isConfirmed(txid: string): boolean {
    return this.#oracle.heightOf(txid) !== undefined
  }

  async #mint(count: number): Promise<void> {
    const data = Buffer.alloc(100 + (count % 7) * 300, count)
    const { atomicalId, revealTxid } = await this.wallet.operate(
      'nft',
      { name: `n${count}`, data },
      { to: [this.wallet.mine(1_000)] },
    )
    this.#nfts.push({ id: atomicalId, txids: [revealTxid], own: true })
    if (this.#nfts.length > KEPT) this.#nfts.shift()
    this.ids.push(atomicalId)
    if (this.ids.length > 1_000) this.ids.splice(1, 1)
  }

  async #mintUnits(): Promise<void> {
    const plan = { to: [this.wallet.mine(MINTED)] }
    const { revealTxid } = await this.wallet.operate('dmt', { args: { mint_ticker: TICKER } }, plan)
    this.#mints.push(revealTxid)
  }

  async #change(op: 'mod' | 'evt', payload: Readonly<Record<string, string | number>>): Promise<void> {
    const nft = this.#settledOne()
    if (nft === undefined) return
    const coin = await this.wallet.located(nft.id)
    const { revealTxid } = await this.wallet.operate(op, payload, {
      to: [this.wallet.mine(coin.coin.value)],
      with: [coin],
    })
    nft.txids.push(revealTxid)
  }

  async #move(): Promise<void> {
    const nft = this.#settledOne()
    if (nft === undefined) return
    const coin = await this.wallet.located(nft.id)
    const to = { script: this.#random.pick(this.#keys).script, value: coin.coin.value }
    nft.txids.push(await this.wallet.send([coin], [to]))
    nft.own = false
  }

  /** One of the minter's own of which nothing waits for a block. */
  #settledOne(): Nft | undefined {
    const settled = this.#nfts.filter(({ own, txids }) => own && this.#isConfirmed(txids.at(-1)!))
    return settled.length === 0 ? undefined : this.#random.pick(settled)
  }
}
