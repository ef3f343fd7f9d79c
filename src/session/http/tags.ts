import { toHex } from '../../lib/bytes.ts'
import { sha256 } from '../../lib/hash.ts'

const TAG_BYTES = 12
/** The time at which an answer was made is not a part of what it says. */
const SERVER_TIME = /"server_time":"[^"]*"/

/** Tag of what `parts` say alone, as for an answer that follows from the last block. */
export function tagOf(...parts: readonly string[]): string {
  return `W/"${toHex(sha256(Buffer.from(parts.join('\n'))).subarray(0, TAG_BYTES))}"`
}

/** Tag of an answer by its text. */
export function tagOfText(text: string): string {
  return tagOf('text', text.replace(SERVER_TIME, ''))
}

/** True if `ifNoneMatch`, the header of a request, names the tag; compared weakly, as RFC 9110 wants it there. */
export function hasTag(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false
  if (ifNoneMatch.trim() === '*') return true
  const opaque = (text: string) => text.trim().replace(/^W\//, '')
  return ifNoneMatch.split(',', 100).some((one) => opaque(one) === opaque(tag))
}
