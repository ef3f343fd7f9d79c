/**
 * Requests a second from bytes to bytes (envelope, json-rpc-2.0, registry, schema, handler), as a ratio to JSON.parse and
 * JSON.stringify of the same messages in the same run. Seconds are of processor time, so that what else runs on the
 * machine counts little. `npx tsx test/bench/envelope.ts`
 */
import { electrumEnvelope, FakeHost } from '../support/rpc-host.ts'

const ROUNDS = 7
const REQUESTS = 50_000

interface Load {
  readonly name: string
  readonly message: (i: number) => string
  /** What the plain loop writes in place of an answer. */
  readonly answer: (i: number) => unknown
}

const LOADS: readonly Load[] = [
  {
    name: 'server.ping',
    message: (i) => `{"jsonrpc":"2.0","method":"server.ping","params":[],"id":${i}}`,
    answer: (i) => ({ jsonrpc: '2.0', result: null, id: i }),
  },
  {
    name: 'block.header',
    message: (i) => `{"jsonrpc":"2.0","method":"blockchain.block.header","params":[1],"id":${i}}`,
    answer: (i) => ({ jsonrpc: '2.0', result: '00'.repeat(80), id: i }),
  },
  {
    name: 'scripthash.get_balance',
    message: (i) =>
      `{"jsonrpc":"2.0","method":"blockchain.scripthash.get_balance","params":["${'0a1b'.repeat(16)}"],"id":${i}}`,
    answer: (i) => ({ jsonrpc: '2.0', result: { confirmed: 0, unconfirmed: 0 }, id: i }),
  },
]

/** Seconds of processor time that this process has used, all its threads together. */
function seconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

async function median(run: () => Promise<number> | number): Promise<number> {
  const rates: number[] = []
  for (let round = 0; round < ROUNDS; round++) rates.push(await run())
  return rates.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0
}

for (const { name, message, answer } of LOADS) {
  const messages = Array.from({ length: REQUESTS }, (_, i) => Buffer.from(message(i)))
  const session = electrumEnvelope().open(new FakeHost())
  const ours = await median(async () => {
    const start = seconds()
    for (const bytes of messages) await session.handle(bytes)
    return REQUESTS / (seconds() - start)
  })
  let written = 0
  const plain = await median(() => {
    const start = seconds()
    for (const [i, bytes] of messages.entries()) {
      JSON.parse(bytes.toString())
      written += JSON.stringify(answer(i)).length
    }
    return REQUESTS / (seconds() - start)
  })
  if (written === 0) throw new Error('nothing was measured')
  const figures = `${Math.round(ours)} requests per CPU second; plain JSON ${Math.round(plain)}`
  process.stdout.write(`${name}: ${figures}; ratio ${(ours / plain).toFixed(3)}\n`)
}
