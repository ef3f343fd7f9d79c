import type { ProtocolVersion } from './method.ts'

/** The last there can be before 1.6 and 1.7: a client may name versions that nobody has defined, such as 1.5.3. */
export const BEFORE_1_6: ProtocolVersion = [1, 5, Number.MAX_SAFE_INTEGER]
export const BEFORE_1_7: ProtocolVersion = [1, 6, Number.MAX_SAFE_INTEGER]
export const V1_6: ProtocolVersion = [1, 6, 0]
export const V1_7: ProtocolVersion = [1, 7, 0]

/** Older than every version there is: what text that is no version counts as. */
export const NO_VERSION: ProtocolVersion = [0, 0, 0]

const VERSION = /^\s*(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:\.\d{1,9})*\s*$/

/** `1.4.2` as [1, 4, 2]; parts beyond the third do not count; NO_VERSION for everything else. */
export function parseVersion(value: unknown): ProtocolVersion {
  const match = typeof value === 'string' ? VERSION.exec(value) : null
  return match === null ? NO_VERSION : [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)]
}

/** `1.4` or `1.4.2`: a third part of zero is left out; one that stands for "any" is too. */
export function formatVersion([major, minor, patch]: ProtocolVersion): string {
  return patch === 0 || patch === Number.MAX_SAFE_INTEGER ? `${major}.${minor}` : `${major}.${minor}.${patch}`
}
