import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { readSettings } from '../../src/config/settings.ts'
import { ChainError, ConfigError, needsPerson } from '../../src/errors.ts'
import { silentLogger } from '../../src/log.ts'
import { RegtestNode } from '../../src/regtest/node.ts'
import { runServer } from '../../src/server.ts'
import { NodeProxy } from '../support/node-proxy.ts'

/** Nodes that a server must not begin with: it ends, and says in a sentence what is to be done. */
const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

/** What the server ends with behind a node that says this of itself. */
async function endingWith(said: Readonly<Record<string, unknown>>): Promise<unknown> {
  const directory = await mkdtemp(join(tmpdir(), 'refused-'))
  undo.push(() => rm(directory, { recursive: true }))
  const node = new RegtestNode({ directory: join(directory, 'node'), initialBlocks: 3 })
  await node.start(new AbortController().signal)
  undo.push(() => node.stop())
  const proxy = await NodeProxy.before(node.url)
  undo.push(() => proxy.close())
  proxy.tricks = [
    ({ methods }, answer) =>
      methods[0] === 'getblockchaininfo'
        ? answer().then(({ status, body }) => {
            const reply = JSON.parse(Buffer.from(body).toString()) as { result: object }
            return { status, body: JSON.stringify({ ...reply, result: { ...reply.result, ...said } }) }
          })
        : undefined,
  ]
  const settings = readSettings({
    NET: 'regtest',
    DAEMON_URL: proxy.url,
    DAEMON_COOKIE_FILE: node.cookieFile,
    DB_DIRECTORY: join(directory, 'index'),
    SERVICES: 'tcp://127.0.0.1:0',
  })
  const around = { log: silentLogger(), stop: new AbortController().signal, terminal: undefined }
  return runServer(settings, around)
}

describe('a server does not begin with a node', () => {
  it('that is pruned, and says to run it without prune', async () => {
    const failure = await endingWith({ pruned: true, pruneheight: 2 })
    expect(failure).toBeInstanceOf(ChainError)
    expect((failure as Error).message).toMatch(/is pruned.*without prune/)
    expect(needsPerson(failure)).toBe(true)
  })

  it('of another network, and names both', async () => {
    const failure = await endingWith({ chain: 'signet' })
    expect(failure).toBeInstanceOf(ConfigError)
    expect((failure as Error).message).toMatch(/NET is regtest .*"signet": correct NET or DAEMON_URL$/)
    expect(needsPerson(failure)).toBe(true)
  })
})
