import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { VERSION } from '../../../src/version.ts'
import { documents } from '../../support/documents.ts'

const ROOT = resolve(import.meta.dirname, '../../..')

describe('documents', () => {
  it.each(documents().map(({ path, text }) => [path.slice(ROOT.length + 1), path, text]))(
    '%s is what the source says (npm run docs writes it)',
    (_name, path, text) => {
      expect(readFileSync(path, 'utf8')).toBe(text)
    },
  )

  it('carry the version of the package', () => {
    const { version } = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(VERSION).toBe(version)
  })
})
