import { defineConfig } from 'vitest/config'

/**
 * A file's name says what it needs: `x.test.ts` nothing, `x.pg.test.ts` a real Postgres, `x.browser.test.ts` Chromium,
 * `tests/` several packages at once. Run one kind with `npx vitest run --project pg`.
 */
const shared = {
  resolve: { conditions: ['@headwater/source'] },
  ssr: { resolve: { conditions: ['@headwater/source'], externalConditions: ['@headwater/source'] } },
}

export default defineConfig({
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          sequence: { groupOrder: 0 },
          include: [
            'packages/*/src/**/*.test.{ts,tsx}',
            'scripts/**/*.test.ts',
            'docs/**/*.test.ts',
            'bench/**/*.test.ts',
          ],
          exclude: ['**/*.pg.test.ts', '**/*.browser.test.ts', '**/node_modules/**'],
          isolate: false,
          // Random tests run thousands of cases; on a busy machine they take their time.
          testTimeout: 60_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'pg',
          sequence: { groupOrder: 1 },
          include: ['packages/*/src/**/*.pg.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
        },
      },
      {
        ...shared,
        test: {
          name: 'browser',
          sequence: { groupOrder: 2 },
          include: ['packages/*/src/**/*.browser.test.ts', 'examples/**/*.browser.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
      {
        ...shared,
        test: {
          name: 'across',
          sequence: { groupOrder: 3 },
          include: ['tests/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 120_000,
          maxWorkers: 1,
        },
      },
    ],
  },
})
