import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Of a second: what /proc counts in on every Linux there is. */
const TICKS = 100

/** Processor seconds, user and system, that a process has used. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** Seconds for which a process's first thread was ready to run and had no processor. */
export function starvedSeconds(pid: number): number {
  const [, waiting = '0'] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ')
  return Number(waiting) / 1e9
}

export interface Memory {
  readonly resident: number
  /** Of it, pages of mapped files, those of LevelDB and the program's own among them: the system's cache. */
  readonly mapped: number
  /** Of it, what no file stands for: what the process itself takes. */
  readonly anonymous: number
  readonly peak: number
}

/** Bytes of memory that a process holds now and held at most. */
export function memory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
  return {
    resident: kilobytes('VmRSS'),
    mapped: kilobytes('RssFile'),
    anonymous: kilobytes('RssAnon'),
    peak: kilobytes('VmHWM'),
  }
}

/** Processor seconds that the whole machine has used. */
export function machineSeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .map(Number)
  return (user + nice + system + irq + soft) / TICKS
}

/** At rest is who uses less than a twentieth of a processor for so long. */
const REST_MS = 400
const REST_SHARE = 1 / 20
const REST_LIMIT_MS = 20_000

/** Settles once these processes have nothing to do any more. Throws if they always have. */
export async function untilAtRest(pids: readonly number[]): Promise<void> {
  const used = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0)
  const deadline = performance.now() + REST_LIMIT_MS
  for (let before = used(); performance.now() < deadline; ) {
    await delay(REST_MS)
    const now = used()
    if (now - before <= (REST_MS / 1000) * REST_SHARE) return
    before = now
  }
  throw new Error('server and node do not come to rest')
}
