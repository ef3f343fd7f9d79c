import { toDisplayHex, toHex } from '../lib/bytes.ts'
import { sha256 } from '../lib/hash.ts'
import type { ScriptHistory } from './moment.ts'

export interface StatusOfHistory {
  /** Hex of SHA-256 in its own order, not reversed; null if there is no history (protocol-basics, "Status"). */
  readonly status: string | null
  /** Characters that were hashed: what a status costs. */
  readonly characters: number
}

/** The status that clients compare: a hash over `txid:height:` of everything, confirmed first. */
export function statusOf({ confirmed, mempool, memo }: ScriptHistory): StatusOfHistory {
  if (mempool.length > 0) return hashed({ confirmed, mempool })
  memo.status ??= hashed({ confirmed, mempool })
  return memo.status
}

function hashed({ confirmed, mempool }: Pick<ScriptHistory, 'confirmed' | 'mempool'>): StatusOfHistory {
  let text = ''
  for (const { txid, height } of confirmed) text += `${toDisplayHex(txid)}:${height}:`
  for (const { txid, height } of mempool) text += `${txid}:${height}:`
  if (text === '') return { status: null, characters: 0 }
  return { status: toHex(sha256(Buffer.from(text, 'latin1'))), characters: text.length }
}
