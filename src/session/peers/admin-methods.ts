import { z } from 'zod'
import { ERROR_CODES, RpcError } from '../../errors.ts'
import { type AdminMethod, defineAdminMethod } from '../admin.ts'
import type { PeerManager } from './manager.ts'

const NO_NEW_PEER = 'known already, this server itself, blacklisted, or no host and port of a server of this network'
const Word = z.string().min(1)

/** The administrator's methods that are about other servers. */
export function peerAdminMethods(
  peers: Pick<PeerManager, 'summary' | 'adminView' | 'addByName'>,
): readonly AdminMethod[] {
  return [
    defineAdminMethod({
      name: 'peers',
      summary: 'Other servers: how many are good, and each with what it says of itself and when it was looked into.',
      params: z.object({}),
      example: { params: [], result: { discovery: 'on', counts: { good: 1, total: 1 }, peers: [{ status: 'good' }] } },
      handler: () => peers.adminView(),
    }),
    defineAdminMethod({
      name: 'add_peer',
      acts: true,
      summary: 'Has a server looked into: its host, then `s` and `t`, each with its port or without for the usual one.',
      // As words, or in one as the RPC client of ElectrumX sends it; there are four kinds of details.
      params: z.object({
        real_name: Word,
        detail: Word.optional(),
        detail_2: Word.optional(),
        detail_3: Word.optional(),
        detail_4: Word.optional(),
      }),
      example: {
        params: ['electrum.example.org s50002 t50001'],
        result: "peer 'electrum.example.org s50002 t50001' added",
      },
      handler: ({ real_name: host, ...details }) => {
        const name = [host, ...Object.values(details)].filter((word) => word !== undefined).join(' ')
        if (peers.addByName(name)) return `peer '${name}' added`
        const why = peers.summary.discovery === 'on' ? NO_NEW_PEER : 'other servers are not looked for (PEER_DISCOVERY)'
        throw new RpcError(ERROR_CODES.badRequest.code, `not added: ${why}`)
      },
    }),
  ]
}
