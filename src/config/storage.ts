import { setting } from './setting.ts'
import { whole, wholeWords } from './values.ts'

/** What the index may take up. */
export const STORAGE_SETTINGS = {
  cacheMb: setting({
    env: 'CACHE_MB',
    schema: whole(16, 1_000_000),
    allowed: wholeWords(16, 1_000_000),
    fallback: '256',
    unit: 'MB',
    sentence: 'Memory for the tables and caches of the index.',
  }),
  tableMb: setting({
    env: 'TABLE_MB',
    schema: whole(2, 1000),
    allowed: wholeWords(2, 1000),
    fallback: '16',
    unit: 'MB',
    sentence: 'Size of the tables that LevelDB writes; see "Tables" in docs/OPERATIONS.md.',
  }),
  reorgLimit: setting({
    env: 'REORG_LIMIT',
    schema: whole(10, 100_000),
    allowed: wholeWords(10, 100_000),
    fallback: undefined,
    fallbackNote: 'by network: 200 on mainnet and regtest, 8000 on the test networks',
    unit: 'blocks',
    sentence: 'Deepest reorganisation that can be followed; undo is kept for so many blocks.',
  }),
} as const
