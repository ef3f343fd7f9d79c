import { execFile } from 'node:child_process'
import { mkdir, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

const ROOT = resolve(import.meta.dirname, '../..')

/** Sources as JavaScript: threads run compiled files only. */
export interface Compiled {
  /** A module by its path in src, with .js. */
  readonly load: <T>(path: string) => Promise<T>
  readonly remove: () => Promise<void>
}

/** Compiles all sources: inside the project, for its packages. */
export async function compileSources(name: string): Promise<Compiled> {
  const directory = join(ROOT, 'node_modules', '.cache', `${name}-${process.pid}`)
  await mkdir(directory, { recursive: true })
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = ['--outDir', directory, '--incremental', 'false', '--tsBuildInfoFile', 'null', '--noCheck', 'true']
  await promisify(execFile)(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.build.json'), ...options])
  return {
    load: async <T>(path: string): Promise<T> => (await import(pathToFileURL(join(directory, path)).href)) as T,
    remove: () => rm(directory, { recursive: true, force: true }),
  }
}
