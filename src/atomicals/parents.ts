import { type NameStatus, nameHolder, subnameHolder } from './candidates.ts'
import { RULES_DELAY } from './constants.ts'
import type { SubName, TopName } from './layout.ts'
import type { Past } from './past.ts'
import { matchRule, type Rule } from './rules.ts'
import type { IdText } from './transfer/holding.ts'

/** The rule that a parent has for a name that was committed at a height: strictly as its state was one block before. */
export async function ruleFor(
  past: Past,
  kind: SubName,
  parent: IdText,
  name: string,
  commitHeight: number,
): Promise<Rule | undefined> {
  const rules = await past.rules(kind, parent, commitHeight - RULES_DELAY)
  return rules === undefined ? undefined : matchRule(rules, name)
}

/** Who has a realm, container or ticker at a height. */
export async function holderOf(past: Past, kind: TopName, name: string, height: number): Promise<NameStatus> {
  return nameHolder(await past.candidates(kind, name), height)
}

/** Who has a subrealm or an item at a height. */
export async function subHolderOf(
  past: Past,
  kind: SubName,
  parent: IdText,
  name: string,
  height: number,
): Promise<NameStatus> {
  return subnameHolder(await past.claims(kind, parent, name), height)
}

// CONSENSUS: a subrealm has a full name as soon as the realm at its top is held, whoever holds the subrealm itself.
/** True if `id` is a realm that has the name it asked for, or a subrealm below one. */
export async function isRealmPath(past: Past, id: IdText, height: number): Promise<boolean> {
  const top = past.topRealm(id)
  return top !== undefined && isHolder(past, 'realm', top, height)
}

/** True if `id` is a container that has the name it asked for. */
export function isContainer(past: Past, id: IdText, height: number): Promise<boolean> {
  return isHolder(past, 'container', id, height)
}

async function isHolder(past: Past, kind: TopName, id: IdText, height: number): Promise<boolean> {
  const request = past.atomical(id)?.request
  if (request?.kind !== kind) return false
  const holder = await holderOf(past, kind, request.name, height)
  return holder.status === 'verified' && holder.id === id
}
