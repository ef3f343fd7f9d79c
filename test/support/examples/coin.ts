import { bitcoinRegtest } from '../../../src/coins/bitcoin.ts'
import type { Coin } from '../../../src/coins/coin.ts'
import { blockCount } from './method.ts'
import { readOnly } from './middleware.ts'

export const exampleCoin: Coin = {
  ...bitcoinRegtest,
  name: 'Example',
  reorgLimit: 50,
  methods: [blockCount],
  middleware: [readOnly],
}
