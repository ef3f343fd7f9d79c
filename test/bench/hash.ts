/**
 * One-shot SHA-256 into latin1 text and back against the same into a Buffer: what src/lib/hash.ts is written by. And one by
 * one against thousands at a time: what src/lib/hash-batch.ts is for.
 * `npx tsx test/bench/hash.ts`. Seconds are of processor time, the ways take turns, and the ratio is the median's.
 */
import { createHash, hash } from 'node:crypto'
import { HashWriter, sha256 } from '../../src/lib/hash.ts'
import { emptyBatch } from '../../src/lib/hash-batch.ts'
import { figure, printTable, quantile } from './support/report.ts'

const SIZES = [25, 34, 80, 400, 4000]
const ROUNDS = 9
const HASHES = 60_000

/** Messages in a batch, and what blocks are full of. */
const BATCHED = 20_000
const BATCHES = [
  { name: 'scripts of 22 bytes', size: 22, twice: false },
  { name: 'scripts of 34 bytes', size: 34, twice: false },
  { name: 'merkle nodes', size: 64, twice: true },
  { name: 'transactions of 200 bytes', size: 200, twice: true },
  { name: 'transactions of 430 bytes', size: 430, twice: true },
  { name: 'transactions of 1,000 bytes', size: 1000, twice: true },
]

const target = Buffer.alloc(32)
const writer = new HashWriter()

/** Each leaves the 32 bytes of the hash somewhere. */
const WAYS: readonly { readonly name: string; readonly run: (bytes: Uint8Array) => Uint8Array }[] = [
  { name: 'to a Buffer', run: (bytes) => hash('sha256', bytes, 'buffer') },
  { name: 'lib/hash sha256', run: sha256 },
  {
    name: 'lib/hash HashWriter',
    run: (bytes) => {
      writer.sha256(bytes, target, 0)
      return target
    },
  },
  { name: 'createHash', run: (bytes) => createHash('sha256').update(bytes).digest() },
]

/** Microseconds of processor time for a hash. */
function microsOf(run: (bytes: Uint8Array) => Uint8Array, bytes: Uint8Array): number {
  const before = process.cpuUsage()
  let sum = 0
  for (let i = 0; i < HASHES; i++) sum += run(bytes)[0] ?? 0
  const { user, system } = process.cpuUsage(before)
  if (sum === 0) throw new Error('nothing was hashed')
  return (user + system) / HASHES
}

const rows = [['microseconds', ...SIZES.map((size) => `${size} B`)]]
const medians = WAYS.map(() => SIZES.map(() => Number.NaN))
for (const [column, size] of SIZES.entries()) {
  const bytes = Buffer.alloc(size, 7)
  const expected = createHash('sha256').update(bytes).digest()
  const samples = WAYS.map((): number[] => [])
  for (const { name, run } of WAYS) if (!expected.equals(run(bytes))) throw new Error(`${name} hashes wrong`)
  for (let round = 0; round < ROUNDS; round++) {
    for (const [way, { run }] of WAYS.entries()) samples[way]!.push(microsOf(run, bytes))
  }
  for (const [way, list] of samples.entries()) medians[way]![column] = quantile(list, 0.5)
}
for (const [way, { name }] of WAYS.entries()) rows.push([name, ...medians[way]!.map(figure)])
for (const [way, { name }] of WAYS.entries()) {
  if (way === 0) continue
  rows.push([`a Buffer takes, of ${name}`, ...medians[way]!.map((value, i) => figure(medians[0]![i]! / value))])
}
printTable(rows)
printTable(batchRows())

/** Messages of one length in a batch against HashWriter: ids and merkle nodes twice, scripts once. */
function batchRows(): string[][] {
  const table = [['microseconds', 'one by one', 'in a batch', 'ratio']]
  for (const { name, size, twice } of BATCHES) {
    const input = Buffer.alloc(size * BATCHED, 3)
    const offsets = Uint32Array.from({ length: BATCHED }, (_, i) => i * size)
    const lengths = new Uint32Array(BATCHED).fill(size)
    const hashes = { target: Buffer.alloc(BATCHED * 32), size: 32, twice }
    const alone: number[] = []
    const together: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(
        microsOfAll(() => {
          for (const offset of offsets) {
            const message = input.subarray(offset, offset + size)
            if (twice) writer.sha256d(message, target, 0)
            else writer.sha256(message, target, 0)
          }
        }),
      )
      together.push(
        microsOfAll(() => {
          const batch = emptyBatch()
          batch.append(input)
          batch.hash(offsets, lengths, hashes)
        }),
      )
      if (!target.equals(hashes.target.subarray(-32))) throw new Error(`${name} are hashed wrong in a batch`)
    }
    const [one, batch] = [quantile(alone, 0.5), quantile(together, 0.5)]
    table.push([name, figure(one), figure(batch), figure(one / batch)])
  }
  return table
}

/** Microseconds of processor time for each of BATCHED messages. */
function microsOfAll(run: () => void): number {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / BATCHED
}
