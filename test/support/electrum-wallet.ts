import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { freePort } from './free-port.ts'

const run = promisify(execFile)
const LOGIN = { user: 'wallet', password: 'only-on-loopback' }

export interface WalletTransaction {
  readonly txid: string
  readonly height: number
  readonly confirmations: number
  readonly bc_value: string
}

export interface WalletBalance {
  readonly confirmed: string
  readonly unconfirmed?: string
  readonly unmatured?: string
}

/** True if Debian's Electrum is installed. */
export function hasElectrum(): Promise<boolean> {
  return run('electrum', ['version', '--offline']).then(
    () => true,
    () => false,
  )
}

/**
 * The Electrum wallet without its windows: a daemon with a directory and a wallet of its own, asked over its local
 * JSON-RPC. It checks headers and merkle proofs like the one that people use, because it is the one that people use.
 */
export class ElectrumWallet {
  readonly #directory: string
  readonly #rpcPort: number
  #child: ChildProcess | undefined
  #output = ''

  private constructor(directory: string, rpcPort: number) {
    this.#directory = directory
    this.#rpcPort = rpcPort
  }

  /** Makes a wallet and starts it against one server. `transport` is `t` for TCP, `s` for SSL. */
  static async start(port: number, transport: 't' | 's'): Promise<ElectrumWallet> {
    const directory = await mkdtemp(join(tmpdir(), 'valence-electrum-'))
    const wallet = new ElectrumWallet(directory, await freePort())
    await wallet.#command('setconfig', 'rpcuser', LOGIN.user)
    await wallet.#command('setconfig', 'rpcpassword', LOGIN.password)
    await wallet.#command('setconfig', 'rpcport', String(wallet.#rpcPort))
    await wallet.#command('setconfig', 'log_to_file', 'false')
    await wallet.#command('create')
    await wallet.#launch(`127.0.0.1:${port}:${transport}`)
    return wallet
  }

  async #launch(server: string): Promise<void> {
    const child = spawn('electrum', [...this.#base(), 'daemon', '--oneserver', '-s', server, '-v'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => (this.#output = (this.#output + chunk).slice(-20_000)))
    }
    await this.until('the wallet answers', async () => {
      await this.call('load_wallet')
      return true
    })
  }

  /** One command of Electrum's command line, over the daemon's JSON-RPC. */
  async call<T = unknown>(
    method: string,
    params: readonly unknown[] | Readonly<Record<string, unknown>> = [],
  ): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${this.#rpcPort}`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${LOGIN.user}:${LOGIN.password}`).toString('base64')}` },
      body: JSON.stringify({ id: 1, method, params }),
      signal: AbortSignal.timeout(120_000),
    })
    const body = (await response.json()) as { result?: T; error?: { message: string } }
    if (body.error !== undefined) throw new Error(`electrum ${method}: ${body.error.message}`)
    return body.result as T
  }

  address(): Promise<string> {
    return this.call<string>('getunusedaddress')
  }

  balance(): Promise<WalletBalance> {
    return this.call<WalletBalance>('getbalance')
  }

  async history(): Promise<readonly WalletTransaction[]> {
    const { transactions } = await this.call<{ transactions: WalletTransaction[] }>('onchain_history')
    return transactions
  }

  info(): Promise<{
    readonly connected: boolean
    readonly blockchain_height: number
    readonly server_height: number
  }> {
    return this.call('getinfo')
  }

  /** Signs a payment and hands it to the server; the txid. */
  async pay(address: string, amount: string): Promise<string> {
    const raw = await this.call<string>('payto', { destination: address, amount })
    return this.call<string>('broadcast', [raw])
  }

  /** Asks until `holds` is true; throws with what the wallet logged last if it never is. */
  async until(what: string, holds: () => Promise<boolean>, timeoutMs = 120_000): Promise<void> {
    const deadline = Date.now() + timeoutMs
    let last: unknown
    for (;;) {
      try {
        if (await holds()) return
        last = undefined
      } catch (error) {
        last = error
      }
      if (this.#child !== undefined && this.#child.exitCode !== null) throw new Error(`electrum ended: ${this.#output}`)
      if (Date.now() > deadline)
        throw new Error(`not within ${timeoutMs} ms: ${what} (${String(last)})\n${this.#output}`)
      await delay(100)
    }
  }

  async stop(): Promise<void> {
    const child = this.#child
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000)
      await gone
      clearTimeout(timer)
    }
    await rm(this.#directory, { recursive: true, force: true })
  }

  #base(): string[] {
    return ['--regtest', '-D', this.#directory]
  }

  async #command(...words: string[]): Promise<void> {
    await run('electrum', [...this.#base(), '--offline', ...words])
  }
}
