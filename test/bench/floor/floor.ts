import { Child } from '../support/child.ts'
import type { NodeProcess } from '../support/node-process.ts'
import type { FloorAnswer, FloorQuestion } from './floor-child.ts'

const LIMIT_MS = 900_000

/** Runs one step over the node's whole chain in a process of its own. */
export async function runFloor(step: FloorQuestion['step'], { url, cookieFile }: NodeProcess): Promise<FloorAnswer> {
  const child = new Child(new URL('floor-child.ts', import.meta.url))
  try {
    return await child.ask<FloorAnswer>({ step, url, cookieFile } satisfies FloorQuestion, LIMIT_MS)
  } finally {
    await child.stop()
  }
}
