import { z } from 'zod'
import { type Clock, systemClock } from '../../../lib/clock.ts'
import { defineMethod, type RpcMethod } from '../../method.ts'
import { AtomicalsAnswers, type AtomicalsSettings } from './answers.ts'
import { broadcastMethods } from './broadcast.ts'
import { containerMethods } from './containers.ts'
import { holderMethods } from './holders.ts'
import type { AtomicalsKit } from './kit.ts'
import { listMethods } from './lists.ts'
import { nameMethods } from './names.ts'
import { pastMoment } from './past.ts'
import { scriptMethods } from './scripts.ts'
import { singleMethods } from './single.ts'
import { subscriptionMethods } from './subscriptions.ts'
import { transactionMethods } from './transactions.ts'
import { trialMethods } from './trials.ts'
import { UnconfirmedAtomicals } from './unconfirmed.ts'
import { unspentMethods } from './unspent.ts'

/** What improvements of the protocol (AIP) are implemented: wallets compare the list. */
const AIP_IMPLEMENTED = [1, 3]

const info = defineMethod({
  name: 'server.info',
  summary: 'What Atomicals wallets ask first: the improvements of the protocol that are implemented.',
  params: z.object({}),
  extraParams: 'ignored',
  result: z.object({ aip_implemented: z.array(z.int()), version: z.string() }),
  cost: () => 0.1,
  since: [1, 0, 0],
  example: { params: [], result: { aip_implemented: AIP_IMPLEMENTED, version: 'Valence 0.1.0' } },
  handler: (ctx) => ({ aip_implemented: AIP_IMPLEMENTED, version: ctx.server.software }),
})

/** The Atomicals protocol. Some of its rows take the place of Electrum's: see withMethods. */
export function atomicalsMethods(
  settings: AtomicalsSettings,
  { clock = systemClock }: { readonly clock?: Clock } = {},
): readonly RpcMethod[] {
  const collaborators = { clock, unconfirmed: new UnconfirmedAtomicals(settings) }
  const kit: AtomicalsKit = {
    shape: settings.shape,
    answers: (ctx) => new AtomicalsAnswers(settings, ctx, collaborators),
    answersAt: async (ctx, height) => {
      const sight = height === undefined ? {} : { past: await pastMoment(ctx, height) }
      return new AtomicalsAnswers(settings, ctx, collaborators, sight)
    },
  }
  return [
    info,
    ...unspentMethods(kit),
    ...singleMethods(kit),
    ...holderMethods(kit),
    ...listMethods(kit),
    ...scriptMethods(kit),
    ...nameMethods(kit),
    ...containerMethods(kit),
    ...transactionMethods(kit),
    ...trialMethods(kit),
    ...broadcastMethods(kit),
    ...subscriptionMethods(kit),
  ]
}
