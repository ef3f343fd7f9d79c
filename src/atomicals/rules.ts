import type { CborMap } from '../lib/cbor/values.ts'
import { type Bitwork, parseBitwork } from './bitwork.ts'
import { MAX_RULES, MIN_RULE_PRICE } from './constants.ts'
import { hasIdShape } from './ids.ts'
import { codesOf, compilePattern, type Pattern } from './pattern.ts'
import { integerOf, isHexInteger, isTruthy, type MaybeValue, mapOf, textOf } from './python.ts'

/** A rule of a parent: which names may be taken, and what they cost. */
export interface Rule {
  readonly pattern: Pattern
  /** `p` */
  readonly source: string
  /** Work strings that the mint has to declare just so; "any" demands nothing. */
  readonly commitWork: string | undefined
  readonly revealWork: string | undefined
  /** Outputs to pay: script in hex to `{v, id}`; undefined if work is enough. */
  readonly outputs: CborMap | undefined
}

/**
 * The rules of a parent's state under `subrealms` or `dmint`; undefined if there are none. One bad rule voids them all.
 */
export function rulesOf(namespace: MaybeValue): readonly Rule[] | undefined {
  const entries = mapOf(namespace)?.get('rules')
  if (!Array.isArray(entries) || entries.length === 0 || entries.length > MAX_RULES) return undefined
  const rules: Rule[] = []
  for (const entry of entries) {
    const rule = ruleOf(entry)
    if (rule === undefined) return undefined
    rules.push(rule)
  }
  return rules
}

/** The first rule whose pattern matches the beginning of a name. */
export function matchRule(rules: readonly Rule[], name: string): Rule | undefined {
  const codes = codesOf(name)
  return rules.find(({ pattern }) => pattern.matchesCodes(codes))
}

function ruleOf(value: MaybeValue): Rule | undefined {
  const entry = mapOf(value)
  const source = textOf(entry?.get('p'))
  if (entry === undefined || source === undefined) return undefined
  const commitWork = ruleWork(entry.get('bitworkc'))
  const revealWork = ruleWork(entry.get('bitworkr'))
  const outputs = entry.get('o')
  if (commitWork === 'invalid' || revealWork === 'invalid') return undefined
  if (isTruthy(outputs) && !areOutputs(outputs)) return undefined
  if (!isTruthy(outputs) && commitWork === undefined && revealWork === undefined) return undefined
  const pattern = compilePattern(source)
  if (pattern === undefined) return undefined
  return {
    pattern,
    source,
    commitWork: commitWork?.text,
    revealWork: revealWork?.text,
    outputs: isTruthy(outputs) ? mapOf(outputs) : undefined,
  }
}

function ruleWork(value: MaybeValue): { readonly text: string } | 'invalid' | undefined {
  if (!isTruthy(value)) return undefined
  if (typeof value !== 'string') return 'invalid'
  const work: Bitwork | undefined = parseBitwork(value)
  return work !== undefined || value === 'any' ? { text: value } : 'invalid'
}

function areOutputs(value: MaybeValue): boolean {
  const outputs = mapOf(value)
  if (outputs === undefined) return false
  for (const { key, value: asked } of outputs.entries()) {
    const price = mapOf(asked)
    const least = integerOf(price?.get('v'))
    if (least === undefined || least < MIN_RULE_PRICE) return false
    const id = price?.get('id')
    if (isTruthy(id) && !(typeof id === 'string' && hasIdShape(id))) return false
    if (typeof key !== 'string' || !isHexInteger(key)) return false
  }
  return true
}

/** What a candidate has to do under a rule, or undefined if it may not have the name at all. */
export type RuleDemand = 'payment' | 'work'

/** True if the work that a mint declares is the rule's, text by text. */
export function demandOf(
  rule: Rule,
  declared: { readonly commit: string | undefined; readonly reveal: string | undefined },
): RuleDemand | undefined {
  if (!isWorkOf(rule.commitWork, declared.commit) || !isWorkOf(rule.revealWork, declared.reveal)) return undefined
  if (rule.outputs !== undefined) return 'payment'
  return rule.commitWork !== undefined || rule.revealWork !== undefined ? 'work' : undefined
}

// CONSENSUS: "any" work demands none, not even that there is some.
function isWorkOf(asked: string | undefined, declared: string | undefined): boolean {
  return asked === undefined || asked === 'any' || asked === declared
}
