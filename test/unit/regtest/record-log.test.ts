import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { toHex } from '../../../src/lib/bytes.ts'
import { RecordLog } from '../../../src/regtest/record-log.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'record-log-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

function readAll(path: string): string[] {
  const seen: string[] = []
  RecordLog.open(path, (record, log) => seen.push(`${record.type} ${toHex(log.readSync(record))}`)).close()
  return seen
}

describe('RecordLog', () => {
  const records = [Uint8Array.of(1, 2, 3), new Uint8Array(0), new Uint8Array(300).fill(7)]
  const lines = records.map((bytes, type) => `${type} ${toHex(bytes)}`)

  function write(path: string): void {
    const log = RecordLog.open(path, () => undefined)
    records.forEach((bytes, type) => log.append(type, bytes))
    log.close()
  }

  it('tells what was written, in order, and reads any part of it', async () => {
    const path = join(directory, 'log')
    write(path)
    expect(readAll(path)).toEqual(lines)
    const log = RecordLog.open(path, () => undefined)
    const extent = log.append(9, Uint8Array.of(5, 6, 7, 8))
    expect(toHex(await log.read({ position: extent.position + 1, length: 2 }))).toBe('0607')
    log.close()
  })

  it('cuts off a last record wherever a crash has ended it, and goes on from there', () => {
    const whole = join(directory, 'whole')
    write(whole)
    const bytes = readFileSync(whole)
    const start = bytes.length - 300 - 9
    for (let end = start; end < bytes.length; end += 13) {
      const path = join(directory, `cut-${end}`)
      writeFileSync(path, bytes)
      truncateSync(path, end)
      expect(readAll(path)).toEqual(lines.slice(0, 2))
      expect(statSync(path).size).toBe(start)
      const log = RecordLog.open(path, () => undefined)
      log.append(3, Uint8Array.of(9))
      log.close()
      expect(readAll(path)).toEqual([...lines.slice(0, 2), '3 09'])
    }
  })

  it('cuts off a last record whose bytes never arrived', () => {
    const path = join(directory, 'log')
    write(path)
    const bytes = readFileSync(path)
    bytes.fill(0, bytes.length - 10)
    writeFileSync(path, bytes)
    expect(readAll(path)).toEqual(lines.slice(0, 2))
  })

  it('cuts off what is no record', () => {
    const path = join(directory, 'log')
    write(path)
    appendFileSync(path, Buffer.from([1, 255, 255]))
    expect(readAll(path)).toEqual(lines)
  })
})
