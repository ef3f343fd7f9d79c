import { silentLogger } from '../../src/log.ts'
import { Envelope, type EnvelopeOptions, type PendingCall, type RequestHost } from '../../src/rpc/envelope.ts'
import type { RpcFailure } from '../../src/rpc/failure.ts'
import type { RpcContext } from '../../src/rpc/method.ts'
import { electrumMethods } from '../../src/rpc/methods/table.ts'
import { MethodRegistry } from '../../src/rpc/registry.ts'
import { FakeContext } from './fake-context.ts'

/** A session without limits that remembers what it was told. */
export class FakeHost implements RequestHost {
  readonly ctx: FakeContext
  readonly calls: PendingCall[] = []
  readonly failures: RpcFailure[] = []
  /** In place of running: what a session does that has no room. */
  refusal: Error | undefined

  constructor(ctx: FakeContext = new FakeContext()) {
    this.ctx = ctx
  }

  async run(call: PendingCall, job: (ctx: RpcContext) => Promise<unknown>): Promise<unknown> {
    this.calls.push(call)
    if (this.refusal !== undefined) throw this.refusal
    return job(this.ctx)
  }

  failed(failure: RpcFailure): void {
    this.failures.push(failure)
  }
}

/** The whole way from bytes to bytes over the Electrum methods. */
export function electrumEnvelope(options: Partial<EnvelopeOptions> = {}): Envelope {
  let next = 0
  return new Envelope(
    { maxSend: 1_000_000, maxBatch: 100, ...options },
    {
      registry: new MethodRegistry({}, electrumMethods()),
      log: silentLogger(),
      requestId: () => `r${next++}`,
    },
  )
}
