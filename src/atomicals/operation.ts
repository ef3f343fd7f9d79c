import type { TxInput } from '../chain/tx.ts'
import type { CborMap } from '../lib/cbor/values.ts'
import { findEnvelope, type OperationName } from './envelope.ts'
import { type PayloadRules, parsePayload } from './payload.ts'

export type { OperationName } from './envelope.ts'

/** An output that an input spends. */
export interface Outpoint {
  /** 32 bytes, internal order. */
  readonly txid: Uint8Array
  readonly index: number
}

interface OperationOf<Name extends OperationName> {
  readonly op: Name
  /** Not the input that it stands in: see findOperation. All but `dat` count with 0 only. */
  readonly inputIndex: number
  readonly payload: CborMap
  /** As pushed, what follows the first CBOR item included. */
  readonly payloadBytes: Uint8Array
  /** The output that input number `inputIndex` spends: the commit of what is minted. */
  readonly commit: Outpoint
}

/** The operation of a transaction; `op` says which. */
export type Operation = { [Name in OperationName]: OperationOf<Name> }[OperationName]

/** What has to be known of a transaction: see chain/tx. */
export interface WitnessedTx {
  readonly inputs: readonly Pick<TxInput, 'prevTxid' | 'prevIndex' | 'witness'>[]
}

/**
 * The operation of a transaction: of the first input that has one with a payload that decodes. Undefined if there is
 * none. An envelope with a push over its end, at which the reference stops for good, counts as no operation.
 *
 * CONSENSUS: the input index counts only inputs before that had an operation with an empty payload, so it is nearly
 * always 0 and the commit the output that input 0 spends, wherever the operation stands.
 */
export function findOperation({ inputs }: WitnessedTx, rules: PayloadRules): Operation | undefined {
  let inputIndex = 0
  for (const { witness } of inputs) {
    const envelope = findEnvelope(witness)
    if (envelope === undefined || envelope === 'truncated') continue
    if (envelope.payload.length === 0) {
      inputIndex++
      continue
    }
    const payload = parsePayload(envelope.payload, rules)
    const committed = inputs[inputIndex]
    if (payload === undefined || committed === undefined) continue
    const commit = { txid: committed.prevTxid, index: committed.prevIndex }
    return { op: envelope.op, inputIndex, payload, payloadBytes: envelope.payload, commit }
  }
  return undefined
}

/**
 * The operation that leaf scripts show before they are in a witness (PSBT): of the first script that has one. The input
 * index is that script's place among them, as the reference has it.
 */
export function findLeafOperation(
  scripts: readonly Uint8Array[],
  rules: PayloadRules,
): Pick<Operation, 'op' | 'inputIndex' | 'payload' | 'payloadBytes'> | undefined {
  for (const [inputIndex, script] of scripts.entries()) {
    const envelope = findEnvelope([script])
    if (envelope === undefined || envelope === 'truncated') continue
    const payload = parsePayload(envelope.payload, rules)
    return payload === undefined ? undefined : { op: envelope.op, inputIndex, payload, payloadBytes: envelope.payload }
  }
  return undefined
}
