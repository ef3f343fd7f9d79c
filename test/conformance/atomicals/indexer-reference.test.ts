import { describe, expect, it } from 'vitest'
import { compactOfIdText, idText, idTextOfCompact } from '../../../src/atomicals/id-text.ts'
import { type DistributedResult, judgeDistributed } from '../../../src/atomicals/mint/distributed.ts'
import { isProvenItem, readDmint } from '../../../src/atomicals/mint/dmitem.ts'
import { findOperation, type OperationName } from '../../../src/atomicals/operation.ts'
import { isPaid } from '../../../src/atomicals/payments.ts'
import { rulesOf } from '../../../src/atomicals/rules.ts'
import { foldState } from '../../../src/atomicals/state.ts'
import { requestStatus, subRequestStatus } from '../../../src/atomicals/statuses.ts'
import { colour, type TxOperation } from '../../../src/atomicals/steps/colour.ts'
import { type MintRequest, requestOf } from '../../../src/atomicals/steps/mint.ts'
import type { SpentHolding } from '../../../src/atomicals/transfer/holding.ts'
import { parseWholeTx, type Tx } from '../../../src/chain/tx.ts'
import { fromDisplayHex, fromHex } from '../../../src/lib/bytes.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { encodeCbor, type PlainMap } from '../../support/atomicals-chain.ts'
import { fixture } from '../../support/atomicals-replay.ts'
import { jsonOf } from '../../support/atomicals-values.ts'
import { buildTx } from '../../support/chain-builder.ts'

function rows<T>(name: string): T[] {
  const text = fixture('atomicals-reference', `${name}.jsonl.gz`).toString().trim()
  return text.split('\n').map((line) => JSON.parse(line) as T)
}

function mapOf(hex: string): CborMap {
  const value = decodeCbor(fromHex(hex))
  if (!(value instanceof CborMap)) throw new Error('not a map')
  return value
}

/** Some vectors have indexes that no text may name. */
function idOf(compact: string): string {
  return idText(fromDisplayHex(compact.slice(0, 64)), Number(compact.slice(65)))
}

type SpentRow = readonly [input: number, id: string, type: 'NFT' | 'FT', satoshis: number, value: number]

function holding([input, id, kind, satoshis, value]: SpentRow): SpentHolding {
  return { id: idOf(id), kind, immutable: false, value: BigInt(value), input, satoshis: BigInt(satoshis) }
}

function txWith(outputs: readonly (readonly [value: number, script: string])[], inputs = 3): Tx {
  return buildTx(
    Array.from({ length: inputs }, (_, i) => ({
      prevTxid: new Uint8Array(32).fill(i + 1),
      prevIndex: 0,
      script: new Uint8Array(0),
      sequence: 0,
      witness: [],
    })),
    outputs.map(([value, script]) => ({ value: BigInt(value), script: fromHex(script) })),
  )
}

interface Colouring {
  readonly nfts: unknown
  readonly fts: unknown
  readonly burnt: unknown
  readonly clean: boolean
}

function colouringOf(
  tx: Tx,
  spent: readonly SpentHolding[],
  operation: TxOperation | undefined,
  rules: { readonly byInput: boolean; readonly partial: boolean },
): Colouring & { readonly first: string | null } {
  const coloured = colour({ tx, txid: tx.txid, txNum: 1, height: 1 }, spent, operation, rules)
  if (coloured === undefined) throw new Error('the operation is ignored')
  const { blueprint } = coloured
  const compact = compactOfIdText
  return {
    nfts: sorted(blueprint.nfts.map(({ output, id }) => [output, compact(id)])),
    fts: sorted([...blueprint.tokens.entries()].map(({ output, id, value }) => [output, compact(id), Number(value)])),
    burnt: sorted([...blueprint.burnt].map(([id, value]) => [compact(id), Number(value)])),
    clean: blueprint.clean,
    first: blueprint.firstToken === undefined ? null : compact(blueprint.firstToken),
  }
}

function sorted(list: readonly unknown[]): unknown[] {
  return list.map((one) => JSON.stringify(one)).sort()
}

