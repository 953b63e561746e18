import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const LOGGED = /\blog\??\.(?:error|warn|info|debug)\(\s*'([^']+)'/g
const LISTED = /^\| `([a-z-]+)` \|/gm

test('every event that the service logs is listed in docs/operate/observe.md, and no other', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/operate/observe.md'), 'utf8')
  const sources = globSync('../**/*.ts', { cwd: import.meta.dirname, exclude: ['../**/*.test.ts'] })
  const logged = sources.flatMap((file) =>
    [...readFileSync(join(import.meta.dirname, file), 'utf8').matchAll(LOGGED)].map((match) => match[1] ?? ''),
  )
  expect([...page.matchAll(LISTED)].map((match) => match[1])).toEqual([...new Set(logged)].toSorted())
})
