/** Below so many figures a line through them says nothing. */
export const LEAST_FIGURES = 8

/** The middle of the slopes between all pairs (Theil and Sen), a unit of time: a few that lie far off do not move it. */
export function slopeOf(points: readonly (readonly [time: number, value: number])[]): number {
  const slopes: number[] = []
  for (const [i, [time, value]] of points.entries()) {
    for (const [later, after] of points.slice(i + 1)) if (later > time) slopes.push((after - value) / (later - time))
  }
  slopes.sort((a, b) => a - b)
  return slopes[slopes.length >> 1] ?? 0
}
