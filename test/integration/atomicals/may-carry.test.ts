import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { headerHash } from '../../../src/chain/headers.ts'
import type { Tx, TxOutput } from '../../../src/chain/tx.ts'
import { ERROR_CODES } from '../../../src/errors.ts'
import { fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import { compactAt, out, type Plain, spend } from '../../support/atomicals-chain.ts'
import { type Payee, Station } from '../protocol/station.ts'
import { FEE, FUND, type Members, to, Wallet } from './mempool-wallet.ts'

/** Outputs of the mempool that are coloured only if a miner takes its transactions in another order, or later. */
describe('an output that may come to carry something', () => {
  let station: Station
  let wallet: Wallet

  beforeAll(async () => {
    station = await Station.start({ SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0' })
    wallet = new Wallet(station, await station.client('1.4'))
  }, 60_000)

  afterAll(() => station.stop())

  const place = (tx: Tx, vout = 0): string => compactAt(tx, vout)

  async function commitOf(maker: Payee, work: string): Promise<Tx> {
    const [fund] = await wallet.funds(1)
    return wallet.send(spend({ from: [fund!], to: [to(maker, FUND - FEE)], work }), maker)
  }

  /** Commit and reveal, both sent and neither mined but for what `funds` mines. */
  async function mint(
    op: string,
    payload: Plain,
    owner: Payee,
    { units = 5_000, work = '1234', change = [] as TxOutput[] } = {},
  ): Promise<{ id: string; commit: Tx; reveal: Tx }> {
    const commit = await commitOf(wallet.someone(), work)
    const reveal = await wallet.send(
      spend({ from: [out(commit)], to: [to(owner, units), ...change], op, payload }),
      owner,
    )
    return { id: compactAt(commit), commit, reveal }
  }

  /** A token with its ticker settled. */
  async function token(ticker: string, terms: { readonly max_mints: number; readonly mint_height?: number }) {
    const all = { mint_amount: 2_000, mint_height: 1, ...terms }
    const args = { request_ticker: ticker, bitworkc: '1234', ...all }
    const { id } = await mint('dft', { args }, wallet.someone())
    await station.mine(3)
    return id
  }

  /** Commits that are mined before any of their reveals is sent. */
  async function reveals(ticker: string, owners: readonly Payee[], units = 2_000): Promise<Tx[]> {
    const makers = owners.map(() => wallet.someone())
    const commits: Tx[] = []
    for (const maker of makers) commits.push(await commitOf(maker, '00'))
    await station.mine(1)
    const txs = owners.map((owner, i) =>
      spend({
        from: [out(commits[i]!)],
        to: [to(owner, units), to(owner, 900_000)],
        op: 'dmt',
        payload: { args: { mint_ticker: ticker } },
      }),
    )
    for (const [i, tx] of txs.entries()) await wallet.send(tx, owners[i]!)
    return txs
  }

  async function unspent({ hash }: Payee): Promise<Record<string, Members>> {
    const rows = (await wallet.ask('blockchain.scripthash.listunspent', hash)) as readonly Members[]
    return Object.fromEntries(rows.map((row) => [`${String(row['tx_hash'])}i${String(row['tx_pos'])}`, row]))
  }

  async function until(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds()));
  }

  /** A block with these transactions in this order. */
  async function mineInOrder(...txs: readonly Tx[]): Promise<void> {
    const { height } = station.node
    const client = await station.client()
    await client.request('blockchain.headers.subscribe')
    await station.rpc(
      'generateblock',
      wallet.someone().address,
      txs.map(({ txid }) => toDisplayHex(txid)),
    )
    expect(station.node.height).toBe(height + 1)
    for (let seen = height; seen <= height; ) {
      const [{ height: at }] = (await client.notification('blockchain.headers.subscribe')) as [{ height: number }]
      seen = at
    }
    client.destroy()
  }

  it('is told with its units and as unsure by every answer, while an earlier mint takes the last of max_mints', async () => {
    const id = await token('last', { max_mints: 1 })
    const [first, second] = [wallet.someone(), wallet.someone()]
    const [taken, late] = await reveals('last', [first, second])
    expect(await unspent(first)).toMatchObject({ [place(taken!)]: { atomicals: { [id]: 2_000 } } })
    expect((await unspent(first))[place(taken!)]).not.toHaveProperty('may_carry')

    expect(await unspent(second)).toMatchObject({
      [place(late!)]: { height: 0, value: 2_000, atomicals: { [id]: 2_000 }, may_carry: [id] },
    })
    // The change of a mint is plain, whatever comes of the mint.
    expect((await unspent(second))[place(late!, 1)]).toMatchObject({ atomicals: {} })
    expect((await unspent(second))[place(late!, 1)]).not.toHaveProperty('may_carry')
    expect(await wallet.balances('ft', second)).toEqual({
      balances: {},
      unconfirmed: { [id]: { id, ticker: 'last', confirmed: 0, unconfirmed: 0, may_carry: 2_000 } },
    })
    expect(await wallet.balances('nft', second)).toEqual({ balances: {} })
    const { utxos, atomicals, unconfirmed } = await wallet.listing(second)
    expect([utxos, atomicals]).toEqual([[], {}])
    expect(unconfirmed).toMatchObject({
      atomicals: { [id]: { confirmed: 0, unconfirmed: 0, may_carry: 2_000, ticker: 'last' } },
      utxos: [{ value: 2_000, atomicals: { [id]: 2_000 }, may_carry: [id] }],
    })
    expect(unconfirmed?.utxos).toHaveLength(1)
    expect(await wallet.atomicals('at_location', place(late!))).toMatchObject({
      atomicals: [{ atomical_id: id, type: 'FT', value: 2_000, may_carry: true }],
      unconfirmed: { made: true, spent_by: null },
    })
    // Supply and holders are those of the order in which they came.
    expect(await wallet.atomicals('get_ft_info', id)).toMatchObject({
      result: { unconfirmed: { location_summary: { circulating_supply: 2_000 } } },
    })

    const lists = await station.client('1.4')
    await lists.request('blockchain.atomicals.set_shape', ['list'])
    expect(await lists.request('blockchain.scripthash.listunspent', [second.hash])).toContainEqual(
      expect.objectContaining({ atomicals: [id], may_carry: [id] }),
    )
    lists.destroy()

    // It is no bare warning: so a miner may have it.
    await mineInOrder(late!, taken!)
    expect(await wallet.held(second)).toMatchObject({ [place(late!)]: { [id]: 2_000 }, [place(late!, 1)]: {} })
    expect((await unspent(second))[place(late!)]).not.toHaveProperty('may_carry')
    expect(await wallet.held(first)).toMatchObject({ [place(taken!)]: {} })
    expect(await wallet.balances('ft', second)).toMatchObject({ balances: { [id]: { confirmed: 2_000 } } })
  })

  it('passes it on to where it is spent, and a transaction that would burn it is refused', async () => {
    const id = await token('onward', { max_mints: 1 })
    const [first, second, third] = [wallet.someone(), wallet.someone(), wallet.someone()]
    const [taken, late] = await reveals('onward', [first, second])
    const burning = spend({ from: [out(late!)], to: [to(third, 1_000)] })
    const message = expect.stringMatching(`1000 .*units of ${id}`) as string
    const refused = { code: ERROR_CODES.atomicalsRule.code, message }
    await expect(wallet.ask('blockchain.transaction.broadcast', toHex(burning.raw))).rejects.toMatchObject(refused)

    const next = await wallet.send(
      spend({ from: [out(late!), out(late!, 1)], to: [to(third, 700), to(third, 1_300), to(third, 800_000)] }),
      third,
    )
    expect(await unspent(third)).toMatchObject({
      [place(next)]: { atomicals: { [id]: 700 }, may_carry: [id] },
      [place(next, 1)]: { atomicals: { [id]: 1_300 }, may_carry: [id] },
      [place(next, 2)]: { atomicals: {} },
    })
    expect(await wallet.balances('ft', third)).toMatchObject({ unconfirmed: { [id]: { may_carry: 2_000 } } })
    expect(await wallet.balances('ft', second)).toEqual({ balances: {} })
    await mineInOrder(late!, taken!, next)
    expect(await wallet.held(third)).toEqual({
      [place(next)]: { [id]: 700 },
      [place(next, 1)]: { [id]: 1_300 },
      [place(next, 2)]: {},
    })
  })

  it('is told while an earlier claim has the name, and of an atomical that is not there yet', async () => {
    const [winner, loser] = [wallet.someone(), wallet.someone()]
    const args = { request_realm: 'contested', bitworkc: '1234' }
    const makers = [wallet.someone(), wallet.someone()]
    const funds = await wallet.funds(2)
    const commits: Tx[] = []
    for (const [i, maker] of makers.entries()) {
      commits.push(await wallet.send(spend({ from: [funds[i]!], to: [to(maker, FUND - FEE)], work: '1234' }), maker))
    }
    const [first, second] = commits.map((commit, i) =>
      spend({ from: [out(commit)], to: [to(i === 0 ? winner : loser, 5_000)], op: 'nft', payload: { args } }),
    )
    await wallet.send(first!, winner)
    await wallet.send(second!, loser)
    const id = compactAt(commits[1]!)
    expect(await wallet.held(winner)).toEqual({ [place(first!)]: { [compactAt(commits[0]!)]: 5_000 } })
    expect(await unspent(loser)).toMatchObject({ [place(second!)]: { atomicals: { [id]: 5_000 }, may_carry: [id] } })
    expect(await wallet.balances('nft', loser)).toEqual({
      balances: {},
      unconfirmed: { [id]: { id, confirmed: 0, unconfirmed: 0, may_carry: 5_000 } },
    })
    const { unconfirmed } = await wallet.listing(loser)
    expect(unconfirmed).toEqual({
      atomicals: {},
      utxos: [expect.objectContaining({ atomicals: { [id]: 5_000 }, may_carry: [id] })],
    })
    expect(await wallet.atomicals('at_location', place(second!))).toMatchObject({
      atomicals: [{ atomical_id: id, atomical_number: -1, type: 'NFT', value: 5_000, may_carry: true }],
    })
    await mineInOrder(commits[1]!, commits[0]!, second!, first!)
    expect(await wallet.held(loser)).toEqual({ [place(second!)]: { [id]: 5_000 } })
  })

  it('is told while a mint comes before the height of its token, as it would be coloured in a later block', async () => {
    const mintHeight = station.node.height + 12
    const id = await token('later', { max_mints: 10, mint_height: mintHeight })
    const owner = wallet.someone()
    const { commit, reveal } = await mint('dmt', { args: { mint_ticker: 'later' } }, owner, { units: 2_000 })
    expect(station.node.height + 1).toBeLessThan(mintHeight)
    expect(await unspent(owner)).toMatchObject({ [place(reveal)]: { atomicals: { [id]: 2_000 }, may_carry: [id] } })
    const burning = spend({ from: [out(reveal)], to: [to(owner, 1_000)] })
    const message = expect.stringContaining(`1000 units of ${id} that may come to sit`) as string
    await expect(wallet.ask('blockchain.transaction.broadcast', toHex(burning.raw))).rejects.toMatchObject({
      code: ERROR_CODES.atomicalsRule.code,
      message,
    })
    while (station.node.height + 1 < mintHeight) await mineInOrder()
    // Now it is the next block, and the order as they came.
    expect(await wallet.held(owner)).toEqual({ [place(reveal)]: { [id]: 2_000 } })
    expect((await unspent(owner))[place(reveal)]).not.toHaveProperty('may_carry')
    await mineInOrder(commit, reveal)
    expect(await wallet.held(owner)).toEqual({ [place(reveal)]: { [id]: 2_000 } })
  })

  it('is plain where no order makes it a mint: another amount, a full token, no such ticker, a name that is taken', async () => {
    await token('full', { max_mints: 1 })
    const owner = wallet.someone()
    const [other] = await reveals('full', [owner], 1_999)
    expect((await unspent(owner))[place(other!)]).toMatchObject({ atomicals: {} })
    await reveals('full', [wallet.someone()])
    await station.mine(1)
    const [late, unknown] = [wallet.someone(), wallet.someone()]
    const [none] = await reveals('full', [late])
    const [nobody] = await reveals('nobody', [unknown])
    const args = { request_ticker: 'full', bitworkc: '1234' }
    const claimant = wallet.someone()
    const { reveal } = await mint('ft', { args }, claimant)
    for (const [who, tx] of [
      [late, none!],
      [unknown, nobody!],
      [claimant, reveal],
    ] as const) {
      expect((await unspent(who))[place(tx)] ?? {}).toMatchObject({ atomicals: {} })
      expect((await unspent(who))[place(tx)] ?? {}).not.toHaveProperty('may_carry')
      expect((await wallet.listing(who)).unconfirmed).toBeUndefined()
    }
  })

  /**
   * A deploy that is not sent, with a commit so old that it has the ticker as soon as it is mined in the next block, and
   * other commits of the same block: of a claim before it, and of a mint.
   */
  async function deploy(ticker: string): Promise<{ id: string; dft: Tx; rival: Tx; commit: Tx }> {
    const funds = await wallet.funds(3)
    const commits: Tx[] = []
    for (const [i, work] of ['1234', '1234', '00'].entries()) {
      const maker = wallet.someone()
      const tx = spend({ from: [funds[i]!], to: [to(maker, FUND - FEE)], work })
      commits.push(await wallet.send(tx, maker))
    }
    const [rival, own, commit] = commits
    await mineInOrder(...commits)
    await station.mine(2)
    const args = { request_ticker: ticker, bitworkc: '1234', mint_amount: 2_000, mint_height: 1, max_mints: 5 }
    const dft = spend({ from: [out(own!)], to: [to(wallet.someone(), 546)], op: 'dft', payload: { args } })
    return { id: compactAt(own!), dft, rival: rival!, commit: commit! }
  }

  const mintOf = (ticker: string, commit: Tx, owner: Payee, units = 2_000): Tx =>
    spend({
      from: [out(commit)],
      to: [to(owner, units), to(owner, 900_000)],
      op: 'dmt',
      payload: { args: { mint_ticker: ticker } },
    })

  it('is told of a mint that came before what deploys its token, which a miner may take first', async () => {
    const [owner, later] = [wallet.someone(), wallet.someone()]
    const { id, dft, commit } = await deploy('unborn')
    const mint = await wallet.send(mintOf('unborn', commit, owner), owner)
    // Of a ticker that nobody asks for no order of what there is makes a mint, and there is no id to name.
    expect((await unspent(owner))[place(mint)]).toMatchObject({ atomicals: {} })
    expect((await unspent(owner))[place(mint)]).not.toHaveProperty('may_carry')
    const moved = await wallet.send(spend({ from: [out(mint)], to: [to(later, 1_500)] }), later)

    expect(station.node.submitTx(dft.raw)).toMatchObject({ kind: 'accepted' })
    await until(async () => (await wallet.atomicals('at_location', place(dft)))['unconfirmed'] !== undefined)
    expect(await unspent(later)).toMatchObject({ [place(moved)]: { atomicals: { [id]: 1_500 }, may_carry: [id] } })
    expect((await unspent(owner))[place(mint, 1)]).not.toHaveProperty('may_carry')
    expect(await wallet.atomicals('at_location', place(mint))).toMatchObject({
      atomicals: [{ atomical_id: id, type: 'FT', value: 2_000, may_carry: true }],
    })
    expect(await wallet.balances('ft', later)).toMatchObject({ unconfirmed: { [id]: { may_carry: 1_500 } } })
    const burning = spend({ from: [out(moved)], to: [to(later, 1_000)] })
    const message = expect.stringContaining(`500 units of ${id}`) as string
    await expect(wallet.ask('blockchain.transaction.broadcast', toHex(burning.raw))).rejects.toMatchObject({
      code: ERROR_CODES.atomicalsRule.code,
      message,
    })
    await mineInOrder(dft, mint, moved)
    expect(await wallet.held(later)).toEqual({ [place(moved)]: { [id]: 1_500 } })
  })

  it('is not burnt where the token is deployed in the mempool, by what the mint does not stand on', async () => {
    const owner = wallet.someone()
    const { id, dft, commit } = await deploy('newborn')
    expect(station.node.submitTx(dft.raw)).toMatchObject({ kind: 'accepted' })
    const mint = await wallet.send(mintOf('newborn', commit, owner), owner)
    expect(await unspent(owner)).toMatchObject({ [place(mint)]: { atomicals: { [id]: 2_000 } } })
    const burning = spend({ from: [out(mint)], to: [to(owner, 1_000)] })
    const refused = { code: ERROR_CODES.atomicalsRule.code }
    await expect(wallet.ask('blockchain.transaction.broadcast', toHex(burning.raw))).rejects.toMatchObject(refused)
    // Neither in a package, whatever comes first in it.
    const { dft: other, commit: own } = await deploy('sibling')
    const parent = mintOf('sibling', own, owner)
    const child = spend({ from: [out(parent), out(other)], to: [to(owner, 1_000)] })
    const raws = [parent, other, child].map(({ raw }) => toHex(raw))
    const newer = await station.client('1.6')
    await expect(newer.request('blockchain.transaction.broadcast_package', [raws])).rejects.toMatchObject(refused)
    newer.destroy()
  })

  it('is told of a mint of a token that only has the ticker without an earlier claim of the mempool', async () => {
    const owner = wallet.someone()
    const { id, dft, rival: earlier, commit } = await deploy('rivals')
    const args = { request_ticker: 'rivals', bitworkc: '1234' }
    const rival = spend({ from: [out(earlier)], to: [to(owner, 7_000)], op: 'ft', payload: { args } })
    await wallet.send(rival, owner)
    expect(station.node.submitTx(dft.raw)).toMatchObject({ kind: 'accepted' })
    const mint = await wallet.send(mintOf('rivals', commit, owner), owner)
    expect(await unspent(owner)).toMatchObject({ [place(mint)]: { atomicals: { [id]: 2_000 }, may_carry: [id] } })
    await mineInOrder(dft, mint, rival)
    expect(await wallet.held(owner)).toMatchObject({ [place(mint)]: { [id]: 2_000 } })
  })

  /** Takes back so many blocks and mines others and one more, with these transactions in the first. Settles at their tip. */
  async function reorganise(depth: number, ...txs: readonly Tx[]): Promise<void> {
    const { node } = station
    node.invalidate(String(await station.rpc('getblockhash', node.height - depth + 1)))
    const ids = txs.map(({ txid }) => toDisplayHex(txid))
    const nobody = wallet.someone().address
    await station.rpc('generateblock', nobody, ids)
    for (let i = 0; i < depth; i++) await station.rpc('generateblock', nobody, [])
    await until(async () => {
      const { hex } = (await wallet.ask('blockchain.headers.subscribe')) as { readonly hex: string }
      return toDisplayHex(headerHash(fromHex(hex))) === node.bestBlockHash
    })
  }

  it('is told of what was plain in a block, once a reorganisation brings the mint in time again', async () => {
    const id = await token('undone', { max_mints: 1 })
    const [first, second, third] = [wallet.someone(), wallet.someone(), wallet.someone()]
    const [taken, late] = await reveals('undone', [first, second])
    await mineInOrder(taken!)
    await mineInOrder(late!)
    // Plain, and told so: an answer is about the chain as it is.
    expect(await wallet.held(second)).toMatchObject({ [place(late!)]: {} })
    const next = await wallet.send(spend({ from: [out(late!)], to: [to(third, 1_500)] }), third)
    expect(await unspent(third)).toMatchObject({ [place(next)]: { atomicals: {} } })
    expect((await unspent(third))[place(next)]).not.toHaveProperty('may_carry')

    // Both mints are back in the mempool: either may be the one that counts.
    await reorganise(2)
    expect((await unspent(third))[place(next)]).toMatchObject({ height: 0, atomicals: { [id]: 1_500 } })
    const burning = toHex(spend({ from: [out(next)], to: [to(third, 1_000)] }).raw)
    const refused = { code: ERROR_CODES.atomicalsRule.code }
    await expect(wallet.ask('blockchain.transaction.broadcast', burning)).rejects.toMatchObject(refused)

    await reorganise(1, taken!, late!)
    expect((await unspent(third))[place(next)]).toMatchObject({ atomicals: {} })
    expect((await unspent(third))[place(next)]).not.toHaveProperty('may_carry')
    expect(await wallet.ask('blockchain.atomicals.validate', burning)).toMatch(/^[0-9a-f]{64}$/)

    // The late one alone is in the chain now; what spends it stayed in the mempool all the time.
    await reorganise(2, late!)
    expect(await unspent(third)).toMatchObject({ [place(next)]: { height: 0, atomicals: { [id]: 1_500 } } })
    expect((await unspent(third))[place(next)]).not.toHaveProperty('may_carry')
    await expect(wallet.ask('blockchain.transaction.broadcast', burning)).rejects.toMatchObject(refused)
    expect(await wallet.balances('ft', third)).toMatchObject({ unconfirmed: { [id]: { unconfirmed: 1_500 } } })
    expect(await wallet.held(first)).toMatchObject({ [place(taken!)]: {} })

    await station.restart()
    wallet.client = await station.client('1.4')
    await until(async () => place(next) in (await unspent(third)))
    expect(await unspent(third)).toMatchObject({ [place(next)]: { height: 0, atomicals: { [id]: 1_500 } } })
    await expect(wallet.ask('blockchain.transaction.broadcast', burning)).rejects.toMatchObject(refused)
  })

  it('is coloured where its parent is in another block after a reorganisation, which never was in the mempool', async () => {
    const id = await token('swapped', { max_mints: 1 })
    const [first, second, third] = [wallet.someone(), wallet.someone(), wallet.someone()]
    const [taken, late] = await reveals('swapped', [first, second])
    await mineInOrder(taken!)
    await mineInOrder(late!)
    const next = await wallet.send(spend({ from: [out(late!)], to: [to(third, 1_500)] }), third)
    expect(await unspent(third)).toMatchObject({ [place(next)]: { atomicals: {} } })
    await reorganise(2, late!)
    expect(await unspent(third)).toMatchObject({ [place(next)]: { height: 0, atomicals: { [id]: 1_500 } } })
    expect(await wallet.listing(third)).toMatchObject({ unconfirmed: { utxos: [{ atomicals: { [id]: 1_500 } }] } })
  })

  it('of two tokens that move together is no further than each comes at most: the change behind them is plain', async () => {
    const other = wallet.someone()
    const args = { request_ticker: 'beside', bitworkc: '1234' }
    const { id, reveal: held } = await mint('ft', { args }, other, { units: 700 })
    const unsure = await token('together', { max_mints: 1 })
    const [first, second, third] = [wallet.someone(), wallet.someone(), wallet.someone()]
    const [taken, late] = await reveals('together', [first, second])
    const next = await wallet.send(
      spend({
        from: [out(late!), out(held), out(late!, 1)],
        to: [to(third, 2_000), to(third, 700), to(third, 800_000)],
      }),
      third,
    )
    const rows = await unspent(third)
    // In front of its own output the second token is where the first is missing: that is where it is for now.
    expect(rows[place(next)]).toMatchObject({ atomicals: { [unsure]: 2_000, [id]: 700 }, may_carry: [unsure] })
    expect(rows[place(next, 1)]).toMatchObject({ atomicals: { [id]: 700 }, may_carry: [id] })
    expect(rows[place(next, 2)]).toMatchObject({ atomicals: {} })
    expect(rows[place(next, 2)]).not.toHaveProperty('may_carry')
    await mineInOrder(late!, taken!, next)
    expect(await wallet.held(third)).toEqual({
      [place(next)]: { [unsure]: 2_000 },
      [place(next, 1)]: { [id]: 700 },
      [place(next, 2)]: {},
    })
  })
})
