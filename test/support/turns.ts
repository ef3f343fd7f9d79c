/** What came of some work, and how often others had their turn of the event loop before it was done. */
export async function turnsDuring<T>(
  work: () => T | Promise<T>,
): Promise<{ readonly result: T; readonly turns: number }> {
  let turns = 0
  let isOver = false
  const look = (): void => {
    turns += 1
    if (!isOver) setImmediate(look)
  }
  setImmediate(look)
  try {
    const result = await work()
    return { result, turns }
  } finally {
    isOver = true
  }
}
