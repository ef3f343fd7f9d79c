import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { AtomicalsWallet, type Found, type NameResult } from '../support/atomicals-wallet.ts'
import { gettingClient, type ProxyClient, postingClient } from '../support/proxy-client.ts'
import { transactionOf } from '../support/taproot.ts'
import { MINER_KINDS, WalletWorld } from '../support/wallet-world.ts'

const NAME_WORK = '7777'
const ATOMICALS = 'blockchain.atomicals'

/** What is changed of an atomical, and what a wallet reads back, as atomicals-js and @wizz-btc/api ask. */
describe.each(MINER_KINDS)('a wallet of Atomicals, with $kind,', (miner) => {
  let world: WalletWorld

  beforeAll(async () => {
    world = await WalletWorld.start(miner)
  })

  afterAll(() => world?.stop())

  it('changes, deletes, posts and seals, and reads the state that it folds to', async () => {
    const wallet = new AtomicalsWallet(world, 'state')
    const first = {
      profile: { name: 'one', tags: ['a'] },
      gone: 1,
      'pic.png': { $ct: 'image/png', $b: Buffer.from('png') },
    }
    const { atomicalId: id } = await wallet.operate('nft', first, { to: [wallet.mine(1_000)] })
    await world.mine()
    const change = async (op: string, payload: Parameters<AtomicalsWallet['operate']>[1]): Promise<string> => {
      const plan = { with: [await wallet.located(id)], to: [wallet.mine(1_000)] }
      const { revealTxid } = await wallet.operate(op, payload, plan)
      await world.mine()
      return revealTxid
    }
    const set = await change('mod', { profile: { name: 'two' }, links: { x: 'y' } })
    const deleted = await change('mod', { gone: true, $a: 1 })
    const posted = await change('evt', { said: 'hello' })

    const { state } = await wallet.resolve(id, 'state')
    expect(state!.latest).toMatchObject({ profile: { name: 'two' }, links: { x: 'y' } })
    expect(state!.latest).not.toHaveProperty('gone')
    const { state: changes } = await wallet.resolve(id, 'state-history')
    const entries = [deleted, set].map((txid) => expect.objectContaining({ txid }) as unknown)
    expect(changes!.history).toEqual(expect.arrayContaining(entries))
    const { events } = await wallet.resolve(id, 'event-history')
    expect(events!.history).toEqual([expect.objectContaining({ txid: posted, data: { said: 'hello' } })])
    const picture = await fetch(`http://127.0.0.1:${world.port}/urn/atom:btc:id:${id}/pic.png`)
    expect([picture.headers.get('content-type'), await picture.text()]).toEqual(['image/png', 'png'])

    const sealed = await change('sl', {})
    expect(await wallet.resolve(id)).toMatchObject({ $sealed: `${sealed}i0` })
    // It has no place any more from which it could be changed.
    await expect(wallet.located(id)).rejects.toThrow('is nowhere')
    expect((await wallet.resolve(id, 'state')).state!.latest).toEqual(state!.latest)
  })

  describe('asking as both clients do,', () => {
    let wallet: AtomicalsWallet
    let clients: readonly (readonly [string, ProxyClient])[]
    let realm = ''
    let box = ''
    let token = ''

    beforeAll(async () => {
      wallet = new AtomicalsWallet(world, 'lookups')
      await wallet.deposit(300_000)
      const named = async (op: string, args: Readonly<Record<string, string>>, value: number): Promise<string> => {
        const { atomicalId } = await wallet.operate(op, { args }, { to: [wallet.mine(value)], bitworkc: NAME_WORK })
        return atomicalId
      }
      realm = await named('nft', { request_realm: 'look' }, 1_000)
      box = await named('nft', { request_container: 'look' }, 1_000)
      token = await named('ft', { request_ticker: 'look' }, 20_000)
      await world.mine(4)
      clients = ['/proxy', '/proxy-list', '/proxy-object'].flatMap((path) => [
        [`POST ${path}`, postingClient(world.port, path)] as const,
        [`GET ${path}`, gettingClient(world.port, path)] as const,
      ])
    })

    /** Asks each client and says what all of them were answered. */
    async function each<T>(method: string, ...params: unknown[]): Promise<T> {
      const answers = await Promise.all(clients.map(([, api]) => api.call<T>(method, ...params)))
      const plain = answers.map((answer) => JSON.stringify(answer).replace(/"server_time":"[^"]*"/, ''))
      expect(new Set(plain).size).toBe(1)
      return answers[0]!
    }

    it('finds by name, by id and by number', async () => {
      for (const [method, name, id] of [
        ['get_by_realm', 'look', realm],
        ['get_by_container', 'look', box],
        ['get_by_ticker', 'look', token],
      ]) {
        const { result } = await each<Found<NameResult>>(`${ATOMICALS}.${method}`, name)
        expect(result).toMatchObject({ status: 'verified', atomical_id: id, candidate_atomical_id: id })
        const none = await each<Found<NameResult>>(`${ATOMICALS}.${method}`, 'nobody')
        expect(none.result).toMatchObject({ candidates: [] })
        const whole = await each<Found>(`${ATOMICALS}.get`, id)
        expect(await each<Found>(`${ATOMICALS}.get`, whole.result.atomical_number)).toMatchObject({
          result: whole.result,
        })
      }
      for (const verbose of [0, 1]) {
        const { result } = await each<Found<NameResult>>(`${ATOMICALS}.get_realm_info`, 'look', verbose)
        expect(result).toMatchObject({ atomical_id: realm })
      }
    })

    it('searches with 0 and 1, null and nested lists', async () => {
      for (const [method, row] of [
        ['find_realms', { atomical_id: realm, realm: 'look' }],
        ['find_containers', { atomical_id: box, collection: 'look' }],
        ['find_tickers', { atomical_id: token, ticker: 'look' }],
      ] as const) {
        for (const params of [
          [null, 1],
          ['lo', 0],
          [undefined, 1],
        ]) {
          const { result } = await each<Found<readonly unknown[]>>(`${ATOMICALS}.${method}`, ...params)
          expect(result).toEqual([expect.objectContaining(row)])
        }
      }
      expect(await each(`${ATOMICALS}.find_subrealms`, realm, [null, 0])).toMatchObject({ result: [] })
      expect(await each(`${ATOMICALS}.find_subrealms`, realm, ['x', 1])).toMatchObject({ result: [] })
      const { result } = await each<Found<readonly unknown[]>>(`${ATOMICALS}.list`, 3, -1, 0)
      expect(result.length).toBeGreaterThan(0)
    })

    it('shows an atomical in every view, with the parameter that servers once had', async () => {
      for (const method of ['get_location', 'get_state_history', 'get_events', 'get_tx_history', 'get_ft_info']) {
        const id = method === 'get_ft_info' ? token : realm
        const { global, result } = await each<Found>(`${ATOMICALS}.${method}`, id)
        expect([global.height, result.atomical_id]).toEqual([await world.height(), id])
      }
      for (const verbose of [0, 1]) {
        expect(await each<Found>(`${ATOMICALS}.get_state`, realm, verbose)).toMatchObject({
          result: { atomical_id: realm },
        })
      }
      const { coin } = await wallet.located(realm)
      expect(await each(`${ATOMICALS}.at_location`, `${coin.txid}i0`)).toMatchObject({
        atomicals: [{ atomical_id: realm }],
      })
      expect(await each(`${ATOMICALS}.get_holders`, token)).toMatchObject([
        { percent: 1, address: wallet.owner.address, holding: 20_000 },
      ])
      expect(await each(`${ATOMICALS}.transaction`, coin.txid)).toMatchObject({ op: 'mint-nft-realm' })
      const items = await each<unknown>(`${ATOMICALS}.get_container_items`, 'look', 10, 0)
      expect(items).toMatchObject({ result: { container: { atomical_id: box }, item_data: { items: {} } } })
    })

    it('shows addresses, the chain and transactions', async () => {
      const { scripthash } = wallet.owner
      for (const params of [[scripthash], [scripthash, true]]) {
        const answers = await Promise.all(
          clients.map(([, api]) => api.call<{ atomicals: object }>(`${ATOMICALS}.listscripthash`, ...params)),
        )
        for (const { atomicals } of answers) expect(Object.keys(atomicals).sort()).toEqual([realm, box, token].sort())
      }
      const history = await each<readonly { tx_hash: string }[]>('blockchain.scripthash.get_history', scripthash)
      expect(history).toHaveLength(3)
      const height = await world.height()
      const { global } = await each<{ global: { atomicals_block_hashes: object } }>(`${ATOMICALS}.get_global`, 2)
      expect(Object.keys(global.atomicals_block_hashes)).toEqual([String(height - 1), String(height)])
      expect(await each(`${ATOMICALS}.get_block_txs`, height - 3)).toMatchObject({
        result: expect.arrayContaining(history.map(({ tx_hash: txid }) => txid)) as unknown,
      })
      const txid = history[0]!.tx_hash
      const raw = await each<string>('blockchain.transaction.get', txid, 0)
      expect(raw).toMatch(/^01000000/)
      expect(await each('blockchain.transaction.get', txid, 1)).toMatchObject({ txid, hex: raw })
      expect(await each('server.version')).toHaveLength(2)
      expect(await each('blockchain.estimatefee', 1)).toEqual(expect.any(Number))
      // Never had an answer of use to anybody; the clients still have it.
      await expect(each(`${ATOMICALS}.dump`)).rejects.toMatchObject({ status: 500, code: -32_601 })
    })

    it('validates and broadcasts by POST, and is told of a refusal with its code and text', async () => {
      const coin = await wallet.waitForCoin(wallet.funding.scripthash, 5_000)
      const api = gettingClient(world.port)
      const to = [{ script: wallet.funding.script, value: coin.value - 1_000 }]
      const tx = transactionOf({ from: [{ coin, key: wallet.funding }], to })
      expect(await api.call(`${ATOMICALS}.validate`, tx.hex)).toBe(tx.txid)
      expect(await api.call('blockchain.transaction.broadcast', tx.hex)).toBe(tx.txid)
      await world.mine()
      await expect(api.call('blockchain.transaction.broadcast', tx.hex)).rejects.toMatchObject({ status: 500, code: 1 })
      const burning = transactionOf({ from: await wallet.coinsOf(token), to: [wallet.mine(600)] })
      const refusal = { status: 422, code: 800_422, message: expect.stringContaining(token) as unknown }
      await expect(api.call(`${ATOMICALS}.validate`, burning.hex)).rejects.toMatchObject(refusal)
      await expect(api.call('blockchain.transaction.broadcast', burning.hex)).rejects.toMatchObject(refusal)
    })

    it('asks over a WebSocket without saying which JSON-RPC it speaks', async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${world.server.port('ws')}`)
      await once(socket, 'open')
      try {
        const answered = once(socket, 'message')
        socket.send(JSON.stringify({ id: 0, method: `${ATOMICALS}.get_realm_info`, params: ['look', 0] }))
        const [message] = (await answered) as [Buffer]
        expect(JSON.parse(message.toString())).toMatchObject({ id: 0, result: { result: { atomical_id: realm } } })
      } finally {
        socket.close()
      }
    })
  })
})
