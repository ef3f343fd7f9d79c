import { describe, expect, it } from 'vitest'
import { bitcoinRegtest } from '../../../src/coins/bitcoin.ts'
import { clientRegistry } from '../../../src/coins/client-registry.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createLogger, silentLogger } from '../../../src/log.ts'
import { exampleCoin } from '../../support/examples/coin.ts'
import { FakeContext } from '../../support/fake-context.ts'

const around = { clock: systemClock, log: silentLogger() }

/** The examples that CONTRIBUTING.md shows, at work. */
describe('what clients of a coin can call', () => {
  const ctx = new FakeContext()

  it('is the protocol and the methods that the coin brings along, checked and charged like all others', async () => {
    const registry = clientRegistry(exampleCoin, {}, around)
    expect(await registry.dispatch('example.block_count', [], ctx)).toBe(ctx.moment.tip.height + 1)
    expect(await registry.dispatch('example.block_count', { above: 0 }, ctx)).toBe(ctx.moment.tip.height)
    await expect(registry.dispatch('example.block_count', [-1], ctx)).rejects.toMatchObject({ code: 1 })
    expect(await registry.dispatch('server.ping', [], ctx)).toBeNull()
  })

  it('is not what another coin brings along', async () => {
    const registry = clientRegistry(bitcoinRegtest, {}, around)
    await expect(registry.dispatch('example.block_count', [], ctx)).rejects.toMatchObject({ code: -32601 })
  })

  it('goes through the middleware of the coin', async () => {
    const broadcast = ['blockchain.transaction.broadcast', ['00']] as const
    const refused = clientRegistry(exampleCoin, {}, around).dispatch(...broadcast, ctx)
    await expect(refused).rejects.toMatchObject({ code: 1, message: 'this server sends no transactions' })
  })

  it('has a line in the log for each call at debug, and nothing around a call above', async () => {
    const lines: string[] = []
    for (const level of ['debug', 'info'] as const) {
      const log = createLogger(level, { write: (line: string) => void lines.push(line) })
      await clientRegistry(bitcoinRegtest, {}, { ...around, log }).dispatch('server.ping', [], ctx)
    }
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toMatchObject({ msg: 'call', method: 'server.ping', ok: true })
  })
})
