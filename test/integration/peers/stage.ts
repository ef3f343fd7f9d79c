import { systemClock } from '../../../src/lib/clock.ts'
import { createLogger } from '../../../src/log.ts'
import { Dialler } from '../../../src/session/outbound/dial.ts'
import { PeerManager, type PeerManagerOptions, type PeerView } from '../../../src/session/peers/manager.ts'
import { dialledNetwork, type PeerNetwork } from '../../../src/session/peers/network.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { registerOf } from '../../support/server-keeper.ts'
import { counterOf, LIMITS } from '../outbound/loopback.ts'
import { FakePeer, GENESIS, headerAt } from './fake-peer.ts'

/** Our side: a manager on a clock of its own, between peers on loopback, each with an address of its own. */
export class Stage {
  readonly clock = new HandClock()
  readonly counter = counterOf()
  /** Sessions with peers. */
  readonly register = registerOf({ clock: this.clock, counter: this.counter })
  /** Name to addresses. */
  readonly names = new Map<string, readonly string[]>()
  readonly peers: FakePeer[] = []
  readonly managers: PeerManager[] = []
  own: Record<string, unknown> = { hosts: {} }
  height = 1000
  network: Partial<PeerNetwork> = {}
  /** Lines of the log, from `info` on. */
  readonly log: string[] = []

  /** Starts a peer called `host` at `address`. */
  async peer(host: string, address: string, answers: FakePeer['answers'] = {}): Promise<FakePeer> {
    const peer = new FakePeer(host, answers)
    await peer.listen(address)
    this.peers.push(peer)
    this.names.set(host, [address])
    return peer
  }

  async manager(options: Partial<PeerManagerOptions> = {}): Promise<PeerManager> {
    const resolve = (host: string): Promise<readonly string[]> => {
      const found = this.names.get(host)
      return found === undefined ? Promise.reject(new Error(`no such name: ${host}`)) : Promise.resolve(found)
    }
    const dialler = new Dialler(
      { timeout: 120_000, limits: LIMITS, permitPrivate: true },
      { clock: systemClock, counter: this.counter, resolve },
    )
    const made = new PeerManager(
      {
        discovery: 'on',
        announce: false,
        genesisHash: GENESIS,
        software: 'Ours 1.0',
        protocol: ['1.4', '1.6'],
        bootstrap: [],
        proxy: { host: '127.0.0.1', port: 1 },
        forceProxy: false,
        permitPrivate: true,
        ...options,
      },
      {
        log: createLogger('info', { write: (line) => void this.log.push(line) }),
        clock: this.clock,
        network: {
          ...dialledNetwork(dialler, systemClock),
          isProxy: () => Promise.resolve(false),
          resolve,
          ...this.network,
        },
        sessions: this.register.keeper,
        chain: { tip: () => Promise.resolve(this.height), headerAt: (height) => Promise.resolve(headerAt(height)) },
        features: () => this.own,
        random: () => 0,
      },
    )
    this.managers.push(made)
    await made.start(new AbortController().signal)
    return made
  }

  async close(): Promise<void> {
    for (const manager of this.managers) await manager.stop()
    for (const peer of this.peers) await peer.close()
  }
}

/** Lets the event loop turn until `condition` holds; the test's own time limit is the bound. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

export function viewOf(manager: PeerManager, host: string): PeerView | undefined {
  return manager.adminView().peers.find((peer) => peer.host === host)
}

export function told(manager: PeerManager, overTor = false): string[] {
  return manager
    .list(overTor)
    .map(([, host]) => host)
    .sort()
}
