/** There already, or to be waited for: what is at hand costs no turn of the event loop. */
export type Awaitable<T> = T | Promise<T>

/** `use` of a value, at once where it is there. What `use` throws then is thrown, not a rejection. */
export function after<T, R>(value: Awaitable<T>, use: (value: T) => Awaitable<R>): Awaitable<R> {
  return value instanceof Promise ? value.then(use) : use(value)
}