/** Tests of the reference that say which token is the first: that of the first input. */
const FIRST_TOKEN_IS_SAID =
  /^test_(empty_spends|spends_\w*ft_(burned|valid|multiple|single|partially|split)|custom_\w+1$)/
/** Tests of the reference that take the operation from the transaction as it is. */
const OPERATION_IS_IN_WITNESS = /_y_split_|_normal1$/

describe('what functions of the reference answer', () => {
  interface Vector {
    readonly name: string
    readonly raw: string
    readonly byInput: boolean
    readonly partial: boolean
    readonly spent: readonly { input: number; id: string; type: 'NFT' | 'FT'; satoshis: number; value: number }[]
    readonly operation: { op: OperationName; inputIndex: number; payload: PlainMap } | null
    readonly nfts: readonly { output: number; id: string }[]
    readonly fts: readonly { output: number; id: string; value: number }[]
    readonly burned: Record<string, number>
    readonly clean: boolean
    readonly payments?: readonly { readonly asked: PlainMap; readonly paid: boolean }[]
  }

  it.each(rows<Vector>('vectors').map((vector, i) => [`${i} ${vector.name}`, vector] as const))(
    'colours as the public vector %s',
    (_name, vector) => {
      const tx = parseWholeTx(fromHex(vector.raw))
      const spent = vector.spent.map(({ input, id, type, satoshis, value }) =>
        holding([input, id, type, satoshis, value]),
      )
      const { operation } = vector
      const payload = operation === null ? undefined : decodeCbor(encodeCbor(operation.payload))
      const own =
        operation !== null && payload instanceof CborMap
          ? { op: operation.op, inputIndex: operation.inputIndex, payload }
          : undefined
      const { first, ...result } = colouringOf(tx, spent, own, vector)
      if (FIRST_TOKEN_IS_SAID.test(vector.name)) expect(first).toBe(vector.spent[0]?.id ?? null)
      if (OPERATION_IS_IN_WITNESS.test(vector.name)) {
        const found = findOperation(tx, { argsMayHaveBytes: true })
        expect({ ...found, payload: jsonOf(found?.payload ?? null) }).toMatchObject({
          op: operation?.op,
          inputIndex: operation?.inputIndex,
          payload: jsonOf(payload ?? null),
        })
      }
      expect(result).toEqual({
        nfts: sorted(vector.nfts.map(({ output, id }) => [output, id])),
        fts: sorted(vector.fts.map(({ output, id, value }) => [output, id, value])),
        burnt: sorted(Object.entries(vector.burned)),
        clean: vector.clean,
      })
      const coloured = colour({ tx, txid: tx.txid, txNum: 1, height: 1 }, spent, own, vector)
      for (const { asked, paid } of vector.payments ?? []) {
        const demanded = decodeCbor(encodeCbor(asked))
        if (!(demanded instanceof CborMap) || coloured === undefined) throw new Error('not a map')
        expect(isPaid(demanded, tx, coloured.blueprint.tokens)).toBe(paid)
      }
    },
  )

  interface BlueprintCase extends Colouring {
    readonly outputs: readonly (readonly [number, string])[]
    readonly byInput: boolean
    readonly partial: boolean
    readonly spent: readonly SpentRow[]
    readonly op: OperationName | null
    readonly inputIndex: number
    readonly payload: string
    readonly nfts: readonly unknown[]
    readonly fts: readonly unknown[]
    readonly burnt: readonly unknown[]
    readonly first: string | null
  }

  it('colours as the reference in 4,000 random transactions', () => {
    for (const [i, one] of rows<BlueprintCase>('blueprints').entries()) {
      const operation =
        one.op === null ? undefined : { op: one.op, inputIndex: one.inputIndex, payload: mapOf(one.payload) }
      const own = colouringOf(txWith(one.outputs), one.spent.map(holding), operation, one)
      expect({ i, ...own }).toEqual({
        i,
        nfts: sorted(one.nfts),
        fts: sorted(one.fts),
        burnt: sorted(one.burnt),
        clean: one.clean,
        first: one.first,
      })
    }
  })

  interface MintCase {
    readonly op: OperationName
    readonly inputIndex: number
    readonly height: number
    readonly payload: string
    readonly result: Record<string, unknown> | null
  }

  const commitTxid = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b34127856')
  const revealTxid = fromHex('000102030405060708090a0b0c0d0e0f101112131415161718191a1bcdabffee')

  function asked(request: MintRequest): Record<string, unknown> {
    const { commit, reveal } = request.common.work
    const common = { $bitworkc: commit, $bitworkr: reveal }
    if (request.kind === 'nft') {
      const { name } = request
      return {
        type: 'NFT',
        ...common,
        $immutable: request.immutable ? true : undefined,
        ...(name === undefined ? {} : { [`$request_${name.kind}`]: name.name }),
        $claim_type: name?.kind === 'subrealm' ? name.claim : undefined,
        $parent_realm: name?.kind === 'subrealm' ? name.parent : undefined,
        $parent_container: name?.kind === 'dmitem' ? name.parent : undefined,
      }
    }
    if (request.kind === 'ft') return { type: 'FT', subtype: 'direct', ...common, $request_ticker: request.ticker }
    const { mintHeight, mintAmount, maxMints, mode } = request.terms
    return {
      type: 'FT',
      subtype: 'decentralized',
      ...common,
      $request_ticker: request.ticker,
      $mint_height: mintHeight,
      $mint_amount: mintAmount,
      $max_mints: maxMints,
      $mint_mode: mode.kind,
      ...(mode.kind === 'fixed'
        ? { $mint_bitworkc: mode.commitWork, $mint_bitworkr: mode.revealWork }
        : {
            $mint_bitwork_vec: mode.vector,
            commit: mode.commit,
            reveal: mode.reveal,
            $max_mints_global: mode.maxMintsGlobal,
          }),
    }
  }

  function answered(result: Record<string, unknown>): Record<string, unknown> {
    const { subtype, ...rest } = result
    const values: Record<string, unknown> = { ...rest, ...(subtype === null ? {} : { subtype }) }
    for (const key of ['$parent_realm', '$parent_container']) {
      const parent = values[key]
      if (typeof parent === 'string') values[key] = idTextOfCompact(parent)
    }
    for (const [side, letter] of [
      ['commit', 'c'],
      ['reveal', 'r'],
    ] as const) {
      const increment = values[`$mint_bitwork${letter}_inc`]
      const start = values[`$mint_bitwork${letter}_start`]
      delete values[`$mint_bitwork${letter}_inc`]
      delete values[`$mint_bitwork${letter}_start`]
      if (typeof increment === 'number' && increment > 0) values[side] = { increment, start }
    }
    return values
  }

  it('reads 6,000 random mints as the reference', () => {
    let minted = 0
    for (const [i, { op, inputIndex, height, payload, result }] of rows<MintCase>('mints').entries()) {
      const tx = buildTx(
        [{ prevTxid: commitTxid, prevIndex: 0, script: new Uint8Array(0), sequence: 0, witness: [] }],
        [{ value: 1000n, script: Uint8Array.of(0x51) }],
      )
      const operation = { op, inputIndex, payload: mapOf(payload) }
      const request = requestOf({ tx, txid: revealTxid }, operation, [], { density: height >= 100 })
      const own = request === undefined ? null : asked(request)
      expect({ i, own }).toEqual({ i, own: result === null ? null : answered(result) })
      if (request !== undefined) minted += 1
    }
    expect(minted).toBeGreaterThan(900)
  })

  it('folds 1,500 random histories as the reference', () => {
    for (const { changes, state } of rows<{ changes: string[]; state: string }>('states')) {
      const own = foldState(changes.map((hex, txNum) => ({ txNum, height: 1, payload: mapOf(hex) })))
      expect(jsonOf(own)).toEqual(jsonOf(mapOf(state)))
    }
  })

  interface RulesCase {
    readonly dmint: string
    readonly rules: readonly { p: string; c: string | null; r: string | null; o: boolean }[] | null
    readonly errors: readonly string[] | 'halt'
  }

  it('takes or voids 3,000 random rule sets as the reference, and says the same of the containers', () => {
    for (const [i, { dmint, rules, errors }] of rows<RulesCase>('rules').entries()) {
      const state = mapOf(dmint)
      const own = rulesOf(state.get('dmint'))?.map(({ source, commitWork, revealWork, outputs }) => ({
        p: source,
        c: commitWork ?? null,
        r: revealWork ?? null,
        o: outputs !== undefined,
      }))
      expect({ i, rules: own ?? null }).toEqual({ i, rules })
      if (errors !== 'halt') expect({ i, errors: readDmint(state, true)?.errors }).toEqual({ i, errors })
    }
  })

  it('takes or refuses 1,500 random proofs of items as the reference', () => {
    for (const [i, one] of rows<{ payload: string; dmint: string; valid: boolean }>('proofs').entries()) {
      const payload = mapOf(one.payload)
      const args = payload.get('args')
      const dmint = readDmint(mapOf(one.dmint), true)?.dmint
      if (!(args instanceof CborMap) || dmint === undefined) throw new Error('no case')
      expect({ i, valid: isProvenItem(dmint, payload, args) }).toEqual({ i, valid: one.valid })
    }
  })

  interface RampCase {
    readonly vector: string
    readonly start: number
    readonly increment: number
    readonly maxMints: number
    readonly count: number
    readonly rollover: boolean
    /** null: the reference halts. */
    readonly met: boolean | null
  }

  it('asks the work of 800 random perpetual tokens as the reference', () => {
    for (const [i, one] of rows<RampCase>('ramps').entries()) {
      const { vector, start, increment, maxMints, count, rollover, met } = one
      const commit = { start, increment }
      const mode = { kind: 'perpetual', vector, commit, reveal: undefined, maxMintsGlobal: undefined } as const
      const terms = { mintHeight: 0, mintAmount: 1000, maxMints, mode }
      const mint = { height: 9, commitHeight: 9, commitIndex: 0, value: 1000n, txs: { commitTxid, revealTxid } }
      const own: DistributedResult = judgeDistributed(terms, mint, () => count, { commitZero: true, rollover })
      expect({ i, own }).toEqual({ i, own: met === true ? 'minted' : 'ignored' })
    }
  })

  interface StatusCase {
    readonly kind: string
    readonly height: number
    readonly commit: number
    readonly reveal: number
    readonly holder: string | null
    readonly candidate: string | null
    readonly me: string
    readonly payment?: 'output' | 'parent' | 'work' | null
    readonly rule?: boolean
    readonly listed?: boolean
    readonly status: string | null
  }

  it('says what became of 1,500 random requests for names as the reference', () => {
    const rule = rulesOf(mapOfRules())?.[0]
    for (const [i, one] of rows<StatusCase>('statuses').entries()) {
      const id = idOf(one.me)
      const row = { commitHeight: one.commit, height: one.reveal }
      const holder =
        one.holder === null || one.candidate === null
          ? ({ status: 'none' } as const)
          : { status: one.holder as 'verified', id: idOf(one.candidate) }
      const payment =
        one.payment === null || one.payment === undefined ? undefined : { txNum: 1, location: id, kind: one.payment }
      const own = {
        id,
        txNum: 1,
        commitHeight: one.commit,
        isPaid: payment !== undefined,
        payment,
        rule: one.rule === true ? rule : undefined,
      }
      const sub = one.kind === 'subrealm' || one.kind === 'dmitem'
      const answer = sub
        ? subRequestStatus(id, row, one.listed === true ? [own] : [], holder, one.height)
        : requestStatus(id, row, holder)
      expect({ i, status: answer?.status }).toEqual({ i, status: one.status ?? 'none' })
    }
  })
})

function mapOfRules(): CborMap {
  const value = decodeCbor(encodeCbor({ rules: [{ p: '.*', bitworkc: 'any' }] }))
  if (!(value instanceof CborMap)) throw new Error('not a map')
  return value
}
