import type { z } from 'zod'
import type { Daemon } from '../daemon/daemon.ts'
import type { Awaitable } from '../lib/awaitable.ts'
import type { Moment } from '../mempool/moment.ts'
import type { RawJson } from './json.ts'
import type { FoundOutpoint, OutpointRef } from './outpoint.ts'
import type { Topic, TopicStatus } from './topic.ts'

/** [major, minor, patch] of the Electrum protocol. */
export type ProtocolVersion = readonly [number, number, number]

/** Negative, zero or positive as `a` is older than, the same as or newer than `b`. */
export function compareVersions(a: ProtocolVersion, b: ProtocolVersion): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}

/** Form of `atomicals` in unspent outputs: id to amount, or a list of ids as before atomicals-electrumx 1.5. */
export type AtomicalsShape = 'object' | 'list'

/** One row of the method table. Dispatch, limits, docs and tests all read this and nothing else. */
export interface RpcMethod<P extends z.ZodObject = z.ZodObject, R extends z.ZodType = z.ZodType> {
  readonly name: string
  readonly summary: string
  /** Key order gives positional parameters their names. Trailing optional ones may be left out. */
  readonly params: P
  readonly result: R
  /** What a call costs before anything of it is known but its parameters (features of ElectrumX's cost model). */
  cost(params: z.output<P>): number
  /** Offered from this protocol version on. */
  readonly since: ProtocolVersion
  /** Offered up to and with this one. */
  readonly until?: ProtocolVersion
  /** Subscriptions make no sense over HTTP. */
  readonly over?: 'stream'
  /** The answer follows from the parameters and the last block alone: the same as long as that is the last one. */
  readonly followsFrom?: 'tip'
  /** From this version on it may also come as a notification; otherwise a message without id is an unknown method. */
  readonly notification?: ProtocolVersion
  /** Further arguments, by position or by name, are no error; the handler does not see them. */
  readonly extraParams?: 'ignored'
  /** A call as it could be made, and its answer; both checked against the schemas. */
  readonly example: { readonly params: readonly unknown[]; readonly result: z.input<R> }
  /** What is at hand is best given without a promise, and what is JSON text of the result already, as that. */
  handler(ctx: RpcContext, params: z.output<P>): Awaitable<z.input<R> | RawJson>
}

/** Gives a method its types from its schemas. */
export function defineMethod<P extends z.ZodObject, R extends z.ZodType>(method: RpcMethod<P, R>): RpcMethod<P, R> {
  return method
}

/** Whom a request comes from. Only the session layer makes these. */
export interface RpcClient {
  /** Stable for the life of the connection; for logs. */
  readonly id: number
  /** The negotiated version; 1.4 before server.version was seen. */
  readonly protocol: ProtocolVersion
  /** What the client calls itself, once it has. */
  readonly software: string | undefined
  /** True where the server can send by itself (TCP, SSL, WS, WSS). */
  readonly stream: boolean
  /** The form it has asked for; undefined for that of the server. */
  readonly shape: AtomicalsShape | undefined
  /** From now on unspent outputs come to it in this form. Throws RpcError 1 where every request says so by itself. */
  chooseShape(shape: AtomicalsShape): void
  /** The IP address it comes from, as far as trusted proxies tell. */
  readonly address: string
  /** Settles the handshake. Throws RpcError 1 if it was settled before or no version fits. */
  identify(software: string, wanted: { readonly min: ProtocolVersion; readonly max: ProtocolVersion }): ProtocolVersion
  /** Marks the client as a server that asks to be listed with these features. True the first time on a connection. */
  becomePeer(features: Readonly<Record<string, unknown>>): boolean
  /** The node took so many transactions of the client. */
  sentTransactions(count: number): void
  /** From now on the client hears of new tips. */
  subscribeHeaders(): void
  /**
   * Once its status is found the client hears when the status of the script changes from that, which is given back; of
   * nothing if that fails, or if the subscription is ended before. `alias` is what notifications call the script (the
   * script hash as the client sent it). Throws or rejects as `find` does, and with RpcError -101 at a limit.
   */
  subscribeScript(hashX: Uint8Array, alias: string, find: () => Awaitable<string | null>): Awaitable<string | null>
  /** True if there was such a subscription, or it was being made. */
  unsubscribeScript(hashX: Uint8Array): boolean
  /** The same of the status of an outpoint. */
  subscribeOutpoint(outpoint: OutpointRef, find: () => Promise<FoundOutpoint>): Awaitable<FoundOutpoint>
  unsubscribeOutpoint(outpoint: OutpointRef): boolean
  /** The same of the status of a topic. */
  subscribeTopic(topic: Topic, find: () => Promise<TopicStatus>): Awaitable<TopicStatus>
  unsubscribeTopic(key: string): boolean
}

/** What the server says of itself. */
export interface ServerInfo {
  /** `Valence 0.1.0` */
  readonly software: string
  readonly protocolMin: ProtocolVersion
  readonly protocolMax: ProtocolVersion
  /** Hex as displayed. */
  readonly genesisHash: string
  readonly reorgLimit: number
  /**
   * Members of server.features that only the session layer knows: `hosts` (what clients on the outside reach: host to
   * ports), `services`, and whatever an operator adds. They win over what the method says by itself. The same object as
   * long as nothing in it has changed: answers are kept by it.
   */
  features(): Readonly<Record<string, unknown>>
  /** The text shown to wallets, its variables replaced. Who comes over Tor may be shown another one. */
  banner(client: RpcClient): Promise<string>
  readonly donationAddress: string
  /** [ip, host, [features…]] of other servers. Who comes over Tor is told of more that are reached over Tor. */
  peers(client: RpcClient): readonly (readonly [string, string, readonly string[]])[]
  /** A server asks to be listed as a peer; true if it will be looked into. Absent: every such request is answered false. */
  addPeer?(features: Readonly<Record<string, unknown>>, client: RpcClient): Promise<boolean>
}

/** Everything a handler can reach; narrow on purpose: who needs more needs a better query. */
export interface RpcContext {
  readonly client: RpcClient
  /** The view and mempool of one instant; the same for the whole request. */
  readonly moment: Moment
  readonly daemon: Daemon
  readonly server: ServerInfo
  /** Aborts when the client is gone or the request has run out of time. */
  readonly signal: AbortSignal
  /** Adds to what the request costs as more of it is known. Throws RpcError -101 past the hard limit. */
  charge(cost: number): void
}
