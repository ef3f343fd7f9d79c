import { z } from 'zod'
import { atomicalRef } from '../../../atomicals/ids.ts'
import { fromDisplayHex } from '../../../lib/bytes.ts'
import { Hash, Hex } from '../../schemas.ts'

/** Results that recur. Objects of the reference have many members: those that callers build on are named here. */

export const AtomicalId = z
  .string()
  .regex(/^[0-9a-f]{64}i\d+$/)
  .meta({ description: '`<txid>i<index>`' })

export const Global = z.looseObject({
  coin: z.string(),
  network: z.string(),
  height: z.int(),
  block_tip: Hash,
  server_time: z.string(),
  atomicals_block_tip: Hash.nullable(),
  atomical_count: z.int(),
  atomicals_block_hashes: z.record(z.string(), Hash.nullable()),
})

export const Atomical = z.looseObject({
  atomical_id: AtomicalId,
  atomical_number: z.int().meta({ description: '-1 of a mint that is not in a block.' }),
  atomical_ref: z.string().optional().meta({ description: 'Absent of a mint that is not in a block.' }),
  type: z.enum(['FT', 'NFT']),
  subtype: z.string().optional(),
  confirmed: z.boolean(),
  mint_info: z.looseObject({}).optional().meta({ description: 'As `atomical_ref`.' }),
  unconfirmed: z
    .looseObject({})
    .optional()
    .meta({
      description:
        'What the mempool does to it. Of a mint that is not in a block: what will be shown if it is mined as things stand. ' +
        'Otherwise its transactions, and what the method adds as it will be with them.',
    }),
})

export const Candidate = z.looseObject({
  tx_num: z.int(),
  atomical_id: AtomicalId,
  txid: Hash,
  commit_height: z.int(),
  reveal_location_height: z.int().nullable(),
})

export const PendingCandidate = z.object({
  atomical_id: AtomicalId,
  txid: Hash,
  commit_height: z.int().nullable().meta({ description: 'Null if the commit is in the mempool too.' }),
})

export const NameHolder = z.looseObject({
  status: z.string().nullable(),
  candidate_atomical_id: AtomicalId.nullable(),
  atomical_id: AtomicalId.nullable().meta({ description: 'Only once it is verified.' }),
  candidates: z.array(Candidate),
  type: z.string(),
  unconfirmed: z
    .object({ candidates: z.array(PendingCandidate) })
    .meta({ description: 'Claims whose reveals are in the mempool; absent if there are none.' })
    .optional(),
})

export const Location = z.looseObject({
  location: AtomicalId,
  txid: Hash,
  index: z.int(),
  scripthash: Hash.meta({ description: 'SHA-256 twice of the script, as displayed.' }),
  script: Hex,
  value: z.int(),
})

export const NextCursor = z.string().nullable().optional().meta({ description: 'Only where a cursor was given.' })

export const EXAMPLE_TXID = 'b7086d4d8d626e2296067f3b46af52a12ddaeddf6cb9a3eac92ba91c4e7e4a6b'
export const EXAMPLE_ID = `${EXAMPLE_TXID}i0`
export const EXAMPLE_SCRIPTHASH = '8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161'
export const EXAMPLE_TX = `0100000001${'11'.repeat(32)}000000000151ffffffff01e803000000000000015100000000`
const EXAMPLE_UNSIGNED = `0100000001${'11'.repeat(32)}0000000000ffffffff01e803000000000000015100000000`
export const EXAMPLE_PSBT = `70736274ff01003d${EXAMPLE_UNSIGNED}000000`
const EXAMPLE_HASH = 'cde26bffc2bfe8a083a10302438854e26b0889c93cc3ed2d338016e52647bc7b'

export const exampleGlobal = {
  coin: 'Bitcoin',
  network: 'mainnet',
  height: 850000,
  block_tip: '00000000000000000002a0b5db2a7f8d9087464c2586b546be7bce8eb53b8187',
  server_time: '2024-07-01T12:00:00.000',
  atomicals_block_tip: EXAMPLE_HASH,
  atomical_count: 710,
  atomicals_block_hashes: { '850000': EXAMPLE_HASH },
}

/** An atomical with the least that is told of one: what other methods than `get` show as an example. */
export const exampleAtomical = {
  atomical_id: EXAMPLE_ID,
  atomical_number: 0,
  atomical_ref: atomicalRef(fromDisplayHex(EXAMPLE_TXID)),
  type: 'NFT' as const,
  confirmed: true,
  mint_info: { commit_txid: EXAMPLE_TXID, commit_index: 0, args: {}, meta: {}, ctx: {} },
}

export const exampleCandidate = {
  tx_num: 280,
  atomical_id: EXAMPLE_ID,
  txid: EXAMPLE_TXID,
  commit_height: 113,
  reveal_location_height: 113,
}

export const exampleLocation = {
  location: EXAMPLE_ID,
  txid: EXAMPLE_TXID,
  index: 0,
  scripthash: '238173637424fc0a1f7d95530527587a7fca4ab730aec08f184943e314a00e58',
  script: '5120440f72b9b4882d7d55bb66bdcecb1f8d3e88d4d511d3a5669ca59a42a98b5d7a',
  value: 1000,
}

const EXAMPLE_REVEAL = '0e493d3d583323cb586e62b6818dc8cdf92bb662389a2763c399f531a4844664'
const exampleArgs = { request_realm: 'example', bitworkc: 'b708' }
const exampleWork = { bitworkc: 'b708', bitworkr: null }

/** The whole of one: an NFT that has a realm. */
export const exampleRealm = {
  ...exampleAtomical,
  mint_info: {
    commit_txid: EXAMPLE_TXID,
    commit_index: 0,
    commit_location: EXAMPLE_ID,
    commit_tx_num: exampleCandidate.tx_num,
    commit_height: exampleCandidate.commit_height,
    reveal_location_txid: EXAMPLE_REVEAL,
    reveal_location_index: 0,
    reveal_location: `${EXAMPLE_REVEAL}i0`,
    reveal_location_tx_num: 281,
    reveal_location_height: exampleCandidate.reveal_location_height,
    reveal_location_header:
      '0000002043cc104d10afa96c899450d15f02a356ae0c8716d290fa4310a15f0c060a962bb15a544a5114233e0782852d78e008d45178489' +
      '09d9d299feada74ec4c44281080f75465ffff7f2000000000',
    reveal_location_blockhash: '73f553e7cdf4e7cd7f22f536a3fac400f6dd59d746965d293b78d656aece134b',
    reveal_location_scripthash: exampleLocation.scripthash,
    reveal_location_script: exampleLocation.script,
    reveal_location_value: exampleLocation.value,
    args: exampleArgs,
    meta: {},
    ctx: {},
    $request_realm: 'example',
    $immutable: false,
    $bitwork: exampleWork,
  },
  $bitwork: exampleWork,
  $realm_candidates: [exampleCandidate],
  $request_realm_status: {
    status: 'verified',
    verified_atomical_id: EXAMPLE_ID,
    note: 'Successfully verified and claimed realm for current Atomical.',
  },
  $request_realm: 'example',
  subtype: 'realm',
  $realm: 'example',
  $full_realm_name: 'example',
  mint_data: { fields: { args: exampleArgs } },
}
