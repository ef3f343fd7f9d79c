import { Pings } from '../sessions/pings.ts'
import { Announcements } from '../support/announcements.ts'
import { serve } from '../support/child.ts'
import { servedAt } from './served.ts'

/** One block is watched at a time: `begin` before it is handed to the node, `end` once all have heard of it. */
export type ObserverCommand =
  | {
      readonly do: 'begin'
      readonly port: number
      readonly zmqEndpoint: string
      /** A script that the block at `height` pays. */
      readonly scripthash: string
      readonly height: number
    }
  /** `hash` as displayed; `last`: when (milliseconds since the epoch) the last notification was heard. */
  | { readonly do: 'end'; readonly hash: string; readonly last: number }

/** Milliseconds since the epoch. */
export interface Observed {
  readonly announced: number
  readonly served: number
  /** Milliseconds that pings took between the announcement and the last notification. */
  readonly pings: readonly number[]
}

interface Watch {
  readonly announcements: Announcements
  readonly pings: Pings
  readonly serving: Promise<number>
}

/*
 * In a process of its own: who hands 3.4 MB of hex to a node hears the announcement late (measured, up to 50 ms), and
 * would take its own pauses for those of the server.
 */
let watch: Watch | undefined

async function begin(command: ObserverCommand & { do: 'begin' }): Promise<void> {
  const { port, zmqEndpoint, scripthash, height } = command
  const announcements = await Announcements.listen(zmqEndpoint)
  const pings = await Pings.start(port)
  const serving = servedAt(port, scripthash, height)
  // Heard at the end.
  serving.catch(() => {})
  watch = { announcements, pings, serving }
}

async function end({ hash, last }: ObserverCommand & { do: 'end' }): Promise<Observed> {
  if (watch === undefined) throw new Error('nothing is watched')
  const { announcements, pings, serving } = watch
  watch = undefined
  const served = await serving
  const announced = announcements.timeOf(hash)
  await announcements.close()
  if (announced === undefined) throw new Error('the node did not announce the block')
  return { announced, served, pings: await pings.stop(announced, last) }
}

serve(
  (question) => {
    const command = question as ObserverCommand
    return command.do === 'begin' ? begin(command) : end(command)
  },
  () => Promise.resolve(),
)
