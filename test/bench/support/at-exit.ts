import { rmSync } from 'node:fs'

/** Makes an interrupted bench an orderly exit, in which what atExit() was told still happens. */
export function exitOnSignals(): void {
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
}

/** Kills a child and removes a directory if the bench ends before they are taken back with what this returns. */
export function atExit(kill: () => void, directory: string): () => void {
  const clean = (): void => {
    kill()
    rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', clean)
  return () => {
    process.off('exit', clean)
  }
}
