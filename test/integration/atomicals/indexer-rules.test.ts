import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { AtomicalsHeights } from '../../../src/atomicals/constants.ts'
import type { Tx } from '../../../src/chain/tx.ts'
import { compareBytes, fromLatin1, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { sha256d } from '../../../src/lib/hash.ts'
import {
  AtomicalsChain,
  compactAt,
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

const WORK = '1234'

/** A realm, container or ticker with its name, three blocks after the commit. */
async function named(chain: AtomicalsChain, kind: 'realm' | 'container', name: string, more: PlainMap = {}) {
  const payload = { args: { [`request_${kind}`]: name, bitworkc: WORK }, ...more }
  const minted = await chain.mint('nft', payload, { work: WORK })
  await chain.mineEmpty(3)
  return minted
}

async function status(chain: AtomicalsChain, id: string): Promise<string | undefined> {
  return (await (await chain.queries()).request(id))?.status?.status
}

async function exists(chain: AtomicalsChain, id: string): Promise<boolean> {
  return (await chain.queries()).atomical(id) !== undefined
}

async function stateOf(chain: AtomicalsChain, id: string): Promise<unknown> {
  return jsonOf(await (await chain.queries()).state(id))
}

describe('commits', () => {
  it(
    'transaction number 0, the first of block 1, counts as not known',
    on(async (chain) => {
      const [first, second] = chain.blocks.slice(1).flatMap(({ txs }) => txs)
      await chain.mine()
      const [third] = chain.blocks[2]?.txs ?? []
      if (first === undefined || second !== undefined || third === undefined) throw new Error('another chain')
      const reveal = (commit: Tx) => spend({ from: [out(commit)], to: [1000], op: 'nft', payload: { a: 1 } })
      await chain.mine(reveal(first), reveal(third))
      expect([await exists(chain, idAt(first)), await exists(chain, idAt(third))]).toEqual([false, true])
    }),
  )
})

describe('names', () => {
  it(
    'are verified three blocks after the commit and not before',
    on(async (chain) => {
      const { id } = await chain.mint('nft', { args: { request_realm: 'abc', bitworkc: WORK } }, { work: WORK })
      // One block after the commit.
      expect(await status(chain, id)).toBe('pending_candidate')
      await chain.mine()
      expect(await status(chain, id)).toBe('pending_candidate')
      await chain.mine()
      expect(await status(chain, id)).toBe('verified')
    }),
  )

  it(
    'need four digits of work on the commit, of which an extension is none',
    on(async (chain) => {
      const few = await chain.mint('nft', { args: { request_realm: 'abc', bitworkc: '123' } }, { work: '123' })
      const extended = await chain.mint('nft', { args: { request_realm: 'abd', bitworkc: '123.1' } }, { work: '1239' })
      const none = await chain.mint('ft', { args: { request_ticker: 'abc' } })
      expect([await exists(chain, few.id), await exists(chain, extended.id), await exists(chain, none.id)]).toEqual([
        false,
        false,
        false,
      ])
    }),
  )

  it(
    'have to be revealed within three blocks, other mints within a hundred',
    on(async (chain) => {
      const commit = await chain.commit({ work: WORK })
      const plain = await chain.commit()
      const late = await chain.commit()
      await chain.mineEmpty(2)
      const reveal = spend({
        from: [out(commit)],
        to: [1000],
        op: 'nft',
        payload: { args: { request_realm: 'abc', bitworkc: WORK } },
      })
      await chain.mineEmpty(1)
      await chain.mine(reveal)
      expect(await exists(chain, idAt(commit))).toBe(false)
      await chain.mineEmpty(94)
      await chain.mine(spend({ from: [out(plain)], to: [1000], op: 'nft', payload: { a: 1 } }))
      await chain.mine()
      await chain.mine(spend({ from: [out(late)], to: [1000], op: 'nft', payload: { a: 1 } }))
      expect([await exists(chain, idAt(plain)), await exists(chain, idAt(late))]).toEqual([true, false])
    }),
  )

  it(
    'a later reveal of an earlier commit is a candidate too, and wins',
    on(async (chain) => {
      const early = await chain.commit({ work: WORK })
      const later = await chain.commit({ work: WORK })
      const reveal = (commit: Tx) =>
        spend({
          from: [out(commit)],
          to: [1000],
          op: 'nft',
          payload: { args: { request_realm: 'abc', bitworkc: WORK } },
        })
      await chain.mine(reveal(later))
      expect(await status(chain, idAt(later))).toBe('pending_candidate')
      await chain.mine(reveal(early))
      await chain.mineEmpty(3)
      expect([await status(chain, idAt(early)), await status(chain, idAt(later))]).toEqual([
        'verified',
        'claimed_by_other',
      ])
      // Whoever committed later still is refused.
      const third = await chain.mint('nft', { args: { request_realm: 'abc', bitworkc: WORK } }, { work: WORK })
      expect(await exists(chain, third.id)).toBe(false)
    }),
  )

  it(
    'come from output 0 of the commit from COMMITZ on',
    on(
      async (chain) => {
        const mintAt = async (vout: number): Promise<boolean> => {
          const commit = await chain.commit({ work: WORK, outputs: 2 })
          const name = `n${chain.height}`
          await chain.mine(
            spend({
              from: [out(commit, vout)],
              to: [1000],
              op: 'nft',
              payload: { args: { request_realm: name, bitworkc: WORK } },
            }),
          )
          return exists(chain, idAt(commit, vout))
        }
        expect(await mintAt(1)).toBe(true)
        await chain.mineEmpty(10 - chain.height)
        expect(await mintAt(1)).toBe(false)
        expect(await mintAt(0)).toBe(true)
      },
      heightsFrom({ commitz: 10 }),
    ),
  )

  it(
    'two outputs of one commit transaction ask under one key: the later reveal replaces the earlier',
    on(
      async (chain) => {
        const commit = await chain.commit({ work: WORK, outputs: 2 })
        const payload = { args: { request_realm: 'abc', bitworkc: WORK } }
        await chain.mine(spend({ from: [out(commit, 0)], to: [1000], op: 'nft', payload }))
        await chain.mine(spend({ from: [out(commit, 1)], to: [1000], op: 'nft', payload }))
        await chain.mineEmpty(2)
        const { candidates, holder } = await (await chain.queries()).name('realm', 'abc')
        expect(candidates.map(({ id }) => id)).toEqual([idAt(commit, 1)])
        expect(holder).toEqual({ status: 'verified', id: idAt(commit, 1) })
        expect(await exists(chain, idAt(commit, 0))).toBe(true)
      },
      heightsFrom({ commitz: 1_000 }),
    ),
  )

  it(
    'are unknown to commits below the start of the protocol',
    on(
      async (chain) => {
        const commit = await chain.commit()
        expect(chain.height).toBe(2)
        await chain.mine(spend({ from: [out(commit)], to: [1000], op: 'nft', payload: { a: 1 } }))
        expect(await exists(chain, idAt(commit))).toBe(false)
        const known = await chain.commit()
        await chain.mine(spend({ from: [out(known)], to: [1000], op: 'nft', payload: { a: 1 } }))
        expect(await exists(chain, idAt(known))).toBe(true)
      },
      heightsFrom({ start: 3 }),
    ),
  )
})

describe('distributed tokens', () => {
  const deploy = (more: PlainMap = {}): PlainMap => ({
    args: { request_ticker: 'tok', bitworkc: WORK, mint_height: 0, mint_amount: 1000, max_mints: 3, ...more },
  })

  async function deployed(chain: AtomicalsChain, more: PlainMap = {}) {
    const minted = await chain.mint('dft', deploy(more), { work: WORK })
    await chain.mineEmpty(3)
    return minted
  }

  async function mintOf(
    chain: AtomicalsChain,
    plan: { value?: number; ticker?: Plain; vout?: number } = {},
  ): Promise<Tx> {
    const commit = await chain.commit({ outputs: 2 })
    const tx = spend({
      from: [out(commit, plan.vout ?? 0)],
      to: [plan.value ?? 1000],
      op: 'dmt',
      payload: { args: { mint_ticker: plan.ticker ?? 'tok' } },
    })
    await chain.mine(tx)
    return tx
  }

  it(
    'are minted until there are max_mints, and failed mints are noted',
    on(async (chain) => {
      const { id, compact } = await deployed(chain)
      const mints = [await mintOf(chain), await mintOf(chain), await mintOf(chain)]
      for (const mint of mints) expect(await chain.held(mint)).toEqual({ [compact]: 1000 })
      const wrong = await mintOf(chain, { value: 999 })
      const over = await mintOf(chain)
      expect([await chain.held(wrong), await chain.held(over)]).toEqual([{}, {}])
      expect([await chain.activity(wrong), await chain.activity(over)]).toEqual(['mint-dft-failed', 'mint-dft-failed'])
      expect((await chain.queries()).mintCount(id)).toBe(3)
      expect(await chain.counted(chain.height)).toEqual([])
    }),
  )

  it(
    'give mints back that a lost block had',
    on(async (chain) => {
      const { id, compact } = await deployed(chain, { max_mints: 1 })
      await mintOf(chain)
      expect((await chain.queries()).mintCount(id)).toBe(1)
      await chain.rollBack()
      expect((await chain.queries()).mintCount(id)).toBe(0)
      expect(await chain.held(await mintOf(chain))).toEqual({ [compact]: 1000 })
    }),
  )

  it(
    'take mints from output 0 of the commit only, and of verified tickers only',
    on(async (chain) => {
      const commit = await chain.commit()
      const { compact } = await chain.mint('dft', deploy(), { work: WORK })
      const early = spend({ from: [out(commit)], to: [1000], op: 'dmt', payload: { args: { mint_ticker: 'tok' } } })
      await chain.mine(early)
      expect(await chain.held(early)).toEqual({})
      await chain.mineEmpty(3)
      expect(await chain.held(await mintOf(chain, { vout: 1 }))).toEqual({})
      expect(await chain.held(await mintOf(chain))).toEqual({ [compact]: 1000 })
      for (const ticker of [7, ['tok'], float(1), true])
        expect(await chain.held(await mintOf(chain, { ticker }))).toEqual({})
    }),
  )

  it(
    'a mint replaces units of the same token that its transaction moves to output 0',
    on(async (chain) => {
      const { compact } = await deployed(chain)
      const first = await mintOf(chain)
      const commit = await chain.commit()
      const tx = spend({
        from: [out(commit), out(first)],
        to: [1000, 1000],
        op: 'dmt',
        payload: { args: { mint_ticker: 'tok' } },
      })
      await chain.mine(tx)
      expect([await chain.held(tx, 0), await chain.held(tx, 1)]).toEqual([{ [compact]: 1000 }, {}])
    }),
  )

  it(
    'who has a ticker is asked once in a block: the first mint of it decides for those after',
    on(async (chain) => {
      const early = spend({ from: [chain.fund()], to: [100_000], work: WORK })
      const later = spend({ from: [chain.fund()], to: [100_000], work: WORK })
      await chain.mine(early, later)
      const reveal = (commit: Tx, max: number) =>
        spend({ from: [out(commit)], to: [1000], op: 'dft', payload: deploy({ max_mints: max }) })
      await chain.mine(reveal(later, 5))
      const commits = spend({ from: [chain.fund()], to: [100_000] })
      const others = spend({ from: [chain.fund()], to: [100_000] })
      await chain.mine(commits, others)
      // Three blocks after both commits: the ticker is the later one's, until the earlier one is revealed.
      const dmt = (commit: Tx) =>
        spend({ from: [out(commit)], to: [1000], op: 'dmt', payload: { args: { mint_ticker: 'tok' } } })
      const [first, second] = [dmt(commits), dmt(others)]
      await chain.mine(first, reveal(early, 5), second)
      const holder = (await (await chain.queries()).name('ticker', 'tok')).holder
      expect(holder).toEqual({ status: 'verified', id: idAt(early) })
      expect([await chain.held(first), await chain.held(second)]).toEqual([
        { [compactAt(later)]: 1000 },
        { [compactAt(later)]: 1000 },
      ])
    }),
  )

  it(
    'may have 500,000 mints before DENSITY, and 21,000,000 from then on',
    on(
      async (chain) => {
        const mintsOf = async (ticker: string, max: number): Promise<boolean> => {
          const commit = await chain.commit({ work: WORK })
          const payload = deploy({ request_ticker: ticker, max_mints: max })
          await chain.mine(spend({ from: [out(commit)], to: [1000], op: 'dft', payload }))
          return exists(chain, idAt(commit))
        }
        expect([await mintsOf('aa', 500_000), await mintsOf('bb', 500_001)]).toEqual([true, false])
        while (chain.height < 20) await chain.mine()
        expect([await mintsOf('cc', 21_000_000), await mintsOf('dd', 21_000_001)]).toEqual([true, false])
      },
      heightsFrom({ density: 20 }),
    ),
  )

  it(
    'before DENSITY a deploy with md 1 is an ordinary fixed one',
    on(
      async (chain) => {
        const { id } = await deployed(chain, { md: 1, bv: 'abcd', bci: 1 })
        expect((await chain.queries()).atomical(id)?.terms?.mode.kind).toBe('fixed')
      },
      heightsFrom({ density: 1_000 }),
    ),
  )

  it(
    'the vector of a perpetual token may end in a line feed',
    on(async (chain) => {
      const { id } = await deployed(chain, { md: 1, bv: 'abcd\n', bci: 1 })
      expect((await chain.queries()).atomical(id)?.terms?.mode).toMatchObject({ kind: 'perpetual', vector: 'abcd\n' })
    }),
  )

  it(
    'the work that bri asks of the reveal is never enforced',
    on(async (chain) => {
      const { compact } = await deployed(chain, { md: 1, bv: 'abcd', bri: 1, brs: 256 })
      expect(await chain.held(await mintOf(chain))).toEqual({ [compact]: 1000 })
    }),
  )
})

describe('subrealms', () => {
  const rules = (rule: PlainMap): PlainMap => ({ subrealms: { rules: [rule] } })
  const script = toHex(scriptOf(77))
  const paid: PlainMap = { p: '.*', o: { [script]: { v: 5000 } } }

  async function claim(
    chain: AtomicalsChain,
    parent: string,
    name: string,
    more: PlainMap = {},
    also: { txid: Uint8Array; vout: number }[] = [],
  ) {
    const args = { request_subrealm: name, parent_realm: parent, claim_type: 'rule', ...more }
    return chain.mint('nft', { args }, { also })
  }

  const payment = (id: string, satoshis = 5000) => ({
    marker: markerOutput('p', id),
    price: { value: BigInt(satoshis), script: scriptOf(77) },
  })

  it(
    'are minted by spending the parent, at once',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top')
      const sub = await claim(chain, realm.compact, 'sub', { claim_type: 'direct' }, [out(realm.tx)])
      expect(await status(chain, sub.id)).toBe('pending_awaiting_confirmations')
      await chain.mineEmpty(2)
      expect(await status(chain, sub.id)).toBe('verified')
      expect(await (await chain.queries()).realmPath(sub.id)).toEqual(['top', 'sub'])
      const other = await claim(chain, realm.compact, 'other', { claim_type: 'direct' })
      expect(await exists(chain, other.id)).toBe(false)
    }),
  )

  it(
    '"any" work demands none, not even that there is some',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules({ p: '.*', bitworkc: 'any' }))
      const sub = await claim(chain, realm.compact, 'sub')
      await chain.mineEmpty(2)
      expect(await status(chain, sub.id)).toBe('verified')
    }),
  )

  it(
    'under a rule with work declare just that work',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules({ p: '.*', bitworkc: '12' }))
      const none = await claim(chain, realm.compact, 'sub')
      expect(await exists(chain, none.id)).toBe(false)
      const args = { request_subrealm: 'sub', parent_realm: realm.compact, claim_type: 'rule' }
      const more = await chain.mint('nft', { args: { ...args, bitworkc: '123' } }, { work: '123' })
      expect(await exists(chain, more.id)).toBe(false)
      const just = await chain.mint('nft', { args: { ...args, bitworkc: '12' } }, { work: '12' })
      expect(await exists(chain, just.id)).toBe(true)
    }),
  )

  it(
    'are taken within the block that reveals a mint three blocks after its commit',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules({ p: '.*', bitworkc: 'any' }))
      const one = spend({ from: [chain.fund()], to: [100_000] })
      const two = spend({ from: [chain.fund()], to: [100_000] })
      await chain.mine(one, two)
      await chain.mineEmpty(2)
      const args = { request_subrealm: 'sub', parent_realm: realm.compact, claim_type: 'rule' }
      const reveal = (commit: Tx) => spend({ from: [out(commit)], to: [1000], op: 'nft', payload: { args } })
      await chain.mine(reveal(one), reveal(two))
      expect([await exists(chain, idAt(one)), await exists(chain, idAt(two))]).toEqual([true, false])
      expect(await status(chain, idAt(one))).toBe('verified')
    }),
  )

  it(
    'are paid for by a marker output within fifteen blocks of the commit',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules(paid))
      const sub = await claim(chain, realm.compact, 'sub')
      await chain.mineEmpty(2)
      expect(await status(chain, sub.id)).toBe('pending_awaiting_payment')
      const { marker, price } = payment(sub.id, 4999)
      const little = spend({ from: [chain.fund()], to: [marker, price] })
      await chain.mine(little)
      expect(await chain.activity(little)).toBe('payment-subrealm-failed')
      expect(await chain.counted(chain.height)).toEqual([toDisplayHex(little.txid)])
      const enough = spend({ from: [chain.fund()], to: [marker, payment(sub.id).price] })
      await chain.mine(enough)
      expect(await chain.activity(enough)).toBe('payment-subrealm')
      expect(await status(chain, sub.id)).toBe('verified')
    }),
  )

  it(
    'go to the next candidate if nobody pays in time',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules(paid))
      const first = await claim(chain, realm.compact, 'sub')
      const second = await claim(chain, realm.compact, 'sub')
      const { marker, price } = payment(second.id)
      await chain.mine(spend({ from: [chain.fund()], to: [marker, price] }))
      await chain.mineEmpty(3)
      expect(await status(chain, first.id)).toBe('pending_awaiting_payment')
      await chain.mineEmpty(8)
      // The first has expired, the second not yet settled.
      expect(await status(chain, second.id)).toBe('pending_previous_candidate_payment')
      const third = await claim(chain, realm.compact, 'sub')
      expect(await exists(chain, third.id)).toBe(false)
      await chain.mineEmpty(3)
      expect(await status(chain, second.id)).toBe('verified')
      expect(await status(chain, first.id)).toBe('claimed_by_other')
      const late = payment(first.id)
      const tooLate = spend({ from: [chain.fund()], to: [late.marker, late.price] })
      await chain.mine(tooLate)
      expect(await chain.activity(tooLate)).toBe('payment-subrealm-failed')
    }),
  )

  it(
    'only the first marker of a transaction counts',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules(paid))
      const one = await claim(chain, realm.compact, 'one')
      const two = await claim(chain, realm.compact, 'two')
      const price = payment(one.id).price
      const tx = spend({ from: [chain.fund()], to: [markerOutput('d', two.id), markerOutput('p', one.id), price] })
      await chain.mine(tx)
      expect(await chain.activity(tx)).toBe('payment-dmitem-failed')
      const right = spend({ from: [chain.fund()], to: [markerOutput('p', two.id), markerOutput('p', one.id), price] })
      await chain.mine(right)
      const request = await (await chain.queries()).request(two.id)
      expect(request?.name.candidates).toMatchObject([{ id: two.id, payment: { kind: 'output' } }])
    }),
  )

  it(
    'stand under rules strictly as of the block before their commit',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top')
      const commit = spend({ from: [chain.fund()], to: [100_000] })
      const change = spend({
        from: [out(realm.tx)],
        to: [1000],
        op: 'mod',
        payload: rules({ p: '.*', bitworkc: 'any' }),
      })
      // The rule is set in the block of the commit: too late for it.
      await chain.mine(change, commit)
      const args = { request_subrealm: 'sub', parent_realm: realm.compact, claim_type: 'rule' }
      await chain.mine(spend({ from: [out(commit)], to: [1000], op: 'nft', payload: { args } }))
      expect(await exists(chain, idAt(commit))).toBe(false)
      const next = await claim(chain, realm.compact, 'sub')
      expect(await exists(chain, next.id)).toBe(true)
      // A rule that is taken away later was in force all the same.
      const early = await chain.commit()
      await chain.mine(spend({ from: [out(change)], to: [1000], op: 'mod', payload: { $a: 1, subrealms: true } }))
      const other = { ...args, request_subrealm: 'two' }
      await chain.mine(spend({ from: [out(early)], to: [1000], op: 'nft', payload: { args: other } }))
      expect(await exists(chain, idAt(early))).toBe(true)
    }),
  )

  it(
    'stand under no rule that a lost block had set',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top')
      await chain.mine(
        spend({ from: [out(realm.tx)], to: [1000], op: 'mod', payload: rules({ p: '.*', bitworkc: 'any' }) }),
      )
      const lost = await claim(chain, realm.compact, 'sub')
      expect(await exists(chain, lost.id)).toBe(true)
      for (let i = 0; i < 3; i++) await chain.rollBack()
      await chain.mineEmpty(2)
      const again = await claim(chain, realm.compact, 'sub')
      expect(await exists(chain, again.id)).toBe(false)
    }),
  )

  it(
    'a subrealm has a full name as soon as the realm at its top is held, whoever holds the subrealm itself',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules(paid))
      // Never paid for, so nobody holds it.
      const middle = await chain.mint('nft', {
        args: { request_subrealm: 'mid', parent_realm: realm.compact, claim_type: 'rule' },
        ...rules(paid),
      })
      const low = await claim(chain, middle.compact, 'low')
      expect(await exists(chain, low.id)).toBe(true)
      const { marker, price } = payment(low.id)
      const tx = spend({ from: [chain.fund()], to: [marker, price] })
      await chain.mine(tx)
      expect(await chain.activity(tx)).toBe('payment-subrealm')
      expect(await (await chain.queries()).realmPath(low.id)).toEqual(['top', 'mid', 'low'])
    }),
  )

  it(
    'are paid for by a transaction that changes the state of their parent',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules(paid))
      const sub = await claim(chain, realm.compact, 'sub')
      const { marker, price } = payment(sub.id)
      const tx = spend({
        from: [out(realm.tx), chain.fund()],
        to: [1000, marker, price],
        op: 'mod',
        payload: { subrealms: { rules: [] } },
      })
      await chain.mine(tx)
      expect(await chain.activity(tx)).toBe('payment-subrealm')
      expect(await stateOf(chain, realm.id)).toMatchObject({ subrealms: { rules: [] } })
    }),
  )

  it(
    'are not paid for by a split',
    on(async (chain) => {
      const realm = await named(chain, 'realm', 'top', rules(paid))
      const sub = await claim(chain, realm.compact, 'sub')
      const { marker, price } = payment(sub.id)
      const tx = spend({ from: [chain.fund()], to: [marker, price], op: 'y', payload: { a: 1 } })
      await chain.mine(tx)
      expect(await chain.activity(tx)).toBe('payment-subrealm-failed')
    }),
  )
})

