import { ATOMICALS_SETTINGS } from './atomicals.ts'
import { LIMIT_SETTINGS } from './limits.ts'
import { NODE_SETTINGS } from './node.ts'
import { PEER_SETTINGS } from './peers.ts'
import { SERVICE_SETTINGS } from './services.ts'
import type { Setting } from './setting.ts'
import { STORAGE_SETTINGS } from './storage.ts'

/**
 * All settings, from the environment. Names are ElectrumX's own where it has one, so that an operator's file carries
 * over. docs/CONFIG.md, the table of the README and config/electrumx.env.example are printed from this table.
 */
export const SETTINGS = {
  ...NODE_SETTINGS,
  ...SERVICE_SETTINGS,
  ...PEER_SETTINGS,
  ...LIMIT_SETTINGS,
  ...STORAGE_SETTINGS,
  ...ATOMICALS_SETTINGS,
} as const satisfies Readonly<Record<string, Setting>>

/** Settings of ElectrumX that mean nothing here, with the reason; set ones are named at start. */
export const FOREIGN_SETTINGS: Readonly<Record<string, string>> = {
  DB_ENGINE: 'the index is always LevelDB',
  EVENT_LOOP_POLICY: 'it chooses an event loop of Python',
  ALLOW_ROOT: 'no such check; the container runs as an ordinary user',
  LOG_FORMAT: 'the log is one JSON object a line',
}
