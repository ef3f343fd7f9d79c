import { setMaxListeners } from 'node:events'

/** What aborting means in code that waits: every promise settles, and it settles with an AbortError. */

function isAbortError(reason: unknown): reason is Error {
  return reason instanceof Error && reason.name === 'AbortError'
}

/** The AbortError to throw because of `signal`: its own reason where that is one, else an error that carries it. */
export function abortErrorOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason
  if (isAbortError(reason)) return reason
  const error = new DOMException('The operation was aborted', 'AbortError')
  Object.defineProperty(error, 'cause', { value: reason, configurable: true })
  return error
}

/** Throws AbortError if `signal` is aborted, whatever it was aborted with. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortErrorOf(signal)
}

/**
 * Settles as `promise` does, or with AbortError as soon as `signal` aborts. What `promise` does afterwards is nobody's
 * business any more: a late failure is swallowed, so use it only where the work itself is told to stop or is harmless.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => reject(abortErrorOf(signal))
    const settle = (): void => signal.removeEventListener('abort', abort)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(settle).catch(reject)
  })
}

/**
 * A signal that aborts when any of `signals` does. Unlike AbortSignal.any() it leaves nothing behind on a long-lived
 * signal once `unlink` is called.
 */
export function linkSignals(...signals: readonly (AbortSignal | undefined)[]): {
  readonly signal: AbortSignal
  readonly unlink: () => void
} {
  const controller = new AbortController()
  const links: (() => void)[] = []
  const unlink = (): void => {
    for (const link of links.splice(0)) link()
  }
  for (const signal of signals) {
    if (signal === undefined) continue
    const abort = (): void => {
      unlink()
      controller.abort(abortErrorOf(signal))
    }
    if (signal.aborted) {
      abort()
      break
    }
    // Any number of calls may hang on one signal at a time. Node takes more than ten for a leak, which unlink rules out.
    setMaxListeners(0, signal)
    signal.addEventListener('abort', abort, { once: true })
    links.push(() => signal.removeEventListener('abort', abort))
  }
  return { signal: controller.signal, unlink }
}
