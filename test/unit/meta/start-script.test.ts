import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { z } from 'zod'

it('npm start leaves no shell between npm and the server, which would keep signals from it', () => {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  const { scripts } = z.object({ scripts: z.record(z.string(), z.string()) }).parse(JSON.parse(text))
  expect(scripts['start']).toMatch(/^exec (env \S+ )?node /)
})
