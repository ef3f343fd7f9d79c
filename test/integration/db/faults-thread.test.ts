import { afterAll, beforeAll } from 'vitest'
import type { IndexDatabase } from '../../../src/db/index-db.ts'
import { compileSources } from '../../support/compiled.ts'
import type { Open } from '../../support/fault-script.ts'
import { faultTests } from '../../support/fault-suite.ts'

let openCompiled: Open
let remove = (): Promise<void> => Promise.resolve()

beforeAll(async () => {
  const sources = await compileSources('faults')
  remove = sources.remove
  const compiled = await sources.load<{ readonly IndexDatabase: typeof IndexDatabase }>('db/index-db.js')
  openCompiled = (options, collaborators) => compiled.IndexDatabase.open(options, collaborators)
})

afterAll(() => remove())

faultTests('with a thread that writes', 20, (...asked) => openCompiled(...asked))
