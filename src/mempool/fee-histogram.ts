/** [sat/vB, vsize in vB] in falling order of the rate. */
export type CompactHistogram = readonly (readonly [number, number])[]

/** Virtual bytes that the first bin holds at least; each later one holds 1.1 times as much (ElectrumX). */
const FIRST_BIN = 30_000
const GROWTH = 1.1

/** Virtual size by fee rate, kept up to date as transactions come and go. */
export class FeeHistogram {
  /** By rate in tenths of a sat/vB. */
  readonly #sizes = new Map<number, number>()

  add(fee: number, vsize: number): void {
    this.#change(tenthsOf(fee, vsize), vsize)
  }

  remove(fee: number, vsize: number): void {
    this.#change(tenthsOf(fee, vsize), -vsize)
  }

  /**
   * The bins of `mempool.get_fee_histogram`, cut as ElectrumX cuts them. A bin ends as soon as it is full, or before a
   * rate that alone would fill two; what is left over at the low end makes no bin. Its rate is the lowest in it, so a
   * transaction that pays it is ahead of all bins that follow.
   */
  compact(): CompactHistogram {
    const bins: [number, number][] = []
    let limit = FIRST_BIN
    let filled = 0
    let previous: number | undefined
    const close = (tenths: number): void => {
      bins.push([tenths / 10, filled])
      filled = 0
      limit *= GROWTH
    }
    for (const [tenths, size] of [...this.#sizes].sort((a, b) => b[0] - a[0])) {
      if (size > 2 * limit && previous !== undefined && filled > 0) close(previous)
      filled += size
      if (filled > limit) close(tenths)
      previous = tenths
    }
    return Object.freeze(bins)
  }

  #change(tenths: number, by: number): void {
    const size = (this.#sizes.get(tenths) ?? 0) + by
    if (size === 0) this.#sizes.delete(tenths)
    else this.#sizes.set(tenths, size)
  }
}

/** Rounded down, so that a transaction is never counted among those that pay more than it does. */
function tenthsOf(fee: number, vsize: number): number {
  return Math.floor(10 * (fee / vsize))
}
