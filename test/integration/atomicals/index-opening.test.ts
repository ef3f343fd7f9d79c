import { describe, expect, it } from 'vitest'
import { parseBlock } from '../../../src/chain/block.ts'
import { coinOf } from '../../../src/coins/registry.ts'
import { type Environment, readSettings } from '../../../src/config/settings.ts'
import { openIndex } from '../../../src/index-opening.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { GENESIS_HEX } from '../../../src/regtest/params.ts'
import { withDirectory } from '../../support/chain-index.ts'

const MEMORY = { cacheBytes: 1 << 20, pendingBytes: 1 << 20 }

/** Opens it, and gives it its first block if it has none: without one it would become what the settings say. */
async function opened(directory: string, environment: Environment): Promise<void> {
  const settings = readSettings({ NET: 'regtest', ...environment, DB_DIRECTORY: directory })
  const db = await openIndex({ settings, coin: coinOf(settings.coin, settings.net) }, MEMORY)
  db.warm()
  if (db.tip.height < 0) {
    await db.advance(parseBlock(fromHex(GENESIS_HEX)), 0)
    await db.flush()
  }
  await db.close()
}

describe('an index', () => {
  it.each<[string, Environment, Environment, RegExp]>([
    ['without Atomicals where they are on', { ATOMICALS: 'off' }, {}, /without the index "atomicals".*is on now/],
    ['with Atomicals where they are off', {}, { ATOMICALS: 'off' }, /with the index "atomicals".*is off now/],
    [
      'made with other heights',
      { ATOMICALS_ACTIVATION_HEIGHT: '5' },
      { ATOMICALS_ACTIVATION_HEIGHT: '6' },
      /with atomicals\.start 5 \(now 6\).*ATOMICALS_ACTIVATION_HEIGHT/,
    ],
  ])('is refused %s, with what to do about it, and left as it was', (_what, made, asked, message) =>
    withDirectory(async (directory) => {
      await opened(directory, made)
      const refused = opened(directory, asked)
      await expect(refused).rejects.toMatchObject({ name: 'StorageError', code: 'settings' })
      await expect(refused).rejects.toThrow(message)
      await opened(directory, made)
    }),
  )
})
