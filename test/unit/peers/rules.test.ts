import { describe, expect, it } from 'vitest'
import { PEER_RULES, pauseAfter } from '../../../src/session/peers/rules.ts'

describe('when a peer is looked into again', () => {
  it.each([
    [0, 10_200],
    [1, 600],
    [2, 1_200],
    [3, 2_400],
    [4, 4_800],
    [5, 9_600],
    [6, 19_200],
    [7, 38_400],
    [8, 76_800],
    [9, 153_600],
  ])('after %i failures in a row: in %i seconds', (failures, seconds) => {
    expect(pauseAfter(failures, PEER_RULES)).toBe(seconds)
  })
})
