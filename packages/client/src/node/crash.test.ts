import { spawn } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, test } from 'vitest'
import { schema } from './killed-process.test-parts.ts'
import { openThrowAway } from './throw-away-database.test-parts.ts'

const ENTRY = join(import.meta.dirname, 'killed-process.test-parts.ts')

/** Starts the app, and kills it after `writes` commits of its own. Returns the last one it spoke of. */
async function runUntilKilled(directory: string, writes: number): Promise<number> {
  const child = spawn(process.execPath, ['--conditions=@headwater/source', ENTRY, directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let last = 0
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line)
    seen += 1
    if (seen === writes) child.kill('SIGKILL')
  }
  return last
}

test('a process killed at any moment leaves whole checkpoints and every write it reported', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'headwater-crash-'))
  for (const writes of [4, 7, 13, 22]) {
    const last = await runUntilKilled(directory, writes)
    const opened = await openThrowAway(schema, { directory })
    const { db } = opened
    expect(await db.getAll('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }])
    const rounds = await db.getAll('SELECT round, count(*) AS count FROM items GROUP BY round')
    expect(rounds.length).toBeLessThanOrEqual(1)
    expect(await db.getAll('SELECT applying FROM ps_control')).toEqual([{ applying: 0 }])
    const [own] = await db.getAll<{ count: number; max: number }>('SELECT count(*) AS count, max(n) AS max FROM mine')
    expect(own?.max).toBeGreaterThanOrEqual(last)
    expect(own?.count).toBe(own?.max)
    if (writes === 22) await opened[Symbol.asyncDispose]()
    else await db.close()
  }
}, 60_000)
