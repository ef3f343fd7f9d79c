import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFilesLimit, sessionsWithin } from '../../../src/session/open-files.ts'

const HEAD = 'Limit                     Soft Limit           Hard Limit           Units     \n'

describe('limit of open files', () => {
  let directory = ''

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'valence-limits-'))
  })

  afterAll(() => {
    rmSync(directory, { recursive: true })
  })

  it.each([
    { row: 'Max open files            1024                 524288               files', limit: 1024 },
    { row: 'Max open files            unlimited            unlimited            files', limit: undefined },
    { row: 'Max processes             1024                 1024                 processes', limit: undefined },
  ])('is read from what Linux says: $row', ({ row, limit }) => {
    const path = join(directory, 'limits')
    writeFileSync(path, `${HEAD}${row}\n`)
    expect(openFilesLimit(path)).toBe(limit)
  })

  it('is unknown where the system says nothing', () => {
    expect(openFilesLimit(join(directory, 'nothing'))).toBeUndefined()
  })

  it.each([
    { wanted: 1000, files: undefined, sessions: 1000 },
    { wanted: 1000, files: 20_000, sessions: 1000 },
    { wanted: 1000, files: 1350, sessions: 1000 },
    { wanted: 1000, files: 1024, sessions: 674 },
    { wanted: 1000, files: 256, sessions: 1 },
  ])('leaves $sessions of $wanted sessions with $files files, as ElectrumX', ({ wanted, files, sessions }) => {
    expect(sessionsWithin(wanted, files)).toBe(sessions)
  })
})
