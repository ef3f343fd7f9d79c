/**
 * Milliseconds of processor that `work` takes this process: what others do on the machine is hardly in them, where the
 * time on the wall has all of it.
 */
export function cpuTime(work: () => unknown): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/**
 * How many times as much work `large` is as `small`: the least of several rounds, the two of each side by side, so that a
 * collection of garbage or a compilation that falls into one of them does not count. `floor`: milliseconds below which
 * the small one says nothing.
 */
export function growth(small: () => unknown, large: () => unknown, { rounds = 5, floor = 0.2 } = {}): number {
  small()
  return Math.min(...Array.from({ length: rounds }, () => cpuTime(large) / Math.max(cpuTime(small), floor)))
}
