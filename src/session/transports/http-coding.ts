import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'

/** Bytes from which on an answer is worth packing: below that it is one or two packets either way. */
const LEAST = 2048
/** Answers that are packed at once; the threads that do it also read files. What comes on top of these goes as it is. */
const MOST_AT_ONCE = 2
/** Far quicker than the best, and nearly as small with what is said here. */
const BROTLI_QUALITY = 4
/** What is text, or nearly; pictures and films are packed already. */
const PACKABLE = /^(?:text\/|application\/(?:json|javascript|xml|wasm)|image\/(?:svg|bmp)|model\/gltf\+json)/

export type Coding = 'br' | 'gzip'

const byBrotli = promisify(brotliCompress)
const byGzip = promisify(gzip)

/** What the header Accept-Encoding lets us send, the smaller one first; undefined for neither. */
export function codingFor(accept: string | undefined): Coding | undefined {
  if (accept === undefined || accept.length > 500) return undefined
  const refused = new Set<string>()
  const taken = new Set<string>()
  for (const part of accept.toLowerCase().split(',')) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim())
    const isRefused = parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
    ;(isRefused ? refused : taken).add(name)
  }
  return (['br', 'gzip'] as const).find((name) => taken.has(name) || (taken.has('*') && !refused.has(name)))
}

/** Packs answers off the event loop, for all connections of a listener. */
export class AnswerPacker {
  #running = 0

  /** The body as it is sent; without a coding as it was given. */
  async pack(
    body: Uint8Array,
    {
      contentType,
      accept,
    }: { readonly contentType: string | undefined; readonly accept: string | readonly string[] | undefined },
  ): Promise<{ readonly body: Uint8Array; readonly coding: Coding | undefined }> {
    const plain = { body, coding: undefined }
    if (body.length < LEAST || contentType === undefined || !PACKABLE.test(contentType)) return plain
    const coding = codingFor(accept === undefined ? undefined : String(accept))
    if (coding === undefined || this.#running >= MOST_AT_ONCE) return plain
    this.#running++
    try {
      const packed = coding === 'br' ? await brotli(body) : await byGzip(body)
      return packed.length < body.length ? { body: packed, coding } : plain
    } finally {
      this.#running--
    }
  }
}

function brotli(body: Uint8Array): Promise<Buffer> {
  return byBrotli(body, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: body.length,
    },
  })
}
