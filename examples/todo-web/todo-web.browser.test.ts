import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkDemo } from '../../scripts/demo/check.ts'

test('two devices edit shared lists, online and offline, and survive a restart of everything', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'headwater-todo-web-'))
  try {
    await checkDemo({ screenshots: folder, print: () => {} })
    expect(await readdir(folder)).toHaveLength(7)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
