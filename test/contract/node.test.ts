import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type ContractRow,
  callOf,
  differenceOf,
  HttpCaller,
  type NodeClient,
  readContract,
  readCorpusBlocks,
  readZmqContract,
} from '../support/node-contract.ts'
import { Bitcoind, BuiltInNode, type NodeMode, type NodeUnderTest } from '../support/node-contract-nodes.ts'
import { ZmqListener } from '../support/node-contract-zmq.ts'

/*
 * What a real bitcoind answered, asked again of the built-in node: always, and of a bitcoind where BITCOIN names one.
 * Rows that are left out are named here, with the reason, and counted.
 */

const WARM_UP = new Map([
  [1, 'says what a node answers at one moment of its start; see test/unit/regtest/http.test.ts'],
])

const SCRIPT_ROWS = new Map([
  [384, 'wrong witness: refused by running the script'],
  [385, 'witness missing: refused by running the script'],
  [386, 'script fails: refused by running the script'],
])

const UNUSED_CALLS = new Map([
  ['getblockstats', 'statistics of a block: no part of the server asks for them'],
  ['gettxoutproof', 'merkle proofs are made by the server itself'],
  ['getdeploymentinfo', 'states of soft forks: no part of the server asks for them'],
  ['deploymentinfo', 'the same over REST'],
])

const rows = readContract()
const steps = [...new Set(rows.map(({ step }) => step))]
const zmqRows = readZmqContract()
const corpus = readCorpusBlocks()

/** When the recorded node was started again, and how. */
const STARTS: Readonly<Record<string, NodeMode>> = {
  genesis: { policy: 'loose', txindex: false },
  'ordinary policy': { policy: 'ordinary', txindex: false },
  'with indexes': { policy: 'loose', txindex: true },
}

const program = process.env['BITCOIN']
const implementations: readonly {
  readonly name: string
  readonly make: () => NodeUnderTest
  readonly without: (row: ContractRow) => boolean
  readonly left: number
}[] = [
  {
    name: 'the built-in node',
    make: () => new BuiltInNode(),
    without: (row) => isIn(WARM_UP, row) || isIn(SCRIPT_ROWS, row) || UNUSED_CALLS.has(callOf(row)),
    left: 12,
  },
  ...(program === undefined
    ? []
    : [
        {
          name: 'a real bitcoind',
          make: () => new Bitcoind(program),
          without: (row: ContractRow) => isIn(WARM_UP, row),
          left: 1,
        },
      ]),
]

function lineOf({ topic, body, n }: { topic: string; body: string; n: number }): string {
  return `${topic} ${n} ${body}`
}

function isIn(list: ReadonlyMap<number, string>, { id }: ContractRow): boolean {
  return id !== undefined && list.has(id)
}

describe.each(implementations)('$name answers like the recorded bitcoind', ({ make, without, left }) => {
  const caller = new HttpCaller()
  let node: NodeUnderTest
  let client: NodeClient
  let zmq: ZmqListener | undefined
  let zmqSteps: string[] = []
  let compared = 0

  beforeAll(() => {
    node = make()
  })
  afterAll(async () => {
    caller.close()
    await zmq?.close()
    await node.remove()
  })

  /** Holds the messages since the last start against those recorded in the steps since then. */
  async function checkMessages(): Promise<void> {
    if (zmq === undefined) return
    const listener = zmq
    zmq = undefined
    const expected = zmqRows.filter(({ step }) => zmqSteps.includes(step)).map(lineOf)
    try {
      await listener.waitFor(expected.length, 60_000)
      const lines = listener.messages.map(lineOf)
      const differing = lines.flatMap((line, i) => (line === expected[i] ? [] : [`${line} instead of ${expected[i]}`]))
      expect(differing.slice(0, 20)).toEqual([])
    } finally {
      await listener.close()
    }
  }

  async function restart(mode: NodeMode): Promise<void> {
    await checkMessages()
    await node.stop()
    const started = await node.start(mode)
    client = started
    zmq = new ZmqListener()
    zmqSteps = []
    await zmq.connect(started.zmq)
    // A subscription is on its way when the handshake is over; by the time this is answered it has arrived.
    await caller.rpc(client, 'uptime', [])
  }

  async function submit(hex: string): Promise<void> {
    const reply = await caller.rpc(client, 'submitblock', [hex])
    const answer = JSON.parse(reply.body.toString()) as { result: unknown; error: unknown }
    expect([null, 'inconclusive']).toContain(answer.result)
    expect(answer.error).toBeNull()
  }

  async function replay(row: ContractRow): Promise<string | undefined> {
    if (row.act === 'feed') {
      for (const block of corpus.slice(row.from, row.to)) await submit(block.hex)
    } else if (row.act === 'submitblock') {
      await submit(row.hex ?? '')
    }
    if (row.id === undefined || without(row)) return undefined
    compared += 1
    return differenceOf(row, await caller.ask(client, row))
  }

  it.each(steps.filter((step) => step !== 'warm-up'))('%s', async (step) => {
    const mode = STARTS[step]
    if (mode !== undefined) await restart(mode)
    zmqSteps.push(step)
    const differences: string[] = []
    for (const row of rows.filter((each) => each.step === step)) {
      const difference = await replay(row)
      if (difference !== undefined) differences.push(difference)
    }
    expect(differences).toEqual([])
  })

  it('sends the same ZMQ messages with the same counters', async () => {
    expect(zmqSteps).toContain('invalidateblock')
    await checkMessages()
  })

  it('leaves out no more rows than are named', () => {
    expect(compared).toBe(rows.filter(({ id }) => id !== undefined).length - left)
  })
})
