import { fail, type RegexSource } from './regex-source.ts'

/** Flags of a group: `(?add)` for all of the pattern, `(?add-remove:…)` for what is inside. */
export interface GroupFlags {
  readonly isGlobal: boolean
  readonly add: string
  readonly remove: string
}

const FLAGS = 'iLmsxatu'
/** They exclude each other and cannot be taken back. */
const TYPE_FLAGS = 'aLu'
/** Only for a whole pattern. */
const GLOBAL_FLAG = 't'

function isFlag(token: string): boolean {
  return token.length === 1 && FLAGS.includes(token)
}

/** Flags from the token `first` on, up to `)` or `:`. */
export function flagsOfGroup(source: RegexSource, first: string): GroupFlags {
  if (!isFlag(first) && first !== '-') return fail('unknown extension')
  let add = ''
  let token = first
  for (; token !== ')' && token !== '-' && token !== ':'; token = source.need()) {
    if (!isFlag(token) || token === (source.isText ? 'L' : 'u')) return fail('unknown flag')
    add += token
    if (new Set(Array.from(add).filter((flag) => TYPE_FLAGS.includes(flag))).size > 1)
      return fail('flags are incompatible')
  }
  if (token === ')') return { isGlobal: true, add, remove: '' }
  if (add.includes(GLOBAL_FLAG)) return fail('flag of the whole pattern')
  const remove = token === '-' ? removedFlags(source) : ''
  if (remove.includes(GLOBAL_FLAG) || Array.from(remove).some((flag) => add.includes(flag)))
    return fail('flag on and off')
  return { isGlobal: false, add, remove }
}

function removedFlags(source: RegexSource): string {
  let remove = ''
  for (let token = source.need(); token !== ':' || remove === ''; token = source.need()) {
    if (!isFlag(token) || TYPE_FLAGS.includes(token)) return fail('flag cannot be turned off')
    remove += token
  }
  return remove
}
