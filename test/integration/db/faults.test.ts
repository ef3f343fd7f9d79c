import { openSources } from '../../support/fault-script.ts'
import { faultTests } from '../../support/fault-suite.ts'

faultTests('on one thread', 40, openSources)
