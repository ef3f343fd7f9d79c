import { z } from 'zod'
import { MAX_NAME_LENGTH } from '../../../atomicals/constants.ts'
import type { NameKind } from '../../../atomicals/layout.ts'
import type { AskedName } from '../../../atomicals/touched.ts'
import { RawJson } from '../../json.ts'
import type { RpcContext, RpcMethod } from '../../method.ts'
import { Hash, lenient, ScriptHash } from '../../schemas.ts'
import type { Topic } from '../../topic.ts'
import { type AtomicalsAnswers, badRequest } from './answers.ts'
import { type AtomicalsKit, atomicalsMethod } from './kit.ts'
import { type AtomicalRef, AtomicalRefParam, isAscii, NameParam } from './params.ts'
import { EXAMPLE_ID, EXAMPLE_SCRIPTHASH, EXAMPLE_TXID } from './results.ts'
import { atomicalTopic, globalTopic, nameTopic, scriptTopic } from './topics.ts'

/** What every look costs; rows are charged as they are read. */
const LOOK_COST = 0.25
const EXAMPLE_STATUS = '9c5a1d3a2d47d6b7f0c1f7a0a4b2c2a84c5e4e0b1a7f3c7b6f1f0e9d8c7b6a59'

const TopicHash = Hash.nullable().meta({ description: 'SHA-256 of the text, as hex in its own order; null for none.' })
const GlobalState = z.object({ height: z.int(), block_hash: Hash, atomicals_hash: Hash.nullable() })

/** A pair of methods about one kind of topic. */
interface Pair<P extends z.ZodObject, R extends z.ZodType> {
  readonly name: string
  readonly summary: string
  readonly params: P
  readonly result: R
  readonly example: { readonly params: readonly unknown[]; readonly result: z.input<R> }
  topic(ctx: RpcContext, params: z.output<P>): Topic
}

function pairOf<P extends z.ZodObject, R extends z.ZodType>(pair: Pair<P, R>): readonly RpcMethod[] {
  const { name, params, example } = pair
  return [
    atomicalsMethod({
      name: `${name}subscribe`,
      summary: pair.summary,
      params,
      result: pair.result,
      cost: () => LOOK_COST,
      over: 'stream',
      example,
      handler: async (ctx, asked) => {
        const topic = pair.topic(ctx, asked)
        const { moment, signal } = ctx
        const sources = { moment, signal, charge: (cost: number) => ctx.charge(cost) }
        const found = await ctx.client.subscribeTopic(topic, () => topic.find(sources))
        return new RawJson(found.status)
      },
    }),
    atomicalsMethod({
      name: `${name}unsubscribe`,
      summary: 'Ends a subscription; false if there was none.',
      params,
      result: z.boolean(),
      cost: () => LOOK_COST,
      over: 'stream',
      example: { params: example.params, result: true },
      handler: (ctx, asked) => ctx.client.unsubscribeTopic(pair.topic(ctx, asked).key),
    }),
  ]
}

const KINDS: readonly NameKind[] = ['realm', 'container', 'ticker', 'subrealm', 'dmitem']

const KindParam = lenient((value) => KINDS.find((kind) => kind === value), `should be one of ${KINDS.join(', ')}`, {
  description: `Kind of the name: ${KINDS.map((kind) => `\`${kind}\``).join(', ')}.`,
  type: 'string',
})

const nameParams = z.object({
  type: KindParam,
  name: NameParam,
  parent: z
    .preprocess((value) => value ?? undefined, AtomicalRefParam.optional())
    .optional()
    .meta({
      type: 'string',
      description:
        'Id or number of the realm or container that a subrealm or an item (`dmitem`) is below; of others null, or nothing.',
    }),
})

/** The name that a request means. Throws RpcError 1 for what nobody can ask for. */
function askedName(answers: AtomicalsAnswers, { type: kind, name, parent }: z.output<typeof nameParams>): AskedName {
  // The protocol lets one newline stand behind a name.
  if (!isAscii(name) || name.length > MAX_NAME_LENGTH + 1) throw badRequest('name: nobody can ask for such a name')
  if (kind === 'subrealm' || kind === 'dmitem') {
    if (parent === undefined) throw badRequest(`parent: is needed for a ${kind}`)
    return { kind, name, parent: answers.idOf(parent) }
  }
  if (parent !== undefined) throw badRequest(`parent: a ${kind} has none`)
  return { kind, name }
}

/** Subscriptions to what is confirmed of Atomicals: by script, by atomical, by name, and to every tip. */
export function subscriptionMethods(kit: AtomicalsKit): readonly RpcMethod[] {
  return [
    ...pairOf({
      name: 'scripthash.',
      summary:
        'A hash over what sits at the confirmed outputs of a script, and a notification `[scripthash, hash]` when a new ' +
        'tip changes it. The text is, for each output in chain order and each atomical at it by id, ' +
        '`<txid>:<vout>:<atomical_id>:<amount>:` as listscripthash has them; a script with more than 10,000 unspent ' +
        'outputs is refused with 10001.',
      params: z.object({ scripthash: ScriptHash }),
      result: TopicHash,
      example: { params: [EXAMPLE_SCRIPTHASH], result: EXAMPLE_STATUS },
      topic: (_ctx, { scripthash: { hashX, alias } }) => scriptTopic(hashX, alias.toLowerCase()),
    }),
    ...pairOf({
      name: '',
      summary:
        'A hash over what happened to an atomical, and a notification `[atomical_id, hash]` when a new tip changes it: ' +
        'it moved, its state, events or seal changed, units were minted, or its claim on a name came further. The text ' +
        'is `<atomical_id>:<history>:<claim>:`: `history` is the status (protocol-basics) over its transactions as ' +
        '`get_tx_history` lists them, in chain order; `claim` the status of what it asks for, as ' +
        '`$request_realm_status` and the like have it, or nothing. null for an id that is not minted: it can be followed.',
      params: z.object({ atomical: AtomicalRefParam }),
      result: TopicHash,
      example: { params: [EXAMPLE_ID], result: EXAMPLE_STATUS },
      topic: (ctx, { atomical }: { readonly atomical: AtomicalRef }) => atomicalTopic(kit.answers(ctx).idOf(atomical)),
    }),
    ...pairOf({
      name: 'name.',
      summary:
        'A hash over who asks for a name, and a notification `[type, name, parent, hash]` (`parent` null where there is ' +
        'none) when a new tip changes it, by new claims or by time. The text is `<status>:<candidate_atomical_id>:`, then ' +
        '`<atomical_id>:<commit_height>:` of each candidate, as get_by_realm and the like have them, nothing for null; ' +
        'null while nobody asks.',
      params: nameParams,
      result: TopicHash,
      example: { params: ['realm', 'example'], result: EXAMPLE_STATUS },
      topic: (ctx, params) => nameTopic(askedName(kit.answers(ctx), params)),
    }),
    ...pairOf({
      name: 'global.',
      summary: 'The Atomicals hash of the tip, and a notification of the same object once for every new tip.',
      params: z.object({}),
      result: GlobalState,
      example: {
        params: [],
        result: { height: 850000, block_hash: EXAMPLE_TXID, atomicals_hash: EXAMPLE_STATUS },
      },
      topic: () => globalTopic,
    }),
  ]
}
