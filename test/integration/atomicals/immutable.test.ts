import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { AtomicalsHeights } from '../../../src/atomicals/constants.ts'
import { ATOMICALS, CHANGES, HOLDERS } from '../../../src/atomicals/layout.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import {
  AtomicalsChain,
  float,
  heightsFrom,
  idAt,
  markerOutput,
  out,
  type Plain,
  type PlainMap,
  spend,
} from '../../support/atomicals-chain.ts'
import { jsonOf } from '../../support/atomicals-values.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { withDirectory } from '../../support/chain-index.ts'

const WORK = '1234'

function on(
  use: (chain: AtomicalsChain) => Promise<void>,
  heights: AtomicalsHeights = heightsFrom(),
): () => Promise<void> {
  return () =>
    withDirectory(async (directory) => {
      const chain = await AtomicalsChain.open(directory, heights)
      await use(chain)
      await chain.close()
    })
}

/** Spends the first outputs of these and mines it. */
async function move(chain: AtomicalsChain, from: readonly Tx[], op: string | undefined, payload: PlainMap = { b: 2 }) {
  const plan = { from: [...from.map((tx) => out(tx)), chain.fund()], to: [1000, 1000] }
  const tx = spend(op === undefined ? plan : { ...plan, op, payload })
  await chain.mine(tx)
  return tx
}

/** `mod` and `evt` of an atomical, the first state of its mint among them. */
async function changes(chain: AtomicalsChain, id: string): Promise<string[]> {
  return (await chain.rows(CHANGES)).flatMap(({ key }) => (key.id === id ? [key.kind] : [])).sort()
}

async function stateOf(chain: AtomicalsChain, id: string): Promise<unknown> {
  return jsonOf(await (await chain.queries()).state(id))
}

/** True for immutable, false for not; undefined if there is no such atomical. */
async function isImmutable(chain: AtomicalsChain, id: string): Promise<boolean | undefined> {
  return (await chain.rows(ATOMICALS)).find(({ key }) => key.id === id)?.value.immutable
}

describe('what cannot be immutable', () => {
  const withI = (args: PlainMap, i: Plain): PlainMap => ({ args: { ...args, i }, a: 1 })

  it(
    'realms, containers and subrealms of either claim are not minted',
    on(async (chain) => {
      const rules = [{ p: '.*', bitworkc: 'any' }]
      const realm = { args: { request_realm: 'top', bitworkc: WORK }, subrealms: { rules } }
      const top = await chain.mint('nft', realm, { work: WORK })
      await chain.mineEmpty(3)
      let parent = top.tx
      const named = async (args: PlainMap): Promise<(boolean | undefined)[]> => {
        const minted: (boolean | undefined)[] = []
        for (const i of [true, false]) {
          const payload = withI({ ...args, bitworkc: WORK }, i)
          const { id, tx } = await chain.mint('nft', payload, { work: WORK, also: [out(parent)] })
          minted.push(await isImmutable(chain, id))
          parent = tx
        }
        return minted
      }
      const below = { parent_realm: top.compact }
      expect(await named({ request_realm: 'abc' })).toEqual([undefined, false])
      expect(await named({ request_container: 'abc' })).toEqual([undefined, false])
      expect(await named({ request_subrealm: 'one', claim_type: 'rule', ...below })).toEqual([undefined, false])
      expect(await named({ request_subrealm: 'two', claim_type: 'direct', ...below })).toEqual([undefined, false])
      // The parent went along each time and is no other than before.
      expect(await chain.held(parent)).toMatchObject({ [top.compact]: 1000 })
    }),
  )

  it(
    'tokens are not minted',
    on(async (chain) => {
      const ft = (ticker: string) => ({ request_ticker: ticker, bitworkc: WORK })
      const dft = (ticker: string) => ({ ...ft(ticker), mint_height: 0, mint_amount: 1000, max_mints: 5 })
      const minted = async (op: string, payload: PlainMap) =>
        isImmutable(chain, (await chain.mint(op, payload, { work: WORK })).id)
      expect(await minted('ft', withI(ft('a'), true))).toBeUndefined()
      expect(await minted('dft', withI(dft('a'), true))).toBeUndefined()
      expect(await minted('ft', withI(ft('a'), false))).toBe(false)
      expect(await minted('dft', withI(dft('b'), false))).toBe(false)
    }),
  )

  it(
    'nothing is where i is set to anything but true',
    on(async (chain) => {
      const minted = async (i: Plain) => isImmutable(chain, (await chain.mint('nft', withI({}, i))).id)
      for (const i of [1, float(1), 'true', [true], { a: true }]) expect(await minted(i)).toBeUndefined()
      for (const i of [false, 0, '', []]) expect(await minted(i)).toBe(false)
      expect(await minted(true)).toBe(true)
    }),
  )
})

