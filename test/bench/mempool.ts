/*
 * How a large mempool comes in: npx tsx --expose-gc test/bench/mempool.ts [transactions]
 * Prints, measured in this run: the time per transaction next to that of parsing alone, the longest time for which the
 * event loop stood still, memory per transaction, and what one more poll costs once all is known.
 */
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { parseWholeTx, serializeTx } from '../../src/chain/tx.ts'
import type { OutputInfo } from '../../src/db/view.ts'
import { concat, copyOf, fromHex, toDisplayHex } from '../../src/lib/bytes.ts'
import { sha256, sha256d } from '../../src/lib/hash.ts'
import { silentLogger } from '../../src/log.ts'
import { Mempool } from '../../src/mempool/mempool.ts'
import { ModelNode, ModelView } from '../support/model-node.ts'
import { ScriptedDaemon } from '../support/scripted-daemon.ts'

const count = Number(process.argv[2] ?? 100_000)

const scriptOf = (n: number): Uint8Array => concat(fromHex('0014'), sha256(Buffer.from(String(n))).subarray(0, 20))

/** Confirmed coins that only exist here: everything that no transaction made is there. */
class EndlessCoins extends ModelView {
  override unspentOutputs(outpoints: readonly Uint8Array[]): Promise<readonly (OutputInfo | undefined)[]> {
    return Promise.resolve(
      outpoints.map((outpoint) => (known.has(toDisplayHex(outpoint.subarray(0, 32))) ? undefined : coinOf(outpoint))),
    )
  }
}

const coinOf = (outpoint: Uint8Array): OutputInfo => ({
  hashX: copyOf(sha256(outpoint).subarray(0, 11)),
  value: 1_000_000n,
})

/** Two outputs each; every third transaction spends one before it, in chains of up to 20. */
function makeTransactions(): Uint8Array[] {
  const raws: Uint8Array[] = []
  let last: Uint8Array | undefined
  for (let i = 0; i < count; i++) {
    const child = last !== undefined && i % 3 === 0 && i % 60 !== 0
    const inputs = [
      {
        prevTxid: child ? last! : sha256d(Buffer.from(`coin ${i}`)),
        prevIndex: 0,
        script: new Uint8Array(0),
        sequence: 0xffff_fffd,
        witness: [new Uint8Array(72), new Uint8Array(33)],
      },
    ]
    const value = BigInt(400_000 - (i % 200) * 10)
    const outputs = [0, 1].map((k) => ({ value, script: scriptOf((2 * i + k) % (count + 7)) }))
    const raw = serializeTx({ version: 2, inputs, outputs, locktime: i })
    if (i % 3 === 0) last = parseWholeTx(raw).txid
    raws.push(raw)
  }
  return raws
}

const node = new ModelNode()
const known = new Map<string, Uint8Array>()
for (const raw of makeTransactions()) known.set(toDisplayHex(parseWholeTx(raw).txid), raw)

const parseBegun = performance.now()
for (const raw of known.values()) for (const { script } of parseWholeTx(raw).outputs) sha256(script)
const parseTime = performance.now() - parseBegun

const daemon = new ScriptedDaemon(node)
daemon.mempoolIds = () => Promise.resolve({ txids: [...known.keys()], sequence: undefined, waited: 0 })
// As over a socket: an answer comes in a turn of its own.
daemon.mempoolTransactions = async (txids) => {
  await new Promise((resolve) => setImmediate(resolve))
  return txids.map((txid) => known.get(txid))
}
const mempool = new Mempool({}, { log: silentLogger() })
const view = new EndlessCoins(node.blocks, new Map())
const signal = new AbortController().signal

globalThis.gc?.()
const heapBefore = process.memoryUsage().heapUsed
const delay = monitorEventLoopDelay({ resolution: 1 })
delay.enable()
const begun = performance.now()
let steps = 0
await mempool.refresh(view, daemon, signal, () => {
  steps += 1
  mempool.renewHistogram()
  mempool.snapshot()
  return 'continue'
})
const loadTime = performance.now() - begun
delay.disable()
globalThis.gc?.()
const perTx = (process.memoryUsage().heapUsed - heapBefore) / count

const pollBegun = performance.now()
await mempool.refresh(view, daemon, signal)
const pollTime = performance.now() - pollBegun

process.stdout.write(
  `${mempool.size} transactions in ${steps + 1} steps\n` +
    `load ${Math.round(loadTime)} ms, ${(loadTime / parseTime).toFixed(1)} times parsing and hashing alone\n` +
    `longest stall ${(delay.max / 1e6).toFixed(0)} ms\n` +
    `heap ${Math.round(perTx)} bytes a transaction\n` +
    `poll without news ${pollTime.toFixed(1)} ms\n`,
)
