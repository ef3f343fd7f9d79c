import { ElectrumProbe } from '../support/electrum-probe.ts'

const EVERY_MS = 1

/** A client that asks for nothing but a sign of life, all the time: how long others keep the server from answering. */
export class Pings {
  readonly #probe: ElectrumProbe
  readonly #timer: NodeJS.Timeout
  readonly #underWay = new Set<Promise<void>>()
  readonly #times: { readonly sent: number; readonly ms: number }[] = []
  #failure: Error | undefined

  private constructor(probe: ElectrumProbe) {
    this.#probe = probe
    this.#timer = setInterval(() => this.#ping(), EVERY_MS)
  }

  static async start(port: number): Promise<Pings> {
    return new Pings(await ElectrumProbe.connect(port))
  }

  /** Milliseconds that each answer took, of those sent from `from` to `to` (since the epoch). Throws if one failed. */
  async stop(from: number, to: number): Promise<number[]> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    this.#probe.end()
    if (this.#failure !== undefined) throw this.#failure
    return this.#times.filter(({ sent }) => sent >= from && sent <= to).map(({ ms }) => ms)
  }

  #ping(): void {
    const ping = this.#measure().finally(() => this.#underWay.delete(ping))
    this.#underWay.add(ping)
  }

  /** Never rejects. */
  async #measure(): Promise<void> {
    const begun = performance.now()
    try {
      await this.#probe.request('server.ping')
      this.#times.push({ sent: performance.timeOrigin + begun, ms: performance.now() - begun })
    } catch (error) {
      this.#failure ??= error instanceof Error ? error : new Error(String(error))
    }
  }
}
