import { setTimeout as delay } from 'node:timers/promises'

/** Waits, or less if `signal` aborts. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, { signal })
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

/** What `promise` settles with; rejects if that takes longer than `ms`. */
export async function within<T>(ms: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new LateError(`${what}: nothing within ${ms / 1000} s`)), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

export class LateError extends Error {
  override readonly name = 'LateError'
}

const AGAIN_MS = 40

/**
 * Asks until nothing differs: undefined. If something still does after `ms`, what that is. An answer that was refused is
 * a difference too.
 */
export async function difference(ms: number, ask: () => Promise<string | undefined>): Promise<string | undefined> {
  const deadline = performance.now() + ms
  for (;;) {
    const found = await ask().catch((error: unknown) => String(error))
    if (found === undefined || performance.now() > deadline) return found
    await delay(AGAIN_MS)
  }
}
