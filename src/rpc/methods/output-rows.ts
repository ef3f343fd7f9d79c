import { setImmediate as turn } from 'node:timers/promises'
import type { ListedUtxo, UtxoList } from '../../db/utxo-list.ts'
import { type Awaitable, after } from '../../lib/awaitable.ts'
import { LongText, within } from '../../lib/long-text.ts'
import type { OutputTexts } from '../../mempool/output-texts.ts'
import { RawJson } from '../json.ts'

/** How the confirmed outputs of a script are told, and what is done of it in one go. */
export interface OutputForm {
  /** A name for it: texts are kept by it. */
  readonly form: string
  /** JSON of one output, ASCII. Must follow from the output and the blocks up to it alone. */
  readonly textOf: (utxo: ListedUtxo) => string
  /** Outputs of some milliseconds' work. */
  readonly atOnce: number
}

const COMMA = Buffer.from(',')

/**
 * The confirmed outputs as JSON, without what stands around a list: as it is kept, or made now, at once where they are
 * few, else part by part with turns for others. Rejects with AbortError when `signal` aborts.
 */
export function confirmedText(
  { confirmed, texts }: { readonly confirmed: UtxoList; readonly texts: OutputTexts },
  form: OutputForm,
  signal: AbortSignal,
): Awaitable<string | LongText> {
  const kept = texts.get(form.form)
  if (kept !== undefined) return kept
  const made =
    confirmed.length <= form.atOnce
      ? LongText.ofAscii(partOf(confirmed, form, 0))
      : textInParts(confirmed, form, signal)
  return after(made, (text) => {
    texts.keep(form.form, text)
    return text
  })
}

async function textInParts(list: UtxoList, form: OutputForm, signal: AbortSignal): Promise<string | LongText> {
  const parts: Buffer[] = []
  for (let start = 0; start < list.length; start += form.atOnce) {
    if (start > 0) parts.push(COMMA)
    parts.push(Buffer.from(partOf(list, form, start), 'latin1'))
    await turn(undefined, { signal })
  }
  // One copy of a hundred megabytes would take as long as all of them were made to wait before.
  const whole = Buffer.allocUnsafe(parts.reduce((sum, { length }) => sum + length, 0))
  let length = 0
  for (const [i, part] of parts.entries()) {
    whole.set(part, length)
    length += part.length
    if (i % PARTS_COPIED_AT_ONCE === PARTS_COPIED_AT_ONCE - 1) await turn(undefined, { signal })
  }
  return LongText.of(whole)
}

const PARTS_COPIED_AT_ONCE = 32

function partOf(list: UtxoList, { textOf, atOnce }: OutputForm, start: number): string {
  const end = Math.min(list.length, start + atOnce)
  let text = ''
  for (let i = start; i < end; i++) {
    if (i > start) text += ','
    text += textOf(list.at(i))
  }
  return text
}

/** A list of both, with `before` and `behind` around it. */
export function listText(
  confirmed: string | LongText,
  mempool: readonly string[],
  before: string,
  behind: string,
): RawJson {
  const between = confirmed === '' || mempool.length === 0 ? '' : ','
  return new RawJson(within(`${before}[`, confirmed, `${between}${mempool.join()}]${behind}`), true)
}
