/**
 * A real node, the built server and many lively clients for as long as one likes: `npm run soak`. test/soak/README.md says
 * who comes, what is compared and what makes it fail. Exit code 1 if anything is wrong, with the directory kept.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Findings } from './findings.ts'
import { soakOptions } from './options.ts'
import { Soak } from './run.ts'

const say = (line: string): void => void process.stdout.write(`${line}\n`)

const options = soakOptions()
const findings = new Findings(say)
const directory = await mkdtemp(join(options.directory, 'valence-soak-'))
const interrupted = (): void => findings.fatal('the soak was interrupted')
process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
const node = options.bitcoind === undefined ? 'the built-in node' : 'bitcoind'
say(`${options.minutes} minutes with ${node}, seed ${options.seed}, in ${directory}`)
try {
  await Soak.run(options, directory, findings, say)
} catch (error) {
  findings.add(`the soak failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
}
if (findings.all.length === 0) {
  await rm(directory, { recursive: true, force: true })
  say('nothing was wrong')
} else {
  process.stderr.write(`${findings.all.length} things were wrong, log and index are kept in ${directory}:\n`)
  for (const text of findings.all) process.stderr.write(`- ${text}\n`)
  process.exitCode = 1
}
