import { ListenError, messageOf } from '../../errors.ts'
import { addressText } from '../../lib/address-text.ts'

/** What an operator can do about what the system says. */
const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something listens there already; stop that, or name another port in SERVICES',
  EACCES:
    'this user may not have this port; ports below 1024 take the capability CAP_NET_BIND_SERVICE, or choose others',
  EADDRNOTAVAIL: 'this machine has no such address; name one that it has, or none for all, in SERVICES',
  EAFNOSUPPORT: 'this machine does not have this kind of address (IPv6 is off?)',
  ENOTFOUND: 'the host in SERVICES has no address',
}

/** `error` of an attempt to listen, with the address and what can be done. */
export function listenError(
  { kind, host, port }: { readonly kind: string; readonly host: string; readonly port: number },
  error: unknown,
): ListenError {
  const why = messageOf(error)
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const remedy = REMEDIES[code] === undefined ? '' : ` (${REMEDIES[code]})`
  return new ListenError(`cannot listen on ${kind}://${addressText({ host, port })}: ${why}${remedy}`, { cause: error })
}
