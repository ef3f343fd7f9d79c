/** Everything long-lived: built in one place, started in order, stopped in reverse. */
export interface Service {
  readonly name: string
  /** Settles once the service works. `signal` aborts when the whole server is to stop; start then gives up. */
  start(signal: AbortSignal): Promise<void>
  /** Settles once nothing of it runs any more. Called once, after a start that settled or was begun. */
  stop(): Promise<void>
}

/** Told of services as they come and go; failures while stopping are reported, never thrown. */
export interface ServiceObserver {
  started?(name: string): void
  stopped?(name: string): void
  stopFailed?(name: string, error: unknown): void
}

/** Starts services in order; if one fails, those already begun are stopped in reverse before the error is thrown. */
export class ServiceGroup {
  readonly #services: readonly Service[]
  readonly #observer: ServiceObserver
  readonly #begun: Service[] = []

  constructor(services: readonly Service[], observer: ServiceObserver = {}) {
    this.#services = services
    this.#observer = observer
  }

  async start(signal: AbortSignal): Promise<void> {
    try {
      for (const service of this.#services) {
        signal.throwIfAborted()
        this.#begun.push(service)
        await service.start(signal)
        this.#observer.started?.(service.name)
      }
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Stops what was begun, last first. A service that fails to stop does not keep the others from stopping. */
  async stop(): Promise<void> {
    for (let service = this.#begun.pop(); service !== undefined; service = this.#begun.pop()) {
      try {
        await service.stop()
        this.#observer.stopped?.(service.name)
      } catch (error) {
        this.#observer.stopFailed?.(service.name, error)
      }
    }
  }
}
