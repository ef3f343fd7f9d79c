import type { ServerProcess } from '../../support/server-process.ts'

/** What the server counts, by name with labels: `valence_sessions{stage="active",direction="inbound"}`. */
export type Metrics = ReadonlyMap<string, number>

export async function readMetrics(server: ServerProcess): Promise<Metrics> {
  const reply = await fetch(`http://127.0.0.1:${server.port('metrics')}/metrics`, {
    signal: AbortSignal.timeout(30_000),
  })
  const lines = (await reply.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))]
    }),
  )
}

/** Of all with this name, whatever their labels, that `fits`. */
export function sumOf(metrics: Metrics, name: string, fits: (labels: string) => boolean = () => true): number {
  let sum = 0
  for (const [key, value] of metrics) {
    const [own = '', labels = ''] = key.split('{')
    if (own === name && fits(labels)) sum += value
  }
  return sum
}
