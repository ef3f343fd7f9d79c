import { describe, expect, it } from 'vitest'
import { BITCOIN_ADDRESSES } from '../../../src/chain/address.ts'
import { COINS, coinOf } from '../../../src/coins/registry.ts'
import { ConfigError } from '../../../src/errors.ts'
import { fromDisplayHex } from '../../../src/lib/bytes.ts'
import { isPublicHost } from '../../../src/session/outbound/address.ts'
import { featuresOf, portsOf } from '../../../src/session/peers/features.ts'

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

  it('name servers to begin the search for others with, by host and ports; regtest has none', () => {
    for (const { net, peers } of COINS) {
      const hosts = peers.map((row) => row.split(' ')[0]!)
      expect(new Set(hosts).size).toBe(peers.length)
      for (const row of peers) {
        const [host = '', ...details] = row.split(' ')
        expect(isPublicHost(host), row).toBe(true)
        expect(details.join(' '), row).toMatch(/^(?:s\d{2,5})?(?: ?t\d{2,5})?$/)
        const { ssl, tcp } = portsOf(featuresOf(host, details), host)
        expect(ssl ?? tcp, row).toBeGreaterThan(0)
      }
      expect(peers.length > 0).toBe(net !== 'regtest')
    }
  })

  it('say what there is when asked for what there is not', () => {
    expect(() => coinOf('Bitcoin', 'moonnet')).toThrow(ConfigError)
    expect(() => coinOf('Bitcoin', 'moonnet')).toThrow(/mainnet, testnet, testnet4, signet, regtest/)
    expect(() => coinOf('Dogecoin', 'mainnet')).toThrow(/Bitcoin/)
  })
})
