import { readFileSync } from 'node:fs'

/** Of a second: what /proc counts in on every Linux there is. */
const TICKS = 100

/** Processor seconds, user and system, that a process has used. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The name, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

export interface Memory {
  readonly resident: number
  /** Of it, pages of mapped files, those of LevelDB and the program's own among them: the system's cache. */
  readonly mapped: number
  readonly peak: number
}

/** Bytes of memory that a process holds now and held at most. */
export function memory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024
  return { resident: kilobytes('VmRSS'), mapped: kilobytes('RssFile'), peak: kilobytes('VmHWM') }
}

/** Processor seconds that the whole machine has used. */
export function machineSeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, soft = 0] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]!
    .split(/\s+/)
    .map(Number)
  return (user + nice + system + irq + soft) / TICKS
}
