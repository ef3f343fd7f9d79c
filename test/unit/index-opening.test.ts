import { describe, expect, it } from 'vitest'
import {
  MAINNET_HEIGHTS,
  REGTEST_HEIGHTS,
  SIGNET_HEIGHTS,
  TESTNET3_HEIGHTS,
  TESTNET4_HEIGHTS,
} from '../../src/atomicals/constants.ts'
import type { Coin } from '../../src/coins/coin.ts'
import { coinOf } from '../../src/coins/registry.ts'
import { type Environment, readSettings } from '../../src/config/settings.ts'
import { ConfigError } from '../../src/errors.ts'
import { atomicalsHeights } from '../../src/index-opening.ts'

function heightsWith(environment: Environment, coin?: Coin) {
  const settings = readSettings(environment)
  return atomicalsHeights({ settings, coin: coin ?? coinOf(settings.coin, settings.net) })
}

describe('heights of the Atomicals rules', () => {
  it.each([
    ['mainnet', MAINNET_HEIGHTS],
    ['testnet', TESTNET3_HEIGHTS],
    ['testnet4', TESTNET4_HEIGHTS],
    ['signet', SIGNET_HEIGHTS],
    ['regtest', REGTEST_HEIGHTS],
  ])('are those of the network unless something else is said: %s', (net, heights) => {
    expect(heightsWith({ DAEMON_URL: 'localhost', NET: net })).toEqual(heights)
    expect(heightsWith({ DAEMON_URL: 'localhost', NET: net, ATOMICALS: 'on' })).toEqual(heights)
    expect(heightsWith({ DAEMON_URL: 'localhost', NET: net, ATOMICALS: 'off' })).toBeUndefined()
  })

  it('are what the settings say on regtest, each its own', () => {
    expect(heightsWith({ ATOMICALS_ACTIVATION_HEIGHT_DENSITY: '50' })).toEqual({ ...REGTEST_HEIGHTS, density: 50 })
    expect(
      heightsWith({
        ATOMICALS_ACTIVATION_HEIGHT: '10',
        ATOMICALS_ACTIVATION_HEIGHT_DMINT: '20',
        ATOMICALS_ACTIVATION_HEIGHT_COMMITZ: '30',
        ATOMICALS_ACTIVATION_HEIGHT_DENSITY: '40',
        ATOMICALS_ACTIVATION_HEIGHT_DFT_BITWORK_ROLLOVER: '50',
        ATOMICALS_ACTIVATION_HEIGHT_CUSTOM_COLORING: '60',
      }),
    ).toEqual({ start: 10, dmint: 20, commitz: 30, density: 40, dftBitworkRollover: 50, customColoring: 60 })
  })

  it('are none on a network without Atomicals, where they cannot be switched on', () => {
    const { atomicals: _none, ...plain } = coinOf('Bitcoin', 'regtest')
    expect(heightsWith({}, plain)).toBeUndefined()
    expect(heightsWith({ ATOMICALS: 'off' }, plain)).toBeUndefined()
    expect(() => heightsWith({ ATOMICALS: 'on' }, plain)).toThrow(ConfigError)
  })
})
