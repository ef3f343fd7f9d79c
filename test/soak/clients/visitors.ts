import type { SeededRandom } from '../../support/crash-random.ts'
import { LateError, pause } from '../waits.ts'
import { Conversation } from './conversation.ts'
import { type Dialect, longQuestion, type Subscription, someQuestion, someSubscription } from './questions.ts'
import { crowd, silent, stranger } from './rude.ts'
import { somebody, type Visit } from './visit.ts'
import { browse } from './web.ts'

type Visitor = (visit: Visit) => Promise<void>

/** Shares of each kind, of 1. */
const KINDS: readonly (readonly [name: string, share: number, visitor: Visitor])[] = [
  ['wallet', 0.35, wallet],
  ['web', 0.15, browse],
  ['quitter', 0.2, quitter],
  ['slow reader', 0.12, slowReader],
  ['stranger', 0.13, stranger],
  ['silent', 0.03, silent],
  ['crowd', 0.02, crowd],
]

/** Lets visitors come, `rate` of them a second, until `signal` aborts, and then waits until all have gone. */
export async function receive(visit: Visit, rate: number, most: number): Promise<void> {
  const { random } = visit.known
  const here = new Set<Promise<void>>()
  while (!visit.signal.aborted) {
    await pause((-Math.log(1 - random.unit()) * 1000) / rate, visit.signal)
    if (here.size >= most) continue
    const one = oneOf(visit, random)
    here.add(one)
    visit.tally.counts.set('open', here.size)
    void one.finally(() => {
      here.delete(one)
      visit.tally.counts.set('open', here.size)
    })
  }
  await Promise.all(here)
}

async function oneOf(visit: Visit, random: SeededRandom): Promise<void> {
  let left = random.unit()
  const [name, , visitor] = KINDS.find(([, share]) => (left -= share) < 0) ?? KINDS[0]!
  const { counts } = visit.tally
  counts.set(name, (counts.get(name) ?? 0) + 1)
  try {
    await visitor(visit)
  } catch (error) {
    if (isRefusal(error)) counts.set('refused', (counts.get('refused') ?? 0) + 1)
    else if (error instanceof LateError) visit.tally.late(error.message)
    else visit.tally.wrong(`${name}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
}

/** The server let somebody not in, or cut him: what it may do with those who come in crowds. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error ? error.code : undefined
  return (
    code === 'ECONNRESET' ||
    code === 'ECONNREFUSED' ||
    code === 'EPIPE' ||
    /closed|disconnected|hang up|Unexpected server response: 503/.test(error.message)
  )
}

async function arrive({ ports, known: { random }, tally, answerMs }: Visit, dialect: Dialect): Promise<Conversation> {
  const kind = random.pick(['tcp', 'tcp', 'ssl', 'ws', 'wss'] as const)
  const talk = await Conversation.open({ kind, port: ports[kind], from: somebody(random) }, tally, answerMs)
  talk.ask({ method: 'server.version', params: ['soak', [dialect, dialect]] })
  return talk
}

/** Follows some scripts and asks now and then, for seconds to minutes. */
async function wallet(visit: Visit): Promise<void> {
  const { known, signal } = visit
  const { random } = known
  const dialect = random.pick<Dialect>(['1.4', '1.6', '1.7'])
  const talk = await arrive(visit, dialect)
  const followed: Subscription[] = []
  const follow = (): void => {
    const one = someSubscription(known, dialect)
    followed.push(one)
    talk.ask(one.on)
  }
  if (random.chance(0.8)) talk.ask({ method: 'blockchain.headers.subscribe', params: [] })
  for (let i = random.between(2, 25); i > 0; i--) follow()
  if (random.chance(0.3)) talk.batch(Array.from({ length: random.between(1, 20) }, () => someQuestion(known, dialect)))
  const until = performance.now() + 2_000 + random.between(0, random.chance(0.1) ? 120_000 : 30_000)
  while (!talk.closed && !signal.aborted && performance.now() < until) {
    talk.ask(someQuestion(known, dialect))
    const [last] = followed.slice(-1)
    if (last !== undefined && random.chance(0.15)) talk.ask(followed.pop()!.off)
    if (random.chance(0.1)) follow()
    await pause(random.between(300, 3_300), signal)
  }
  await talk.answered()
  if (random.chance(0.5)) await talk.end()
  else talk.vanish()
}

/** Asks a lot and is gone before the answers are there. */
async function quitter(visit: Visit): Promise<void> {
  const { known, signal } = visit
  const { random } = known
  const talk = await arrive(visit, '1.4')
  const questions = Array.from({ length: random.between(5, 85) }, () =>
    random.chance(0.3) ? someSubscription(known, '1.4').on : someQuestion(known, '1.4'),
  )
  if (random.chance(0.5)) talk.batch(questions)
  else for (const question of questions) talk.ask(question)
  await pause(random.between(0, 40), signal)
  talk.vanish()
}

/** Asks for much and does not read it; some begin to, and get all of it. */
async function slowReader(visit: Visit): Promise<void> {
  const { known, signal } = visit
  const { random } = known
  const talk = await arrive(visit, '1.4')
  talk.pause()
  talk.ask({ method: 'blockchain.headers.subscribe', params: [] })
  for (let i = 0; i < 20; i++) talk.ask(someSubscription(known, '1.4').on)
  for (let i = 0; i < 60; i++) talk.ask(longQuestion(known))
  await pause(random.between(1_000, 40_000), signal)
  if (random.chance(0.6)) {
    talk.resume()
    await talk.answered()
  }
  talk.vanish()
}
