#!/usr/bin/env node
import { LEAST_OPEN_FILES, openFilesLimit } from './session/open-files.ts'

// Node opens all files of the program at once, and would end with a stack where it may not. So the rest is not imported
// before this is known.
const limit = openFilesLimit()
if (limit === undefined || limit >= LEAST_OPEN_FILES) {
  const { run } = await import('./command-line.ts')
  await run(process.argv.slice(2))
} else {
  process.stderr.write(
    `the limit of open files is ${limit}, and ${LEAST_OPEN_FILES} are the least that will do: raise it ` +
      '(ulimit -n; LimitNOFILE= in systemd; ulimits: nofile in Docker)\n',
  )
  process.exitCode = 2
}
