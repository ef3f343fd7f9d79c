import { createRequire } from 'node:module'
import { ElectrumClient as CashClient } from 'electrum-cash'

const require = createRequire(import.meta.url)

export type ClientTransport = 'tcp' | 'ssl' | 'ws'

/** Somebody else's client library, as far as the test uses it. */
export interface LibraryClient {
  connect(): Promise<void>
  request(method: string, ...params: (string | number)[]): Promise<unknown>
  /** Calls `heard` with the parameters of each notification of a method. */
  on(method: string, heard: (params: unknown) => void): void
  close(): Promise<void>
}

export interface Library {
  readonly library: string
  readonly transport: ClientTransport
  open(port: number): LibraryClient
}

interface OldClient {
  readonly subscribe: { on(event: string, listener: (params: unknown) => void): void }
  connect(...args: unknown[]): Promise<unknown>
  request(method: string, params: readonly unknown[]): Promise<unknown>
  close(): unknown
}
type OldClass = new (...args: unknown[]) => OldClient

/** electrum-client and its descendants: no types, one event a notification. */
function old(client: OldClient, connect: (client: OldClient) => Promise<unknown>): LibraryClient {
  return {
    connect: async () => {
      await connect(client)
    },
    request: async (method, ...params) => {
      const answer = await client.request(method, params)
      // Where the result is null or empty, one of them gives back the whole message.
      const whole = typeof answer === 'object' && answer !== null && 'jsonrpc' in answer && 'result' in answer
      return whole ? answer.result : answer
    },
    on: (method, heard) => client.subscribe.on(method, heard),
    close: async () => {
      await client.close()
    },
  }
}

const HOST = '127.0.0.1'
const load = (name: string) => require(name) as OldClass

function plainClient(transport: 'tcp' | 'ssl'): Library {
  const protocol = transport === 'tcp' ? 'tcp' : 'tls'
  return {
    library: 'electrum-client 0.0.6',
    transport,
    open: (port) =>
      old(new (load('electrum-client'))(port, HOST, protocol), async (client) => {
        await client.connect()
        await client.request('server.version', ['test', '1.4'])
      }),
  }
}

function mempoolClient(transport: 'tcp' | 'ssl'): Library {
  const protocol = transport === 'tcp' ? 'tcp' : 'tls'
  return {
    library: '@mempool/electrum-client 1.1.9',
    transport,
    open: (port) => {
      const client = new (load('@mempool/electrum-client'))(port, HOST, protocol, null, { onLog: () => undefined })
      const started = client as OldClient & { initElectrum(config: object, policy: object): Promise<unknown> }
      return old(client, () =>
        started.initElectrum({ client: 'test', version: '1.4' }, { retryPeriod: 1, maxRetry: 0, pingPeriod: 60_000 }),
      )
    },
  }
}

/** Asks for the banner before it says who it is. */
function bannerFirstClient(transport: ClientTransport): Library {
  return {
    library: '@codewarriorr/electrum-client-js 0.1.1',
    transport,
    open: (port) =>
      old(new (load('@codewarriorr/electrum-client-js'))(HOST, port, transport), (client) =>
        client.connect('test', '1.4'),
      ),
  }
}

/** Sends no `jsonrpc` member, and ids that are texts. */
function cashClient(transport: ClientTransport): Library {
  const scheme = { tcp: 'tcp', ssl: 'tcp_tls', ws: 'ws' } as const
  return {
    library: 'electrum-cash 3.2.0',
    transport,
    open: (port) => {
      const client = new CashClient('test', '1.4', HOST, port, scheme[transport])
      return {
        connect: () => client.connect(),
        request: async (method, ...params) => {
          const answer = await client.request(method, ...params)
          if (answer instanceof Error) throw answer
          return answer
        },
        on: (method, heard) => {
          client.on('notification', (notice) => {
            if (notice.method === method) heard(notice.params)
          })
        },
        close: async () => {
          await client.disconnect(true)
        },
      }
    },
  }
}

export const LIBRARIES: readonly Library[] = [
  plainClient('tcp'),
  plainClient('ssl'),
  mempoolClient('tcp'),
  mempoolClient('ssl'),
  bannerFirstClient('tcp'),
  bannerFirstClient('ssl'),
  bannerFirstClient('ws'),
  cashClient('tcp'),
  cashClient('ssl'),
  cashClient('ws'),
]
