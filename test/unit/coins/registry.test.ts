import { describe, expect, it } from 'vitest'
import { BITCOIN_ADDRESSES } from '../../../src/chain/address.ts'
import { COINS, coinOf } from '../../../src/coins/registry.ts'
import { ConfigError } from '../../../src/errors.ts'
import { fromDisplayHex } from '../../../src/lib/bytes.ts'

describe('the coins', () => {
  it.each(COINS.map((coin) => [`${coin.name} ${coin.net}`, coin] as const))('are found by name: %s', (_id, coin) => {
    expect(coinOf(coin.name, coin.net)).toBe(coin)
    expect(coinOf(coin.name.toUpperCase(), coin.net.toUpperCase())).toBe(coin)
    expect(fromDisplayHex(coin.genesisHash)).toHaveLength(32)
  })

  it('differ in all that tells one network from another', () => {
    for (const field of ['net', 'daemonChain', 'genesisHash', 'rpcPort'] as const) {
      expect(new Set(COINS.map((coin) => coin[field])).size).toBe(COINS.length)
    }
  })

  it('are followed as deep as ElectrumX follows them, regtest as mainnet', () => {
    expect(Object.fromEntries(COINS.map((coin) => [coin.net, coin.reorgLimit]))).toEqual({
      mainnet: 200,
      testnet: 8000,
      testnet4: 8000,
      signet: 8000,
      regtest: 200,
    })
    expect(coinOf('Bitcoin', 'regtest').addressVersions).toBe(BITCOIN_ADDRESSES.regtest)
  })

  it('say what there is when asked for what there is not', () => {
    expect(() => coinOf('Bitcoin', 'moonnet')).toThrow(ConfigError)
    expect(() => coinOf('Bitcoin', 'moonnet')).toThrow(/mainnet, testnet, testnet4, signet, regtest/)
    expect(() => coinOf('Dogecoin', 'mainnet')).toThrow(/Bitcoin/)
  })
})
