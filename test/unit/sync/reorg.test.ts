import { describe, expect, it } from 'vitest'
import type { ChainTip } from '../../../src/daemon/daemon.ts'
import { DaemonUnavailableError, ForkTooDeepError } from '../../../src/errors.ts'
import { toDisplayHex } from '../../../src/lib/bytes.ts'
import { findFork, type OwnChain } from '../../../src/sync/reorg.ts'
import { FakeDaemon } from '../../support/fake-context.ts'

const TIP = 30
const DEEPEST = 20

/** Hash of a block of branch `a`, which is ours, or of another; those up to the fork are the same. */
function hashOf(branch: string, height: number): Uint8Array {
  return new Uint8Array(32).fill(height, 0, 1).fill(branch.charCodeAt(0), 1)
}

const OWN: OwnChain = {
  tip: { height: TIP },
  deepestFork: DEEPEST,
  blockHash: (height) => (height <= TIP ? hashOf('a', height) : undefined),
}

/** A node with our branch up to `fork` and another one from there up to `height`. */
class Node extends FakeDaemon {
  fork: number
  top: number
  tips: readonly ChainTip[] = []
  /** Called before each answer, with how many there were. */
  before: (answers: number) => void = () => undefined
  #answers = 0

  constructor(fork: number, height: number) {
    super()
    this.fork = fork
    this.top = height
  }

  override async blockHashes(start = 0, count = 0): Promise<never> {
    this.before(this.#answers++)
    const end = Math.min(this.top, start + count - 1)
    const heights = Array.from({ length: Math.max(0, end - start + 1) }, (_, i) => start + i)
    return heights.map((at) => toDisplayHex(hashOf(at <= this.fork ? 'a' : 'b', at))) as never
  }

  override async chainTips(): Promise<never> {
    return this.tips as never
  }
}

const find = (node: Node): Promise<number> => findFork(OWN, node, node.top, new AbortController().signal)

describe('a fork that seems too deep', () => {
  it('is told with its depth where it is known, and as too deep where it is not', async () => {
    await expect(find(new Node(DEEPEST, 40))).resolves.toBe(DEEPEST)
    await expect(find(new Node(DEEPEST - 1, 40))).rejects.toThrow(ForkTooDeepError)
    await expect(find(new Node(0, 40))).rejects.toThrow(/more than 10 blocks below height 30.*index again$/)
  })

  it.each<[string, (node: Node) => void]>([
    ['it has gone back to our branch', (node) => (node.fork = TIP)],
    ['it has left more of ours', (node) => (node.fork = DEEPEST - 5)],
    ['it has taken back the other one', (node) => (node.top = node.fork)],
  ])('is none where the node moved while it was asked: %s', async (_what, move) => {
    // As deep as it goes and one more, in what the first round of questions has.
    const node = new Node(DEEPEST - 1, TIP + 1)
    let asked = 0
    node.before = (answers) => (asked = answers)
    await expect(find(node)).rejects.toThrow(ForkTooDeepError)
    const last = asked
    const moving = new Node(DEEPEST - 1, TIP + 1)
    moving.before = (answers) => {
      if (answers === last) move(moving)
    }
    const ended = find(moving)
    await expect(ended).rejects.toThrow(DaemonUnavailableError)
    await expect(ended).rejects.not.toThrow(ForkTooDeepError)
  })
})

describe('a node below the index', () => {
  const tip = (branch: string, height: number, fork: number, status: ChainTip['status']): ChainTip => ({
    height,
    hash: toDisplayHex(hashOf(branch, height)),
    fork,
    status,
  })
  const decided = async (...tips: readonly ChainTip[]): Promise<boolean> => {
    const node = new Node(25, 27)
    node.tips = [tip('b', 27, 27, 'active'), ...tips]
    return find(node).then(
      (fork) => fork === 25,
      (error: unknown) => {
        expect(error).toBeInstanceOf(DaemonUnavailableError)
        return false
      },
    )
  }

  it('has decided against our branch where that is invalid, also with blocks on top that we never had', async () => {
    expect(await decided(tip('a', TIP, 25, 'invalid'))).toBe(true)
    expect(await decided(tip('a', TIP + 2, 25, 'invalid'))).toBe(true)
  })

  it('has not where the branch is another one, is not verified, or is where it is going to', async () => {
    expect(await decided()).toBe(false)
    expect(await decided(tip('c', TIP + 2, 24, 'invalid'))).toBe(false)
    expect(await decided(tip('c', TIP - 1, 25, 'invalid'))).toBe(false)
    expect(await decided(tip('a', TIP, 25, 'known'))).toBe(false)
    expect(await decided(tip('a', TIP, 27, 'verified'))).toBe(false)
    expect(await decided(tip('a', TIP, 25, 'verified'))).toBe(true)
  })
})
