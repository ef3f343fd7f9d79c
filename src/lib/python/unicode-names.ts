import { brotliDecompressSync } from 'node:zlib'
import { PACKED_NAMES } from './unicode-names-table.ts'

/**
 * Character names as Python 3.11's `unicodedata` (Unicode 14) knows them, for `\N{...}` in patterns. The table was
 * printed from it: names by code point, a new gap in hex before `=` where it is not 1; an empty line; then aliases.
 */
class NameTable {
  #codes: ReadonlyMap<string, number> | undefined

  /** The code point of an upper-case name or alias. Unpacked when first asked: a constant that few ever need. */
  codeOf(name: string): number | undefined {
    this.#codes ??= unpack(brotliDecompressSync(Buffer.from(PACKED_NAMES, 'base64')).toString('latin1'))
    return this.#codes.get(name)
  }
}

const NAMES = new NameTable()

function unpack(text: string): ReadonlyMap<string, number> {
  const codes = new Map<string, number>()
  const [names = '', aliases = ''] = text.split('\n\n')
  let code = -1
  for (const line of names.split('\n')) {
    const [gap, name] = splitLine(line)
    code += gap
    codes.set(name, code)
  }
  for (const line of aliases.split('\n')) {
    const [alias, name] = splitLine(line)
    codes.set(name, alias)
  }
  return codes
}

function splitLine(line: string): [number: number, name: string] {
  const mark = line.indexOf('=')
  return mark === -1 ? [1, line] : [Number.parseInt(line.slice(0, mark), 16), line.slice(mark + 1)]
}

/** No name is longer; also keeps what is looked up short. */
const LONGEST_NAME = 256

/** What `unicodedata.lookup` finds; undefined for unknown names and for names of sequences of characters. */
export function namedCharacter(name: string): number | undefined {
  if (name.length > LONGEST_NAME) return undefined
  return hangulSyllable(name) ?? unifiedIdeograph(name) ?? NAMES.codeOf(asciiUpperCase(name))
}

/** Only ASCII: upper case of other letters could become ASCII (the dotless i). */
function asciiUpperCase(name: string): string {
  return name.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
}

const LEADS = 'G GG N D DD R M B BB S SS  J JJ C K T P H'.split(' ')
const VOWELS = 'A AE YA YAE EO E YEO YE O WA WAE OE YO U WEO WE WI YU EU YI I'.split(' ')
const TAILS = ' G GG GS N NJ NH D L LG LM LB LS LT LP LH M B BS S SS NG J C K T P H'.split(' ')

/** Hangul syllables are named after their letters, in capitals only. */
function hangulSyllable(name: string): number | undefined {
  const letters = /^HANGUL SYLLABLE ([BCDGHJKMNPRST]*)([AEIOUWY]+)([A-Z]*)$/.exec(name)
  if (letters === null) return undefined
  const [, lead = '', vowel = '', tail = ''] = letters
  const indexes = [LEADS.indexOf(lead), VOWELS.indexOf(vowel), TAILS.indexOf(tail)] as const
  return indexes.includes(-1) ? undefined : 0xac00 + (indexes[0] * 21 + indexes[1]) * 28 + indexes[2]
}

const IDEOGRAPHS: readonly (readonly [number, number])[] = [
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b738],
  [0x2b740, 0x2b81d],
  [0x2b820, 0x2cea1],
  [0x2ceb0, 0x2ebe0],
  [0x30000, 0x3134a],
]

/** Unified ideographs are named by their code points, with four or five digits. */
function unifiedIdeograph(name: string): number | undefined {
  const digits = /^CJK UNIFIED IDEOGRAPH-([0-9A-F]{4,5})$/.exec(name)?.[1]
  if (digits === undefined) return undefined
  const code = Number.parseInt(digits, 16)
  return IDEOGRAPHS.some(([first, last]) => code >= first && code <= last) ? code : undefined
}