describe('items of containers', () => {
  const file = Uint8Array.of(1, 2, 3)
  const leafOf = (name: string) =>
    createHash('sha256')
      .update(`${name}:any:any:m.png:${toHex(sha256d(file))}`)
      .digest()
  const sibling = createHash('sha256').update('sibling').digest()
  const root = (name: string) => createHash('sha256').update(leafOf(name)).update(sibling).digest('hex')
  const item = (container: string, name: string, more: PlainMap = {}): PlainMap => ({
    args: {
      request_dmitem: name,
      parent_container: container,
      main: 'm.png',
      proof: [{ p: true, d: toHex(sibling) }],
      ...more,
    },
    'm.png': file,
  })

  async function container(chain: AtomicalsChain, more: PlainMap = {}, sealed = true) {
    const dmint = { v: '1', mint_height: 0, merkle: root('one'), rules: [{ p: '.*', bitworkc: 'any' }], ...more }
    const minted = await named(chain, 'container', 'box', { dmint })
    if (sealed) await chain.mine(spend({ from: [out(minted.tx)], to: [1000], op: 'sl', payload: { a: 1 } }))
    return minted
  }

  it(
    'are minted with a proof from a sealed container',
    on(async (chain) => {
      const box = await container(chain)
      const one = await chain.mint('nft', item(box.compact, 'one'))
      const two = await chain.mint('nft', item(box.compact, 'two'))
      expect([await exists(chain, one.id), await exists(chain, two.id)]).toEqual([true, false])
      await chain.mineEmpty(2)
      expect(await status(chain, one.id)).toBe('verified')
      expect((await chain.queries()).seal(box.id)).toBeDefined()
      expect(await (await chain.queries()).holders(box.id)).toEqual([])
    }),
  )

  it(
    'sides of a proof may be 1 and 0 (or 1.0 and 0.0) instead of true and false',
    on(async (chain) => {
      const box = await container(chain)
      const side = (p: Plain) => item(box.compact, 'one', { proof: [{ p, d: toHex(sibling) }] })
      expect(await exists(chain, (await chain.mint('nft', side(2))).id)).toBe(false)
      expect(await exists(chain, (await chain.mint('nft', side(float(1)))).id)).toBe(true)
    }),
  )

  it(
    'are not minted from a container that is open, not yet or badly set up',
    on(async (chain) => {
      const open = await container(chain, {}, false)
      expect(await exists(chain, (await chain.mint('nft', item(open.compact, 'one'))).id)).toBe(false)
      await chain.mine(spend({ from: [out(open.tx)], to: [1000], op: 'sl', payload: { a: 1 } }))
      expect(await exists(chain, (await chain.mint('nft', item(open.compact, 'one'))).id)).toBe(true)
    }),
  )

  it(
    'of an immutable container are immutable themselves',
    on(async (chain) => {
      const box = await container(chain, { immutable: true })
      expect(await exists(chain, (await chain.mint('nft', item(box.compact, 'one'))).id)).toBe(false)
      expect(await exists(chain, (await chain.mint('nft', item(box.compact, 'one', { i: true }))).id)).toBe(true)
    }),
  )

  it(
    'before DMINT an item is an ordinary NFT',
    on(
      async (chain) => {
        const plain = await chain.mint('nft', { a: 1 })
        const minted = await chain.mint('nft', { args: { request_dmitem: 'one', parent_container: plain.compact } })
        expect(await exists(chain, minted.id)).toBe(true)
        expect((await (await chain.queries()).subname('dmitem', plain.id, 'one')).candidates).toEqual([])
      },
      heightsFrom({ dmint: 1_000 }),
    ),
  )
})

