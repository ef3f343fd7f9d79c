import { Child } from './child.ts'

export interface EchoServer {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

/** The server that everything is a ratio to: see echo-child.ts. */
export async function startEcho(): Promise<EchoServer> {
  const child = new Child(new URL('echo-child.ts', import.meta.url))
  try {
    const port = await child.ask<number>('listen', 20_000)
    return { pid: child.pid, port, stop: () => child.stop() }
  } catch (error) {
    await child.stop()
    throw error
  }
}
