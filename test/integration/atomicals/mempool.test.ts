import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Tx, TxOutput } from '../../../src/chain/tx.ts'
import { concat, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { sha256, sha256d } from '../../../src/lib/hash.ts'
import { compactAt, type Outpoint, out, type Plain, spend } from '../../support/atomicals-chain.ts'
import { type Payee, Station } from '../protocol/station.ts'
import { FEE, FUND, type Members, to, Wallet } from './mempool-wallet.ts'

let station: Station
let wallet: Wallet

beforeAll(async () => {
  station = await Station.start({ NET: 'regtest' })
  wallet = new Wallet(station, await station.client('1.4'))
})

afterAll(() => station.stop())

/** A mint of which the commit is confirmed; its reveal is not sent. */
async function revealOf(op: string, payload: Plain, owner: Payee, units: number): Promise<{ id: string; reveal: Tx }> {
  const [fund] = await wallet.funds(1)
  const work = op === 'ft' ? '1234' : undefined
  const maker = wallet.someone()
  const plan = { from: [fund!], to: [to(maker, FUND - FEE)] }
  const commit = await wallet.send(spend(work === undefined ? plan : { ...plan, work }), maker)
  await station.mine(1)
  const reveal = spend({ from: [out(commit)], to: [to(owner, units)], op, payload })
  return { id: compactAt(commit), reveal }
}

const place = (tx: Tx, vout = 0): string => compactAt(tx, vout)
const object = (id: string): Promise<Response> =>
  fetch(`http://127.0.0.1:${station.port('http')}/urn/atom:btc:id:${id}`)

describe('a mint in the mempool', () => {
  it('is shown as not confirmed everywhere, and as an ordinary one once it is in a block', async () => {
    const owner = wallet.someone()
    const { id, reveal } = await revealOf('nft', { colour: 'red' }, owner, 5_000)
    await expect(wallet.atomicals('get', id)).rejects.toMatchObject({ code: 1 })
    await wallet.send(reveal, owner)

    const { result: pending } = (await wallet.atomicals('get', id)) as { readonly result: Members }
    expect(pending).toMatchObject({
      atomical_id: id,
      atomical_number: -1,
      type: 'NFT',
      confirmed: false,
      unconfirmed: {
        atomical_id: id,
        confirmed: false,
        mint_info: { reveal_location: place(reveal), reveal_location_height: null, reveal_location_value: 5_000 },
        mint_data: { fields: { colour: 'red' } },
      },
    })
    expect(await wallet.held(owner)).toEqual({ [place(reveal)]: { [id]: 5_000 } })
    expect(await wallet.balances('nft', owner)).toMatchObject({
      balances: {},
      unconfirmed: { [id]: { id, confirmed: 0, unconfirmed: 5_000 } },
    })
    expect(await wallet.balances('ft', owner)).toEqual({ balances: {} })
    const { atomicals, utxos, unconfirmed } = await wallet.listing(owner)
    expect([atomicals, utxos]).toEqual([{}, []])
    expect(unconfirmed).toMatchObject({
      atomicals: { [id]: { atomical_number: -1, confirmed: 0, unconfirmed: 5_000, data: { confirmed: false } } },
      utxos: [{ height: 0, value: 5_000, atomicals: { [id]: 5_000 } }],
    })
    expect(await wallet.atomicals('at_location', place(reveal))).toMatchObject({
      location_info: { location: place(reveal), value: 5_000 },
      atomicals: [{ atomical_id: id, atomical_number: -1, value: 5_000 }],
      unconfirmed: { made: true, spent_by: null },
    })
    expect(await wallet.atomicals('get_state', id)).toMatchObject({
      result: { confirmed: false, state: { latest: { colour: 'red' } }, location_info: [{ location: place(reveal) }] },
    })
    expect(await wallet.atomicals('get_tx_history', id)).toMatchObject({
      result: { tx: { history: [{ tx_hash: toDisplayHex(reveal.txid), height: 0 }] } },
    })
    expect((await object(id)).status).toBe(404)
    // What only a block can say is null: nothing made up stands for it.
    expect(await wallet.atomicals('get_state_history', id)).toMatchObject({
      result: {
        state: { history: [{ tx_num: null, height: null, txid: toDisplayHex(reveal.txid), data: { colour: 'red' } }] },
        location_info: [{ location: place(reveal), tx_num: null }],
      },
    })

    await station.mine(1)
    expect(await (await object(id)).json()).toEqual({ colour: 'red' })
    expect(await wallet.atomicals('get_state_history', id)).toMatchObject({
      result: {
        state: { history: [{ tx_num: expect.any(Number) as number, height: station.node.height }] },
        location_info: [{ tx_num: expect.any(Number) as number }],
      },
    })
    const { result: mined } = (await wallet.atomicals('get', id)) as { readonly result: Members }
    expect(mined).toMatchObject({ confirmed: true, mint_data: { fields: { colour: 'red' } } })
    expect(mined['unconfirmed']).toBeUndefined()
    expect(await wallet.balances('nft', owner)).toMatchObject({
      balances: { [id]: { confirmed: 5_000, unconfirmed: 0 } },
    })
    expect((await wallet.listing(owner)).unconfirmed).toBeUndefined()
  })

  it('counts in the metrics of what is kept whole, which other transactions do not', async () => {
    const owner = wallet.someone()
    const { reveal } = await revealOf('nft', { colour: 'green' }, owner, 4_000)
    const plain = wallet.someone()
    station.node.send(plain.address, 10_000n)
    await wallet.until(plain, (txids) => txids.length === 1)
    const kept = async () => [
      await station.metric('valence_mempool_kept_transactions'),
      await station.metric('valence_mempool_kept_bytes'),
    ]
    expect(await kept()).toEqual([0, 0])
    await wallet.send(reveal, owner)
    expect(await kept()).toEqual([1, reveal.raw.length])
    await station.mine(1)
    expect(await kept()).toEqual([0, 0])
  })

  it('has no part in answers of a height, the one of the tip included', async () => {
    const owner = wallet.someone()
    const { id, reveal } = await revealOf('nft', { colour: 'blue' }, owner, 4_000)
    await wallet.send(reveal, owner)
    const before = station.node.height
    await expect(wallet.atomicals('get', id, false, before)).rejects.toThrow('is not found')
    await station.mine(1)
    const next = wallet.someone()
    const moved = await wallet.send(spend({ from: [out(reveal)], to: [to(next, 3_000)] }), next)
    const at = (method: string, params: Members): Promise<unknown> =>
      wallet.client.request(`blockchain.atomicals.${method}`, { ...params, at_height: before + 1 })
    const answers = [
      await at('get', { atomical: id }),
      await at('get_location', { atomical: id }),
      await at('get_nft_balances_scripthash', { scripthash: owner.hash }),
      await at('get_nft_balances_scripthash', { scripthash: next.hash }),
      await at('listscripthash', { scripthash: owner.hash }),
    ]
    expect(JSON.stringify(answers)).not.toContain('unconfirmed')
    expect(answers).toMatchObject([
      { result: { confirmed: true } },
      { result: { location_info: [{ location: place(reveal) }] } },
      { balances: { [id]: { confirmed: 4_000 } } },
      { balances: {} },
      { atomicals: { [id]: { confirmed: 4_000 } }, utxos: [{ value: 4_000 }] },
    ])
    // Once it is mined: an output that was spent since is where it was, and the next height knows of it.
    await station.mine(1)
    expect(await at('get_nft_balances_scripthash', { scripthash: owner.hash })).toEqual(answers[2])
    expect(await at('get_location', { atomical: id })).toMatchObject({
      result: { location_info: [{ location: place(reveal) }] },
    })
    expect(await wallet.atomicals('get_location', id)).toMatchObject({
      result: { location_info: [{ location: place(moved) }] },
    })
  })

  it('and its commit can both be unconfirmed', async () => {
    const [fund] = await wallet.funds(1)
    const owner = wallet.someone()
    const maker = wallet.someone()
    const commit = await wallet.send(spend({ from: [fund!], to: [to(maker, 50_000)] }), maker)
    const reveal = await wallet.send(
      spend({ from: [out(commit)], to: [to(owner, 2_000)], op: 'nft', payload: { a: 1 } }),
      owner,
    )
    expect(await wallet.held(owner)).toEqual({ [place(reveal)]: { [compactAt(commit)]: 2_000 } })
    expect(await wallet.atomicals('get', compactAt(commit))).toMatchObject({
      result: { confirmed: false, unconfirmed: { mint_info: { commit_height: null, commit_tx_num: null } } },
    })
    await station.mine(1)
    expect(await wallet.held(owner)).toEqual({ [place(reveal)]: { [compactAt(commit)]: 2_000 } })
  })

  it('claims its name for all to see, and has it three blocks later', async () => {
    const owner = wallet.someone()
    const payload = { args: { request_ticker: 'mempool', bitworkc: '1234' } }
    const { id, reveal } = await revealOf('ft', payload, owner, 10_000)
    await wallet.send(reveal, owner)
    const { result } = (await wallet.atomicals('get_by_ticker', 'mempool')) as { readonly result: Members }
    expect(result).toMatchObject({ status: null, candidates: [], unconfirmed: { candidates: [{ atomical_id: id }] } })
    expect(await wallet.balances('ft', owner)).toMatchObject({ unconfirmed: { [id]: { unconfirmed: 10_000 } } })
    expect(await wallet.atomicals('get', id)).toMatchObject({
      result: {
        unconfirmed: {
          $ticker_candidates: [{ atomical_id: id, commit_height: station.node.height, reveal_location_height: null }],
        },
      },
    })
    await station.mine(3)
    const { result: held } = (await wallet.atomicals('get_by_ticker', 'mempool')) as { readonly result: Members }
    expect(held).toMatchObject({ status: 'verified', atomical_id: id })
    expect(held['unconfirmed']).toBeUndefined()
  })
})

describe('a claim on a name in the mempool', () => {
  /** Commit and reveal of a mint with work on the commit, both sent and neither mined. */
  async function claim(
    op: string,
    payload: Plain,
    owner: Payee,
    { units = 5_000, also = [] as Outpoint[], change = [] as TxOutput[] } = {},
  ): Promise<{ id: string; commit: Tx; reveal: Tx }> {
    const [fund] = await wallet.funds(1)
    const maker = wallet.someone()
    const commit = await wallet.send(spend({ from: [fund!], to: [to(maker, FUND - FEE)], work: '1234' }), maker)
    const from = [out(commit), ...also]
    const reveal = await wallet.send(spend({ from, to: [to(owner, units), ...change], op, payload }), owner)
    return { id: compactAt(commit), commit, reveal }
  }

  const resultOf = async (method: string, ...params: unknown[]): Promise<Members> =>
    (await wallet.atomicals(method, ...params))['result'] as Members

  it('is told of a realm by all that is asked of it, its outputs and its name, with a commit that is pending too', async () => {
    const owner = wallet.someone()
    const { id, commit, reveal } = await claim('nft', { args: { request_realm: 'pending', bitworkc: '1234' } }, owner)
    const txid = toDisplayHex(commit.txid)
    const names = {
      $request_realm: 'pending',
      $request_realm_status: { status: 'pending_candidate' },
      $realm_candidates: [{ atomical_id: id, tx_num: null, txid, commit_height: null, reveal_location_height: null }],
    }

    expect(await resultOf('get', id)).toMatchObject({ atomical_id: id, confirmed: false, unconfirmed: names })
    const asNft = { id, confirmed: 0, unconfirmed: 5_000, subtype: 'request_realm', request_realm: 'pending' }
    expect(await wallet.balances('nft', owner)).toMatchObject({ balances: {}, unconfirmed: { [id]: asNft } })
    expect(await wallet.listing(owner)).toMatchObject({
      atomicals: {},
      unconfirmed: { atomicals: { [id]: { confirmed: 0, unconfirmed: 5_000, request_realm: 'pending', data: names } } },
    })
    expect(await wallet.atomicals('at_location', place(reveal))).toMatchObject({
      atomicals: [{ atomical_id: id, atomical_number: -1, type: 'NFT', value: 5_000 }],
      unconfirmed: { made: true, spent_by: null },
    })

    const candidates = [{ atomical_id: id, txid, commit_height: null }]
    expect(await resultOf('get_by_realm', 'pending')).toMatchObject({ candidates: [], unconfirmed: { candidates } })
    for (const name of ['pending', 'pending.sub']) {
      const info = await resultOf('get_realm_info', name)
      expect(info).toMatchObject({ atomical_id: null, candidates: [], unconfirmed: { candidates } })
    }
    const entry = { atomical_id: id, tx_num: null, realm_hex: '70656e64696e67', realm: 'pending', status: 'pending' }
    expect(await wallet.atomicals('find_realms', 'pend')).toEqual({ result: [], unconfirmed: [entry] })
    expect(await wallet.atomicals('find_realms', null)).toMatchObject({ unconfirmed: [entry] })
    for (const elsewhere of [['pendx'], ['pend', false, 10, 1], ['pend', false, 10, 0, true]]) {
      expect(await wallet.atomicals('find_realms', ...elsewhere)).toEqual({ result: [] })
    }
    expect(await wallet.atomicals('find_tickers', 'pend')).toEqual({ result: [] })
    expect(await wallet.atomicals('list', 5, -1, 0)).toMatchObject({
      unconfirmed: [{ atomical_id: id, atomical_number: -1, confirmed: false }],
    })
    expect(await wallet.atomicals('list', 1, 0, 1)).not.toHaveProperty('unconfirmed')

    await station.mine(1)
    const { result, unconfirmed } = await wallet.atomicals('find_realms', 'pend')
    expect(unconfirmed).toBeUndefined()
    expect(result).toMatchObject([{ atomical_id: id, realm: 'pending', status: 'pending' }])
    const listed = await wallet.atomicals('list', 5, -1, 0)
    expect(listed).not.toHaveProperty('unconfirmed')
    expect((listed['result'] as Members[])[0]).toMatchObject({ atomical_id: id, confirmed: true })
    expect(await resultOf('get_realm_info', 'pending')).not.toHaveProperty('unconfirmed')
    await station.mine(3)
    expect(await resultOf('get_realm_info', 'pending')).toMatchObject({ atomical_id: id })
  })

  it('is told in the order of names and of commits, and to nobody once it is replaced', async () => {
    const owner = wallet.someone()
    const made: string[] = []
    for (const name of ['order-b', 'order-a', 'order-e']) {
      const { id } = await claim('nft', { args: { request_realm: name, bitworkc: '1234' } }, owner)
      made.push(id)
    }
    // Funds come from a block of their own: the first two are confirmed by now, and pending for three blocks.
    const found = async (...params: unknown[]) => {
      const { result, unconfirmed = [] } = await wallet.atomicals('find_realms', 'order', ...params)
      return [result, unconfirmed].map((list) => (list as Members[]).map(({ atomical_id: id }) => id))
    }
    expect(await found()).toEqual([[made[1], made[0]], [made[2]]])
    const [fund] = await wallet.funds(1)
    const rivals: Tx[] = []
    for (const name of ['order-d', 'order-c']) {
      const maker = wallet.someone()
      const from = name === 'order-d' ? fund! : out(rivals[0]!, 1)
      const commit = await wallet.send(
        spend({
          from: [from],
          to: [to(maker, 50_000), to(maker, name === 'order-d' ? 900_000 : 800_000)],
          work: '1234',
        }),
        maker,
      )
      const payload = { args: { request_realm: name, bitworkc: '1234' } }
      await wallet.send(spend({ from: [out(commit)], to: [to(owner, 5_000)], op: 'nft', payload }), owner)
      rivals.push(commit)
    }
    const [c, d] = [compactAt(rivals[1]!), compactAt(rivals[0]!)]
    expect((await found())[1]).toEqual([c, d])
    expect((await found(true))[1]).toEqual([d, c])
    expect((await found(false, 1))[1]).toEqual([c])
    const dan = wallet.someone()
    await wallet.send(spend({ from: [fund!], to: [to(dan, 100_000)] }), dan)
    await wallet.until(owner, (txids) => txids.length === 0)
    expect((await found())[1]).toEqual([])
    await station.mine(1)
  })

  it('is told of a subrealm below its realm', async () => {
    const owner = wallet.someone()
    const realm = await claim('nft', { args: { request_realm: 'parent', bitworkc: '1234' } }, owner)
    await station.mine(3)
    const args = { request_subrealm: 'low', parent_realm: realm.id, claim_type: 'direct' }
    const heir = wallet.someone()
    const options = { also: [out(realm.reveal)], change: [to(owner, 5_000)] }
    const sub = await claim('nft', { args }, heir, options)
    const entry = { atomical_id: sub.id, tx_num: null, subrealm_hex: '6c6f77', subrealm: 'low' }
    expect(await wallet.atomicals('find_subrealms', realm.id, 'l')).toMatchObject({
      result: [],
      unconfirmed: [{ ...entry, status: 'pending' }],
    })
    const candidates = [{ atomical_id: sub.id, txid: toDisplayHex(sub.commit.txid), commit_height: null }]
    expect(await resultOf('get_by_subrealm', realm.id, 'low')).toMatchObject({ unconfirmed: { candidates } })
    expect(await resultOf('get_realm_info', 'parent.low')).toMatchObject({
      found_full_realm_name: 'parent',
      missing_name_parts: 'low',
      unconfirmed: { candidates },
    })
    expect(await wallet.balances('nft', heir)).toMatchObject({
      unconfirmed: { [sub.id]: { unconfirmed: 5_000, request_subrealm: 'low' } },
    })
  })

  it('is told of an item of a container, by the id of the container and by its name', async () => {
    const owner = wallet.someone()
    const file = Uint8Array.of(1, 2, 3)
    const sibling = sha256(Uint8Array.of(4))
    const leaf = sha256(Buffer.from(`one:any:any:m.png:${toHex(sha256d(file))}`))
    const merkle = toHex(sha256(concat(leaf, sibling)))
    const dmint = { v: '1', mint_height: 0, merkle, rules: [{ p: '.*', bitworkc: 'any' }] }
    const args = { request_container: 'mempool-box', bitworkc: '1234' }
    const box = await claim('nft', { args, dmint }, owner)
    await station.mine(3)
    await wallet.send(spend({ from: [out(box.reveal)], to: [to(owner, 3_000)], op: 'sl', payload: { a: 1 } }), owner)
    await station.mine(1)
    const proof = [{ p: true, d: toHex(sibling) }]
    const asked = { request_dmitem: 'one', parent_container: box.id, main: 'm.png', proof }
    const item = await claim('nft', { args: asked, 'm.png': file }, wallet.someone())

    const candidates = [{ atomical_id: item.id, txid: toDisplayHex(item.commit.txid), commit_height: null }]
    const none = { status: null, candidate_atomical_id: null, atomical_id: null, candidates: [] }
    const told = { ...none, unconfirmed: { candidates } }
    expect(await resultOf('get_by_dmitem', box.id, 'one')).toEqual({ ...told, type: 'dmitem' })
    expect(await resultOf('get_by_container_item', 'mempool-box', 'one')).toEqual({ ...told, type: 'item' })
    const shown = ['any', 'any', 'm.png', toHex(sha256d(file)), proof, false]
    const judged = await resultOf('get_by_container_item_validate', 'mempool-box', 'one', ...shown)
    expect(judged).toMatchObject({ ...told, type: 'item', proof_valid: true })
    await station.mine(1)
    expect(await resultOf('get_by_container_item', 'mempool-box', 'one')).not.toHaveProperty('unconfirmed')
  })

  it('is none where tokens are minted that others deployed: units are pending, and the mint counts', async () => {
    const deployer = wallet.someone()
    const terms = { mint_amount: 2_000, mint_height: 1, max_mints: 2, mint_bitworkc: '12' }
    const deploy = await claim('dft', { args: { request_ticker: 'many', bitworkc: '1234', ...terms } }, deployer)
    await station.mine(3)
    const owner = wallet.someone()
    const payload = { args: { mint_ticker: 'many', bitworkc: '12' } }
    const { reveal } = await claim('dmt', payload, owner, { units: 2_000 })
    const { id } = deploy
    expect(await wallet.held(owner)).toEqual({ [place(reveal)]: { [id]: 2_000 } })
    expect(await wallet.balances('ft', owner)).toMatchObject({
      balances: {},
      unconfirmed: { [id]: { ticker: 'many', confirmed: 0, unconfirmed: 2_000 } },
    })
    expect(await wallet.listing(owner)).toMatchObject({
      atomicals: {},
      unconfirmed: { atomicals: { [id]: { unconfirmed: 2_000, ticker: 'many', data: { confirmed: true } } } },
    })
    expect(await resultOf('get_ft_info', id)).toMatchObject({
      dft_info: { mint_count: 0 },
      location_summary: { circulating_supply: 0 },
      unconfirmed: {
        transactions: [{ tx_hash: toDisplayHex(reveal.txid), height: 0 }],
        dft_info: { mint_count: 1 },
        location_summary: { circulating_supply: 2_000, unique_holders: 1 },
      },
    })
    expect(await wallet.atomicals('find_tickers', 'man')).not.toHaveProperty('unconfirmed')
    await station.mine(1)
    expect(await wallet.balances('ft', owner)).toMatchObject({
      balances: { [id]: { confirmed: 2_000, unconfirmed: 0 } },
    })
  })
})

describe('units in the mempool', () => {
  /** A token of 10,000 units, confirmed, and where it sits. */
  async function token(ticker: string): Promise<{ id: string; owner: Payee; at: Tx }> {
    const owner = wallet.someone()
    const { id, reveal } = await revealOf('ft', { args: { request_ticker: ticker, bitworkc: '1234' } }, owner, 10_000)
    await wallet.send(reveal, owner)
    await station.mine(3)
    return { id, owner, at: reveal }
  }

  it('move from one to the next, and on to a third', async () => {
    const { id, owner, at } = await token('moving')
    const [bob, carol] = [wallet.someone(), wallet.someone()]
    const [fund] = await wallet.funds(1)
    const first = await wallet.send(
      spend({ from: [out(at), fund!], to: [to(bob, 4_000), to(owner, 6_000), to(owner, 50_000)] }),
      bob,
    )
    expect(await wallet.held(bob)).toEqual({ [place(first)]: { [id]: 4_000 } })
    expect(await wallet.held(owner)).toEqual({ [place(first, 1)]: { [id]: 6_000 }, [place(first, 2)]: {} })
    expect(await wallet.balances('ft', owner)).toMatchObject({
      balances: { [id]: { ticker: 'moving', confirmed: 10_000, unconfirmed: -4_000 } },
    })
    const { utxos } = await wallet.listing(owner)
    expect(utxos).toMatchObject([{ unconfirmed: { spent_by: toDisplayHex(first.txid) } }])
    expect(await wallet.atomicals('at_location', place(at))).toMatchObject({
      atomicals: [{ atomical_id: id, value: 10_000 }],
      unconfirmed: { made: false, spent_by: toDisplayHex(first.txid) },
    })
    expect(await wallet.atomicals('get_location', id)).toMatchObject({
      result: {
        location_info: [{ location: place(at) }],
        unconfirmed: { transactions: [{ tx_hash: toDisplayHex(first.txid), height: 0 }], location_counts: 2 },
      },
    })

    const [more] = await wallet.funds(1)
    const { at: settled, id: other, owner: holder } = await token('chained')
    const [dan, erin] = [wallet.someone(), wallet.someone()]
    const second = await wallet.send(
      spend({ from: [out(settled), more!], to: [to(dan, 10_000), to(dan, 90_000)] }),
      dan,
    )
    const third = await wallet.send(
      spend({ from: [out(second), out(second, 1)], to: [to(erin, 7_000), to(carol, 3_000), to(carol, 20_000)] }),
      erin,
    )
    expect(await wallet.held(dan)).toEqual({})
    expect(await wallet.held(erin)).toEqual({ [place(third)]: { [other]: 7_000 } })
    expect(await wallet.held(carol)).toEqual({ [place(third, 1)]: { [other]: 3_000 }, [place(third, 2)]: {} })
    expect(await wallet.balances('ft', holder)).toMatchObject({
      balances: { [other]: { confirmed: 10_000, unconfirmed: -10_000 } },
    })
    expect(await wallet.balances('ft', dan)).toEqual({ balances: {} })

    const before = [await wallet.held(erin), await wallet.held(carol)]
    await station.mine(1)
    expect([await wallet.held(erin), await wallet.held(carol)]).toEqual(before)
    expect(await wallet.balances('ft', holder)).toEqual({ balances: {} })
  })

  it('go where the transaction says that replaces another, with all that came after', async () => {
    const { id, owner, at } = await token('replaced')
    const [fund] = await wallet.funds(1)
    const [bob, carol, dan] = [wallet.someone(), wallet.someone(), wallet.someone()]
    const first = await wallet.send(spend({ from: [out(at), fund!], to: [to(bob, 10_000), to(bob, FUND - FEE)] }), bob)
    await wallet.send(spend({ from: [out(first), out(first, 1)], to: [to(carol, 10_000), to(carol, 100_000)] }), carol)
    expect(Object.values(await wallet.held(carol))).toEqual([{ [id]: 10_000 }, {}])

    const rival = await wallet.send(spend({ from: [out(at), fund!], to: [to(dan, 10_000), to(dan, 5_000)] }), dan)
    await wallet.until(carol, (txids) => txids.length === 0)
    expect(await wallet.held(dan)).toEqual({ [place(rival)]: { [id]: 10_000 }, [place(rival, 1)]: {} })
    expect([await wallet.held(bob), await wallet.held(carol)]).toEqual([{}, {}])
    expect(await wallet.balances('ft', carol)).toEqual({ balances: {} })
    await station.mine(1)
    expect(await wallet.held(dan)).toEqual({ [place(rival)]: { [id]: 10_000 }, [place(rival, 1)]: {} })
    expect(await wallet.balances('ft', owner)).toEqual({ balances: {} })
  })

  it('leave the kept list of a script while the mempool spends them, and are coloured in it when they are back', async () => {
    const { id, owner, at } = await token('comeback')
    const [fund, more] = await wallet.funds(2)
    const [bob, dan] = [wallet.someone(), wallet.someone()]
    const both = spend({ from: [more!], to: [to(owner, 4_000), to(bob, 3_000)] })
    await wallet.send(both, owner)
    await station.mine(1)
    const whole = { [place(at)]: { [id]: 10_000 }, [place(both)]: {} }
    const bobs = { [place(both, 1)]: {} }
    const expectHeld = async (owners: Record<string, Members>, others: Record<string, Members>) => {
      // The second time it is what was kept of the first.
      for (let i = 0; i < 2; i++) {
        expect(await wallet.held(owner)).toEqual(owners)
        expect(await wallet.held(bob)).toEqual(others)
      }
    }
    await expectHeld(whole, bobs)
    const plan = { from: [out(at), fund!], to: [to(bob, 10_000), to(bob, FUND - FEE)] }
    const first = await wallet.send(spend(plan), bob)
    const rest = { [place(both)]: {} }
    await expectHeld(rest, { ...bobs, [place(first)]: { [id]: 10_000 }, [place(first, 1)]: {} })
    await wallet.send(spend({ from: [fund!], to: [to(dan, 5_000)] }), dan)
    await wallet.until(bob, (txids) => txids.length === 0)
    await expectHeld(whole, bobs)
    await station.mine(1)
    await expectHeld(whole, bobs)
  })

  it('are where they were again after a reorganisation, and coloured in the mempool they went back to', async () => {
    const { id, owner, at } = await token('reorged')
    const [fund] = await wallet.funds(1)
    const [bob, carol] = [wallet.someone(), wallet.someone()]
    const first = await wallet.send(spend({ from: [out(at), fund!], to: [to(bob, 10_000), to(bob, 90_000)] }), bob)
    await station.mine(1)
    const second = await wallet.send(spend({ from: [out(first), out(first, 1)], to: [to(carol, 10_000)] }), carol)
    const { result: tip } = (await wallet.atomicals('get_location', id)) as { readonly result: Members }
    expect(tip).toMatchObject({ location_info: [{ location: place(first) }] })
    station.node.reorganize(1)
    await wallet.until(bob, (txids) => txids.length === 2)
    expect(await wallet.held(carol)).toEqual({ [place(second)]: { [id]: 10_000 } })
    expect(await wallet.balances('ft', owner)).toMatchObject({
      balances: { [id]: { confirmed: 10_000, unconfirmed: -10_000 } },
    })
    await station.mine(1)
    expect(await wallet.held(carol)).toEqual({ [place(second)]: { [id]: 10_000 } })
    expect(await wallet.balances('ft', carol)).toMatchObject({
      balances: { [id]: { confirmed: 10_000, unconfirmed: 0 } },
    })
  })
})
