import { defineConfig } from 'vitest/config'

/** One project per kind of test, so that `--project unit` runs just those (ARCHITECTURE.md section 10). */
const kinds = ['unit', 'property', 'contract', 'integration', 'conformance', 'e2e']

/**
 * A test that hangs ends after so long, in milliseconds. It is a bound on nothing else: the longest of them takes half a
 * minute on a free machine and took more than three on one core that it shared with others.
 */
const HANGS_MS = 900_000

export default defineConfig({
  test: {
    reporters: ['default', './test/support/tally-reporter.ts'],
    maxWorkers: 2,
    projects: kinds.map((name) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        environment: 'node',
        pool: 'forks',
        testTimeout: HANGS_MS,
        hookTimeout: HANGS_MS,
      },
    })),
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary', 'html'] },
  },
})
