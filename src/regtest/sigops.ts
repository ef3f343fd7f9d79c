import { instructions, isPayToScriptHash, OP, witnessProgram } from '../chain/script.ts'
import type { Tx } from '../chain/tx.ts'
import type { Coin } from './coins.ts'

const CHECKSIGVERIFY = 0xad
const CHECKMULTISIGVERIFY = 0xaf
const MAX_KEYS = 20

/** Signature operations in a script; with `exact`, multisigs count the keys that the opcode before tells. */
function countSigops(script: Uint8Array, exact: boolean): number {
  let count = 0
  let last = OP.RETURN as number
  for (const { opcode } of instructions(script)) {
    if (opcode === OP.CHECKSIG || opcode === CHECKSIGVERIFY) count += 1
    else if (opcode === OP.CHECKMULTISIG || opcode === CHECKMULTISIGVERIFY) {
      const known = exact && last >= OP.TRUE && last <= OP.NUMBER16
      count += known ? last - OP.RESERVED : MAX_KEYS
    }
    last = opcode
  }
  return count
}

/** Signature operations in a transaction's own scripts, executed or not; multisigs count 20. */
export function legacySigops(tx: Tx): number {
  let count = 0
  for (const { script } of tx.inputs) count += countSigops(script, false)
  for (const { script } of tx.outputs) count += countSigops(script, false)
  return count
}

/** The data that a script pushes last, if it does nothing but push. */
export function lastPush(script: Uint8Array): Uint8Array | undefined {
  let data: Uint8Array | undefined
  for (const instruction of instructions(script)) {
    if (instruction.opcode > OP.NUMBER16) return undefined
    data = instruction.data ?? new Uint8Array(0)
  }
  return data
}

/** Cost of a transaction's signature operations: 4 for those in its scripts and behind P2SH, 1 for those in witnesses. */
export function sigopCost(tx: Tx, coins: readonly Coin[]): number {
  let cost = legacySigops(tx) * 4
  if (tx.isCoinbase) return cost
  tx.inputs.forEach(({ script, witness }, i) => {
    const spent = coins[i]?.script
    if (spent === undefined) return
    const redeem = isPayToScriptHash(spent) ? lastPush(script) : undefined
    if (redeem !== undefined) cost += countSigops(redeem, true) * 4
    cost += witnessSigops(redeem ?? spent, witness)
  })
  return cost
}

/** Non-witness signature operations where they are executed (BIP54). */
export function executedSigops(tx: Tx, coins: readonly Coin[]): number {
  let count = 0
  tx.inputs.forEach(({ script }, i) => {
    const spent = coins[i]?.script
    if (spent === undefined) return
    const redeem = isPayToScriptHash(spent) ? lastPush(script) : undefined
    count += countSigops(script, true) + countSigops(redeem ?? spent, true)
  })
  return count
}

export function exactSigops(script: Uint8Array): number {
  return countSigops(script, true)
}

function witnessSigops(script: Uint8Array, witness: readonly Uint8Array[]): number {
  const program = witnessProgram(script)
  if (program === undefined || program.version !== 0) return 0
  if (program.program.length === 20) return 1
  const last = witness.at(-1)
  return program.program.length === 32 && last !== undefined ? countSigops(last, true) : 0
}
