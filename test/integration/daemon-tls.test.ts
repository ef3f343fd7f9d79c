import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generate } from 'selfsigned'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Bitcoind } from '../../src/daemon/bitcoind.ts'
import { createLogger } from '../../src/log.ts'
import { HandClock } from '../support/hand-clock.ts'

let server: Server
const asked: (string | undefined)[] = []

beforeAll(async () => {
  const { private: key, cert } = await generate([{ name: 'commonName', value: '127.0.0.1' }], { keySize: 2048 })
  server = createServer({ key, cert }, (request, response) => {
    asked.push(request.headers.authorization)
    response.end('{}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  await new Promise((resolve) => server.close(resolve))
})

it('sends nothing, credentials least of all, to a node whose certificate nobody vouches for', async () => {
  const log: { readonly kind?: string; readonly reason?: string }[] = []
  const logger = createLogger('warn', { write: (line) => log.push(JSON.parse(line) as (typeof log)[number]) })
  const clock = new HandClock((ms) => ms <= 4000)
  const { port } = server.address() as AddressInfo
  const daemon = new Bitcoind({ urls: [`https://user:password@127.0.0.1:${port}/`] }, { log: logger, clock })
  const giveUp = new AbortController()
  const starting = daemon.start(giveUp.signal)
  while (clock.slept.filter((ms) => ms <= 4000).length < 3) await new Promise((resolve) => setImmediate(resolve))
  giveUp.abort()
  await expect(starting).rejects.toMatchObject({ name: 'AbortError' })
  await daemon.stop()
  expect(asked).toEqual([])
  expect(log[0]).toMatchObject({ kind: 'unreachable' })
  expect(log[0]?.reason).toMatch(/cannot be reached \(DEPTH_ZERO_SELF_SIGNED_CERT\)/)
})