describe('an immutable NFT', () => {
  it(
    'keeps the state that its mint gave it, and has no events',
    on(async (chain) => {
      const { id, compact, tx } = await chain.mint('nft', { a: 1, args: { i: true } })
      const changed = await move(chain, [tx], 'mod')
      const told = await move(chain, [changed], 'evt')
      const gone = await move(chain, [told], 'mod', { $a: 1, a: true })
      expect(await stateOf(chain, id)).toEqual({ a: 1 })
      expect(await changes(chain, id)).toEqual(['mod'])
      // It moves all the same, and the transactions count; nothing is noted of them.
      expect(await chain.held(gone)).toEqual({ [compact]: 1000 })
      expect(await chain.counted(chain.height)).toEqual([toDisplayHex(gone.txid)])
      expect(await chain.activity(gone)).toBe('none')
    }),
  )

  it(
    'stays what it is wherever it goes',
    on(async (chain) => {
      const { id, compact, tx } = await chain.mint('nft', { a: 1, args: { i: true } })
      let at = tx
      for (const [op, payload] of [
        [undefined, {}],
        ['x', {}],
        ['y', {}],
        ['z', { [compact]: { '0': 1000 } }],
        ['dat', {}],
      ] as const) {
        at = await move(chain, [at], op, payload)
        at = await move(chain, [at], 'mod')
      }
      expect(await changes(chain, id)).toEqual(['mod'])
      expect(await chain.held(at)).toEqual({ [compact]: 1000 })
      const [holder] = (await chain.rows(HOLDERS)).filter(({ key }) => key.id === id)
      expect(holder?.value.value).toBe(1000)
    }),
  )

  it(
    'can be sealed, and then sits nowhere',
    on(async (chain) => {
      const { id, tx } = await chain.mint('nft', { a: 1, args: { i: true } })
      const sealed = await move(chain, [tx], 'sl')
      expect((await chain.queries()).seal(id)).toBe(idAt(sealed))
      expect(await chain.held(sealed)).toEqual({})
      expect(await chain.activity(sealed)).toBe('seal')
      const after = await move(chain, [sealed], 'mod')
      expect(await chain.counted(chain.height)).toEqual([])
      expect(await chain.activity(after)).toBeUndefined()
    }),
  )

  it(
    'does not keep others from being changed by the transaction that moves it',
    on(async (chain) => {
      const fixed = await chain.mint('nft', { a: 1, args: { i: true } })
      const free = await chain.mint('nft', { a: 1 })
      const token = await chain.mint('ft', { args: { request_ticker: 'tok', bitworkc: WORK } }, { work: WORK })
      const changed = await move(chain, [fixed.tx, free.tx, token.tx], 'mod')
      expect(await chain.activity(changed)).toBe('mod')
      expect([await stateOf(chain, fixed.id), await stateOf(chain, free.id)]).toEqual([{ a: 1 }, { a: 1, b: 2 }])
      const told = spend({
        from: [out(changed), out(changed, 1)],
        to: [1000, 1000, 1000],
        op: 'evt',
        payload: { e: 1 },
      })
      await chain.mine(told)
      expect(await changes(chain, fixed.id)).toEqual(['mod'])
      expect(await changes(chain, free.id)).toEqual(['evt', 'mod', 'mod'])
      expect(await changes(chain, token.id)).toEqual(['evt'])
      const sealed = spend({ from: [out(told), out(told, 1)], to: [1000, 1000], op: 'sl', payload: { e: 1 } })
      await chain.mine(sealed)
      const queries = await chain.queries()
      expect([fixed.id, free.id, token.id].map((id) => queries.seal(id) !== undefined)).toEqual([true, true, false])
    }),
  )

  it(
    'that asks for a ticker is an ordinary one, with the work that takes',
    on(async (chain) => {
      const args = { request_ticker: 'tok', i: true }
      const without = await chain.mint('nft', { args })
      const { id } = await chain.mint('nft', { args: { ...args, bitworkc: WORK } }, { work: WORK })
      expect([await isImmutable(chain, without.id), await isImmutable(chain, id)]).toEqual([undefined, true])
      expect((await (await chain.queries()).name('ticker', 'tok')).candidates).toEqual([])
    }),
  )

  it(
    'may be the parent of subrealms, under the rules of its mint for ever, of which none has a full name',
    on(async (chain) => {
      const price = { [toHex(scriptOf(77))]: { v: 5000 } }
      const rules = [
        { p: 'paid', o: price },
        { p: '.*', bitworkc: 'any' },
      ]
      const parent = await chain.mint('nft', { args: { i: true }, subrealms: { rules } })
      const moved = await move(chain, [parent.tx], 'mod', { subrealms: { rules: [] } })
      const claim = (name: string, claimType: string, also: Tx[] = []) => {
        const args = { request_subrealm: name, parent_realm: parent.compact, claim_type: claimType }
        return chain.mint('nft', { args }, { also: also.map((tx) => out(tx)) })
      }
      const [free, direct, paid] = [
        await claim('free', 'rule'),
        await claim('direct', 'direct', [moved]),
        await claim('paid', 'rule'),
      ]
      const to = [{ value: 5000n, script: scriptOf(77) }, markerOutput('p', paid.id)]
      const payment = spend({ from: [chain.fund()], to })
      await chain.mine(payment)
      await chain.mineEmpty(2)
      const queries = await chain.queries()
      const status = async (id: string) => (await queries.request(id))?.status?.status
      expect([await status(free.id), await status(direct.id), await status(paid.id)]).toEqual([
        'verified',
        'verified',
        'pending_awaiting_payment',
      ])
      expect(await chain.activity(payment)).toBe('payment-subrealm-failed')
      expect(await queries.realmPath(free.id)).toBeUndefined()
    }),
  )
})

