import { serve } from '../support/child.ts'
import { Load, type LoadQuestion } from './load.ts'

/** The client, in a process of its own. */
serve(
  (question) => new Load(question as LoadQuestion).run(),
  () => Promise.resolve(),
)
