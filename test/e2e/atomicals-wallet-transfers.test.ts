import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AtomicalsWallet, type HeldOutput, type Location } from '../support/atomicals-wallet.ts'
import { postingClient } from '../support/proxy-client.ts'
import { transactionOf } from '../support/taproot.ts'
import { MINER_KINDS, WalletWorld } from '../support/wallet-world.ts'

const NAME_WORK = '7777'

/** What at_location says, as far as wallets read it. */
interface Place {
  readonly location_info: Location
  readonly atomicals: readonly { readonly atomical_id: string; readonly type: string; readonly value: number }[]
}

/** Wallets of Atomicals send what they have, by real transactions and over HTTP, as atomicals-js does. */
describe.each(MINER_KINDS)('a wallet of Atomicals sends, with $kind', (miner) => {
  let world: WalletWorld

  beforeAll(async () => {
    world = await WalletWorld.start(miner)
  })

  afterAll(() => world?.stop())

  async function nft(wallet: AtomicalsWallet, title: string): Promise<string> {
    const { atomicalId } = await wallet.operate('nft', { args: { title } }, { to: [wallet.mine(1_000)] })
    await world.mine()
    return atomicalId
  }

  async function token(wallet: AtomicalsWallet, ticker: string, supply: number): Promise<string> {
    const args = { request_ticker: ticker }
    const { atomicalId } = await wallet.operate('ft', { args }, { to: [wallet.mine(supply)], bitworkc: NAME_WORK })
    await world.mine(4)
    return atomicalId
  }

  function at(wallet: AtomicalsWallet, txid: string, index = 0): Promise<Place> {
    return wallet.api.call('blockchain.atomicals.at_location', `${txid}i${index}`)
  }

  /** Amounts by id of each output of a transaction. */
  async function outputs(wallet: AtomicalsWallet, txid: string, count: number): Promise<Record<string, number>[]> {
    const places = await Promise.all(Array.from({ length: count }, (_, index) => at(wallet, txid, index)))
    return places.map(({ atomicals }) => Object.fromEntries(atomicals.map((one) => [one.atomical_id, one.value])))
  }

  it('an NFT to somebody else, whose it is then', async () => {
    const [alice, bob] = [new AtomicalsWallet(world, 'alice nft'), new AtomicalsWallet(world, 'bob nft')]
    const id = await nft(alice, 'to be sent')
    await alice.deposit()
    const { atomical_id: asked } = await alice.resolve(id)
    const here = await alice.resolve(asked, 'location')
    expect(here.location_info_obj!.locations).toHaveLength(1)
    expect(here.location_info_obj!.locations[0]!.atomicals_at_location).toHaveLength(1)
    await expect(bob.located(id)).rejects.toThrow('controlled by another')
    const txid = await alice.send([await alice.located(id)], [bob.mine(2_000)])
    const unconfirmed = await world.until('the NFT in the mempool', async () => {
      const rows = await bob.api.call<readonly HeldOutput[]>('blockchain.scripthash.listunspent', bob.owner.scripthash)
      return rows[0]
    })
    // A wallet that took this for plain coins would burn it.
    expect(unconfirmed).toMatchObject({ txid, height: 0, value: 2_000, atomicals: { [id]: 2_000 } })
    await world.mine()
    expect((await bob.located(id)).coin).toEqual({ txid, vout: 0, value: 2_000 })
    await expect(alice.located(id)).rejects.toThrow('controlled by another')
    expect(Object.keys((await alice.holdings()).atomicals)).toEqual([])
    expect((await bob.holdings()).atomicals[id]).toMatchObject({ type: 'NFT', confirmed: 2_000 })
    const history = await bob.resolve(id, 'tx-history')
    expect(JSON.stringify(history['tx' as keyof typeof history])).toContain(txid)
  })

  it('tokens to several, unit by unit in the order of inputs and outputs', async () => {
    const [alice, bob, carol] = ['alice ft', 'bob ft', 'carol ft'].map((name) => new AtomicalsWallet(world, name))
    await alice!.deposit(300_000)
    const id = await token(alice!, 'coins', 10_000)
    const payees = [bob!.mine(6_000), carol!.mine(3_000), alice!.mine(1_000)]
    const txid = await alice!.send(await alice!.coinsOf(id), payees)
    await world.mine()
    expect(await outputs(alice!, txid, 4)).toEqual([{ [id]: 6_000 }, { [id]: 3_000 }, { [id]: 1_000 }, {}])
    // Two coins in, other amounts out: the first output takes from both.
    const back = await bob!.send(await depositedCoins(bob!, id), [alice!.mine(600), carol!.mine(5_400)])
    await world.mine()
    expect(await outputs(alice!, back, 2)).toEqual([{ [id]: 600 }, { [id]: 5_400 }])
    const both = await depositedCoins(carol!, id)
    expect(new Set(both.map(({ coin }) => coin.value))).toEqual(new Set([3_000, 5_400]))
    const merged = await carol!.send(both, [alice!.mine(7_000), carol!.mine(1_400)])
    await world.mine()
    expect(await outputs(alice!, merged, 2)).toEqual([{ [id]: 7_000 }, { [id]: 1_400 }])
    const balances = await Promise.all(
      [alice!, bob!, carol!].map(async (wallet) => (await wallet.holdings()).atomicals[id]?.confirmed ?? 0),
    )
    expect(balances).toEqual([8_600, 0, 1_400])
    const known = await alice!.api.call<{ readonly balances: object }>(
      'blockchain.atomicals.get_ft_balances_scripthash',
      alice!.owner.scripthash,
    )
    expect(known.balances).toMatchObject({ [id]: { ticker: 'coins', confirmed: 8_600 } })
  })

  it('tokens found by lists of ids, as wallets of before 1.5 expect them, which keeps it from spending them as fees', async () => {
    const listing = new AtomicalsWallet(world, 'list', postingClient(world.port, '/proxy-list'))
    const both = new AtomicalsWallet(world, 'list')
    await listing.deposit()
    const id = await token(listing, 'listed', 5_000)
    await world.give(listing.mine(4_000))
    await world.mine()
    const shapes = await Promise.all(
      [listing, both].map(async ({ api, owner }) => {
        const unspent = await api.call<readonly HeldOutput[]>('blockchain.scripthash.listunspent', owner.scripthash)
        const { utxos } = await api.call<{ readonly utxos: readonly HeldOutput[] }>(
          'blockchain.atomicals.listscripthash',
          owner.scripthash,
          true,
        )
        return [unspent, utxos].map((rows) => rows.map(({ value, atomicals }) => [value, atomicals]))
      }),
    )
    const list = [
      [5_000, [id]],
      [4_000, []],
    ]
    const object = [
      [5_000, { [id]: 5_000 }],
      [4_000, {}],
    ]
    expect(shapes).toEqual([
      [list, list],
      [object, object],
    ])
    // The smaller one, though the other is larger: `.length` says that something sits there.
    expect((await listing.waitForCoin(listing.owner.scripthash, 3_000)).value).toBe(4_000)
    const found = await listing.coinsOf(id)
    expect(found.map(({ coin }) => coin.value)).toEqual([5_000])
    const txid = await listing.send(found, [listing.mine(5_000)])
    const pending = await world.until('the transfer in the mempool', async () => {
      const { unconfirmed } = await listing.api.call<{ readonly unconfirmed?: { readonly utxos: unknown } }>(
        'blockchain.atomicals.listscripthash',
        listing.owner.scripthash,
      )
      return unconfirmed
    })
    expect(pending.utxos).toEqual([expect.objectContaining({ txid, atomicals: [id] })])
    await world.mine()
    expect(await outputs(listing, txid, 1)).toEqual([{ [id]: 5_000 }])
  })

  it('nothing that would burn tokens, unless it insists', async () => {
    const wallet = new AtomicalsWallet(world, 'burning')
    await wallet.deposit(200_000)
    const id = await token(wallet, 'embers', 3_000)
    const coins = await wallet.coinsOf(id)
    // What is missing in the outputs is gone; there is nothing for change.
    const tx = transactionOf({ from: coins, to: [wallet.mine(1_000)] })
    await expect(wallet.broadcast(tx.hex)).rejects.toMatchObject({ status: 422, code: 800_422 })
    await expect(wallet.broadcast(tx.hex)).rejects.toThrow(`2000 of 3000 units of ${id}`)
    await expect(wallet.api.call('blockchain.atomicals.validate', tx.hex)).rejects.toMatchObject({ code: 800_422 })
    await world.mine()
    expect(await wallet.coinsOf(id)).toEqual(coins)
    expect(await wallet.broadcast(tx.hex, true)).toBe(tx.txid)
    await world.mine()
    expect(await outputs(wallet, tx.txid, 1)).toEqual([{ [id]: 1_000 }])
    expect((await wallet.holdings()).atomicals[id]).toMatchObject({ confirmed: 1_000 })
  })

  it('two NFTs to one output, and splits them apart again', async () => {
    const wallet = new AtomicalsWallet(world, 'splat')
    const ids = [await nft(wallet, 'left'), await nft(wallet, 'right')]
    const coins = await Promise.all(ids.map((id) => wallet.located(id)))
    await wallet.deposit(5_000)
    const fee = await wallet.waitForCoin(wallet.funding.scripthash, 4_000)
    const whole = { txid: fee.txid, vout: fee.vout, value: fee.value }
    const together = await wallet.sendAll([...coins, { coin: whole, key: wallet.funding }], wallet.mine(4_000))
    await world.mine()
    const place = await at(wallet, together)
    const placed = place.atomicals.map(({ atomical_id: id, type }): [string, string] => [id, type])
    expect(Object.fromEntries(placed)).toEqual(Object.fromEntries(ids.map((id) => [id, 'NFT'])))
    const spent = wallet.coinAt(place.location_info)
    const to = [wallet.mine(spent.coin.value), ...ids.map(() => wallet.mine(1_000))]
    const { revealTxid } = await wallet.operate('x', {}, { with: [spent], to })
    await world.mine()
    const apart = await Promise.all(ids.map(async (id) => (await wallet.located(id)).coin))
    expect(apart.map(({ txid }) => txid)).toEqual([revealTxid, revealTxid])
    expect(new Set(apart.map(({ vout }) => vout)).size).toBe(2)
  })

  it('two tokens of one output to an output each', async () => {
    const wallet = new AtomicalsWallet(world, 'split')
    await wallet.deposit(300_000)
    const ids = [await token(wallet, 'gold', 2_000), await token(wallet, 'silver', 2_000)]
    const coins = await Promise.all(ids.map(async (id) => (await wallet.coinsOf(id))[0]!))
    await wallet.deposit(5_000)
    const fee = await wallet.waitForCoin(wallet.funding.scripthash, 4_000)
    const together = await wallet.sendAll([...coins, { coin: fee, key: wallet.funding }], wallet.mine(2_000))
    await world.mine()
    const place = await at(wallet, together)
    expect(place.atomicals.map(({ atomical_id: id, type, value }) => [id, type, value])).toEqual(
      expect.arrayContaining(ids.map((id) => [id, 'FT', 2_000])),
    )
    const spent = wallet.coinAt(place.location_info)
    const tokens = place.atomicals.map(({ atomical_id: id }) => id)
    const skipped = Object.fromEntries(tokens.map((id, i) => [id, i * spent.coin.value]))
    const to = tokens.map(() => wallet.mine(spent.coin.value))
    const { revealTxid } = await wallet.operate('y', skipped, { with: [spent], to })
    await world.mine()
    expect(await outputs(wallet, revealTxid, 2)).toEqual(tokens.map((id) => ({ [id]: 2_000 })))
  })

  it('parts of a token to outputs of its choice', async () => {
    const wallet = new AtomicalsWallet(world, 'colour')
    await wallet.deposit(200_000)
    const id = await token(wallet, 'paint', 1_000)
    const { location_info: location } = await at(wallet, (await wallet.coinsOf(id))[0]!.coin.txid)
    const plan = { with: [wallet.coinAt(location)], to: [wallet.mine(600), wallet.mine(546)] }
    const { revealTxid } = await wallet.operate('z', { [id]: { '0': 600, '1': 400 } }, plan)
    await world.mine()
    expect(await outputs(wallet, revealTxid, 2)).toEqual([{ [id]: 600 }, { [id]: 400 }])
    expect((await wallet.holdings()).atomicals[id]).toMatchObject({ confirmed: 1_000 })
  })

  /** The coins of a token, when somebody has paid for fees. */
  async function depositedCoins(wallet: AtomicalsWallet, id: string) {
    await wallet.deposit()
    return wallet.coinsOf(id)
  }
})
