import {
  MAINNET_HEIGHTS,
  REGTEST_HEIGHTS,
  SIGNET_HEIGHTS,
  TESTNET3_HEIGHTS,
  TESTNET4_HEIGHTS,
} from '../atomicals/constants.ts'
import { BITCOIN_ADDRESSES } from '../chain/address.ts'
import { MAINNET_PEERS, SIGNET_PEERS, TESTNET_PEERS, TESTNET4_PEERS } from './bitcoin-peers.ts'
import type { Coin } from './coin.ts'

/** Test networks are reorganised for days at a time; the limits are those of ElectrumX. */
const TEST_REORG_LIMIT = 8000

const name = 'Bitcoin'

export const bitcoinMainnet: Coin = {
  name,
  net: 'mainnet',
  daemonChain: 'main',
  genesisHash: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
  addressVersions: BITCOIN_ADDRESSES.mainnet,
  reorgLimit: 200,
  rpcPort: 8332,
  peers: MAINNET_PEERS,
  atomicals: MAINNET_HEIGHTS,
}

export const bitcoinTestnet: Coin = {
  name,
  net: 'testnet',
  daemonChain: 'test',
  genesisHash: '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943',
  addressVersions: BITCOIN_ADDRESSES.testnet,
  reorgLimit: TEST_REORG_LIMIT,
  rpcPort: 18332,
  peers: TESTNET_PEERS,
  atomicals: TESTNET3_HEIGHTS,
}

export const bitcoinTestnet4: Coin = {
  name,
  net: 'testnet4',
  daemonChain: 'testnet4',
  genesisHash: '00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043',
  addressVersions: BITCOIN_ADDRESSES.testnet4,
  reorgLimit: TEST_REORG_LIMIT,
  rpcPort: 48332,
  peers: TESTNET4_PEERS,
  atomicals: TESTNET4_HEIGHTS,
}

export const bitcoinSignet: Coin = {
  name,
  net: 'signet',
  daemonChain: 'signet',
  genesisHash: '00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6',
  addressVersions: BITCOIN_ADDRESSES.signet,
  reorgLimit: TEST_REORG_LIMIT,
  rpcPort: 38332,
  peers: SIGNET_PEERS,
  atomicals: SIGNET_HEIGHTS,
}

export const bitcoinRegtest: Coin = {
  name,
  net: 'regtest',
  daemonChain: 'regtest',
  genesisHash: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
  addressVersions: BITCOIN_ADDRESSES.regtest,
  reorgLimit: 200,
  rpcPort: 18443,
  peers: [],
  atomicals: REGTEST_HEIGHTS,
}