describe('parents that a mint names', () => {
  it(
    'have to be spent along with the satoshis that are asked of them',
    on(async (chain) => {
      const parent = await chain.mint('nft', { a: 1 }, { value: 2000 })
      const without = await chain.mint('nft', { args: { parents: { [parent.compact]: 0 } } })
      expect(await exists(chain, without.id)).toBe(false)
      const tooMuch = await chain.mint(
        'nft',
        { args: { parents: { [parent.compact]: 2001 } } },
        { also: [out(parent.tx)] },
      )
      expect(await exists(chain, tooMuch.id)).toBe(false)
      expect(await chain.held(tooMuch.tx)).toEqual({ [parent.compact]: 1000 })
      const enough = await chain.mint(
        'nft',
        { args: { parents: { [parent.compact]: 1000 } } },
        { also: [out(tooMuch.tx)] },
      )
      expect(await exists(chain, enough.id)).toBe(true)
      expect(await chain.held(enough.tx)).toEqual({ [parent.compact]: 1000, [enough.compact]: 1000 })
    }),
  )
})

describe('state', () => {
  it(
    'falsy values are replaced by anything; a map that is not empty is only ever changed inside',
    on(async (chain) => {
      const minted = await chain.mint('nft', { a: { b: 1 }, z: 0, args: { x: 1 } })
      const change = async (from: Tx, payload: PlainMap): Promise<Tx> => {
        const tx = spend({ from: [out(from)], to: [1000], op: 'mod', payload })
        await chain.mine(tx)
        return tx
      }
      const first = await change(minted.tx, { a: 5, z: { now: 'map' }, args: { y: 1 }, $x: 1 })
      expect(await stateOf(chain, minted.id)).toEqual({ a: { b: 1 }, z: { now: 'map' }, $x: 1 })
      const second = await change(first, { $a: 1, a: { b: true }, z: false })
      expect(await stateOf(chain, minted.id)).toEqual({ a: {}, z: { now: 'map' }, $x: 1 })
      await change(second, { a: 7 })
      expect(await stateOf(chain, minted.id)).toEqual({ a: 7, z: { now: 'map' }, $x: 1 })
      await chain.rollBack()
      expect(await stateOf(chain, minted.id)).toEqual({ a: {}, z: { now: 'map' }, $x: 1 })
    }),
  )
})

