import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, BITCOIN_ADDRESSES } from '../../../src/chain/address.ts'
import { parseWholeTx, serializeTx, type Tx, type TxOutput } from '../../../src/chain/tx.ts'
import { ERROR_CODES } from '../../../src/errors.ts'
import { concat, fromHex, toDisplayHex, toHex } from '../../../src/lib/bytes.ts'
import type { FaultHook } from '../../../src/regtest/http.ts'
import {
  compactAt,
  encodeCbor,
  envelopeWitness,
  type Outpoint,
  out,
  type Plain,
  spend,
} from '../../support/atomicals-chain.ts'
import { scriptOf } from '../../support/chain-builder.ts'
import { entry, psbt0, psbt2 } from '../../support/psbt-builder.ts'
import type { WireClient } from '../../support/wire-client.ts'
import { Station } from '../protocol/station.ts'

const WORK = '1234'
/** Taproot: what commits pay to. */
const COMMIT: Uint8Array = concat(fromHex('5120'), new Uint8Array(32).fill(7))
const BURNS = { code: ERROR_CODES.atomicalsRule.code }

interface Decoded {
  readonly op: readonly string[]
  readonly burned: Readonly<Record<string, number>>
  readonly op_payload?: unknown
  readonly atomicals: readonly { readonly atomical_id: string; readonly confirmed: boolean }[]
  readonly inputs: Readonly<Record<string, Readonly<Record<string, number>>>>
  readonly outputs: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** The whole server over the built-in node, with mints made by real commits and reveals. */
describe('transactions that are looked at before they are sent', () => {
  let station: Station
  let client: WireClient
  let tickers = 0
  /** The node gives no blocks away. */
  let hidden = false

  beforeAll(async () => {
    const fault: FaultHook = ({ kind, params }) =>
      hidden && kind === 'rest' && String(params).includes('/block/') ? { status: 503, body: 'not now' } : undefined
    station = await Station.start({ SERVICES: 'tcp://127.0.0.1:0,rpc://127.0.0.1:0' }, { fault })
    client = await station.client('1.6')
  })

  afterAll(async () => {
    await station.stop()
  })

  const ask = (method: string, ...params: unknown[]): Promise<unknown> => client.request(`blockchain.${method}`, params)
  const broadcast = (tx: Tx): Promise<unknown> => ask('transaction.broadcast', toHex(tx.raw))

  async function decoded(method: string, text: string): Promise<Decoded> {
    return ((await ask(`atomicals.${method}`, text)) as { readonly result: Decoded }).result
  }

  /** An output of the faucet, confirmed. */
  async function fund(satoshis = 100_000n): Promise<Outpoint> {
    const script = scriptOf(77)
    const txid = station.node.send(addressOf(script, BITCOIN_ADDRESSES.regtest)!, satoshis)
    const tx = parseWholeTx(fromHex(String(await station.rpc('getrawtransaction', txid))))
    await station.mine(1)
    return out(
      tx,
      tx.outputs.findIndex((output) => toHex(output.script) === toHex(script)),
    )
  }

  const commitOutput = (value: number): TxOutput => ({ value: BigInt(value), script: COMMIT })

  /** Commit and reveal of a token of `units`, sent and not mined. */
  async function mintToken(units: number): Promise<{ readonly reveal: Tx; readonly id: string }> {
    const from = [await fund()]
    const commit = spend({ from, to: [commitOutput(units + 5_000)], work: WORK, locktime: 500_000_000 })
    tickers += 1
    const payload: Plain = { args: { request_ticker: `tick${tickers}`, bitworkc: WORK } }
    const reveal = spend({ from: [out(commit)], to: [units], op: 'ft', payload })
    expect(await broadcast(commit)).toBe(toDisplayHex(commit.txid))
    expect(await broadcast(reveal)).toBe(toDisplayHex(reveal.txid))
    return { reveal, id: compactAt(commit) }
  }

  async function mintNft(): Promise<{ readonly reveal: Tx; readonly id: string }> {
    const commit = spend({ from: [await fund()], to: [commitOutput(10_000)] })
    const reveal = spend({ from: [out(commit)], to: [5_000], op: 'nft', payload: { a: 1 } })
    await broadcast(commit)
    await broadcast(reveal)
    return { reveal, id: compactAt(commit) }
  }

  async function isInMempool(tx: Tx): Promise<boolean> {
    return ((await station.rpc('getrawmempool')) as string[]).includes(toDisplayHex(tx.txid))
  }

  it('are refused with 800422 before the node sees them if they burn tokens, and taken if they do not', async () => {
    const { reveal, id } = await mintToken(6_000)
    await station.mine(1)
    const burning = spend({ from: [out(reveal)], to: [2_500] })
    const message = expect.stringMatching(
      `rejected by atomicals rules\\.\\n\\n3500 of 6000 units of ${id} find no output`,
    ) as string
    await expect(broadcast(burning)).rejects.toMatchObject({ ...BURNS, message })
    await expect(ask('atomicals.validate', toHex(burning.raw))).rejects.toMatchObject({ ...BURNS, message })
    expect(await isInMempool(burning)).toBe(false)
    expect((await decoded('decode_tx', toHex(burning.raw))).burned).toEqual({ [id]: 3_500 })

    const good = spend({ from: [out(reveal), await fund()], to: [2_000, 4_000, 90_000] })
    expect(await ask('atomicals.validate', toHex(good.raw))).toBe(toDisplayHex(good.txid))
    expect(await isInMempool(good)).toBe(false)
    expect(await broadcast(good)).toBe(toDisplayHex(good.txid))
    expect(await isInMempool(good)).toBe(true)
  })

  it('are judged by what they spend of the mempool, and forced all the same', async () => {
    const { reveal, id } = await mintToken(8_000)
    expect(await isInMempool(reveal)).toBe(true)
    const middle = spend({ from: [out(reveal), await fund()], to: [3_000, 5_000, 90_000] })
    // The fund was mined, and the mint with it: the next one goes on unconfirmed.
    await broadcast(middle)
    const burning = spend({ from: [out(middle, 1)], to: [1_000] })
    await expect(broadcast(burning)).rejects.toMatchObject(BURNS)
    const { inputs, atomicals } = await decoded('decode_tx', toHex(burning.raw))
    expect(inputs).toEqual({ '0': { [id]: 5_000 } })
    expect(atomicals[0]).toMatchObject({ atomical_id: id, confirmed: true })

    const force = await ask('transaction.broadcast_force', toHex(burning.raw))
    expect(force).toBe(toDisplayHex(burning.txid))
    expect(await isInMempool(burning)).toBe(true)
    await station.mine(1)
    const mined = await ask('atomicals.transaction', toDisplayHex(burning.txid))
    expect(mined).toMatchObject({ transfers: { is_burned: true, burned_fts: { [id]: 4_000 } } })
  })

  it('are judged in a package by what they spend of one another, which is refused whole or forced', async () => {
    const { reveal, id } = await mintToken(8_000)
    const [forParent, forChild] = [await fund(), await fund()]
    const parent = spend({ from: [out(reveal), forParent], to: [3_000, 5_000, 99_000] })
    const burning = spend({ from: [out(parent, 1), forChild], to: [1_000] })
    const send = (name: string, txs: readonly Tx[], verbose = false): Promise<unknown> =>
      ask(
        `transaction.${name}`,
        txs.map(({ raw }) => toHex(raw)),
        verbose,
      )
    const message = expect.stringMatching(
      `the tx package was rejected by atomicals rules\\.\n\n` +
        `${toDisplayHex(burning.txid)}: 4000 of 5000 units of ${id} find no output\nblockchain.transaction.broadcast_package_force`,
    ) as string
    await expect(send('broadcast_package', [parent, burning])).rejects.toMatchObject({ ...BURNS, message })
    expect([await isInMempool(parent), await isInMempool(burning)]).toEqual([false, false])
    // Alone the child spends what nobody knows: the package is what tells of the tokens.
    await expect(broadcast(burning)).rejects.toMatchObject({ code: 1 })

    const good = spend({ from: [out(parent, 1), forChild], to: [2_000, 3_000, 90_000] })
    expect(await send('broadcast_package', [parent, good])).toEqual({ success: true })
    expect([await isInMempool(parent), await isInMempool(good)]).toEqual([true, true])
    const next = spend({ from: [out(good, 0), await fund()], to: [2_000, 95_000] })
    const worse = spend({ from: [out(next)], to: [1_000] })
    await expect(send('broadcast_package', [next, worse])).rejects.toMatchObject(BURNS)
    expect(await send('broadcast_package_force', [next, worse], true)).toMatchObject({ package_msg: 'success' })
    expect(await isInMempool(worse)).toBe(true)
  })

  it('can be a commit with its reveal, and what spends the mint, in one package', async () => {
    const commit = spend({ from: [await fund()], to: [commitOutput(12_000)], work: WORK, locktime: 500_000_000 })
    const payload: Plain = { args: { request_ticker: 'packed', bitworkc: WORK } }
    const reveal = spend({ from: [out(commit)], to: [7_000], op: 'ft', payload })
    const burning = spend({ from: [out(reveal)], to: [1_000] })
    const raws = [commit, reveal, burning].map(({ raw }) => toHex(raw))
    const message = expect.stringContaining(`6000 of 7000 units of ${compactAt(commit)}`) as string
    await expect(ask('transaction.broadcast_package', raws)).rejects.toMatchObject({ ...BURNS, message })
    expect(await ask('transaction.broadcast_package', raws.slice(0, 2))).toEqual({ success: true })
  })

  it('are refused with code 1 in a package that is none, by the node or before it', async () => {
    const tx = toHex(spend({ from: [await fund()], to: [50_000] }).raw)
    const refused = (raws: readonly string[], words: string) => {
      const message = expect.stringContaining(words) as string
      return expect(ask('transaction.broadcast_package', raws)).rejects.toMatchObject({ code: 1, message })
    }
    await refused([tx, tx], 'the tx package spends an output twice')
    await refused(
      Array.from({ length: 26 }, () => tx),
      '25 transactions at most',
    )
    await refused([tx, 'deadbeef'], 'the tx package was rejected by network rules')
    await refused([], 'the tx package was rejected by network rules')
    const { reveal } = await mintToken(6_000)
    const parent = spend({ from: [out(reveal), await fund()], to: [6_000, 99_000] })
    const child = spend({ from: [out(parent)], to: [5_000] })
    await refused([toHex(child.raw), toHex(parent.raw)], 'the tx package was rejected by network rules')
    expect(await isInMempool(child)).toBe(false)
  })

  it('are left to the node in a package that spends tokens that were spent in a block before', async () => {
    const { reveal } = await mintToken(6_000)
    const moved = spend({ from: [out(reveal), await fund()], to: [6_000, 99_000] })
    // To a script of its own, so that the one it came from holds nothing of it any more.
    const away = spend({ from: [out(moved), await fund()], to: [{ value: 6_000n, script: scriptOf(78) }] })
    await broadcast(moved)
    await broadcast(away)
    await station.mine(1)
    const again = spend({ from: [out(moved), await fund()], to: [{ value: 6_000n, script: scriptOf(79) }] })
    const child = spend({ from: [out(again)], to: [6_000] })
    for (const txs of [[again], [again, child], [moved, again], [away, child]]) {
      const raws = txs.map(({ raw }) => toHex(raw))
      // The node says it of each transaction, or of the whole where that is no package.
      const said: unknown = await ask('transaction.broadcast_package', raws).catch((error: unknown) => error)
      const { success = false, code = 1 } = said as { readonly success?: boolean; readonly code?: number }
      expect({ success, code }).toEqual({ success: false, code: 1 })
    }
  })

  it('are coloured by mints that are not confirmed either', async () => {
    const { reveal, id } = await mintToken(9_000)
    const burning = spend({ from: [out(reveal)], to: [1_000] })
    await expect(broadcast(burning)).rejects.toMatchObject(BURNS)
    const { inputs, outputs, atomicals, burned } = await decoded('decode_tx', toHex(burning.raw))
    expect(inputs).toEqual({ '0': { [id]: 9_000 } })
    expect(outputs).toEqual({ '0': { [id]: 1_000 } })
    expect(burned).toEqual({ [id]: 8_000 })
    expect(atomicals).toEqual([{ atomical_id: id, type: 'FT', confirmed: false }])
  })

  it('show what they mint before they are sent', async () => {
    const commit = spend({ from: [await fund()], to: [commitOutput(10_000)] })
    await broadcast(commit)
    const reveal = spend({ from: [out(commit)], to: [5_000], op: 'nft', payload: { a: 1 } })
    const { op, op_payload, outputs } = await decoded('decode_tx', toHex(reveal.raw))
    expect({ op, op_payload, outputs }).toEqual({
      op: ['nft'],
      op_payload: { a: 1 },
      outputs: { '0': { [compactAt(commit)]: 5_000 } },
    })
    // A name without the work for it is no mint.
    const unnamed = spend({ from: [out(commit)], to: [5_000], op: 'nft', payload: { args: { request_realm: 'abc' } } })
    expect((await decoded('decode_tx', toHex(unnamed.raw))).outputs).toEqual({})
  })

  it('that lose an NFT by z are taken, as the reference does, and say that it is burnt', async () => {
    const { reveal, id } = await mintNft()
    await station.mine(1)
    const losing = spend({ from: [out(reveal)], to: [1_000], op: 'z', payload: { other: 1 } })
    expect((await decoded('decode_tx', toHex(losing.raw))).burned).toEqual({ [id]: 5_000 })
    expect(await ask('atomicals.validate', toHex(losing.raw))).toBe(toDisplayHex(losing.txid))
    const { result } = (await ask('atomicals.validate_tx_blueprint', toHex(losing.raw))) as {
      readonly result: Readonly<Record<string, unknown>>
    }
    expect(result).toMatchObject({
      operation_found_at_inputs: { op: 'z', input_index: 0, payload: { other: 1 } },
      nft_output_blueprint: { outputs: {}, nfts_burned: { [id]: 5_000 } },
    })
    const moved = spend({ from: [out(reveal)], to: [1_000] })
    expect((await decoded('decode_tx', toHex(moved.raw))).outputs).toEqual({ '0': { [id]: 5_000 } })
  })

  it('say the same as PSBT of either version, in hex and in base64', async () => {
    const { reveal, id } = await mintToken(7_000)
    const tx = spend({ from: [out(reveal)], to: [1_000, 5_500] })
    const whole = await decoded('decode_tx', toHex(tx.raw))
    const blueprint = await ask('atomicals.validate_tx_blueprint', toHex(tx.raw))
    expect(whole.outputs).toEqual({ '0': { [id]: 1_000 }, '1': { [id]: 5_500 } })
    for (const psbt of [psbt0(tx), psbt2(tx)]) {
      for (const text of [toHex(psbt), Buffer.from(psbt).toString('base64')]) {
        expect(await decoded('decode_psbt', text)).toEqual(whole)
        expect(await ask('atomicals.validate_psbt_blueprint', text)).toEqual(blueprint)
      }
    }
  })

  it('show the operation of a PSBT by its leaf script, and by the witness of an input that is final', async () => {
    const { reveal, id } = await mintToken(7_000)
    const payload = { [id]: { '1': 4_000 } }
    const tx = spend({ from: [out(reveal)], to: [1_000, 4_000] })
    const witness = envelopeWitness('z', encodeCbor(payload))
    const leaf = entry(0x15, concat(witness[1]!, Uint8Array.of(0xc0)), new Uint8Array(33))
    const final = entry(0x08, serializedWitness(tx, witness))
    for (const inputs of [[leaf], [final]]) {
      for (const make of [psbt0, psbt2]) {
        const { op, op_payload, outputs, burned } = await decoded('decode_psbt', toHex(make(tx, { inputs })))
        expect({ op, op_payload, outputs, burned }).toEqual({
          op: ['z'],
          op_payload: payload,
          outputs: { '1': { [id]: 4_000 } },
          burned: { [id]: 3_000 },
        })
      }
    }
  })

  it('are refused with -102, and not sent, while what they spend is in blocks that the index has not seen', async () => {
    const { reveal, id } = await mintToken(6_000)
    await station.mine(1)
    const [more, other] = [await fund(), await fund()]
    const plain = spend({ from: [await fund()], to: [50_000] })
    hidden = true
    const moved = spend({ from: [out(reveal), more], to: [6_000, 99_000] })
    station.node.submitTx(moved.raw)
    station.node.mine(2)
    const burning = spend({ from: [out(moved)], to: [1_000] })
    const busy = { code: ERROR_CODES.busy.code, message: expect.stringContaining('behind') as string }
    await expect(broadcast(burning)).rejects.toMatchObject(busy)
    await expect(ask('transaction.broadcast_package', [toHex(burning.raw)])).rejects.toMatchObject(busy)
    await expect(ask('atomicals.validate', toHex(burning.raw))).rejects.toMatchObject(busy)
    await expect(ask('atomicals.decode_tx', toHex(burning.raw))).rejects.toMatchObject(busy)
    expect(await isInMempool(burning)).toBe(false)
    // What stands on nothing of these blocks goes as always, and what nobody has is the node's to refuse.
    expect(await broadcast(plain)).toBe(toDisplayHex(plain.txid))
    const nobodys = spend({ from: [other, { txid: new Uint8Array(32).fill(8), vout: 0 }], to: [1_000] })
    await expect(broadcast(nobodys)).rejects.toMatchObject({ code: 1 })

    hidden = false
    await station.mine(1)
    await expect(broadcast(burning)).rejects.toMatchObject({
      ...BURNS,
      message: expect.stringContaining(`5000 of 6000 units of ${id}`) as string,
    })
  })

  it('are refused by the node with code 1, and garbage as well', async () => {
    const unknown = spend({ from: [{ txid: new Uint8Array(32).fill(9), vout: 0 }], to: [1_000] })
    const message = expect.stringContaining('missing') as string
    await expect(broadcast(unknown)).rejects.toMatchObject({ code: 1, message })
    for (const garbage of ['00', 'deadbeef']) {
      await expect(ask('transaction.broadcast', garbage)).rejects.toMatchObject({ code: 1 })
      await expect(ask('transaction.broadcast_force', garbage)).rejects.toMatchObject({ code: 1 })
      for (const method of [
        'validate',
        'validate_tx_blueprint',
        'decode_tx',
        'validate_psbt_blueprint',
        'decode_psbt',
      ]) {
        const unreadable = { code: 1, message: expect.stringMatching(/cannot be read/) as string }
        await expect(ask(`atomicals.${method}`, garbage)).rejects.toMatchObject(unreadable)
      }
    }
  })

  it('are refused with code 1 if they spend an output twice or stand on too many that are unknown', async () => {
    const { reveal } = await mintToken(6_000)
    const twice = spend({ from: [out(reveal), out(reveal)], to: [1_000] })
    await expect(ask('atomicals.decode_tx', toHex(twice.raw))).rejects.toMatchObject({
      code: 1,
      message: expect.stringContaining('twice') as string,
    })
    const many = Array.from({ length: 101 }, (_, i) => ({ txid: new Uint8Array(32).fill(i + 1), vout: 0 }))
    await expect(ask('atomicals.validate', toHex(spend({ from: many, to: [1_000] }).raw))).rejects.toMatchObject({
      code: 1,
      message: expect.stringContaining('more than 100 transactions') as string,
    })
  })
})

/** The witness alone, as it is written behind the outputs. */
function serializedWitness(tx: Tx, witness: readonly Uint8Array[]): Uint8Array {
  const inputs = tx.inputs.map((input) => ({ ...input, witness }))
  const { version, outputs, locktime } = tx
  const bytes = serializeTx({ version, inputs, outputs, locktime })
  return bytes.subarray(tx.baseSize - 4 + 2, -4)
}
