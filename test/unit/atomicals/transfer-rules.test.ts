import { describe, expect, it } from 'vitest'
import { compactOfIdText, idText } from '../../../src/atomicals/id-text.ts'
import type { OperationName } from '../../../src/atomicals/operation.ts'
import { colour, type TxOperation } from '../../../src/atomicals/steps/colour.ts'
import type { AtomicalKind, SpentHolding } from '../../../src/atomicals/transfer/holding.ts'
import { fromHex } from '../../../src/lib/bytes.ts'
import { CborMap } from '../../../src/lib/cbor/values.ts'
import { decodeCbor } from '../../../src/lib/cbor.ts'
import { burnOutput, encodeCbor, type PlainMap, spend } from '../../support/atomicals-chain.ts'

const BEFORE_DMINT = { byInput: false, partial: false }
const BEFORE_CUSTOM = { byInput: true, partial: false }
const NOW = { byInput: true, partial: true }

function id(n: number): string {
  return idText(new Uint8Array(32).fill(n), 0)
}

const compact = (n: number): string => compactOfIdText(id(n))

function held(kind: AtomicalKind, n: number, input: number, value: number, satoshis = value): SpentHolding {
  return { id: id(n), kind, immutable: false, value: BigInt(value), input, satoshis: BigInt(satoshis) }
}

const ft = (n: number, input: number, value: number, satoshis = value): SpentHolding =>
  held('FT', n, input, value, satoshis)
const nft = (n: number, input = 0): SpentHolding => held('NFT', n, input, 1000)

function operation(op: OperationName, payload: PlainMap = {}, inputIndex = 0): TxOperation {
  const map = decodeCbor(encodeCbor(payload))
  if (!(map instanceof CborMap)) throw new Error('not a map')
  return { op, inputIndex, payload: map }
}

/** Where everything goes: `[output, number of the id, units]`, NFTs without units. */
function move(
  outputs: Parameters<typeof spend>[0]['to'],
  spent: readonly SpentHolding[],
  rules: typeof NOW,
  done?: TxOperation,
) {
  const tx = spend({ from: [{ txid: new Uint8Array(32), vout: 0 }], to: outputs })
  const coloured = colour({ tx, txid: tx.txid, txNum: 7, height: 1 }, spent, done, rules)
  if (coloured === undefined) return undefined
  const { blueprint } = coloured
  const number = (text: string): number => text.charCodeAt(0)
  return {
    tokens: [...blueprint.tokens.entries()].map(({ output, id: of, value }) => [output, number(of), Number(value)]),
    nfts: blueprint.nfts.map(({ output, id: of }) => [output, number(of)]),
    burnt: [...blueprint.burnt].map(([of, value]) => [number(of), Number(value)]),
    lost: blueprint.lostNfts.map(number),
    clean: blueprint.clean,
    effects: coloured.effects,
    activity: coloured.activity,
  }
}

describe('tokens by a regular transfer', () => {
  it('fill outputs one after the other and the next token begins behind', () => {
    const result = move([600, 400, 700], [ft(1, 0, 1000), ft(2, 1, 700)], NOW)
    expect(result?.tokens).toEqual([
      [0, 1, 600],
      [1, 1, 400],
      [2, 2, 700],
    ])
    expect(result).toMatchObject({ burnt: [], clean: true, activity: 'transfer' })
  })

  it('go by the id before DMINT and by the first input from then on', () => {
    const spent = [ft(2, 0, 500), ft(1, 1, 500)]
    expect(move([500, 500], spent, BEFORE_DMINT)?.tokens).toEqual([
      [0, 1, 500],
      [1, 2, 500],
    ])
    expect(move([500, 500], spent, BEFORE_CUSTOM)?.tokens).toEqual([
      [0, 2, 500],
      [1, 1, 500],
    ])
  })

  it('burn what does not fill an output before CUSTOM_COLORING, and colour the output in part from then on', () => {
    expect(move([600, 600], [ft(1, 0, 1000)], BEFORE_CUSTOM)).toMatchObject({
      tokens: [[0, 1, 600]],
      burnt: [[1, 400]],
    })
    expect(move([600, 600], [ft(1, 0, 1000)], NOW)).toMatchObject({
      tokens: [
        [0, 1, 600],
        [1, 1, 400],
      ],
      burnt: [],
      clean: false,
    })
  })

  it('pass over unspendable outputs', () => {
    expect(move([burnOutput(1000), 1000], [ft(1, 0, 1000)], NOW)?.tokens).toEqual([[1, 1, 1000]])
    expect(move([burnOutput(1000)], [ft(1, 0, 1000)], NOW)).toMatchObject({ tokens: [], burnt: [[1, 1000]] })
  })

  it('if one token does not find its place, all tokens begin at output 0 and may share outputs', () => {
    const spent = [ft(1, 0, 1000), ft(2, 1, 300)]
    expect(move([1000, 400], spent, BEFORE_CUSTOM)).toMatchObject({ tokens: [[0, 1, 1000]], burnt: [[2, 300]] })
    expect(move([300, 700], spent, BEFORE_CUSTOM)?.tokens).toEqual([
      [0, 1, 300],
      [0, 2, 300],
      [1, 1, 700],
    ])
    expect(move([1000], spent, NOW)?.tokens).toEqual([
      [0, 1, 1000],
      [0, 2, 300],
    ])
  })

  it('from CUSTOM_COLORING a token that finds no output after those of the tokens before it is reported as burnt', () => {
    const result = move([1000, burnOutput()], [ft(1, 0, 1000), ft(2, 1, 300)], NOW)
    expect(result?.tokens).toEqual([
      [0, 1, 1000],
      [0, 2, 300],
    ])
    expect(result?.burnt).toEqual([[2, 300]])
  })

  it('colour the first output with no units if there are none', () => {
    expect(move([500, 500], [ft(1, 0, 0, 0)], NOW)?.tokens).toEqual([[0, 1, 0]])
    expect(move([500, 500], [ft(1, 0, 0, 0)], BEFORE_CUSTOM)?.tokens).toEqual([])
  })
})

