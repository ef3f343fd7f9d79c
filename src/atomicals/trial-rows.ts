import type { KeySpace } from '../db/layout.ts'
import { fromLatin1, toLatin1 } from '../lib/bytes.ts'
import type { EditableRows, RowOf, RowSource } from './rows.ts'

/** Rows as they would be after writes that are made nowhere else: dropped with this object. */
export class TrialRows implements EditableRows {
  readonly #below: RowSource
  /** Values by key, both one character a byte, the prefix included; undefined for what is removed. */
  readonly #edits = new Map<string, string | undefined>()

  constructor(below: RowSource) {
    this.#below = below
  }

  get<K, V>(space: KeySpace<K, V>, key: K): V | undefined {
    const text = space.keyText(key)
    if (!this.#edits.has(text)) return this.#below.get(space, key)
    const value = this.#edits.get(text)
    return value === undefined ? undefined : space.readValueText(value)
  }

  async rows<K, V>(space: KeySpace<K, V>, start: Uint8Array): Promise<readonly RowOf<K, V>[]> {
    const prefix = String.fromCharCode(space.prefix) + toLatin1(start)
    const below = await this.#below.rows(space, start)
    const edited = [...this.#edits].filter(([key]) => key.startsWith(prefix))
    if (edited.length === 0) return below
    const rows = new Map(below.map((row) => [space.keyText(row.key), row]))
    for (const [key, value] of edited) {
      if (value === undefined) rows.delete(key)
      else rows.set(key, { key: space.readKey(fromLatin1(key)), value: space.readValueText(value) })
    }
    return [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
  }

  put<K, V>(space: KeySpace<K, V>, key: K, value: V): void {
    this.#edits.set(space.keyText(key), space.valueText(value))
  }

  remove<K, V>(space: KeySpace<K, V>, key: K): void {
    this.#edits.set(space.keyText(key), undefined)
  }
}
