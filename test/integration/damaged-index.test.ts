import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { coinOf } from '../../src/coins/registry.ts'
import { readSettings } from '../../src/config/settings.ts'
import { needsPerson } from '../../src/errors.ts'
import { openIndex } from '../../src/index-opening.ts'
import { silentLogger } from '../../src/log.ts'
import { runServer } from '../../src/server.ts'

const undo: (() => unknown)[] = []

afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step()
})

describe('an index', () => {
  it('that is damaged when it is opened is no reason to start again, and that another process has it is one', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'damaged-'))
    undo.push(() => rm(directory, { recursive: true }))
    const settings = readSettings({ NET: 'regtest', DB_DIRECTORY: directory, SERVICES: 'tcp://127.0.0.1:0' })
    const start = (): Promise<unknown> =>
      runServer(settings, { log: silentLogger(), stop: new AbortController().signal, terminal: undefined })

    const index = await openIndex(
      { settings, coin: coinOf(settings.coin, settings.net) },
      { cacheBytes: 1 << 20, pendingBytes: 1 << 20 },
    )
    const locked = await start()
    await index.close()
    expect(locked).toMatchObject({ name: 'StorageError', code: 'locked' })
    expect(needsPerson(locked)).toBe(false)

    await writeFile(join(directory, 'index', 'CURRENT'), 'no name of a table')
    const damaged = await start()
    expect(damaged).toMatchObject({ name: 'StorageError', code: 'corrupt' })
    expect(needsPerson(damaged)).toBe(true)
  })
})
