import { DatabaseSync } from 'node:sqlite'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type OpenedStream,
  openLines,
  openStage,
  type RawLine,
  send,
  type Stage,
  tokenOf,
} from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE alerts (id text PRIMARY KEY, owner text, body text);
  CREATE TABLE notes (id text PRIMARY KEY, owner text, body text);
  CREATE TABLE photos (id text PRIMARY KEY, owner text, body text);
  INSERT INTO alerts VALUES ('A1', 'ann', 'first');
  INSERT INTO notes VALUES ('N1', 'ann', E'a\\u2028b\\u2029c\\u0085d');
  INSERT INTO photos SELECT 'P' || n, 'ann', repeat('x', 10000) FROM generate_series(1, 2000) n`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  alerts:
    auto_subscribe: true
    priority: 1
    query: SELECT * FROM alerts WHERE owner = auth.user_id()
  notes:
    auto_subscribe: true
    priority: 2
    query: SELECT * FROM notes WHERE owner = auth.user_id()
  photos:
    auto_subscribe: true
    priority: 3
    query: SELECT * FROM photos WHERE owner = auth.user_id()
`

let stage: Stage
let idle: OpenedStream
let idleSinceMs: number
beforeAll(async () => {
  stage = await openStage({ tables: TABLES, syncConfig: SYNC_CONFIG })
  idle = await openLines(stage.url, tokenOf('idle'), {})
  await idle.until('checkpoint_complete')
  idleSinceMs = performance.now()
})
afterAll(async () => {
  await idle[Symbol.asyncDispose]()
  await stage[Symbol.asyncDispose]()
})

test('[protocol 44, 46, 47] urgent buckets come first and are completed by themselves, the last ones with the checkpoint', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const lines = withoutKeepalive(await stream.until('checkpoint_complete'))
  const nameOf = namesByPriority(lines)
  const steps = lines.map(({ kind, json }) =>
    kind === 'data' ? json.data.bucket : kind === 'partial_checkpoint_complete' ? json[kind].priority : kind,
  )
  // Photos take several lines; in a row they count as one step.
  expect(steps.filter((step, index) => step !== steps[index - 1])).toEqual([
    'checkpoint',
    nameOf.get(1),
    1,
    nameOf.get(2),
    2,
    nameOf.get(3),
    'checkpoint_complete',
  ])
  for (const [, bucket] of nameOf) {
    const announced = lines[0]?.json.checkpoint.buckets.find((one: { bucket: string }) => one.bucket === bucket)
    expect(opsOf(lines, bucket)).toHaveLength(announced.count)
    expect(sumOf(opsOf(lines, bucket))).toBe(announced.checksum)
  }
})

test('[protocol 45] a client without buckets, or with nothing to fetch, is told so at once', async () => {
  const streams = { include_defaults: false, subscriptions: [] }
  await using none = await openLines(stage.url, tokenOf('ann'), { streams })
  expect((await none.next())?.json).toMatchObject({ checkpoint: { buckets: [] } })
  expect((await none.next())?.kind).toBe('checkpoint_complete')

  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const lines = await stream.until('checkpoint_complete')
  const after = String(lines[0]?.json.checkpoint.last_op_id)
  const buckets = [...namesByPriority(lines).values()].map((name) => ({ name, after }))
  await using resumed = await openLines(stage.url, tokenOf('ann'), { raw_data: true, buckets })
  const again = withoutKeepalive(await resumed.until('checkpoint_complete'))
  expect(again.map(({ kind }) => kind).filter((kind) => kind !== 'partial_checkpoint_complete')).toEqual([
    'checkpoint',
    'checkpoint_complete',
  ])
})

test('[protocol 39, 43, 48] a newer checkpoint interrupts a download, which goes on from its position', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  const read: RawLine[] = []
  const nameOf = new Map<number, string>()
  // The client reads no further than the first photos, so the rest of 20 MB waits in the service.
  for (let line = await stream.next(); line !== undefined; line = await stream.next()) {
    read.push(line)
    if (line.kind === 'checkpoint') for (const [priority, name] of namesByPriority([line])) nameOf.set(priority, name)
    if (line.kind === 'data' && line.json.data.bucket === nameOf.get(3)) break
  }
  await stage.database.sql(`INSERT INTO alerts VALUES ('A2', 'ann', 'urgent')`)
  await showsUp('A2')
  read.push(...(await stream.until('checkpoint_complete')))

  const lines = withoutKeepalive(read)
  const interruption = lines.findIndex(({ kind }) => kind === 'checkpoint_diff')
  const photos = lines.flatMap(({ json }, index) => (json.data?.bucket === nameOf.get(3) ? [index] : []))
  expect(interruption).toBeGreaterThan(photos[0] ?? Infinity)
  expect(interruption).toBeLessThan(photos.at(-1) ?? -1)
  const [diff, urgent] = lines.slice(interruption)
  expect(BigInt(diff?.json.checkpoint_diff.last_op_id)).toBeGreaterThan(
    BigInt(lines[0]?.json.checkpoint.last_op_id ?? 0),
  )
  expect(urgent?.json.data).toMatchObject({ bucket: nameOf.get(1), data: [{ object_id: 'A2' }] })
  // Every line goes on where the last one of its bucket ended, and nothing comes twice.
  for (const bucket of nameOf.values()) {
    const pages = lines.filter(({ json }) => json.data?.bucket === bucket).map(({ json }) => json.data)
    for (const [index, page] of pages.entries()) expect(page.after).toBe(pages[index - 1]?.next_after ?? '0')
    const ids = opsOf(lines, bucket).map(({ op_id }) => BigInt(op_id))
    expect(ids).toEqual(ids.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(new Set(ids).size).toBe(ids.length)
  }
  expect(opsOf(lines, String(nameOf.get(3)))).toHaveLength(2000)
})

