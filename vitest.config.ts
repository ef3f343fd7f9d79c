import { defineConfig } from 'vitest/config'

/** One project per kind of test, so that `--project unit` runs just those (ARCHITECTURE.md section 10). */
const kinds: readonly { name: string; timeout: number }[] = [
  { name: 'unit', timeout: 10_000 },
  { name: 'property', timeout: 60_000 },
  { name: 'contract', timeout: 60_000 },
  { name: 'integration', timeout: 60_000 },
  { name: 'conformance', timeout: 300_000 },
  { name: 'e2e', timeout: 300_000 },
]

export default defineConfig({
  test: {
    reporters: ['default', './test/support/tally-reporter.ts'],
    maxWorkers: 2,
    projects: kinds.map(({ name, timeout }) => ({
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        environment: 'node',
        pool: 'forks',
        testTimeout: timeout,
        hookTimeout: timeout,
      },
    })),
    coverage: { provider: 'v8', include: ['src/**'], reporter: ['text-summary', 'html'] },
  },
})
