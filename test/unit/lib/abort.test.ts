import { describe, expect, it } from 'vitest'
import { abortErrorOf, linkSignals, throwIfAborted, untilAborted } from '../../../src/lib/abort.ts'

describe('abortErrorOf', () => {
  it('is the reason where that is an AbortError', () => {
    const controller = new AbortController()
    controller.abort()
    expect(abortErrorOf(controller.signal)).toBe(controller.signal.reason)
  })

  it('is an AbortError that carries any other reason as its cause', () => {
    const reason = new Error('too late')
    const error = abortErrorOf(AbortSignal.abort(reason))
    expect(error.name).toBe('AbortError')
    expect(error).toBeInstanceOf(Error)
    expect(error.cause).toBe(reason)
  })
})

describe('throwIfAborted', () => {
  it('throws AbortError for an aborted signal only', () => {
    expect(() => throwIfAborted(undefined)).not.toThrow()
    expect(() => throwIfAborted(new AbortController().signal)).not.toThrow()
    expect(() => throwIfAborted(AbortSignal.abort('x'))).toThrow(expect.objectContaining({ name: 'AbortError' }))
  })
})

describe('untilAborted', () => {
  it('settles as the promise does while nobody aborts', async () => {
    const { signal } = new AbortController()
    await expect(untilAborted(Promise.resolve(1), signal)).resolves.toBe(1)
    await expect(untilAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no')
    await expect(untilAborted(Promise.resolve(1), undefined)).resolves.toBe(1)
  })

  it('rejects at once for a signal that is or becomes aborted, though the promise never settles', async () => {
    const never = new Promise<void>(() => undefined)
    const controller = new AbortController()
    const waiting = untilAborted(never, controller.signal)
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' })
    await expect(untilAborted(never, controller.signal)).rejects.toMatchObject({ name: 'AbortError' })
  })
})

describe('linkSignals', () => {
  it('aborts with the first of its signals', () => {
    const [a, b] = [new AbortController(), new AbortController()]
    const link = linkSignals(a.signal, undefined, b.signal)
    expect(link.signal.aborted).toBe(false)
    b.abort()
    expect(link.signal.aborted).toBe(true)
  })

  it('is aborted from the start if one of them is', () => {
    expect(linkSignals(new AbortController().signal, AbortSignal.abort()).signal.aborted).toBe(true)
  })

  it('no longer follows once unlinked', () => {
    const controller = new AbortController()
    const link = linkSignals(controller.signal)
    link.unlink()
    controller.abort()
    expect(link.signal.aborted).toBe(false)
  })
})
