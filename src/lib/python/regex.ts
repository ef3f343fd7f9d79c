/**
 * The syntax of Python 3.11's `re`: whether `re.compile` takes a pattern, and for patterns without groups what they
 * say. Written from the behaviour of that version, which decides which rules of the Atomicals are valid.
 */

import { ANY_BUT_NEWLINE, type CharSet, literal } from './charset.ts'
import { intOfText } from './int.ts'
import { classEscape, DIGITS, escapeOrReference } from './regex-escapes.ts'
import { flagsOfGroup, type GroupFlags } from './regex-flags.ts'
import { fail, RegexError, RegexSource } from './regex-source.ts'

/** The largest number of repetitions; Python's MAXREPEAT, which stands for "without end". */
export const UNBOUNDED = 0xffff_ffff

/** The widest look-behind; also what any greater width counts as. */
const MAX_CODE = 0xffff_ffff
const MAX_WIDTH = 2 ** 64

export type Anchor = 'start' | 'end' | 'very end' | 'boundary' | 'no boundary'

/** `set{min,max}`; possessive: it takes all it can and gives nothing back. */
export interface Run {
  readonly kind: 'run'
  readonly set: CharSet
  readonly min: number
  readonly max: number
  readonly possessive: boolean
  readonly quantified: boolean
}

export interface At {
  readonly kind: 'at'
  readonly anchor: Anchor
}

/** Anything with parentheses; known by its width only. */
interface Group {
  readonly kind: 'group'
  readonly width: Width
  readonly quantified: boolean
}

export type Item = Run | At | Group

interface Width {
  readonly min: number
  readonly max: number
}

const NO_WIDTH: Width = { min: 0, max: 0 }

/** The alternatives of a pattern without groups; undefined if it has groups. Throws RegexError if it is no pattern. */
export type Alternatives = readonly (readonly (Run | At)[])[]

/** True if `re.compile` takes the pattern. Nesting deeper than `maxNesting` is refused, as by a recursion limit. */
export function regexpIsValid(pattern: string | Uint8Array, maxNesting = 490): boolean {
  return parsed(pattern, maxNesting) !== undefined
}

/** The alternatives of a pattern without groups; undefined if `re.compile` refuses it or it has groups. */
export function parseAlternatives(pattern: string): Alternatives | undefined {
  const alternatives = parsed(pattern, 1)
  return alternatives?.every(isPlain) ? alternatives : undefined
}

function isPlain(items: readonly Item[]): items is readonly (Run | At)[] {
  return items.every((item) => item.kind !== 'group')
}

function parsed(pattern: string | Uint8Array, maxNesting: number): readonly (readonly Item[])[] | undefined {
  try {
    return new RegexParser(new RegexSource(pattern), maxNesting).pattern()
  } catch (error) {
    if (error instanceof RegexError) return undefined
    throw error
  }
}

class RegexParser {
  readonly #source: RegexSource
  readonly #maxNesting: number
  #nesting = 0
  #globalFlags = ''
  #repeats = false
  /** By group number: its width, or null while it is open. Number 0 is the whole pattern. */
  readonly #groups: (Width | null)[] = [null]
  readonly #groupsByName = new Map<string, number>()
  /** How many groups there were where the outermost look-behind began. */
  #groupsBeforeLookBehind: number | undefined
  #highestCondition = 0

  constructor(source: RegexSource, maxNesting: number) {
    this.#source = source
    this.#maxNesting = maxNesting
  }