describe('immutable items', () => {
  const file = Uint8Array.of(1, 2, 3)
  const sibling = createHash('sha256').update('sibling').digest()
  const leaf = createHash('sha256')
    .update(`one:any:any:m.png:${toHex(sha256d(file))}`)
    .digest()
  const root = createHash('sha256').update(leaf).update(sibling).digest('hex')
  const item = (container: string, more: PlainMap = {}): PlainMap => ({
    args: {
      request_dmitem: 'one',
      parent_container: container,
      main: 'm.png',
      proof: [{ p: true, d: toHex(sibling) }],
      ...more,
    },
    'm.png': file,
  })

  async function container(chain: AtomicalsChain, immutable: Plain) {
    const dmint = { v: '1', mint_height: 0, merkle: root, rules: [{ p: '.*', bitworkc: 'any' }], immutable }
    const payload = { args: { request_container: 'box', bitworkc: WORK }, dmint }
    const minted = await chain.mint('nft', payload, { work: WORK })
    await chain.mine(spend({ from: [out(minted.tx)], to: [1000], op: 'sl', payload: { a: 1 } }))
    await chain.mineEmpty(2)
    return minted
  }

  it(
    'are neither changed nor told of, but can be sealed',
    on(async (chain) => {
      const box = await container(chain, true)
      const one = await chain.mint('nft', item(box.compact, { i: true }))
      expect(await isImmutable(chain, one.id)).toBe(true)
      const at = await move(chain, [await move(chain, [one.tx], 'mod')], 'evt')
      expect(await changes(chain, one.id)).toEqual(['mod'])
      const sealed = await move(chain, [at], 'sl')
      expect((await chain.queries()).seal(one.id)).toBe(idAt(sealed))
    }),
  )

  it(
    'may come from a container that does not ask for it, and are changed where they are not',
    on(async (chain) => {
      const box = await container(chain, false)
      const commits = [spend({ from: [chain.fund()], to: [9_000] }), spend({ from: [chain.fund()], to: [9_000] })]
      await chain.mine(...commits)
      const mints = commits.map((commit, i) =>
        spend({ from: [out(commit)], to: [1000], op: 'nft', payload: item(box.compact, { i: i === 0 }) }),
      )
      await chain.mine(...mints)
      const ids = commits.map((commit) => idAt(commit))
      expect([await isImmutable(chain, ids[0]!), await isImmutable(chain, ids[1]!)]).toEqual([true, false])
      for (const tx of mints) await move(chain, [tx], 'mod')
      expect([await changes(chain, ids[0]!), await changes(chain, ids[1]!)]).toEqual([['mod'], ['mod', 'mod']])
    }),
  )

  it(
    'need i to be true where the container asks for it, and a container may say so with true only',
    on(async (chain) => {
      const asking = await container(chain, true)
      for (const more of [{}, { i: false }]) {
        expect(await isImmutable(chain, (await chain.mint('nft', item(asking.compact, more))).id)).toBeUndefined()
      }
    }),
  )

  it(
    'are not minted from a container whose word for it is 1',
    on(async (chain) => {
      const box = await container(chain, 1)
      expect(await isImmutable(chain, (await chain.mint('nft', item(box.compact, { i: true }))).id)).toBeUndefined()
    }),
  )

  it(
    'before DMINT are ordinary immutable NFTs',
    on(
      async (chain) => {
        const plain = await chain.mint('nft', { a: 1 })
        const args = { request_dmitem: 'one', parent_container: plain.compact, i: true }
        const one = await chain.mint('nft', { args, a: 1 })
        await move(chain, [one.tx], 'mod')
        expect(await isImmutable(chain, one.id)).toBe(true)
        expect(await stateOf(chain, one.id)).toEqual({ a: 1 })
      },
      heightsFrom({ dmint: 1_000 }),
    ),
  )
})
