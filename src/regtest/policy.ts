import { instructions, isPayToScriptHash, OP, scriptKind, witnessProgram } from '../chain/script.ts'
import { compactSize, type Tx, type TxOutput } from '../chain/tx.ts'
import { isUnspendableScript } from './coin-changes.ts'
import type { Coin } from './coins.ts'
import { type Reject, refuse } from './reject.ts'
import { exactSigops, executedSigops, lastPush } from './sigops.ts'

/** What a node lets into its mempool beyond what consensus asks. Rates in satoshis per 1000 virtual bytes. */
export interface Policy {
  /** False: scripts, versions and sizes that the network does not relay are let in too (-acceptnonstdtxn). */
  readonly requireStandard: boolean
  readonly minRelayRate: bigint
  readonly incrementalRate: bigint
  /** Outputs that cost more than they are worth to spend at this rate are dust. */
  readonly dustRate: bigint
  /** Bytes of OP_RETURN scripts in a transaction. */
  readonly maxDataCarrierBytes: number
}

/** Bitcoin Core's defaults, and what regtest nodes are often started with (-acceptnonstdtxn=1 -dustrelayfee=0). */
export const POLICIES: Readonly<Record<'ordinary' | 'loose', Policy>> = {
  ordinary: {
    requireStandard: true,
    minRelayRate: 100n,
    incrementalRate: 100n,
    dustRate: 3000n,
    maxDataCarrierBytes: 100_000,
  },
  loose: {
    requireStandard: false,
    minRelayRate: 100n,
    incrementalRate: 100n,
    dustRate: 0n,
    maxDataCarrierBytes: 100_000,
  },
}

export const CLUSTER_COUNT_LIMIT = 64
/** Virtual bytes. */
export const CLUSTER_SIZE_LIMIT = 101_000
/** Weight that each unit of signature operation cost stands for. */
const WEIGHT_PER_SIGOP = 20
const MAX_STANDARD_WEIGHT = 400_000
const MAX_STANDARD_SIGOPS_COST = 16_000
const MIN_NONWITNESS_SIZE = 65
const MAX_SCRIPTSIG = 1650
const MAX_P2SH_SIGOPS = 15
const MAX_LEGACY_SIGOPS = 2500
const ANNEX_TAG = 0x50

/** Fee for a size at a rate, rounded up. */
export function feeAtRate(rate: bigint, vsize: number): bigint {
  return (rate * BigInt(vsize) + 999n) / 1000n
}

/** Weight that policy counts with. */
export function policyWeight(tx: Tx, sigopsCost: number): number {
  return Math.max(tx.weight, sigopsCost * WEIGHT_PER_SIGOP)
}

/** What policy says of a transaction by itself. */
export function checkStandard(tx: Tx, policy: Policy): Reject | undefined {
  if (policy.requireStandard) {
    const reason = nonstandardReason(tx, policy)
    if (reason !== undefined) return refuse(reason)
  }
  return tx.baseSize < MIN_NONWITNESS_SIZE ? refuse('tx-size-small') : undefined
}

function nonstandardReason(tx: Tx, policy: Policy): string | undefined {
  if (tx.version < 1 || tx.version > 3) return 'version'
  if (tx.weight > MAX_STANDARD_WEIGHT) return 'tx-size'
  for (const { script } of tx.inputs) {
    if (script.length > MAX_SCRIPTSIG) return 'scriptsig-size'
    if (!isPushOnly(script)) return 'scriptsig-not-pushonly'
  }
  let dataLeft = policy.maxDataCarrierBytes
  for (const { script } of tx.outputs) {
    const kind = scriptKind(script)
    if (kind === 'nonstandard' || (kind === 'multisig' && !isSmallMultisig(script))) return 'scriptpubkey'
    if (kind !== 'nulldata') continue
    if (script.length > dataLeft) return 'datacarrier'
    dataLeft -= script.length
  }
  return dustOf(tx, policy).length > 1 ? 'dust' : undefined
}

