import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES, scriptOfAddress } from '../../src/chain/address.ts'
import { scriptHashOf, scriptHashToHex } from '../../src/chain/script.ts'
import { LIBRARIES } from '../support/npm-clients.ts'
import { ServerProcess } from '../support/server-process.ts'

const SERVICES = ['tcp', 'ssl', 'ws', 'rpc'].map((kind) => `${kind}://127.0.0.1:0`).join(',')

let directory: string
let server: ServerProcess

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'valence-e2e-'))
  server = ServerProcess.start({ DB_DIRECTORY: directory, SERVICES })
  await server.ready()
})

afterAll(async () => {
  await server?.stop()
  await rm(directory, { recursive: true, force: true })
})

describe.each(LIBRARIES)('$library over $transport', (library) => {
  it('subscribes, and is told of a payment, of its block and of the new tip', async () => {
    const script = Uint8Array.of(0, 20, ...crypto.getRandomValues(new Uint8Array(20)))
    const scripthash = scriptHashToHex(scriptHashOf(script))
    const address = addressOf(script, BITCOIN_ADDRESSES.regtest)!
    expect(scriptOfAddress(address, BITCOIN_ADDRESSES.regtest)).toEqual(script)
    const client = library.open(server.port(library.transport))
    try {
      const heads = waiter()
      const scripts = waiter()
      client.on('blockchain.headers.subscribe', heads.heard)
      client.on('blockchain.scripthash.subscribe', scripts.heard)
      await client.connect()
      const { height } = (await client.request('blockchain.headers.subscribe')) as { height: number }
      expect(await client.request('blockchain.scripthash.subscribe', scripthash)).toBeNull()

      const txid = await server.admin('regtest', 'send', address, '0.75')
      const [named, first] = (await scripts.next()) as [string, string]
      expect(named).toBe(scripthash)
      expect(await client.request('blockchain.scripthash.get_balance', scripthash)).toEqual({
        confirmed: 0,
        unconfirmed: 75_000_000,
      })

      await server.admin('regtest', 'mine', '1')
      expect(JSON.stringify(await heads.next())).toContain(`"height":${height + 1}`)
      const [, second] = (await scripts.next()) as [string, string]
      expect(second).not.toBe(first)
      expect(await client.request('blockchain.scripthash.get_history', scripthash)).toEqual([
        { tx_hash: txid, height: height + 1 },
      ])
    } finally {
      await client.close()
    }
  })
})

/** Notifications in order, each waited for at most a minute. */
function waiter() {
  const heard: unknown[] = []
  let wake: (() => void) | undefined
  return {
    heard: (params: unknown) => {
      heard.push(params)
      wake?.()
    },
    next: async (): Promise<unknown> => {
      if (heard.length === 0) {
        await new Promise<void>((resolve, reject) => {
          const timer = setTimeout(() => reject(new Error('not told within a minute')), 60_000)
          wake = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      return heard.shift()
    },
  }
}