describe('NFTs by a regular transfer', () => {
  it('go to the output of their input before DMINT', () => {
    expect(move([1, 1, 1], [nft(1, 1), nft(2, 2)], BEFORE_DMINT)?.nfts).toEqual([
      [1, 1],
      [2, 2],
    ])
  })

  it('go to outputs in the order of the inputs that have any from DMINT on', () => {
    expect(move([1, 1, 1], [nft(1, 1), nft(3, 1), nft(2, 4)], NOW)?.nfts).toEqual([
      [0, 1],
      [0, 3],
      [1, 2],
    ])
  })

  it('output 0 takes what has no other place, even if it is itself unspendable', () => {
    expect(move([burnOutput()], [nft(1, 0), nft(2, 1)], NOW)?.nfts).toEqual([
      [0, 1],
      [0, 2],
    ])
    expect(move([1, burnOutput()], [nft(1, 0), nft(2, 1)], NOW)?.nfts).toEqual([
      [0, 1],
      [0, 2],
    ])
    expect(move([1], [nft(2, 5)], BEFORE_DMINT)?.nfts).toEqual([[0, 2]])
  })
})

describe('x, the splat', () => {
  it('gives each NFT an output of its own by id, and leaves tokens as they are', () => {
    const result = move([1, burnOutput(), 1000], [nft(3), nft(1), nft(2), ft(9, 0, 1)], NOW, operation('x'))
    expect(result?.nfts).toEqual([
      [0, 1],
      [0, 2],
      [2, 3],
    ])
    expect(result?.tokens).toEqual([[0, 9, 1]])
    expect(result?.activity).toBe('splat')
  })

  it('means nothing behind an operation with an empty payload', () => {
    expect(move([1, 1], [nft(2), nft(1)], NOW, operation('x', {}, 1))?.nfts).toEqual([
      [0, 2],
      [0, 1],
    ])
  })
})

describe('y, the split', () => {
  it('passes over outputs up to the satoshis named for each token, and puts NFTs to output 0', () => {
    const done = operation('y', { [compact(1)]: 500 })
    const result = move([300, 200, 1000, 500], [ft(1, 0, 1000), ft(2, 0, 300), nft(3, 2)], NOW, done)
    expect(result?.tokens).toEqual([
      [2, 1, 1000],
      [0, 2, 300],
    ])
    expect(result?.nfts).toEqual([[0, 3]])
  })

  it('a split does not pass over unspendable outputs', () => {
    expect(move([burnOutput(400), 600], [ft(1, 0, 1000)], NOW, operation('y'))?.tokens).toEqual([
      [0, 1, 400],
      [1, 1, 600],
    ])
  })

  it('before CUSTOM_COLORING a split ends, and burns the rest, at an output that is larger than what is left', () => {
    const result = move([600, 400], [ft(1, 0, 1000)], BEFORE_CUSTOM, operation('y'))
    expect(result).toMatchObject({ tokens: [[0, 1, 600]], burnt: [[1, 400]], clean: false })
  })

  it('after a split no token counts as the first, so no event is posted and no operation noted for it', () => {
    expect(move([1000], [ft(1, 0, 1000)], NOW, operation('y'))?.activity).toBeUndefined()
    expect(move([1000], [nft(1)], NOW, operation('y'))?.activity).toBe('split')
  })

  it('counts true as 1 and takes nothing but integers', () => {
    const skip = (amount: PlainMap[string]) =>
      move([1, 1000], [ft(1, 0, 1000)], NOW, operation('y', { [compact(1)]: amount }))?.tokens[0]?.[0]
    expect([skip(true), skip(1), skip('1'), skip(-5), skip(null)]).toEqual([1, 1, 0, 0, 0])
  })
})