/** What policy says of what a transaction spends; `coins` in order of the inputs. */
export function checkSpends(tx: Tx, coins: readonly Coin[], policy: Policy): Reject | undefined {
  if (!policy.requireStandard) return undefined
  const nonstandard = (details: string): Reject => refuse('bad-txns-nonstandard-inputs', details)
  if (executedSigops(tx, coins) > MAX_LEGACY_SIGOPS) return nonstandard('non-witness sigops exceed bip54 limit')
  for (const [i, coin] of coins.entries()) {
    const kind = scriptKind(coin.script)
    if (kind === 'nonstandard') return nonstandard(`input ${i} script unknown`)
    if (kind === 'witness_unknown') return nonstandard(`input ${i} witness program is undefined`)
    if (kind !== 'scripthash') continue
    const redeem = lastPush(tx.inputs[i]?.script ?? new Uint8Array(0))
    if (redeem === undefined) return nonstandard(`input ${i} P2SH redeemscript missing`)
    const sigops = exactSigops(redeem)
    if (sigops > MAX_P2SH_SIGOPS) {
      return nonstandard(`p2sh redeemscript sigops exceed limit (input ${i}: ${sigops} > ${MAX_P2SH_SIGOPS})`)
    }
  }
  const plain = tx.inputs.every(({ script, witness }, i) => isWitnessStandard(script, witness, coins[i]))
  return plain ? undefined : refuse('bad-witness-nonstandard')
}

/** What policy says of signature operations, and of dust in a transaction that pays a fee. */
export function checkCosts(tx: Tx, fee: bigint, sigopsCost: number, policy: Policy): Reject | undefined {
  if (policy.requireStandard && fee !== 0n && dustOf(tx, policy).length > 0) {
    return refuse('dust', 'tx with dust output must be 0-fee')
  }
  return sigopsCost > MAX_STANDARD_SIGOPS_COST ? refuse('bad-txns-too-many-sigops', String(sigopsCost)) : undefined
}

/** Numbers of the outputs that cost more to spend than they are worth. */
export function dustOf(tx: Tx, policy: Policy): number[] {
  return tx.outputs.flatMap((output, i) => (output.value < dustLimit(output, policy) ? [i] : []))
}

function dustLimit({ script }: TxOutput, policy: Policy): bigint {
  if (isUnspendableScript(script)) return 0n
  const spendSize = witnessProgram(script) === undefined ? 148 : 67
  return feeAtRate(policy.dustRate, 8 + compactSize(script.length).length + script.length + spendSize)
}

function isPushOnly(script: Uint8Array): boolean {
  let end = 0
  for (const instruction of instructions(script)) {
    if (instruction.opcode > OP.NUMBER16) return false
    end = instruction.end
  }
  return end === script.length
}

/** Bare multisig is relayed with up to three keys. */
function isSmallMultisig(script: Uint8Array): boolean {
  const keys = (script.at(-2) ?? 0) - OP.RESERVED
  return keys >= 1 && keys <= 3
}

function isWitnessStandard(script: Uint8Array, witness: readonly Uint8Array[], coin: Coin | undefined): boolean {
  if (witness.length === 0 || coin === undefined) return true
  const wrapped = isPayToScriptHash(coin.script)
  const spent = wrapped ? lastPush(script) : coin.script
  const program = spent && witnessProgram(spent)
  if (program === undefined || scriptKind(coin.script) === 'anchor') return false
  const last = witness.at(-1)
  if (program.version === 0 && program.program.length === 32) {
    const items = witness.slice(0, -1)
    return (last?.length ?? 0) <= 3600 && items.length <= 100 && items.every((item) => item.length <= 80)
  }
  if (program.version !== 1 || program.program.length !== 32 || wrapped || witness.length < 2) return true
  if (last?.[0] === ANNEX_TAG || last?.length === 0) return false
  const tapscript = ((last?.[0] ?? 0) & 0xfe) === 0xc0
  return !tapscript || witness.slice(0, -2).every((item) => item.length <= 80)
}
