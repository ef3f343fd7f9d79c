import { byText, type IdText, type Slots, type SpentHolding } from './holding.ts'

/** An NFT and the output that it goes to. */
export interface NftMove {
  readonly id: IdText
  readonly output: number
}

/** By input order, from DMINT: the NFTs of the k-th input that has any go to output k. */
export function moveByOrder(slots: Slots, nfts: readonly SpentHolding[]): NftMove[] {
  const outputOfInput = new Map<number, number>()
  return nfts.map(({ id, input }) => {
    const order = outputOfInput.get(input) ?? outputOfInput.size
    outputOfInput.set(input, order)
    return { id, output: slots.orFirst(order) }
  })
}

/** By equal index, before DMINT. */
export function moveByIndex(slots: Slots, nfts: readonly SpentHolding[]): NftMove[] {
  return nfts.map(({ id, input }) => ({ id, output: slots.orFirst(input) }))
}

/** By `x`: each to an output of its own, in the order of ids. */
export function moveApart(slots: Slots, nfts: readonly SpentHolding[]): NftMove[] {
  return [...nfts].sort((a, b) => byText(a.id, b.id)).map(({ id }, order) => ({ id, output: slots.orFirst(order) }))
}

/** By `y`: all to output 0. */
export function moveTogether(nfts: readonly SpentHolding[]): NftMove[] {
  return nfts.map(({ id }) => ({ id, output: 0 }))
}
