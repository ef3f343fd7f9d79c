/** Content types of files that are kept in the chain, by the ends of their names. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['avif', 'image/avif'],
  ['bmp', 'image/bmp'],
  ['css', 'text/css; charset=utf-8'],
  ['csv', 'text/csv; charset=utf-8'],
  ['gif', 'image/gif'],
  ['glb', 'model/gltf-binary'],
  ['gltf', 'model/gltf+json'],
  ['htm', 'text/html; charset=utf-8'],
  ['html', 'text/html; charset=utf-8'],
  ['ico', 'image/vnd.microsoft.icon'],
  ['jpeg', 'image/jpeg'],
  ['jpg', 'image/jpeg'],
  ['js', 'text/javascript; charset=utf-8'],
  ['json', 'application/json; charset=utf-8'],
  ['md', 'text/markdown; charset=utf-8'],
  ['mjs', 'text/javascript; charset=utf-8'],
  ['mp3', 'audio/mpeg'],
  ['mp4', 'video/mp4'],
  ['ogg', 'audio/ogg'],
  ['otf', 'font/otf'],
  ['pdf', 'application/pdf'],
  ['png', 'image/png'],
  ['svg', 'image/svg+xml'],
  ['ttf', 'font/ttf'],
  ['txt', 'text/plain; charset=utf-8'],
  ['wasm', 'application/wasm'],
  ['wav', 'audio/wav'],
  ['webm', 'video/webm'],
  ['webp', 'image/webp'],
  ['woff', 'font/woff'],
  ['woff2', 'font/woff2'],
  ['xml', 'application/xml'],
])
const UNKNOWN = 'application/octet-stream'
/** A type that minters named themselves goes into a header only in this form. */
const STATED = /^[\w.+-]{1,60}\/[\w.+-]{1,60}(?:; ?charset=[\w-]{1,30})?$/

/** Of a file by its name; what nobody knows is bytes. */
export function typeOfFile(name: string): string {
  return TYPES.get(name.slice(name.lastIndexOf('.') + 1).toLowerCase()) ?? UNKNOWN
}

/** The type that a minter stated, if it is one. */
export function statedType(stated: unknown): string | undefined {
  return typeof stated === 'string' && STATED.test(stated) ? stated : undefined
}

/** What a browser shows as a picture: the file that stands for an atomical. */
export function isPicture(name: string): boolean {
  const parts = name.split('.')
  return parts.length === 2 && /^(?:jpg|gif|jpeg|png|svg|webp)$/.test(parts[1] ?? '')
}
