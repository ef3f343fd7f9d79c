/**
 * Kills the built server at random instants, again and again, and compares its index with an undisturbed one:
 *
 *     npx tsx test/crash/kill-loop.ts [ROUNDS] [SECONDS] [SEED] [MAIN]
 *
 * after `npm run build`. Prints the rounds, the kills of each phase and both digests; exit code 1 if anything is wrong,
 * with the directories kept. The seed decides the chain and what is done, not at which byte a kill comes.
 */
import { resolve } from 'node:path'
import { runKillLoop } from '../support/crash-loop.ts'

const [rounds = '200', seconds = '1800', seed, main] = process.argv.slice(2)
const options = {
  rounds: whole(rounds),
  seconds: whole(seconds),
  seed: seed === undefined ? Date.now() >>> 0 : whole(seed),
  main: resolve(main ?? resolve(import.meta.dirname, '../../dist/main.js')),
  compareEvery: 20,
  txs: 25,
  fan: 80,
  say: (line: string) => void process.stdout.write(`${line}\n`),
}
options.say(`seed ${options.seed}`)
try {
  const { kills, torn, comparisons, digest, fresh, ...report } = await runKillLoop(options)
  const phases = Object.entries(kills).map(([phase, count]) => `${phase} ${count}`)
  options.say(`${report.rounds} rounds, kills during ${phases.join(', ')}; torn besides: ${torn}`)
  options.say(`${comparisons} comparisons, all equal; index check agrees; height ${digest.height}, hash ${digest.hash}`)
  options.say(`digest of the killed index     ${digest.digest}`)
  options.say(`digest of an undisturbed one   ${fresh.digest}`)
} catch (error) {
  for (let at: unknown = error; at instanceof Error; at = at.cause) process.stderr.write(`${at.message}\n`)
  process.exitCode = 1
}

function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${text} is no whole number`)
  return value
}
