import { setImmediate as turn } from 'node:timers/promises'
import type { ConversationError } from '../../../src/session/outbound/errors.ts'
import { ConversationManager, type ManagerOptions } from '../../../src/session/outbound/manager.ts'
import type { Channel, Dialect, Port } from '../../../src/session/outbound/port.ts'
import { HandClock } from '../../support/hand-clock.ts'

export interface Wire {
  readonly id: number
  readonly text: string
}
export interface Heard {
  readonly id?: number
  readonly text: string
}

/** Messages are objects with an id; one whose text is `nonsense` is no answer, and `unspeakable` cannot be sent. */
export const dialect: Dialect<string, Wire, Heard> = {
  write: (id, text) => {
    if (text === 'unspeakable') throw new TypeError('no words for it')
    return { id, text }
  },
  idOf: ({ id }) => id,
  faultOf: ({ text }) => (text === 'nonsense' ? 'nonsense' : undefined),
}

/** Takes what is sent; full when told so. */
export class Mouth implements Channel<Wire> {
  readonly sent: Wire[] = []
  isOpen = true

  send(message: Wire): boolean {
    this.sent.push(message)
    return this.isOpen
  }

  get last(): Wire {
    const last = this.sent.at(-1)
    if (last === undefined) throw new Error('nothing was sent')
    return last
  }
}

export interface Remote {
  readonly port: Port<string, Wire, Heard>
  readonly mouth: Mouth
  readonly foreign: Heard[]
  breaches: number
}

export class Bench {
  readonly clock = new HandClock()
  readonly manager: ConversationManager<string, Wire, Heard>
  readonly story: string[] = []

  constructor(options: ManagerOptions = {}) {
    this.manager = new ConversationManager(options, { clock: this.clock, dialect })
    this.manager.events.on('created', ({ id }, { name }) => this.story.push(`created ${name} ${id}`))
    this.manager.events.on('message', ({ text }, { id }, { name }) => this.story.push(`message ${name} ${id} ${text}`))
    this.manager.events.on('ended', (error, { id }, { name }) =>
      this.story.push(`ended ${name} ${id} ${error?.name ?? 'well'}`),
    )
  }

  remote(name: string, options: ManagerOptions = {}): Remote {
    const mouth = new Mouth()
    const foreign: Heard[] = []
    const port = this.manager.openPort(
      name,
      mouth,
      { onForeign: (message) => foreign.push(message), onBreach: () => remote.breaches++ },
      options,
    )
    const remote: Remote = { port, mouth, foreign, breaches: 0 }
    return remote
  }
}

/** What became of a promise, once it has settled. */
export function outcome<T>(promise: Promise<T>): { value?: T; error?: ConversationError } {
  const result: { value?: T; error?: ConversationError } = {}
  const watch = async (): Promise<void> => {
    try {
      result.value = await promise
    } catch (error) {
      result.error = error as ConversationError
    }
  }
  void watch()
  return result
}

/** Lets everything happen that waits for nothing from outside. */
export async function settle(): Promise<void> {
  await turn()
}
