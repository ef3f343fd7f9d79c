import { describe, expect, it } from 'vitest'
import {
  isActive,
  MAINNET_HEIGHTS,
  REGTEST_HEIGHTS,
  SIGNET_HEIGHTS,
  TESTNET3_HEIGHTS,
  TESTNET4_HEIGHTS,
} from '../../../src/atomicals/constants.ts'

describe('heights', () => {
  it.each(Object.entries({ MAINNET_HEIGHTS, TESTNET3_HEIGHTS, TESTNET4_HEIGHTS, SIGNET_HEIGHTS, REGTEST_HEIGHTS }))(
    'of %s come in the order in which the rules were made',
    (_, heights) => {
      const { start, dmint, commitz, density, dftBitworkRollover, customColoring } = heights
      const order = [start, dmint, commitz, density, dftBitworkRollover, customColoring]
      expect(order).toEqual(order.toSorted((a, b) => a - b))
      expect(Object.keys(heights)).toHaveLength(order.length)
    },
  )

  it('are those that decided on mainnet', () => {
    expect(Object.values(MAINNET_HEIGHTS)).toEqual([808080, 819181, 822800, 828128, 828628, 848484])
  })

  it('hold from their own block on', () => {
    expect([9, 10, 11].map((height) => isActive(10, height))).toEqual([false, true, true])
  })
})
