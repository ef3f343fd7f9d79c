import type { Reporter, TestModule } from 'vitest/node'

/**
 * Closes a run with `N passed, N failed` on a line of its own. With REQUIRE_E2E set a skipped test counts as failed:
 * a run that could not find its wallet or its node has proved nothing.
 */
export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const strict = process.env['REQUIRE_E2E'] === '1'
    let passed = 0
    let failed = unhandledErrors.length
    let skipped = 0
    for (const module of modules) {
      if (module.errors().length > 0) failed += 1
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed += 1
        else if (state === 'failed') failed += 1
        else {
          skipped += 1
          if (strict) process.stdout.write(`skipped although REQUIRE_E2E is set: ${test.fullName}\n`)
        }
      }
    }
    if (strict && skipped > 0) {
      failed += skipped
      skipped = 0
      process.exitCode = 1
    }
    const note = skipped > 0 ? `, ${skipped} skipped` : ''
    process.stdout.write(`\n${passed} passed, ${failed} failed${note}\n`)
  }
}
