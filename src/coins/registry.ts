import { ConfigError } from '../errors.ts'
import { bitcoinMainnet, bitcoinRegtest, bitcoinSignet, bitcoinTestnet, bitcoinTestnet4 } from './bitcoin.ts'
import type { Coin } from './coin.ts'

/** Every coin and network that can be served. */
export const COINS: readonly Coin[] = [bitcoinMainnet, bitcoinTestnet, bitcoinTestnet4, bitcoinSignet, bitcoinRegtest]

/** The coin of this name and network, of whatever case. Throws ConfigError with the names there are. */
export function coinOf(name: string, net: string): Coin {
  const ofName = COINS.filter((coin) => coin.name.toLowerCase() === name.toLowerCase())
  if (ofName.length === 0) {
    const names = [...new Set(COINS.map((coin) => coin.name))].join(', ')
    throw new ConfigError([`COIN: no such coin: ${name} (there are: ${names})`])
  }
  const coin = ofName.find((each) => each.net === net.toLowerCase())
  if (coin === undefined) {
    throw new ConfigError([
      `NET: ${name} has no network ${net} (there are: ${ofName.map((each) => each.net).join(', ')})`,
    ])
  }
  return coin
}
