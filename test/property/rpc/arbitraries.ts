import * as fc from 'fast-check'
import type { Json } from '../../../src/rpc/json.ts'

/** Integers that a double holds and integers that it does not, as the reader gives them. */
const integer: fc.Arbitrary<Json> = fc
  .bigInt({ min: -(10n ** 40n), max: 10n ** 40n })
  .map((value) => (Number.isSafeInteger(Number(value)) ? Number(value) : value))

/** Whole ones that are written without an exponent are read as integers. */
const double: fc.Arbitrary<Json> = fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => {
  if (value === 0) return 0
  return Number.isInteger(value) && !Number.isSafeInteger(value) && Math.abs(value) < 1e21 ? BigInt(value) : value
})

/** Any JSON, integers of any size among it. */
export const json: fc.Arbitrary<Json> = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 6 },
    fc.constant(null),
    fc.boolean(),
    integer,
    fc.integer(),
    double,
    fc.string({ unit: 'binary' }),
    fc.string(),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__'), fc.constant('constructor')), tie('value'), {
      maxKeys: 5,
    }),
  ),
})).value

/** A message that is nearly right: the parts that a request has, each of them right or any JSON. */
export const nearlyRequest: fc.Arbitrary<Json> = fc.record(
  {
    jsonrpc: fc.oneof(fc.constantFrom<Json>('2.0', '1.0', '3.0', 2), json),
    method: fc.oneof(
      fc.constantFrom<Json>(
        'server.ping',
        'server.version',
        'blockchain.block.header',
        'blockchain.block.headers',
        'blockchain.estimatefee',
        'blockchain.scripthash.get_history',
        'blockchain.transaction.get_merkle',
        'constructor',
        '__proto__',
      ),
      json,
    ),
    params: fc.oneof(fc.array(json, { maxLength: 4 }), json),
    id: json,
    result: json,
    error: json,
  },
  { requiredKeys: [] },
)
