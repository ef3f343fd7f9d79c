import { DaemonUnavailableError } from '../errors.ts'

/** Why there is no answer from a node, and whether asking again may help. */
const AGAIN = {
  /** No connection: not running, wrong host or port, TLS not accepted. */
  unreachable: true,
  /** The connection ended before an answer began. */
  dropped: true,
  timeout: true,
  /** An answer that ends too early. */
  'half-answer': true,
  /** RPC error -28: the node starts. */
  'warm-up': true,
  /** An HTTP status without a JSON-RPC body: work queue full, a proxy in between, another server altogether. */
  http: true,
  /** The cookie is missing or not accepted; it is written anew when the node starts. */
  cookie: true,
  /** Too many calls wait for a connection of ours. */
  busy: true,
  /** User and password are not accepted, or our address is not. */
  refused: false,
  /** It answers others of our calls, but not this one: bitcoind has an rpcwhitelist without it. */
  forbidden: false,
  /** The answer is larger than we are ready to hold. */
  'too-large': false,
  /** An answer that cannot be true: another shape, another block, another chain. */
  wrong: false,
} as const satisfies Record<string, boolean>

export type FailureKind = keyof typeof AGAIN
// Keys of an object that is written out above.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
export const FAILURE_KINDS = Object.keys(AGAIN) as readonly FailureKind[]

/** DaemonUnavailableError of one node, with the reason as a word. The message never holds credentials. */
export class NodeFailure extends DaemonUnavailableError {
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
  }

  /** True if the same question may be answered a moment later. */
  get mayPass(): boolean {
    return AGAIN[this.kind]
  }
}
