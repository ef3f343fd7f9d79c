/** Lines for people on standard output; one JSON object at the end for whoever compares runs. */

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** About progress: not part of the result. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`)
}

export function printJson(bench: string, figures: unknown): void {
  print(JSON.stringify({ bench, ...(figures as object) }))
}

export const MB = 1e6

/** `value` with so many digits after the point that three count. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const digits = Math.max(0, Math.min(3, 2 - Math.floor(Math.log10(Math.abs(value) || 1))))
  return value.toFixed(digits)
}

export function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '-'
}

/** A mark and how the figure stands to it. */
export function against(value: number, mark: number, better: 'lower' | 'higher'): string {
  const met = better === 'lower' ? value <= mark : value >= mark
  return `mark ${whole(mark)}${met ? '' : ', MISSED'}`
}

/** The q-quantile (0 to 1) of numbers in any order; NaN of none. */
export function quantile(values: Iterable<number>, q: number): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

/** Columns, the first one left, the others right. */
export function printTable(rows: readonly (readonly string[])[]): void {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  for (const row of rows) {
    print(row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join('  '))
  }
}
