/** What an address in the manner of electrumx-proxy said that is no answer. */
export class ProxyRefusal extends Error {
  readonly status: number
  readonly code: number | undefined

  constructor(status: number, text: string) {
    const { code, message } = JSON.parse(text) as { readonly code?: number; readonly message: string }
    super(message)
    this.status = status
    this.code = code
  }
}

/** The addresses of one server, and what wallets of Atomicals ask of them over HTTP. */
export interface ProxyClient {
  /** What `response` of the answer is. Throws ProxyRefusal. */
  call<T>(method: string, ...params: unknown[]): Promise<T>
}

interface Envelope<T> {
  readonly success: boolean
  readonly response: T
}

/**
 * Asks as atomicals-js does: every call is a POST, whatever is not of 200 to 299 is an error, `success` is not looked at.
 * `path` is `/proxy` or one of those beside it.
 */
export function postingClient(port: number, path = '/proxy'): ProxyClient {
  return {
    call: async <T>(method: string, ...params: unknown[]): Promise<T> => {
      const headers = { 'content-type': 'application/json', accept: 'application/json, text/plain, */*' }
      const body = JSON.stringify({ params })
      const reply = await fetch(`http://127.0.0.1:${port}${path}/${method}`, { method: 'POST', headers, body })
      const text = await reply.text()
      if (!reply.ok) throw new ProxyRefusal(reply.status, text)
      return (JSON.parse(text) as Envelope<T>).response
    },
  }
}

/** Calls that @wizz-btc/api makes with POST; it makes all others with GET. */
const POSTED = new Set(['blockchain.transaction.broadcast', 'blockchain.atomicals.validate'])

/** Asks as @wizz-btc/api does: a number of its own in the query, nothing but 200 will do, and `success` has to be true. */
export function gettingClient(port: number, path = '/proxy'): ProxyClient {
  let count = 0
  return {
    call: async <T>(method: string, ...params: unknown[]): Promise<T> => {
      const address = `http://127.0.0.1:${port}${path}/${method}`
      const own = String(count++)
      const asked = new URLSearchParams({ params: JSON.stringify(params), _: own }).toString()
      const reply = POSTED.has(method)
        ? await fetch(`${address}?_=${own}`, {
            method: 'POST',
            headers: { 'Content-Type': 'application/json' },
            body: JSON.stringify({ params }),
          })
        : await fetch(`${address}?${asked}`)
      if (reply.status !== 200) throw new ProxyRefusal(reply.status, await reply.text())
      if (reply.headers.get('content-type')?.includes('application/json') !== true) throw new Error('not JSON')
      const { success, response } = (await reply.json()) as Envelope<T>
      if (!success) throw new Error(`${method} without success`)
      return response
    },
  }
}
