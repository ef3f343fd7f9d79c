import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, existsSync, openSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { LogOutput } from '../../src/log-output.ts'

const LOADER = createRequire(import.meta.url).resolve('tsx')
const LOG = new URL('../../src/log.ts', import.meta.url).href
/** A process that ends in the moment in which it logs. */
const HASTY = `
  import { createLogger } from ${JSON.stringify(LOG)}
  const log = createLogger('info')
  for (const n of [1, 2, 3]) log.info('line ' + n)
  process.exit(3)`

let directory = ''
const files: number[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'valence-log-'))
})

afterEach(async () => {
  for (const file of files.splice(0)) closeSync(file)
  await rm(directory, { recursive: true, force: true })
})

function opened(path: string): number {
  const file = openSync(path, 'a')
  files.push(file)
  return file
}

async function exitCodeOf(program: string, output: number): Promise<number | null> {
  const words = ['--import', LOADER, '--input-type=module', '-e', program]
  const child = spawn(process.execPath, words, { stdio: ['ignore', output, 'inherit'] })
  const timer = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  return code
}

describe('the log', () => {
  it('has what was logged in the last moment of the process', async () => {
    const path = join(directory, 'log')
    expect(await exitCodeOf(HASTY, opened(path))).toBe(3)
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg).toSorted()).toEqual([
      'line 1',
      'line 2',
      'line 3',
    ])
  })

  it.runIf(existsSync('/dev/full'))(
    'does not keep the process from its end when the disk is full in that moment',
    async () => {
      expect(await exitCodeOf(HASTY, opened('/dev/full'))).toBe(3)
    },
  )

  it('does not wait for ever for somebody who has stopped reading', async () => {
    const path = join(directory, 'pipe')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    // Opened for both, so that neither end waits for the other; O_NONBLOCK, as terminals and pipes of Node have it.
    const file = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    files.push(file)
    const output = new LogOutput(file)
    const begun = performance.now()
    for (let n = 0; n < 40; n++) output.write(`${'x'.repeat(10_000)}\n`)
    output.flushSync()
    expect(performance.now() - begun).toBeLessThan(5000)
  })

  it('goes on in order after what could not be written at first', async () => {
    const path = join(directory, 'pipe')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    const file = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
    files.push(file)
    const output = new LogOutput(file)
    const lines = Array.from({ length: 3000 }, (_, n) => `${n} ${'x'.repeat(100)}\n`)
    for (const line of lines) output.write(line)
    const reader = spawn('head', ['-c', String(lines.join('').length)], {
      stdio: [openSync(path, 'r'), 'pipe', 'inherit'],
    })
    let read = ''
    for await (const part of reader.stdout!) read += String(part)
    expect(read).toBe(lines.join(''))
  })
})
