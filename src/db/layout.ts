import { compareBytes, fromLatin1 } from '../lib/bytes.ts'
import {
  bytes,
  decode,
  encode,
  encodeText,
  type Field,
  latin1,
  list,
  listToEnd,
  optional,
  orderedVarint,
  rest,
  sized,
  struct,
  text,
  u8,
  u16,
  u32,
  u40,
  varint,
} from './codec.ts'

/** Bytes of a txid that stand in keys of outputs: too many to be made alike on purpose, half of them saved. */
export const TXID_KEY_SIZE = 16
/** Bytes of a txid by which a transaction is looked up; what they have in common is told apart by the txid file. */
export const TX_LOOKUP_SIZE = 6

/** What a key space is, for docs/SCHEMA.md. */
export interface KeySpaceDescription {
  readonly name: string
  readonly prefix: string
  readonly key: string
  readonly value: string
  readonly sentence: string
}

/** What is common to all key spaces, whatever their keys and values are. */
export interface AnyKeySpace {
  readonly name: string
  /** First byte of every key of this space and of no other. Prefixes of retired spaces are never used again. */
  readonly prefix: number
  /**
   * How many leading bytes of a key (prefix included) name a group, where rows of one group are asked for together
   * while blocks are not yet flushed; 0 if they never are.
   */
  readonly groupSize: number
  describe(): KeySpaceDescription
}

/** A kind of row: how its keys and values are written and read. Nothing else knows. */
export class KeySpace<K, V> implements AnyKeySpace {
  readonly name: string
  readonly sentence: string
  readonly prefix: number
  readonly groupSize: number
  readonly #key: Field<K>
  readonly #value: Field<V>

  constructor(options: {
    readonly name: string
    readonly prefix: string
    readonly key: Field<K>
    readonly value: Field<V>
    readonly sentence: string
    readonly groupSize?: number
  }) {
    const [prefix, ...more] = fromLatin1(options.prefix)
    if (prefix === undefined || more.length > 0) throw new RangeError('a prefix is one byte')
    this.name = options.name
    this.sentence = options.sentence
    this.prefix = prefix
    this.groupSize = options.groupSize ?? 0
    this.#key = options.key
    this.#value = options.value
  }

