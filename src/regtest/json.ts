/** What the node answers: bigint stands for satoshis and is written as BTC with eight decimals; undefined is left out. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject | JsonText
export interface JsonObject {
  readonly [name: string]: Json | undefined
}

/** JSON that is text already. */
export class JsonText {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** One line of JSON. */
export function toJson(value: Json): string {
  if (typeof value === 'bigint') return amountText(value)
  // Core writes doubles with 16 digits.
  if (typeof value === 'number') return String(Number(value.toPrecision(16)))
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (value instanceof JsonText) return value.text
  if (isList(value)) return `[${value.map(toJson).join(',')}]`
  const members: string[] = []
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${toJson(member)}`)
  }
  return `{${members.join(',')}}`
}

/** Array.isArray does not narrow readonly arrays. */
function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value)
}

/** BTC with all eight decimals. */
export function amountText(satoshis: bigint): string {
  const digits = (satoshis < 0n ? -satoshis : satoshis).toString().padStart(9, '0')
  return `${satoshis < 0n ? '-' : ''}${digits.slice(0, -8)}.${digits.slice(-8)}`
}
