import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AtomicalsWallet, type Found, type NameResult } from '../support/atomicals-wallet.ts'
import { MINER_KINDS, WalletWorld } from '../support/wallet-world.ts'

/** Work that names need on the commit. */
const NAME_WORK = '7777'

/** Wallets of Atomicals make tokens with the built server, by real transactions and over HTTP, as atomicals-js does. */
describe.each(MINER_KINDS)('a wallet of Atomicals makes, with $kind', (miner) => {
  let world: WalletWorld

  beforeAll(async () => {
    world = await WalletWorld.start(miner)
  })

  afterAll(() => world?.stop())

  it('a fixed token of its own supply', async () => {
    const wallet = new AtomicalsWallet(world, 'ft')
    await wallet.deposit(200_000)
    const ticker = await wallet.api.call<Found<NameResult>>('blockchain.atomicals.get_by_ticker', 'fixed')
    expect(ticker.result).toMatchObject({ candidates: [] })
    const payload = { name: 'Fixed', args: { request_ticker: 'fixed' } }
    const { atomicalId } = await wallet.operate('ft', payload, { to: [wallet.mine(50_000)], bitworkc: NAME_WORK })
    await world.mine(4)
    expect(await wallet.resolve('$fixed')).toMatchObject({
      atomical_id: atomicalId,
      type: 'FT',
      subtype: 'direct',
      $ticker: 'fixed',
      $max_supply: 50_000,
    })
    expect((await wallet.holdings()).atomicals[atomicalId]).toMatchObject({
      type: 'FT',
      confirmed: 50_000,
      ticker: 'fixed',
      request_ticker_status: { status: 'verified' },
    })
  })

  it('a distributed token and its mints, each with the work that it asks', async () => {
    const wallet = new AtomicalsWallet(world, 'dft')
    await wallet.deposit()
    const args = { mint_amount: 700, mint_height: 0, max_mints: 2, mint_bitworkc: '6543', request_ticker: 'dole' }
    const meta = { name: 'Dole', legal: { terms: 'none' } }
    const token = await wallet.operate('dft', { ...meta, args }, { to: [wallet.mine(1_000)], bitworkc: NAME_WORK })
    await world.mine(4)
    for (const count of [0, 1]) {
      const { result: name } = await wallet.api.call<Found<NameResult>>('blockchain.atomicals.get_by_ticker', 'dole')
      expect(name.atomical_id).toBe(token.atomicalId)
      const info = await wallet.api.call<Found>('blockchain.atomicals.get_ft_info', name.atomical_id)
      expect(info.result).toMatchObject({
        subtype: 'decentralized',
        $ticker: 'dole',
        $mint_mode: 'fixed',
        $mint_height: 0,
        $mint_amount: 700,
        $max_mints: 2,
        $mint_bitworkc: '6543',
        dft_info: { mint_count: count },
      })
      expect(info.global.height).toBe(await world.height())
      const plan = { to: [wallet.mine(700)], bitworkc: String(info.result['$mint_bitworkc']) }
      await wallet.operate('dmt', { args: { mint_ticker: 'dole' } }, plan)
      await world.mine()
    }
    const { result } = await wallet.api.call<Found>('blockchain.atomicals.get_ft_info', token.atomicalId)
    expect(result.dft_info).toMatchObject({ mint_count: 2 })
    expect((await wallet.holdings()).atomicals[token.atomicalId]).toMatchObject({ type: 'FT', confirmed: 1_400 })
  })

  it('a perpetual token by the work that is current and by the one that is next', async () => {
    const wallet = new AtomicalsWallet(world, 'perpetual')
    await wallet.deposit()
    const mode = { md: 1, bv: '12345678', bci: 1, bcs: 64, maxg: 100 }
    const args = { mint_amount: 900, mint_height: 0, max_mints: 1, request_ticker: 'ever', ...mode }
    const token = await wallet.operate('dft', { name: 'EVER', args }, { to: [wallet.mine(1_000)], bitworkc: NAME_WORK })
    await world.mine(4)
    for (const which of ['mint_bitworkc_current', 'mint_bitworkc_next'] as const) {
      const { result } = await wallet.api.call<Found>('blockchain.atomicals.get_ft_info', token.atomicalId)
      expect(result).toMatchObject({ subtype: 'decentralized', $ticker: 'ever', $mint_mode: 'perpetual' })
      const bitworkc = result.dft_info![which]!
      expect(bitworkc).toMatch(/^[0-9a-f]{4}/)
      await wallet.operate('dmt', { args: { mint_ticker: 'ever' } }, { to: [wallet.mine(900)], bitworkc })
      await world.mine()
    }
    const { result } = await wallet.api.call<Found>('blockchain.atomicals.get_ft_info', token.atomicalId)
    expect(result.dft_info).toMatchObject({ mint_count: 2 })
    expect((await wallet.holdings()).atomicals[token.atomicalId]).toMatchObject({ confirmed: 1_800 })
  })
})
