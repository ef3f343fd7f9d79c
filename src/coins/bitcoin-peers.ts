/**
 * Public servers that have been up for years: where the search for others begins. Rows as server.peers.subscribe has
 * them: host, then `s` and `t` with the ports of SSL and TCP. None is trusted: each is verified like any other.
 * Mainnet and the testnets: hosts that ElectrumX and the wallet Electrum are shipped with; signet: hosts that wallets
 * name.
 */

export const MAINNET_PEERS: readonly string[] = [
  'electrum.emzy.de s50002',
  'electrum.hodlister.co s50002',
  'electrum.hsmiths.com s50002 t50001',
  'electrum.jhoenicke.de s50002 t50001',
  'electrum.vom-stausee.de s50002 t50001',
  'electrum.blockstream.info s50002 t50001',
  'electrum.bitaroo.net s50002 t50001',
  'electrum.diynodes.com s50022',
  'fortress.qtornado.com s443',
  'fulcrum.sethforprivacy.com s50002',
  'blackie.c3-soft.com s57002 t57001',
  'bitcoin.lu.ke s50002 t50001',
  'e2.keff.org s50002 t50001',
  'ecdsa.net s110 t50001',
  'hodlers.beer s50002',
  '5.9.83.108 s50002',
  'explorerzydxu5ecjrkwceayqybizmpjjznk5izmitf2modhcusuqlid.onion t110',
  'v7gtzf7nua6hdmb2wtqaqioqmesdb4xrlly4zwr7bvayxv2bpg665pqd.onion t50001',
]

export const TESTNET_PEERS: readonly string[] = [
  'blackie.c3-soft.com s57006 t57005',
  'electrum.blockstream.info s60002 t60001',
  'testnet.qtornado.com s51002 t51001',
  'testnet.aranguren.org s51002 t51001',
  'v22019051929289916.bestsrv.de s50002 t50001',
  'explorerzydxu5ecjrkwceayqybizmpjjznk5izmitf2modhcusuqlid.onion t143',
]

export const TESTNET4_PEERS: readonly string[] = [
  'blackie.c3-soft.com s57010 t57009',
  'testnet4-electrumx.wakiyamap.dev s51002 t51001',
  'testnet4.qtornado.com s51012 t51011',
  'v22019051929289916.bestsrv.de s60002 t60001',
  'fulcrum.theuplink.net s60002',
  'bitcoin.stagemole.eu s5010 t5000',
  'mempool.space s40002',
]

export const SIGNET_PEERS: readonly string[] = [
  'electrum.emzy.de s53002',
  'mempool.space s60602',
  'signet-electrumx.wakiyamap.dev s50002 t50001',
]
