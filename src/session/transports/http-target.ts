const ABSOLUTE = /^https?:\/\/[^/?#]/i

/**
 * The target of an HTTP request, which is a path or a whole address (RFC 9112 3.2.1 and 3.2.2); for whom such an address
 * is makes no difference here. Undefined for what is neither.
 */
export function readTarget(target: string | undefined): URL | undefined {
  if (target === undefined) return undefined
  const whole = target.startsWith('/') ? `http://server.invalid${target}` : target
  return ABSOLUTE.test(whole) && URL.canParse(whole) ? new URL(whole) : undefined
}
