/** What a URN names, by the numbers that electrumx-proxy tells clients. */
export const URN_TYPES = { id: 0, realm: 1, container: 2, dat: 3, arc: 4 } as const
export type UrnKind = keyof typeof URN_TYPES

/** `atom:btc:<kind>:<identifier>`, and what follows it from the first `/` or `$` on. */
export interface Urn {
  readonly kind: UrnKind
  readonly identifier: string
  readonly pathType: '/' | '$' | undefined
  /** With its first character; undefined if there is none. */
  readonly path: string | undefined
}

const LONGEST = 2000
const URN = /^atom:btc:(?:(id|dat):([0-9a-f]{64}i\d{1,10})|(realm|container|arc):([^/$]{1,500}))((?:[/$].*)?)$/s

/** Undefined for what is no URN of Atomicals. */
export function readUrn(text: string): Urn | undefined {
  const found = text.length > LONGEST ? null : URN.exec(text)
  if (found === null) return undefined
  const [, hashKind, id, nameKind, name, path = ''] = found
  const kind = kindOf(hashKind ?? nameKind ?? '')
  const identifier = id ?? name
  if (kind === undefined || identifier === undefined) return undefined
  if (path === '') return { kind, identifier, pathType: undefined, path: undefined }
  return { kind, identifier, pathType: path.startsWith('/') ? '/' : '$', path }
}

function kindOf(text: string): UrnKind | undefined {
  return isKind(text) ? text : undefined
}

function isKind(text: string): text is UrnKind {
  return Object.hasOwn(URN_TYPES, text)
}

/** As electrumx-proxy shows it. */
export function urnInfo({ kind, identifier, pathType, path }: Urn): object {
  return { urnType: URN_TYPES[kind], identifier, pathType, path }
}
