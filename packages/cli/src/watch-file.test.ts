import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

import { expect, onTestFinished, test } from 'vitest'

import { watchFile } from './watch-file.ts'

async function fileWith(content: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'headwater-watch-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'watched.yaml')
  await writeFile(path, content)
  return path
}

test('what was written before the watch began is seen', async () => {
  const path = await fileWith('new')
  const stopping = new AbortController()
  const seen: string[] = []

  await watchFile({ path, known: 'old' }, stopping.signal, async (content) => {
    seen.push(content)
    stopping.abort()
  })

  expect(seen).toEqual(['new'])
})

test('a stop while the file is looked at for the first time is no error', async () => {
  const path = await fileWith('new')
  const stopping = new AbortController()

  await watchFile({ path, known: 'old' }, stopping.signal, async () => {
    stopping.abort()
    // Long enough for a rejection that nobody handles to be reported, which fails the run.
    await delay(10)
  })
})

test('each later change is seen once', async () => {
  const path = await fileWith('first')
  const stopping = new AbortController()
  const seen: string[] = []
  const watched = watchFile({ path, known: 'none' }, stopping.signal, async (content) => {
    seen.push(content)
    if (content === 'first') await writeFile(path, 'second')
    else stopping.abort()
  })

  await watched

  expect(seen).toEqual(['first', 'second'])
})