test('[protocol 37, 40] who is not concerned hears nothing, and a diff has both its arrays', async () => {
  await using quiet = await openLines(stage.url, tokenOf('quiet'), { raw_data: true })
  await quiet.until('checkpoint_complete')
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  await stream.until('checkpoint_complete')
  for (const n of [1, 2, 3]) {
    await stage.database.sql(`INSERT INTO notes VALUES ('quiet-${n}', 'ann', 'x')`)
    const [diff] = withoutKeepalive(await stream.until('checkpoint_complete'))
    expect(diff?.json.checkpoint_diff).toMatchObject({ removed_buckets: [], updated_buckets: [{ count: 1 + n }] })
  }
  await stage.database.sql(`INSERT INTO notes VALUES ('for-quiet', 'quiet', 'x')`)
  // Its first line after all that is about its own row.
  const [first, data] = withoutKeepalive(await quiet.until('checkpoint_complete'))
  expect(first?.json.checkpoint_diff).toMatchObject({ removed_buckets: [], updated_buckets: [{ count: 1 }] })
  expect(data?.json.data.data).toMatchObject([{ object_id: 'for-quiet' }])
})

test('[protocol 37, 38, 41] a write checkpoint alone makes a diff of empty arrays and a completion', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true, client_id: 'alone' })
  await stream.until('checkpoint_complete')
  const headers = { authorization: `Token ${tokenOf('ann')}` }
  const { json } = await send(stage.url, 'GET', '/write-checkpoint2.json?client_id=alone', headers)
  const number = (json() as { data: { write_checkpoint: string } }).data.write_checkpoint
  const lines = withoutKeepalive(await stream.until('checkpoint_complete'))
  expect(lines.map((line) => line.json)).toEqual([
    {
      checkpoint_diff: {
        last_op_id: expect.stringMatching(/^\d+$/) as unknown,
        removed_buckets: [],
        updated_buckets: [],
        write_checkpoint: number,
      },
    },
    { checkpoint_complete: { last_op_id: expect.stringMatching(/^\d+$/) as unknown } },
  ])
  await stage.database.sql(`UPDATE notes SET body = 'y' WHERE id = 'quiet-1'`)
  const [next] = withoutKeepalive(await stream.until('checkpoint_complete'))
  expect(next?.json.checkpoint_diff).toMatchObject({ write_checkpoint: number })
})

test('[protocol 21, 24] ends of lines that only Unicode knows are escaped', async () => {
  for (const raw_data of [true, false]) {
    await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data })
    const lines = await stream.until('checkpoint_complete')
    const note = lines.find(({ text }) => text.includes('"N1"'))
    expect(note?.text).not.toMatch(/[\u0085\u2028\u2029]/)
    const { data } = note?.json.data.data.find((op: { object_id: string }) => op.object_id === 'N1') ?? {}
    expect((raw_data ? JSON.parse(data) : data).body).toBe('a\u2028b\u2029c\u0085d')
  }
})

test('[protocol 64] a quiet stream has a line every 22 seconds at the latest', async () => {
  const line = await idle.next()
  expect(line?.kind).toBe('token_expires_in')
  expect(performance.now() - idleSinceMs).toBeLessThan(22_000)
})

test('[protocol 29] a failure in the middle of a download cuts it off, so that it is no normal end', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
  for (let line = await stream.next(); line?.kind !== 'partial_checkpoint_complete'; line = await stream.next());
  await breakStorage(stage.storagePath)
  await expect(stream.until('checkpoint_complete')).rejects.toThrow('aborted')
})

/** Waits until a new client would get the row. */
async function showsUp(id: string): Promise<void> {
  await expect
    .poll(async () => {
      await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true })
      const lines = await stream.until('partial_checkpoint_complete')
      return lines.some(({ text }) => text.includes(`"${id}"`))
    })
    .toBe(true)
}

/** Takes away the tables under a running service. */
async function breakStorage(path: string): Promise<void> {
  for (const name of await readdir(path)) {
    if (!/^generation-.*\.sqlite$/.test(name)) continue
    using database = new DatabaseSync(join(path, name), { timeout: 5_000 })
    const tables = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all()
    for (const { name: table } of tables) {
      if (!String(table).startsWith('sqlite_')) database.exec(`DROP TABLE "${String(table)}"`)
    }
  }
}

function withoutKeepalive(lines: readonly RawLine[]): readonly RawLine[] {
  return lines.filter(({ kind }) => kind !== 'token_expires_in')
}

function namesByPriority(lines: readonly RawLine[]): ReadonlyMap<number, string> {
  const buckets: readonly { bucket: string; priority: number }[] = lines[0]?.json.checkpoint.buckets ?? []
  return new Map(buckets.map(({ bucket, priority }) => [priority, bucket]))
}

type Op = { readonly op_id: string; readonly checksum: number }

function opsOf(lines: readonly RawLine[], bucket: string): readonly Op[] {
  return lines.flatMap(({ json }) => (json.data?.bucket === bucket ? (json.data.data as Op[]) : []))
}

/** The sum of checksums as it goes over the wire. */
function sumOf(ops: readonly Op[]): number {
  return ops.reduce((total, { checksum }) => total + checksum, 0) | 0
}
