import { getHeapStatistics } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { readSettings } from '../../../src/config/settings.ts'
import { maxSubscriptions } from '../../../src/server/options.ts'

const MIB = 1024 * 1024
const NONE = readSettings({ NET: 'regtest', DB_DIRECTORY: '/nowhere' })

describe('MAX_SUBSCRIPTIONS', () => {
  it.each([
    { heap: 256, most: 65_536 },
    { heap: 2096, most: 536_576 },
    { heap: 4144, most: 1_060_864 },
    { heap: 65_536, most: 10_000_000 },
  ])('is $most by default with a heap of $heap MiB', ({ heap, most }) => {
    expect(maxSubscriptions(NONE, heap * MIB)).toBe(most)
  })

  it('goes by the heap of this process', () => {
    expect(maxSubscriptions(NONE)).toBe(maxSubscriptions(NONE, getHeapStatistics().heap_size_limit))
  })

  it.each(['0', '7', '1000000000'])('is what the setting says: %s', (MAX_SUBSCRIPTIONS) => {
    const settings = readSettings({ NET: 'regtest', DB_DIRECTORY: '/nowhere', MAX_SUBSCRIPTIONS })
    expect(maxSubscriptions(settings, MIB)).toBe(Number(MAX_SUBSCRIPTIONS))
  })
})
