import type { SeededRandom } from '../../support/crash-random.ts'
import type { ServerProcess } from '../../support/server-process.ts'
import type { Findings } from '../findings.ts'
import { pause } from '../waits.ts'

const COMMANDS = ['getinfo', 'sessions', 'groups', 'peers'] as const

interface SessionRow {
  readonly id: number
  readonly direction: string
  readonly remote: string
}

/** The row of the session that came from an address, as text. */
export async function sessionOf(
  server: ServerProcess,
  from: { readonly host: string; readonly port: number },
): Promise<string> {
  const rows = (await server.admin('sessions')) as readonly SessionRow[]
  const row = rows.find(({ remote }) => remote === `${from.host}:${from.port}`)
  return row === undefined ? 'the server has no such session' : `its session is ${JSON.stringify(row)}`
}

/** Looks at everything there is to see, and throws visitors out now and then. Those who stay come from 127.0.0.1. */
export async function operate(
  server: ServerProcess,
  random: SeededRandom,
  findings: Findings,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for (const command of COMMANDS) await server.admin(command)
      const rows = (await server.admin('sessions')) as readonly SessionRow[]
      const visitors = rows.filter(({ direction, remote }) => direction === 'inbound' && !remote.startsWith('127.'))
      if (visitors.length > 0) await throwOut(server, random.pick(visitors), random)
    } catch (error) {
      if (!signal.aborted) findings.add(`the operator is not answered: ${String(error)}`)
    }
    await pause(random.between(4_000, 8_000), signal)
  }
}

async function throwOut(server: ServerProcess, { id }: SessionRow, random: SeededRandom): Promise<void> {
  await server.admin('inspect_session', String(id))
  await server.admin('disconnect', String(id), 'soak')
  if (!random.chance(0.1)) return
  await server.admin('disconnect', `203.${random.between(0, 39)}.${random.between(0, 49)}.0/24`, 'soak')
}
