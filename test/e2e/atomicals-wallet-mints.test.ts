import { createHash } from 'node:crypto'
import { Block } from 'bitcoinjs-lib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AtomicalsWallet, type Found, type MintRule, type NameResult } from '../support/atomicals-wallet.ts'
import { addressOfScript, receiptOf } from '../support/taproot.ts'
import { MINER_KINDS, WalletWorld } from '../support/wallet-world.ts'

/** Work that names need on the commit. */
const NAME_WORK = '7777'

/** Wallets of Atomicals mint with the built server, by real transactions and over HTTP, as atomicals-js does. */
describe.each(MINER_KINDS)('a wallet of Atomicals mints, with $kind', (miner) => {
  let world: WalletWorld

  beforeAll(async () => {
    world = await WalletWorld.start(miner)
  })

  afterAll(() => world?.stop())

  it('an NFT, sees it in the mempool and in its block, by id, number and place', async () => {
    const wallet = new AtomicalsWallet(world, 'nft')
    const image = { 'image.txt': Buffer.from('x'.repeat(1_500)), args: { title: 'one' } }
    const { atomicalId, commitTxid, revealTxid } = await wallet.operate('nft', image, { to: [wallet.mine(1_000)] })
    expect(atomicalId).toBe(`${commitTxid}i0`)
    const pending = await world.until('the mint in the mempool', () => found(wallet.resolve(atomicalId)))
    expect(pending).toMatchObject({ atomical_id: atomicalId, type: 'NFT', confirmed: false })
    const height = await world.mine()

    const minted = await wallet.resolve(atomicalId)
    expect(minted).toMatchObject({ atomical_id: atomicalId, type: 'NFT', confirmed: true })
    expect(minted.mint_info).toMatchObject({
      commit_txid: commitTxid,
      reveal_location: `${revealTxid}i0`,
      reveal_location_height: height,
      reveal_location_value: 1_000,
      args: { title: 'one' },
    })
    // atomicals-js reads both of every atomical, and dies of what it cannot read.
    const { reveal_location_script: script, reveal_location_header: header } = minted.mint_info!
    expect(addressOfScript(Buffer.from(script, 'hex'))).toBe(wallet.owner.address)
    const tip = await wallet.api.call<string>('blockchain.block.header', height)
    expect(Block.fromHex(header).getId()).toBe(Block.fromHex(tip).getId())

    expect(await wallet.resolve(minted.atomical_number)).toEqual(minted)
    const listed = await wallet.api.call<Found<readonly unknown[]>>('blockchain.atomicals.list', 5, -1, 0)
    expect(listed.result).toContainEqual(expect.objectContaining({ atomical_id: atomicalId }))
    const there = await wallet.api.call<unknown>('blockchain.atomicals.at_location', `${revealTxid}i0`)
    expect(there).toMatchObject({
      location_info: { txid: revealTxid, index: 0, value: 1_000, script },
      atomicals: [{ atomical_id: atomicalId, type: 'NFT' }],
    })
    const raw = await wallet.api.call<string>('blockchain.transaction.get', revealTxid)
    expect(raw).toContain(Buffer.from('x'.repeat(200)).toString('hex'))
  })

  it('an NFT that names a parent, which goes back to its owner', async () => {
    const wallet = new AtomicalsWallet(world, 'parent')
    const parent = await wallet.operate('nft', { args: { title: 'parent' } }, { to: [wallet.mine(1_500)] })
    await world.mine()
    const spent = await wallet.located(parent.atomicalId)
    const args = { title: 'child', parents: { [parent.atomicalId]: 0 } }
    const plan = { with: [spent], to: [wallet.mine(1_000), wallet.mine(spent.coin.value)] }
    const child = await wallet.operate('nft', { args }, plan)
    await world.mine()
    expect(await wallet.resolve(child.atomicalId)).toMatchObject({ $parents: { [parent.atomicalId]: 0 } })
    expect((await wallet.located(parent.atomicalId)).coin.txid).toBe(child.revealTxid)
  })

  it('a realm that is free, whose claim is pending until three blocks have passed, and then taken', async () => {
    const wallet = new AtomicalsWallet(world, 'realm')
    await wallet.deposit()
    const free = await wallet.realmInfo('+wallet-realm')
    expect(free.result.atomical_id ?? undefined).toBeUndefined()
    expect(free.result.candidates).toEqual([])
    const { atomicalId } = await wallet.operate(
      'nft',
      { args: { request_realm: 'wallet-realm' } },
      { to: [wallet.mine(1_000)], bitworkc: NAME_WORK },
    )
    expect(atomicalId.startsWith(NAME_WORK)).toBe(true)
    const height = await world.mine()
    const claimed = await wallet.realmInfo('wallet-realm')
    expect(claimed.result).toMatchObject({ candidates: [{ atomical_id: atomicalId, commit_height: height }] })
    expect(claimed.result.atomical_id ?? undefined).toBeUndefined()
    await expect(wallet.resolve('+wallet-realm')).rejects.toThrow('nobody has')
    // The summaries of atomicals-js read these members of every entry.
    const before = (await wallet.holdings()).atomicals[atomicalId]
    expect(before).toMatchObject({
      type: 'NFT',
      subtype: 'request_realm',
      request_realm: 'wallet-realm',
      request_realm_status: { status: 'pending_candidate' },
    })

    await world.mine(3)
    const taken = await wallet.realmInfo('wallet-realm')
    expect(taken.result).toMatchObject({ atomical_id: atomicalId, found_full_realm_name: 'wallet-realm' })
    const realm = await wallet.resolve('+wallet-realm')
    expect(realm).toMatchObject({ subtype: 'realm', $realm: 'wallet-realm', $full_realm_name: 'wallet-realm' })
    expect((await wallet.holdings()).atomicals[atomicalId]).toMatchObject({
      subtype: 'realm',
      request_realm_status: { status: 'verified', verified_atomical_id: atomicalId },
      full_realm_name: 'wallet-realm',
    })
    const search = await wallet.api.call<Found<unknown>>('blockchain.atomicals.find_realms', 'wallet-r', 1)
    expect(search.result).toEqual([expect.objectContaining({ atomical_id: atomicalId, realm: 'wallet-realm' })])
  })

  it('subrealms: by spending the parent, and by a rule whose price is paid with a receipt', async () => {
    const lord = new AtomicalsWallet(world, 'lord')
    const tenant = new AtomicalsWallet(world, 'tenant')
    await lord.deposit()
    const realm = await lord.operate(
      'nft',
      { args: { request_realm: 'manor' } },
      { to: [lord.mine(1_000)], bitworkc: NAME_WORK },
    )
    await world.mine(4)
    const price = { [Buffer.from(lord.funding.script).toString('hex')]: { v: 2_500 } }
    const rules = [
      { p: '[0-9]+', o: price, bitworkc: 'aa' },
      { p: '.*', o: price },
    ]
    // The work of one digit is there to have the funding address pay.
    const parent = await lord.located('+manor')
    await lord.operate('mod', { subrealms: { rules } }, { with: [parent], to: [lord.mine(1_000)], bitworkc: '1' })
    await world.mine()

    const direct = await lord.realmInfo('manor.home')
    expect(direct.result).toMatchObject({
      nearest_parent_realm_atomical_id: realm.atomicalId,
      missing_name_parts: 'home',
      candidates: [],
    })
    const spent = await lord.located(realm.atomicalId)
    const home = await lord.operate(
      'nft',
      { args: { request_subrealm: 'home', parent_realm: realm.atomicalId, claim_type: 'direct' } },
      { with: [spent], to: [lord.mine(1_000), lord.mine(spent.coin.value)] },
    )
    await world.mine(4)
    expect(await lord.resolve('manor.home')).toMatchObject({ atomical_id: home.atomicalId, subtype: 'subrealm' })
    expect(await lord.resolve('+manor')).toMatchObject({ atomical_id: realm.atomicalId })

    const { result: asked } = await tenant.realmInfo('manor.17')
    expect(asked.missing_name_parts).toBe('17')
    const known = asked.nearest_parent_realm_subrealm_mint_rules!
    expect(known.current_height).toBeGreaterThanOrEqual(await world.height())
    expect(known.current_height_rules).toEqual(rules)
    const rule = known.current_height_rules.find(({ p }) => new RegExp(`^${p}$`).test('17'))!
    await tenant.deposit()
    const args = { request_subrealm: '17', parent_realm: realm.atomicalId, claim_type: 'rule' }
    const plan = { to: [tenant.mine(1_000)], bitworkc: rule.bitworkc }
    const { atomicalId } = await tenant.operate('nft', { args }, plan)
    await world.mine(4)
    // `pending-subrealms` finds out of this what there is to pay, to whom and until when.
    const { global, atomicals } = await tenant.holdings()
    const entry = atomicals[atomicalId]!
    expect(entry).toMatchObject({
      subtype: 'request_subrealm',
      request_full_realm_name: 'manor.17',
      request_subrealm_status: { status: 'pending_awaiting_payment' },
      subrealm_candidates: [{ atomical_id: atomicalId, payment_type: 'applicable_rule' }],
    })
    const [candidate] = entry['subrealm_candidates'] as readonly PendingCandidate[]
    expect(candidate!.make_payment_from_height).toBeLessThanOrEqual(global.height)
    expect(candidate!.payment_due_no_later_than_height).toBeGreaterThan(global.height)
    const owed = Object.entries(candidate!.applicable_rule.matched_rule.o!)
    const payees = owed.map(([script, { v }]) => ({ script: Buffer.from(script, 'hex'), value: v }))
    expect(payees.map(({ script }) => addressOfScript(script))).toEqual([lord.funding.address])
    const payment = await tenant.send([], [...payees, receiptOf('p', atomicalId)])
    await world.mine()
    expect(await tenant.resolve('+manor.17')).toMatchObject({
      atomical_id: atomicalId,
      subtype: 'subrealm',
      $full_realm_name: 'manor.17',
      $request_subrealm_status: { status: 'verified' },
      $subrealm_candidates: [{ payment: expect.stringContaining(payment) as unknown }],
    })
    // As a list within the list of parameters.
    const found = await tenant.api.call<Found<unknown>>('blockchain.atomicals.find_subrealms', realm.atomicalId, [
      '1',
      1,
    ])
    expect(found.result).toEqual([expect.objectContaining({ atomical_id: atomicalId, subrealm: '17' })])
  })

  it('a container, sets and seals its rules, and mints an item out of its tree', async () => {
    const wallet = new AtomicalsWallet(world, 'box')
    await wallet.deposit()
    const box = await wallet.operate(
      'nft',
      { args: { request_container: 'wallet-box' } },
      { to: [wallet.mine(1_000)], bitworkc: NAME_WORK },
    )
    await world.mine(4)
    const files = { 'item-1': Buffer.from('first'), 'item-2': Buffer.from('second') }
    const [one, two] = Object.entries(files).map(([name, file]) => leafOf(name, 'main.txt', file))
    const merkle = sha256Hex(Buffer.concat([one!, two!]))
    const dmint = { v: '1', mint_height: 0, merkle, immutable: true, items: 2, rules: [{ p: '.*', bitworkc: '88' }] }
    const open = await wallet.located('#wallet-box')
    await wallet.operate('mod', { dmint }, { with: [open], to: [wallet.mine(1_000)] })
    await world.mine()
    const unsealed = await wallet.resolve('#wallet-box')
    expect(unsealed).toMatchObject({ $container_dmint_status: { errors: ['container not sealed'] } })
    const set = await wallet.located('#wallet-box')
    await wallet.operate('sl', {}, { with: [set], to: [wallet.mine(1_000)] })
    await world.mine()
    const container = await wallet.resolve('#wallet-box')
    expect(container).toMatchObject({ subtype: 'container', $container_dmint_status: { status: 'valid', dmint } })

    const proof = [{ p: true, d: two!.toString('hex') }]
    const main = { name: 'main.txt', hash: sha256dHex(files['item-1']) }
    const asked = ['wallet-box', 'item-1', 'any', 'any', main.name, main.hash, proof, false]
    const validate = 'blockchain.atomicals.get_by_container_item_validate'
    const { result: valid } = await wallet.api.call<Found<NameResult>>(validate, ...asked)
    expect(valid).toMatchObject({ proof_valid: true, applicable_rule: { bitworkc: '88' }, candidates: [] })
    expect(valid.atomical_id ?? undefined).toBeUndefined()
    expect(valid.status ?? undefined).toBeUndefined()
    const wrong = await wallet.api.call<Found<unknown>>(validate, ...asked.with(1, 'item-2'))
    expect(wrong.result).toMatchObject({ proof_valid: false })

    const args = { request_dmitem: 'item-1', main: main.name, i: true, proof, parent_container: box.atomicalId }
    const payload = { [main.name]: files['item-1'], args }
    const item = await wallet.operate('nft', payload, { to: [wallet.mine(1_000)], bitworkc: '88' })
    await world.mine(4)
    expect(await wallet.resolve(item.atomicalId)).toMatchObject({
      subtype: 'dmitem',
      $dmitem: 'item-1',
      $parent_container: box.atomicalId,
      $parent_container_name: 'wallet-box',
      $request_dmitem_status: { status: 'verified' },
    })
    const again = await wallet.api.call<Found<unknown>>(validate, ...asked)
    expect(again.result).toMatchObject({ atomical_id: item.atomicalId, status: 'verified' })
    const byName = await wallet.api.call<Found<unknown>>(
      'blockchain.atomicals.get_by_container_item',
      'wallet-box',
      'item-1',
    )
    expect(byName.result).toMatchObject({ atomical_id: item.atomicalId })
    const items = await wallet.api.call<unknown>('blockchain.atomicals.get_container_items', 'wallet-box', 10, 0)
    expect(items).toMatchObject({
      result: { item_data: { items: { 'item-1': { status: 'verified', $id: item.atomicalId } } } },
    })
  })

  it('stores a file, which is served under its name', async () => {
    const wallet = new AtomicalsWallet(world, 'dat')
    const words = Buffer.from('to whom it may concern')
    const payload = { 'note.txt': words, typed: { $ct: 'text/x-note', $b: words } }
    const { revealTxid } = await wallet.operate('dat', payload, { to: [wallet.mine(1_000)], bitworkr: '9' })
    expect(revealTxid).toMatch(/^9/)
    await world.mine()
    for (const [name, type] of [
      ['note.txt', 'text/plain; charset=utf-8'],
      ['typed', 'text/x-note'],
    ]) {
      const reply = await fetch(`http://127.0.0.1:${world.port}/urn/atom:btc:dat:${revealTxid}i0/${name}`)
      expect([reply.status, reply.headers.get('content-type')]).toEqual([200, type])
      expect(await reply.text()).toBe(words.toString())
    }
  })
})

interface PendingCandidate {
  readonly make_payment_from_height: number
  readonly payment_due_no_later_than_height: number
  readonly applicable_rule: { readonly matched_rule: MintRule }
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function sha256dHex(bytes: Uint8Array): string {
  return sha256Hex(createHash('sha256').update(bytes).digest())
}

/** Leaf of an item that may be minted with any work, as atomicals-js makes trees. */
function leafOf(name: string, main: string, file: Uint8Array): Buffer {
  return createHash('sha256')
    .update(`${name}:any:any:${main}:${sha256dHex(file)}`)
    .digest()
}

/** Undefined for what the server does not know yet. */
async function found<T>(asked: Promise<T>): Promise<T | undefined> {
  return asked.catch((error: unknown) => {
    if (error instanceof Error && /not found/.test(error.message)) return undefined
    throw error
  })
}