  pattern(): readonly (readonly Item[])[] {
    const alternatives = this.#alternatives(false)
    this.#checkGlobalFlags()
    if (this.#source.next !== undefined) fail('unbalanced parenthesis')
    if (this.#highestCondition >= this.#groups.length) fail('condition on a group that is not there')
    return alternatives
  }

  #checkGlobalFlags(): void {
    const flags = this.#globalFlags
    if (this.#source.isText ? flags.includes('a') && flags.includes('u') : flags.includes('a') && flags.includes('L')) {
      fail('flags are incompatible')
    }
    if (flags.includes('t') && this.#repeats) fail('template flag with repetition')
  }

  #alternatives(verbose: boolean): (readonly Item[])[] {
    if (this.#nesting > this.#maxNesting) fail('nested too deeply')
    this.#nesting++
    const isOutermost = this.#nesting === 1
    const alternatives = [this.#sequence(verbose, isOutermost)]
    while (this.#source.match('|')) {
      alternatives.push(this.#sequence(isOutermost ? this.#globalFlags.includes('x') : verbose, false))
    }
    this.#nesting--
    return alternatives
  }

  #sequence(startsVerbose: boolean, mayHaveGlobalFlags: boolean): readonly Item[] {
    const source = this.#source
    const items: Item[] = []
    let verbose = startsVerbose
    while (source.next !== undefined && source.next !== '|' && source.next !== ')') {
      const token = source.need()
      if (verbose && this.#skipped(token)) continue
      if (token !== '(') {
        this.#simple(token, items)
        continue
      }
      const group = this.#group(verbose)
      if (group === 'global flags') {
        if (!mayHaveGlobalFlags || items.length > 0) fail('global flags not at the start')
        verbose = this.#globalFlags.includes('x')
      } else if (group !== undefined) items.push({ kind: 'group', width: group, quantified: false })
    }
    return items
  }

  /** In verbose mode: white space, and comments up to the end of the line. */
  #skipped(token: string): boolean {
    if (token.length === 1 && ' \t\n\r\v\f'.includes(token)) return true
    if (token !== '#') return false
    for (let skipped: string | undefined = token; skipped !== undefined && skipped !== '\n'; )
      skipped = this.#source.take()
    return true
  }

  #simple(token: string, items: Item[]): void {
    if (token.startsWith('\\')) items.push(this.#escape(token))
    else if (token === '[') items.push(run(this.#class()))
    else if (token === '.') items.push(run(ANY_BUT_NEWLINE))
    else if (token === '^') items.push({ kind: 'at', anchor: 'start' })
    else if (token === '$') items.push({ kind: 'at', anchor: 'end' })
    else if ('*+?{'.includes(token)) this.#repeat(token, items)
    else items.push(run(literal(token.codePointAt(0) ?? 0)))
  }

  #escape(token: string): Item {
    const anchor = ANCHORS.get(token)
    if (anchor !== undefined) return { kind: 'at', anchor }
    const escape = escapeOrReference(this.#source, token)
    if (typeof escape !== 'number') return run(escape)
    return { kind: 'group', width: this.#reference(escape), quantified: false }
  }

  /** The width of a group that is referred to. */
  #reference(group: number): Width {
    const width = this.#groups[group]
    if (width === undefined || width === null) return fail('reference to a group that is open or not there')
    this.#checkLookBehind(group)
    return width
  }

  #checkLookBehind(group: number): void {
    const limit = this.#groupsBeforeLookBehind
    if (limit === undefined) return
    if ((this.#groups[group] ?? null) === null) fail('reference to an open group')
    if (group >= limit) fail('reference to a group of the same look-behind')
  }

  #class(): CharSet {
    const source = this.#source
    const negated = source.match('^')
    const ranges: number[] = []
    const categories: CharSet['categories'][number][] = []
    for (let empty = true; ; empty = false) {
      const token = source.need()
      if (token === ']' && !empty) break
      const first = this.#member(token)
      const last = source.match('-') ? source.need() : undefined
      if (last === undefined || last === ']') {
        ranges.push(...first.ranges)
        categories.push(...first.categories)
        if (last === undefined) continue
        ranges.push(HYPHEN, HYPHEN)
        break
      }
      ranges.push(...rangeBetween(first, this.#member(last)))
    }
    return { negated, ranges, categories }
  }

  #member(token: string): CharSet {
    return token.startsWith('\\') ? classEscape(this.#source, token) : literal(token.codePointAt(0) ?? 0)
  }

  #repeat(token: string, items: Item[]): void {
    const bounds = token === '{' ? this.#bounds() : SHORT_BOUNDS.get(token)
    if (bounds === undefined) {
      items.push(run(literal(token.charCodeAt(0))))
      return
    }
    const item = items.pop()
    if (item === undefined || item.kind === 'at') return fail('nothing to repeat')
    if (item.quantified) return fail('multiple repeat')
    this.#repeats = true
    const possessive = !this.#source.match('?') && this.#source.match('+')
    const { min, max } = bounds
    if (item.kind === 'run') items.push({ ...item, min, max, possessive, quantified: true })
    else items.push({ kind: 'group', width: repeated(item.width, bounds), quantified: true })
  }

  /** `{m,n}` behind its brace; undefined where the brace is a literal. */
  #bounds(): Width | undefined {
    const source = this.#source
    const start = source.tell()
    if (source.next === '}') return undefined
    const min = source.takeWhile(Number.POSITIVE_INFINITY, DIGITS)
    const max = source.match(',') ? source.takeWhile(Number.POSITIVE_INFINITY, DIGITS) : min
    if (!source.match('}')) {
      source.seek(start)
      return undefined
    }
    const bounds = { min: repetitions(min, 0), max: repetitions(max, UNBOUNDED) }
    return bounds.max < bounds.min ? fail('minimum above maximum') : bounds
  }

  /** What follows an opening parenthesis: its width, or undefined for a comment, or that it was global flags. */
  #group(verbose: boolean): Width | 'global flags' | undefined {
    const source = this.#source
    if (!source.match('?')) return this.#capture(undefined, verbose)
    const kind = source.need()
    if (kind === 'P') return this.#named(verbose)
    if (kind === ':' || kind === '>') return this.#contents(verbose)
    if (kind === '#') {
      while (source.need() !== ')') continue
      return undefined
    }
    if (kind === '=' || kind === '!') return this.#lookAround(false, verbose)
    if (kind === '<') {
      const direction = source.need()
      return direction === '=' || direction === '!' ? this.#lookAround(true, verbose) : fail('unknown extension')
    }
    if (kind === '(') return this.#conditional(verbose)
    return this.#flags(flagsOfGroup(source, kind), verbose)
  }

  #flags(flags: GroupFlags, verbose: boolean): Width | 'global flags' {
    if (flags.isGlobal) {
      this.#globalFlags += flags.add
      return 'global flags'
    }
    return this.#contents((verbose || flags.add.includes('x')) && !flags.remove.includes('x'))
  }

  #named(verbose: boolean): Width {
    if (this.#source.match('<')) return this.#capture(groupName(this.#source.takeUntil('>')), verbose)
    if (!this.#source.match('=')) return fail('unknown extension')
    const group = this.#groupsByName.get(groupName(this.#source.takeUntil(')')))
    return group === undefined ? fail('unknown group name') : this.#reference(group)
  }

  #capture(name: string | undefined, verbose: boolean): Width {
    const group = this.#groups.push(null) - 1
    if (name !== undefined) {
      if (this.#groupsByName.has(name)) fail('redefinition of a group name')
      this.#groupsByName.set(name, group)
    }
    const width = this.#contents(verbose)
    this.#groups[group] = width
    return width
  }

  /** Alternatives up to and with the closing parenthesis. */
  #contents(verbose: boolean): Width {
    const width = widthOfAll(this.#alternatives(verbose).map(widthOf))
    if (!this.#source.match(')')) fail('missing )')
    return width
  }

  #lookAround(behind: boolean, verbose: boolean): Width {
    const outer = this.#groupsBeforeLookBehind
    if (behind) this.#groupsBeforeLookBehind ??= this.#groups.length
    const width = widthOfAll(this.#alternatives(verbose).map(widthOf))
    if (behind) this.#groupsBeforeLookBehind = outer
    if (!this.#source.match(')')) fail('missing )')
    if (behind && (width.min > MAX_CODE || width.min !== width.max)) fail('look-behind without a fixed width')
    return NO_WIDTH
  }

  #conditional(verbose: boolean): Width {
    const source = this.#source
    const group = this.#conditionGroup(source.takeUntil(')'))
    this.#checkLookBehind(group)
    const yes = widthOf(this.#branch(verbose))
    const no = source.match('|') ? widthOf(this.#branch(verbose)) : NO_WIDTH
    if (!source.match(')')) fail('missing ) or too many branches')
    return { min: Math.min(yes.min, no.min), max: Math.max(yes.max, no.max) }
  }

  #branch(verbose: boolean): readonly Item[] {
    if (this.#nesting > this.#maxNesting) fail('nested too deeply')
    this.#nesting++
    const items = this.#sequence(verbose, false)
    this.#nesting--
    return items
  }

  #conditionGroup(name: string): number {
    if (IDENTIFIER.test(name)) return this.#groupsByName.get(name) ?? fail('unknown group name')
    const group = intOfText(name)
    if (group === undefined || group <= 0n || group >= 1_073_741_823n) return fail('bad group number')
    this.#highestCondition = Math.max(this.#highestCondition, Number(group))
    return Number(group)
  }
}

const HYPHEN = 45

const ANCHORS: ReadonlyMap<string, Anchor> = new Map([
  ['\\A', 'start'],
  ['\\Z', 'very end'],
  ['\\b', 'boundary'],
  ['\\B', 'no boundary'],
])

const SHORT_BOUNDS: ReadonlyMap<string, Width> = new Map([
  ['*', { min: 0, max: UNBOUNDED }],
  ['+', { min: 1, max: UNBOUNDED }],
  ['?', { min: 0, max: 1 }],
])

const IDENTIFIER = /^[\p{XID_Start}_]\p{XID_Continue}*$/u

function groupName(name: string): string {
  return IDENTIFIER.test(name) ? name : fail('bad group name')
}

function run(set: CharSet): Run {
  return { kind: 'run', set, min: 1, max: 1, possessive: false, quantified: false }
}

function rangeBetween(first: CharSet, last: CharSet): [number, number] {
  const [from] = first.ranges
  const [to] = last.ranges
  return from === undefined || to === undefined || to < from ? fail('bad character range') : [from, to]
}

function repetitions(digits: string, whenAbsent: number): number {
  if (digits === '') return whenAbsent
  const count = intOfText(digits)
  return count === undefined || count >= BigInt(UNBOUNDED) ? fail('too many repetitions') : Number(count)
}

function repeated(width: Width, { min, max }: Width): Width {
  const most = max === UNBOUNDED && width.max > 0 ? MAX_WIDTH : width.max * max
  return { min: Math.min(width.min * min, MAX_WIDTH), max: Math.min(most, MAX_WIDTH) }
}

function widthOf(items: readonly Item[]): Width {
  let min = 0
  let max = 0
  for (const item of items) {
    const width = itemWidth(item)
    min += width.min
    max += width.max
  }
  return { min: Math.min(min, MAX_WIDTH), max: Math.min(max, MAX_WIDTH) }
}

function itemWidth(item: Item): Width {
  if (item.kind === 'at') return NO_WIDTH
  return item.kind === 'group' ? item.width : repeated({ min: 1, max: 1 }, item)
}

function widthOfAll(widths: readonly Width[]): Width {
  let min = MAX_WIDTH
  let max = 0
  for (const width of widths) {
    min = Math.min(min, width.min)
    max = Math.max(max, width.max)
  }
  return { min, max }
}
