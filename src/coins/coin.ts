import type { AtomicalsHeights } from '../atomicals/constants.ts'
import type { AddressVersions } from '../chain/address.ts'
import type { RpcMethod } from '../rpc/method.ts'
import type { Middleware } from '../rpc/middleware.ts'

/**
 * The complete list of what may differ between coins and networks. A coin is a value; where it needs something that is
 * not here, a field is added, with a test.
 */
export interface Coin {
  /** As in COIN: Bitcoin */
  readonly name: string
  /** As in NET: mainnet, testnet, testnet4, signet, regtest */
  readonly net: string
  /** What bitcoind calls the network in getblockchaininfo. */
  readonly daemonChain: string
  /** Hash of block 0, as displayed. */
  readonly genesisHash: string
  readonly addressVersions: AddressVersions
  /** Deepest reorganisation that is followed unless REORG_LIMIT says otherwise. */
  readonly reorgLimit: number
  /** Port that bitcoind's JSON-RPC has by default. */
  readonly rpcPort: number
  /** Public servers to begin the search for others with: `electrum.example.org s50002 t50001`. */
  readonly peers: readonly string[]
  /** Heights of the Atomicals rules; without them there is no such index. */
  readonly atomicals?: AtomicalsHeights
  /** What clients can call besides the Electrum protocol. */
  readonly methods?: readonly RpcMethod[]
  /** Around every call of a client, the first outermost. */
  readonly middleware?: readonly Middleware[]
}
