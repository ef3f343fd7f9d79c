import { describe, expect, it } from 'vitest'
import type { Tx } from '../../../src/chain/tx.ts'
import { concat, fromHex } from '../../../src/lib/bytes.ts'
import {
  AtomicalsChain,
  compactAt,
  encodeCbor,
  envelopeWitness,
  idAt,
  type Outpoint,
  out,
  type PlainMap,
  spend,
} from '../../support/atomicals-chain.ts'
import { jsonOf } from '../../support/atomicals-values.ts'
import { buildTx, scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const WORK = '1234'
const NO_NAMES: PlainMap = { rules: [{ p: '^$', bitworkc: 'any' }] }
const ALL_NAMES: PlainMap = { rules: [{ p: '.*', bitworkc: 'any' }] }
const REALM: PlainMap = { request_realm: 'top', bitworkc: WORK }

function on(use: (chain: AtomicalsChain) => Promise<void>): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory)
      await use(chain)
      await chain.close()
    })
}

/** A payload with these entries, and with one map under the names `x` and `subrealms`. */
function sharing(shared: PlainMap, entries: PlainMap = {}): Uint8Array {
  const more = Object.entries(entries).map(([name, value]) => concat(encodeCbor(name), encodeCbor(value)))
  const first = concat(encodeCbor('x'), fromHex('d81c'), encodeCbor(shared))
  return concat(Uint8Array.of(0xa2 + more.length), ...more, first, encodeCbor('subrealms'), fromHex('d81d00'))
}

function show({ txid, vout }: Outpoint, op: string, payload: Uint8Array): Tx {
  const input = { prevTxid: txid, prevIndex: vout, script: new Uint8Array(0), sequence: 0xffff_fffd }
  return buildTx([{ ...input, witness: envelopeWitness(op, payload) }], [{ value: 1000n, script: scriptOf(0) }])
}

async function mod(chain: AtomicalsChain, from: Tx, payload: Uint8Array): Promise<Tx> {
  const tx = show(out(from), 'mod', payload)
  await chain.mine(tx)
  return tx
}

async function stateOf(chain: AtomicalsChain, id: string): Promise<unknown> {
  return jsonOf(await (await chain.queries()).state(id))
}

/** Whether a subrealm is minted by the rules of the realm as they are now. */
async function takesNames(chain: AtomicalsChain, parent: string): Promise<boolean> {
  await chain.mine()
  const args = { request_subrealm: `n${chain.height}`, parent_realm: parent, claim_type: 'rule' }
  const { id } = await chain.mint('nft', { args })
  return (await chain.queries()).atomical(id) !== undefined
}

describe('maps that one change shares between places', () => {
  it(
    'maps that one change shares between places stay one map',
    on(async (chain) => {
      const realm = await chain.mint('nft', { args: REALM }, { work: WORK })
      const shared = await mod(chain, realm.tx, sharing(NO_NAMES))
      expect(await takesNames(chain, realm.compact)).toBe(false)
      const changed = await mod(chain, shared, encodeCbor({ x: ALL_NAMES }))
      expect(await takesNames(chain, realm.compact)).toBe(true)
      expect(await stateOf(chain, realm.id)).toEqual({ x: ALL_NAMES, subrealms: ALL_NAMES })
      await mod(chain, changed, encodeCbor({ $a: 1, x: { rules: true } }))
      expect(await takesNames(chain, realm.compact)).toBe(false)
      expect(await stateOf(chain, realm.id)).toEqual({ x: {}, subrealms: {} })
    }),
  )

  it(
    'part when the place itself is set or removed',
    on(async (chain) => {
      const realm = await chain.mint('nft', { args: REALM }, { work: WORK })
      const shared = await mod(chain, realm.tx, sharing(NO_NAMES))
      const removed = await mod(chain, shared, encodeCbor({ $a: 1, x: true }))
      expect(await stateOf(chain, realm.id)).toEqual({ subrealms: NO_NAMES })
      await mod(chain, removed, encodeCbor({ x: ALL_NAMES }))
      expect(await stateOf(chain, realm.id)).toEqual({ subrealms: NO_NAMES, x: ALL_NAMES })
    }),
  )

  it(
    'the first state of a mint shares nothing',
    on(async (chain) => {
      const commit = spend({ from: [chain.fund()], to: [100_000], work: WORK })
      await chain.mine(commit)
      const reveal = show(out(commit), 'nft', sharing(NO_NAMES, { args: REALM }))
      await chain.mine(reveal)
      await mod(chain, reveal, encodeCbor({ x: ALL_NAMES }))
      expect(await takesNames(chain, compactAt(commit))).toBe(false)
      expect(await stateOf(chain, idAt(commit))).toEqual({ x: ALL_NAMES, subrealms: NO_NAMES })
    }),
  )
})
