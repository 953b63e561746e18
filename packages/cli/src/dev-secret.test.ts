import { execFileSync } from 'node:child_process'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'

import { expect, test } from 'vitest'

import { ensureDevSecret, findDevSecret, secretPath } from './dev-secret.ts'
import { folderWith } from './run-cli.test-parts.ts'

test('of many that start together all have the same secret, and nothing else is left', async () => {
  await using folder = await folderWith({})
  const dataDir = folder.file('not/yet')
  const secrets = new Set(await Promise.all([1, 2, 3, 4].map(() => ensureDevSecret(dataDir))))
  expect([...secrets]).toEqual([await readFile(secretPath(dataDir), 'utf8')])
  expect(await readdir(dataDir)).toEqual(['dev-secret'])
})

test('an empty secret is none, and is replaced', async () => {
  await using folder = await folderWith({ 'dev-secret': '' })
  expect(await findDevSecret(folder.path)).toBeUndefined()
  const secret = await ensureDevSecret(folder.path)
  expect(secret).toMatch(/^[\w-]{43}$/)
  expect(await findDevSecret(folder.path)).toBe(secret)
})

test('a full disk is said with the remedy and leaves nothing that breaks the next start', async () => {
  await using folder = await folderWith({})
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'headwater-test', folder.path])
  try {
    await writeFile(folder.file('filler'), new Uint8Array(200_000)).catch(() => {})
    await expect(ensureDevSecret(folder.path)).rejects.toMatchObject({
      code: 'storage-full',
      message: expect.stringMatching(/the disk is full\. Free some space, or name another .* --data-dir/) as unknown,
    })
    await rm(folder.file('filler'))
    expect(await readdir(folder.path)).toEqual([])
    expect(await ensureDevSecret(folder.path)).not.toBe('')
  } finally {
    execFileSync('umount', ['--lazy', folder.path])
  }
})

test.each(['/proc/headwater', '/dev/null', '/dev/null/below'])(
  'the data directory %s is refused in words',
  async (path) => {
    await expect(ensureDevSecret(path)).rejects.toMatchObject({
      code: 'bad-settings',
      message: expect.stringMatching(/^Cannot keep anything in .*Name another directory with --data-dir/) as unknown,
    })
  },
)