  keyBytes(key: K): Uint8Array {
    return encode(this.#key, key, this.prefix)
  }

  /** One character a byte. */
  keyText(key: K): string {
    return encodeText(this.#key, key, this.prefix)
  }

  valueBytes(value: V): Uint8Array {
    return encode(this.#value, value)
  }

  /** One character a byte. */
  valueText(value: V): string {
    return encodeText(this.#value, value)
  }

  /** Throws StorageError 'corrupt' for what is no key of this space. */
  readKey(row: Uint8Array): K {
    return decode(this.#key, row, 1)
  }

  /** Throws StorageError 'corrupt' for what is no value of this space. */
  readValue(row: Uint8Array): V {
    return decode(this.#value, row)
  }

  readValueText(row: string): V {
    return this.readValue(fromLatin1(row))
  }

  /** All keys of this space that go on with `start`. */
  range(start: Uint8Array = new Uint8Array(0)): KeyRange {
    const gte = new Uint8Array(1 + start.length)
    gte[0] = this.prefix
    gte.set(start, 1)
    return rangeOf(gte)
  }

  /** Keys that go on with `start` and stand beyond `key` (without the prefix), if there is one: above it, or below it. */
  rangeBeyond(start: Uint8Array, key: Uint8Array | undefined, side: 'above' | 'below'): KeyRange {
    if (key === undefined) return this.range(start)
    const { gte, lt } = this.range(start)
    const bound = new Uint8Array(1 + key.length + (side === 'above' ? 1 : 0))
    bound[0] = this.prefix
    bound.set(key, 1)
    // The first key above another is that with a zero byte behind it.
    return side === 'above'
      ? { gte: compareBytes(bound, gte) > 0 ? bound : gte, lt }
      : { gte, lt: compareBytes(bound, lt) < 0 ? bound : lt }
  }

  describe(): KeySpaceDescription {
    return {
      name: this.name,
      prefix: String.fromCharCode(this.prefix),
      key: this.#key.label,
      value: this.#value.label,
      sentence: this.sentence,
    }
  }
}

/** Keys from `gte` on and before `lt`. */
export interface KeyRange {
  readonly gte: Uint8Array
  readonly lt: Uint8Array
}

/** All keys that begin with `prefix`. Throws RangeError if nothing can stand after them. */
export function rangeOf(prefix: Uint8Array): KeyRange {
  return { gte: prefix, lt: after(prefix) }
}

/** The first key that does not begin with `prefix`. */
function after(prefix: Uint8Array): Uint8Array {
  let end = prefix.length
  while (end > 0 && prefix[end - 1] === 0xff) end -= 1
  if (end === 0) throw new RangeError('nothing stands after all keys')
  const next = prefix.slice(0, end)
  next[end - 1] = (next[end - 1] ?? 0) + 1
  return next
}

/** The key right after `key`. */
export function following(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

/** What the database is and where it stands. */
export interface StateRow {
  readonly schema: number
  readonly coin: string
  readonly net: string
  /** 32 bytes, internal order. */
  readonly genesisHash: Uint8Array
  /** Blocks indexed, genesis among them: the tip's height + 1. */
  readonly blocks: number
  /** 32 bytes, internal order; zero while there are no blocks. */
  readonly tipHash: Uint8Array
  /** Transactions indexed; also the rows of the files `txids` and `inputstarts` that count. */
  readonly txCount: number
  /** Inputs of those transactions; also the rows of the file `inputs` that count. */
  readonly inputCount: number
  /** 1 if there are OUTPUTS rows. */
  readonly listsOutputs: number
  /** Names of the indexers that wrote it. */
  readonly indexers: readonly string[]
  /** Settings that decide what rows mean. */
  readonly settings: readonly { readonly name: string; readonly value: string }[]
}

export const STATE = new KeySpace<Record<never, never>, StateRow>({
  name: 'state',
  prefix: 'S',
  key: struct({}),
  value: struct({
    schema: u16,
    coin: text,
    net: text,
    genesisHash: bytes(32),
    blocks: u32,
    tipHash: bytes(32),
    txCount: u40,
    inputCount: u40,
    listsOutputs: u8,
    indexers: list(text),
    settings: list(struct({ name: text, value: text })),
  }),
  sentence: 'One row: schema version, network and tip. Written in every batch, so that a batch carries its own tip.',
})

export interface HeaderRow {
  /** Transactions up to and with this block. */
  readonly txCount: number
  /** Inputs up to and with this block. */
  readonly inputCount: number
  readonly header: Uint8Array
}

export const HEADERS = new KeySpace<{ readonly height: number }, HeaderRow>({
  name: 'headers',
  prefix: 'H',
  key: struct({ height: u32 }),
  value: struct({ txCount: u40, inputCount: u40, header: rest }),
  sentence: 'Header of each block, and the numbers of transactions and of inputs up to and with it.',
})

export const TXS = new KeySpace<{ readonly txid: Uint8Array; readonly txNum: number }, Record<never, never>>({
  name: 'transactions',
  prefix: 'T',
  key: struct({ txid: bytes(TX_LOOKUP_SIZE), txNum: u40 }),
  value: struct({}),
  sentence: 'Transaction number by the first bytes of its id; the txid file has the id itself.',
})

/** Key of what concerns one output. */
export interface OutputKey {
  /** First TXID_KEY_SIZE bytes of the id. */
  readonly txid: Uint8Array
  readonly vout: number
}

export const OUTPUTS = new KeySpace<OutputKey, { readonly hashX: Uint8Array; readonly value: number }>({
  name: 'outputs',
  prefix: 'O',
  key: struct({ txid: bytes(TXID_KEY_SIZE), vout: orderedVarint }),
  value: struct({ hashX: bytes(11), value: varint }),
  sentence:
    'Whose an unspent output is, and satoshis. Kept only where the node does not tell what blocks spend (REST spenttxouts), or did not.',
})

export interface UtxoRow {
  readonly txNum: number
  /** Satoshis. */
  readonly value: number
}

export const UTXOS = new KeySpace<OutputKey & { readonly hashX: Uint8Array }, UtxoRow>({
  name: 'utxos',
  prefix: 'U',
  key: struct({ hashX: bytes(11), txid: bytes(TXID_KEY_SIZE), vout: orderedVarint }),
  value: struct({ txNum: u40, value: varint }),
  sentence: 'Unspent outputs of each script: number of the transaction and satoshis.',
})

export interface HistoryRow {
  /** Distance of each further transaction number to the one before; the key has the first. */
  readonly deltas: readonly number[]
}

export const HISTORY = new KeySpace<{ readonly hashX: Uint8Array; readonly first: number }, HistoryRow>({
  name: 'history',
  prefix: 'h',
  key: struct({ hashX: bytes(11), first: u40 }),
  value: struct({ deltas: listToEnd(varint) }),
  sentence:
    'Numbers of the transactions that pay to or spend from a script; a row for each block or for each flush, until gathered.',
})

/** HISTORY rows go on where the head ends. */
export const HEAD_GOES_ON = 1
/** Nothing that the script was ever paid is unspent: it has no UTXOS rows. Where it is not set, it may have none either. */
export const HEAD_ALL_SPENT = 2

export interface HeadRow {
  /** HEAD_GOES_ON, HEAD_ALL_SPENT or nothing. */
  readonly flags: number
  /** Distance of each transaction number to the one before, and of the first to zero. */
  readonly deltas: readonly number[]
}

export const HEADS = new KeySpace<{ readonly hashX: Uint8Array }, HeadRow>({
  name: 'history heads',
  prefix: 'g',
  key: struct({ hashX: bytes(11) }),
  value: struct({ flags: u8, deltas: listToEnd(varint) }),
  sentence:
    'What a script has done, under a key that is known beforehand: all of it, or (flag 1) what comes before its rows of `history`. Flag 2: it has no rows of `utxos`.',
})

export const GATHERED = new KeySpace<Record<never, never>, Record<never, never>>({
  name: 'gathered',
  prefix: 'G',
  key: struct({}),
  value: struct({}),
  sentence: 'One row, there while scripts have rows of `history` only where their heads say so.',
})

/** One write of a row: `value` undefined takes it away. Key and value have one character a byte. */
export interface RowWrite {
  readonly key: string
  readonly value: string | undefined
}

export interface UndoRow {
  /** Hash of the block that this takes back. */
  readonly hash: Uint8Array
  /** The tip below it. */
  readonly baseHash: Uint8Array
  readonly baseTxCount: number
  readonly baseInputCount: number
  /** What takes the indexes back that every coin has: see base-undo.ts. */
  readonly base: Uint8Array
  /** Rows of the indexes that the coin adds. */
  readonly writes: readonly RowWrite[]
}

export const UNDO = new KeySpace<{ readonly height: number }, UndoRow>({
  name: 'undo',
  prefix: 'u',
  key: struct({ height: u32 }),
  value: struct({
    hash: bytes(32),
    baseHash: bytes(32),
    baseTxCount: u40,
    baseInputCount: u40,
    base: sized,
    writes: list(struct({ key: latin1, value: optional(latin1) })),
  }),
  sentence: 'What takes a block back; kept for the reorg limit.',
})

/** Every key space of the index without those that a coin adds. */
export const KEY_SPACES: readonly AnyKeySpace[] = [STATE, HEADERS, TXS, OUTPUTS, UTXOS, HISTORY, HEADS, GATHERED, UNDO]

/** The body of docs/SCHEMA.md. */
export function describeSchema(spaces: readonly AnyKeySpace[] = KEY_SPACES): string {
  const rows = spaces.map((space) => {
    const { name, prefix, key, value, sentence } = space.describe()
    return `| \`${prefix}\` | ${name} | ${key} | ${value} | ${sentence} |`
  })
  return [
    'The index is one LevelDB (`index/`) and three files of rows of one size, of which only as many count as the state row',
    'says:',
    '',
    '- `txids`, by transaction number: 32 bytes, the id.',
    '- `inputstarts`, by transaction number: u32 LE, the inputs of its block that stand before its own.',
    '- `inputs`, by input number (counted from block 1 on, through all blocks): 8 bytes of the outpoint that it spends, the',
    '  first eight of the txid with the last four of them XORed with the output index (LE).',
    '',
    'Keys begin with the byte under "prefix". Numbers u8 to u40 are unsigned, most significant byte first; a varint has',
    'seven bits a byte, least significant first; an ordered varint is one byte below 248, else 247 and the number of bytes',
    'that follow, most significant first; hashes are in internal byte order; a hashX is the first 11 bytes of the SHA-256',
    'of an output script.',
    '',
    '| prefix | rows | key after the prefix | value | what they are |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n')
}
