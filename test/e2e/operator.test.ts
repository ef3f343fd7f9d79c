import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as turn } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callAdmin } from '../../src/rpc-client.ts'
import { FakeBitcoind } from '../support/fake-bitcoind.ts'
import { freePort } from '../support/free-port.ts'
import { ServerProcess } from '../support/server-process.ts'

const MAIN = resolve(import.meta.dirname, '../../dist/main.js')
const SERVICES = 'tcp://127.0.0.1:0,rpc://127.0.0.1:0'
/** A line of a stack. */
const STACK = /^\s+at |"stack"/m

let directory = ''
const undo: (() => unknown)[] = []

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'valence-operator-'))
})

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
  await rm(directory, { recursive: true, force: true })
})

function start(environment: Readonly<Record<string, string>>): ServerProcess {
  const server = ServerProcess.start({ DB_DIRECTORY: join(directory, 'db'), SERVICES, ...environment })
  undo.push(() => server.stop('SIGKILL'))
  return server
}

/** What a command prints, and its exit code. */
function run(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const env = { PATH: process.env['PATH'] ?? '', DB_DIRECTORY: join(directory, 'db'), ...environment }
  return new Promise<{ code: number; stdout: string; stderr: string }>((settle) => {
    execFile(process.execPath, [MAIN, ...words], { env }, (error, stdout, stderr) => {
      settle({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

describe('a mistake of the operator', () => {
  /** Ends with this code, and a sentence on standard error that fits; nowhere a stack. */
  async function ends(server: ServerProcess, code: number, sentence: RegExp): Promise<void> {
    expect(await server.ended(), server.errors).toBe(code)
    expect(server.errors).toMatch(sentence)
    expect(server.errors).not.toMatch(STACK)
    expect(server.log.map((line) => JSON.stringify(line)).join('\n')).not.toMatch(STACK)
  }

  it('with a port that is taken ends with 1, names the port and says what to do', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    undo.push(() => taken.close())
    const { port } = taken.address() as AddressInfo
    await ends(
      start({ SERVICES: `tcp://127.0.0.1:0,ws://127.0.0.1:${port}` }),
      1,
      new RegExp(`^cannot listen on ws://127\\.0\\.0\\.1:${port}: .*something listens there already.*SERVICES\\)\\n$`),
    )
  })

  it('with a certificate that is not there, or is none, ends with 2 and names the settings', async () => {
    const files = { SSL_CERTFILE: join(directory, 'crt.pem'), SSL_KEYFILE: join(directory, 'key.pem') }
    const secure = { ...files, SERVICES: 'ssl://127.0.0.1:0' }
    await ends(start(secure), 2, /SSL_CERTFILE and SSL_KEYFILE cannot be used: ENOENT: .*\.pem'\n$/)
    await writeFile(files.SSL_CERTFILE, 'none')
    await writeFile(files.SSL_KEYFILE, 'none')
    await ends(start(secure), 2, /SSL_CERTFILE and SSL_KEYFILE cannot be used: /)
  })

  it('with a password that bitcoind refuses ends with 2', async () => {
    const node = await FakeBitcoind.listen()
    undo.push(() => node.close())
    node.login = 'user:hunter1'
    const server = start({ NET: 'regtest', DAEMON_URL: `user:hunter2@127.0.0.1:${node.port}` })
    await ends(server, 2, /does not accept user and password/)
    expect(server.errors + JSON.stringify(server.log)).not.toContain('hunter')
  })

  it.each([
    ['is a file', 1, async (path: string) => writeFile(path, '')],
    ['is of another program', 2, async (path: string) => mkdir(join(path, 'fulc2_db'), { recursive: true })],
  ])('with a DB_DIRECTORY that %s ends with %i and names it', async (_what, code, make) => {
    const path = join(directory, 'db')
    await make(path)
    await ends(start({}), code, new RegExp(`${path}.*DB_DIRECTORY`))
  })

  it('with an index of other settings, or of another network, ends with 2 and says what goes together', async () => {
    const first = start({})
    await first.ready()
    await first.stop()
    await ends(start({ ATOMICALS: 'off' }), 2, /DB_DIRECTORY.* was made .*"atomicals".*ATOMICALS is off now/)
    const other = start({ NET: 'signet', DAEMON_URL: '127.0.0.1:1' })
    await ends(other, 2, /DB_DIRECTORY.* is for Bitcoin regtest, not for Bitcoin signet: correct NET/)
  })

  it('with a limit of open files that does not let the program be loaded ends with 2 and says how many it needs', async () => {
    const child = spawn('bash', ['-c', 'ulimit -n 30; exec "$0" "$1"', process.execPath, MAIN], {
      env: { PATH: process.env['PATH'] ?? '', DB_DIRECTORY: join(directory, 'db'), SERVICES },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    undo.push(() => child.kill('SIGKILL'))
    let said = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (said += String(part)))
    await once(child, 'close')
    expect(said).toMatch(/^the limit of open files is 30, and 256 are the least that will do: .*ulimit -n.*\n$/)
    expect(child.exitCode).toBe(2)
  })

  it('is told on standard error although the log is switched off', async () => {
    await writeFile(join(directory, 'db'), '')
    await ends(start({ LOG_LEVEL: 'silent' }), 1, /DB_DIRECTORY/)
  })
})

describe('SIGHUP', () => {
  it('without a certificate of the operator does not end the server', async () => {
    const server = start({ SERVICES: `${SERVICES},ssl://127.0.0.1:0` })
    await server.until((line) => line.msg === 'index opened')
    process.kill(server.pid, 'SIGHUP')
    await server.ready()
    process.kill(server.pid, 'SIGHUP')
    await server.until((line) => String(line.msg).startsWith('SIGHUP: there is no SSL_CERTFILE'))
    expect(await server.admin('getinfo')).toMatchObject({ ready: true })
    expect(await server.stop()).toBe(0)
  })
})

describe('a terminal that is closed', () => {
  /** Whether `script` is there, which gives a command a terminal of its own. */
  const hasTerminals = spawnSync('script', ['--version']).status === 0

  it.runIf(hasTerminals)('ends the server in order', async () => {
    const [pid, errors] = [join(directory, 'pid'), join(directory, 'errors')]
    const command = `echo $$ >"${pid}"; exec "${process.execPath}" "${MAIN}" 2>"${errors}"`
    const terminal = spawn('script', ['-q', '-f', '-c', command, '/dev/null'], {
      env: { PATH: process.env['PATH'] ?? '', SHELL: '/bin/sh', DB_DIRECTORY: join(directory, 'db'), SERVICES },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    undo.push(() => terminal.kill('SIGKILL'))
    let shown = ''
    for await (const part of terminal.stdout) {
      shown += String(part)
      if (shown.includes('mempool loaded')) break
    }
    expect(shown).toContain('serving')
    const server = Number(readFileSync(pid, 'utf8'))
    undo.push(() => isRunning(server) && process.kill(server, 'SIGKILL'))
    terminal.kill('SIGKILL')
    while (isRunning(server)) await turn(20)
    // Node says there why it aborts.
    expect(readFileSync(errors, 'utf8')).toBe('')
    // Nothing holds the index, and nothing is wrong with it.
    expect(await run(['index', 'dump'], {})).toMatchObject({ code: 0 })
  })

  /** Nobody may be there to take note of its end, as it has lost its parent. */
  function isRunning(pid: number): boolean {
    try {
      return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    } catch {
      return false
    }
  }
})

describe('a log that cannot be written', () => {
  it.runIf(existsSync('/dev/full'))('does not end the server', async () => {
    const port = await freePort()
    const full = await open('/dev/full', 'w')
    const child = spawn(process.execPath, [MAIN], {
      env: {
        PATH: process.env['PATH'] ?? '',
        DB_DIRECTORY: join(directory, 'db'),
        SERVICES: `tcp://127.0.0.1:0,rpc://127.0.0.1:${port}`,
      },
      stdio: ['ignore', full.fd, 'pipe'],
    })
    undo.push(() => child.kill('SIGKILL'))
    await full.close()
    const ready = async (): Promise<boolean> => {
      const answer = await callAdmin({ host: '127.0.0.1', port }, ['getinfo']).catch(() => undefined)
      return answer?.ok === true && (answer.result as { ready: boolean }).ready
    }
    while (!(await ready())) expect(child.exitCode).toBeNull()
    // What is written at the end of the process cannot be written either.
    expect(await exitOf(child, 'SIGTERM')).toBe(0)
  })
})

async function exitOf(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  const gone = once(child, 'exit')
  child.kill(signal)
  await gone
  return child.exitCode
}

describe('the command', () => {
  it('is a program of its own, as npm links it', () => {
    expect(readFileSync(MAIN, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
  })

  it('rpc says that no server answers, and where it asked', async () => {
    const port = await freePort()
    const { code, stderr } = await run(['rpc', 'getinfo'], { SERVICES: `rpc://127.0.0.1:${port}` })
    expect(code).toBe(1)
    expect(stderr).toBe(
      `rpc://127.0.0.1:${port} does not answer: is the server running, and is this the port that SERVICES names for rpc?\n`,
    )
  })

  it('rpc names the way to the commands to who asks for one that there is not', async () => {
    const server = start({})
    await server.ready()
    const { code, stderr } = await run(['rpc', 'daemon_url'], { SERVICES: `rpc://127.0.0.1:${server.port('rpc')}` })
    expect([code, stderr]).toEqual([1, 'unknown method "daemon_url"; `valence help` names the commands\n'])
  })

  it('rpc ends quietly when its reader has enough', async () => {
    const server = start({})
    await server.ready()
    const words = `"${process.execPath}" "${MAIN}" rpc metrics | head -c 10; exit "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', words], {
      env: { PATH: process.env['PATH'] ?? '', SERVICES: `rpc://127.0.0.1:${server.port('rpc')}` },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk))
    await once(child, 'close')
    expect([child.exitCode, errors]).toEqual([0, ''])
  })

  it('index check says that it waits for bitcoind, and leaves nothing behind when it is interrupted', async () => {
    const server = start({})
    await server.ready()
    await server.stop()
    const url = `http://127.0.0.1:${await freePort()}/`
    const child = spawn(process.execPath, [MAIN, 'index', 'check'], {
      env: {
        PATH: process.env['PATH'] ?? '',
        DB_DIRECTORY: join(directory, 'db'),
        NET: 'regtest',
        DAEMON_URL: url,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    undo.push(() => child.kill('SIGKILL'))
    const [said] = (await once(child.stderr.setEncoding('utf8'), 'data')) as [string]
    expect(said).toBe(`bitcoind at ${url} cannot be reached (ECONNREFUSED); is it running, and is DAEMON_URL right?\n`)
    expect(await exitOf(child, 'SIGINT')).toBe(1)
    expect((await readdir(join(directory, 'db'))).filter((name) => name.startsWith('check-'))).toEqual([])
  })
})
