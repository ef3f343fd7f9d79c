import { setTimeout as delay } from 'node:timers/promises'
import { ElectrumProbe } from '../support/electrum-probe.ts'

const LIMIT_MS = 60_000
const EVERY_MS = 1

interface Item {
  readonly height: number
}

/**
 * Asks for a history, again and again, until it has a transaction of the block at `height`: when (milliseconds since the
 * epoch) that answer came. Throws if it never does.
 */
export async function servedAt(port: number, scripthash: string, height: number): Promise<number> {
  const probe = await ElectrumProbe.connect(port)
  try {
    const deadline = performance.now() + LIMIT_MS
    while (performance.now() < deadline) {
      const history = await probe.request<Item[]>('blockchain.scripthash.get_history', scripthash)
      if (history.some((item) => item.height === height)) return performance.timeOrigin + performance.now()
      await delay(EVERY_MS)
    }
    throw new Error(`the history never had a transaction of block ${height}`)
  } finally {
    probe.end()
  }
}
