import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { LIMIT_TABLE } from './limit-watch.ts'

const PAGE = join(import.meta.dirname, '../../../../docs/reference/limits.md')
const ROW = /^\| `([a-z-]+)` \| `(limits\.\w+)` \| [^|]+ \| `([a-z-]+)` \|/gm

test('docs/reference/limits.md lists every limit with its setting and its code, and no other', () => {
  const listed = [...readFileSync(PAGE, 'utf8').matchAll(ROW)].map(([, name, setting, code]) => [name, setting, code])
  expect(listed).toEqual(Object.entries(LIMIT_TABLE).map(([name, { setting, code }]) => [name, setting, code]))
})
