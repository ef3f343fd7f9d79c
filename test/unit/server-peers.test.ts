import { describe, expect, it } from 'vitest'
import { COINS, coinOf } from '../../src/coins/registry.ts'
import { type Environment, readSettings } from '../../src/config/settings.ts'
import { silentLogger } from '../../src/log.ts'
import { buildPeers, OUTBOUND_LIMITS } from '../../src/server-peers.ts'
import { SessionCounter } from '../../src/session/counter.ts'
import { FakeServer } from '../support/fake-context.ts'
import { HandClock } from '../support/hand-clock.ts'
import { registerOf } from '../support/server-keeper.ts'
import { HandMoments } from '../support/session-kit.ts'
import { LIMITS } from '../support/transport-kit.ts'

function built(net: string, environment: Environment = {}) {
  const coin = coinOf('Bitcoin', net)
  const settings = readSettings({ DAEMON_URL: 'h', NET: net, PEER_DISCOVERY: 'on', ...environment })
  const counter = new SessionCounter({
    pending: { inbound: undefined, outbound: OUTBOUND_LIMITS.pending },
    active: { inbound: undefined, outbound: OUTBOUND_LIMITS.active },
  })
  const [log, clock] = [silentLogger(), new HandClock()]
  const sessions = registerOf({ clock, counter }).keeper
  return buildPeers(
    { settings, coin, connection: LIMITS },
    { log, clock, counter, sessions, moments: new HandMoments(), info: new FakeServer() },
  )
}

describe('the search for other servers', () => {
  it.each(COINS.map(({ net }) => net))('takes private hosts as peers on regtest alone: %s', (net) => {
    const isRegtest = net === 'regtest'
    for (const host of ['127.0.0.1', '10.0.0.1', '192.168.1.7', 'localhost', '::1']) {
      expect(built(net).addByName(`${host} t50001`), host).toBe(isRegtest)
    }
    expect(built(net).addByName('other.example.org t50001')).toBe(true)
  })

  it('does not take what REPORT_SERVICES or whoever answers server.features names: that is this server', () => {
    expect(built('mainnet').addByName('electrum.example.org t50001')).toBe(false)
  })

  it.each(['self', 'off'])('with PEER_DISCOVERY=%s takes nobody', (mode) => {
    const peers = built('mainnet', { PEER_DISCOVERY: mode })
    expect(peers.summary.discovery).toBe(mode)
    expect(peers.addByName('other.example.org t50001')).toBe(false)
    expect(peers.list(false)).toHaveLength(mode === 'self' ? 1 : 0)
  })

  it('stops without having been started', async () => {
    const peers = built('mainnet')
    await peers.stop()
    expect(peers.summary.checks).toBe(0)
  })
})
