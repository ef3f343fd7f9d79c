import type { OpenConversation, OverflowPolicy } from './port.ts'

/** Takes the id of the conversation that was begun first. */
export const takeOldest: OverflowPolicy = (open) => least(open, ({ createdAt }) => createdAt)

/** Takes the id of the conversation in which nothing was said for the longest time. */
export const takeLongestSilent: OverflowPolicy = (open) => least(open, ({ lastUse }) => lastUse)

/** Lets everybody keep his id; the new conversation is refused. */
export const refuseNew: OverflowPolicy = () => undefined

function least(open: Iterable<OpenConversation>, of: (one: OpenConversation) => number): OpenConversation | undefined {
  let found: OpenConversation | undefined
  for (const one of open) if (found === undefined || of(one) < of(found)) found = one
  return found
}