describe('the block hash', () => {
  it(
    'has transactions that spend, mint, carry data, mark a payment or declare work that is met, and no others',
    on(async (chain) => {
      const minted = await chain.mint('nft', { a: 1 })
      expect(await chain.counted(chain.height)).toEqual([toDisplayHex(minted.tx.txid)])
      const [work, data, nothing, marker] = [
        spend({ from: [chain.fund()], to: [1000], op: 'mod', payload: { args: { bitworkr: '00' } }, work: '00' }),
        spend({ from: [chain.fund()], to: [1000], op: 'dat', payload: { a: 1 } }),
        spend({ from: [chain.fund()], to: [1000], op: 'mod', payload: { a: 1 } }),
        spend({ from: [chain.fund()], to: [markerOutput('p', minted.id)] }),
      ]
      const moved = spend({ from: [out(minted.tx)], to: [1000] })
      await chain.mine(nothing, work, data, marker, moved)
      expect(await chain.counted(chain.height)).toEqual(
        [work, data, marker, moved].map(({ txid }) => toDisplayHex(txid)),
      )
    }),
  )

  it(
    'chains the hash of the block, that of the block before and the ids',
    on(async (chain) => {
      const before = (await chain.queries()).block(chain.height)
      const { tx } = await chain.mint('nft', { a: 1 })
      const queries = await chain.queries()
      const middle = queries.block(chain.height - 1)
      const last = queries.block(chain.height)
      const hash = (height: number) => chain.blocks[height]?.hash ?? new Uint8Array(32)
      const middleWanted = sha256d(Buffer.concat([hash(chain.height - 1), before?.hash ?? new Uint8Array(0)]))
      expect(compareBytes(middle?.hash ?? new Uint8Array(0), middleWanted)).toBe(0)
      const lastWanted = sha256d(Buffer.concat([hash(chain.height), middleWanted, tx.txid]))
      expect(compareBytes(last?.hash ?? new Uint8Array(0), lastWanted)).toBe(0)
      expect(last?.count).toBe((middle?.count ?? 0) + 1)
      expect(queries.idOfNumber(last === undefined ? -1 : last.count - 1)).toBeDefined()
      expect(fromLatin1(queries.idOfNumber(0) ?? '').length).toBe(36)
    }),
  )

  it(
    'finds what the block itself made and spends again',
    on(async (chain) => {
      const commit = spend({ from: [chain.fund()], to: [100_000] })
      const reveal = spend({ from: [out(commit)], to: [1000], op: 'nft', payload: { a: 1 } })
      const moved = spend({ from: [out(reveal), chain.fund()], to: [600, 700] })
      await chain.mine(commit, reveal, moved)
      expect(await chain.held(moved)).toEqual({ [compactAt(commit)]: 600 })
      expect(await chain.counted(chain.height)).toEqual([reveal, moved].map(({ txid }) => toDisplayHex(txid)))
    }),
  )
})