describe('z, the custom colouring', () => {
  const z = (payload: PlainMap) => operation('z', payload)

  it('gives each output what is named for it, as far as output and token reach', () => {
    const result = move([600, 600, 600], [ft(1, 0, 1000)], NOW, z({ [compact(1)]: { '0': 300, '2': 5000 } }))
    expect(result).toMatchObject({
      tokens: [
        [0, 1, 300],
        [2, 1, 600],
      ],
      burnt: [[1, 100]],
      clean: false,
    })
  })

  it('never assigns more than remains', () => {
    const result = move([600, 600], [ft(1, 0, 700)], NOW, z({ [compact(1)]: { '0': 600, '1': 600 } }))
    expect(result).toMatchObject({
      tokens: [
        [0, 1, 600],
        [1, 1, 100],
      ],
      burnt: [],
    })
  })

  it('burns tokens that are not named', () => {
    expect(move([600], [ft(1, 0, 600)], NOW, z({}))).toMatchObject({
      tokens: [],
      burnt: [[1, 600]],
      activity: undefined,
    })
  })

  it('reads keys and amounts as Python does', () => {
    const named = z({ [compact(1)]: { ' 0': '300', x: 5, '1': null } })
    expect(move([600, 600], [ft(1, 0, 1000)], NOW, named)?.tokens).toEqual([[0, 1, 300]])
  })

  it('takes an output named by an integer as one named by its digits', () => {
    const text = Buffer.from(compact(1))
    const named = (key: string): TxOperation => {
      const payload = decodeCbor(Buffer.concat([fromHex('a17842'), text, fromHex(`a1${key}190222`)]))
      if (!(payload instanceof CborMap)) throw new Error('not a map')
      return { op: 'z', inputIndex: 0, payload }
    }
    for (const key of ['01', '6131']) {
      expect(move([546, 546], [nft(1)], NOW, named(key))?.nfts).toEqual([[1, 1]])
    }
  })

  it('an NFT that z names for several outputs goes to output 0; one that it does not name is lost', () => {
    const several = { [compact(1)]: { '1': 5, '2': 5 }, [compact(2)]: { '1': 1 }, [compact(3)]: { '1': 0 } }
    expect(move([1, 1, 1], [nft(1), nft(2), nft(3), nft(4)], NOW, z(several))).toMatchObject({
      nfts: [
        [0, 1],
        [1, 2],
      ],
      lost: [3, 4],
    })
  })

  it('counts an NFT as lost only when nothing of it was allocated', () => {
    expect(move([1, 1], [nft(1)], NOW, z({ [compact(1)]: { '1': 1 } }))).toMatchObject({ nfts: [[1, 1]], lost: [] })
  })

  it('z before CUSTOM_COLORING is a regular transfer', () => {
    const result = move([500, 500], [ft(1, 0, 1000)], BEFORE_CUSTOM, z({ [compact(1)]: 7 }))
    expect(result?.tokens).toEqual([
      [0, 1, 500],
      [1, 1, 500],
    ])
  })

  it('is no operation where amounts are no map or infinite, so that the caller asks without it', () => {
    expect(move([500], [ft(1, 0, 500)], NOW, z({ [compact(1)]: 7 }))).toBeUndefined()
    expect(move([500], [ft(1, 0, 500)], NOW, z({ [compact(2)]: 7 }))).toBeDefined()
  })
})

describe('operations that ride on a transfer', () => {
  it('post an event to NFTs where they go; an event is posted to the first token only, at output 0', () => {
    const result = move([1000, 500, 500], [ft(2, 0, 1000), ft(1, 1, 500), nft(3, 2)], NOW, operation('evt'))
    const events = result?.effects.filter(({ kind }) => kind === 'change')
    expect(events).toEqual([
      { kind: 'change', id: id(3), change: 'evt', output: 0 },
      { kind: 'change', id: id(2), change: 'evt', output: 0 },
    ])
  })

  it('change the state of NFTs but not of tokens', () => {
    const result = move([1000, 500], [nft(1), ft(2, 1, 500)], NOW, operation('mod'))
    expect(result?.effects.filter(({ kind }) => kind === 'change')).toEqual([
      { kind: 'change', id: id(1), change: 'mod', output: 0 },
    ])
  })

  it('leave immutable NFTs as they are but seal them', () => {
    const fixed = { ...nft(1), immutable: true }
    const change = move([1], [fixed], NOW, operation('mod'))
    expect(change).toMatchObject({ activity: undefined })
    expect(change?.effects.map(({ kind }) => kind)).toEqual(['hold'])
    expect(move([1], [fixed], NOW, operation('sl'))?.effects).toEqual([{ kind: 'seal', id: id(1), output: 0 }])
  })

  it('note operations that count for nothing behind an empty payload', () => {
    const result = move([1], [nft(1)], NOW, operation('mod', {}, 1))
    expect(result?.activity).toBe('mod')
    expect(result?.effects.map(({ kind }) => kind)).toEqual(['hold'])
  })
})
