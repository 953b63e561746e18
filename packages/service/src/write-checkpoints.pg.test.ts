import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  authorized,
  openLines,
  openStage,
  type OpenedStream,
  type RawLine,
  type Stage,
  tokenOf,
} from './protocol.test-parts.ts'

const TABLES = `CREATE TABLE notes (id text PRIMARY KEY, owner text, text text)`

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE owner = auth.user_id()
`

const CALLS = 1_000
const USERS = 100
/** Takes replication longer than a call. */
const BULK_ROWS = 30_000

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ tables: TABLES, syncConfig: SYNC_CONFIG })
})
afterAll(() => stage[Symbol.asyncDispose]())

async function ask(userId: string, clientId: string): Promise<bigint> {
  const headers = authorized(userId)
  const response = await fetch(`${stage.url}/write-checkpoint2.json?client_id=${clientId}`, { headers })
  expect(response.status).toBe(200)
  const { data } = (await response.json()) as { readonly data: { readonly write_checkpoint: string } }
  expect(data.write_checkpoint).toMatch(/^[1-9]\d*$/)
  return BigInt(data.write_checkpoint)
}

async function askFor(userId: string, number: string | number): Promise<unknown> {
  const body = JSON.stringify({ client_id: 'c', checkpoint_request_id: number })
  const request = { method: 'POST', headers: authorized(userId), body }
  const response = await fetch(`${stage.url}/sync/checkpoint-request`, request)
  return response.status === 200 ? ((await response.json()) as { data: unknown }).data : response.status
}

function announcedBy(lines: readonly RawLine[]): bigint {
  const line = lines.find(({ kind }) => kind.startsWith('checkpoint'))?.json
  return BigInt((line.checkpoint ?? line.checkpoint_diff).write_checkpoint ?? 0)
}

/** Reads until this number is announced and complete; returns the ids of the rows that came till then. */
async function readUntil(stream: OpenedStream, number: bigint): Promise<Set<string>> {
  const ids = new Set<string>()
  for (let announced = 0n; announced < number;) {
    const lines = await stream.until('checkpoint_complete')
    announced = announcedBy(lines)
    for (const { json } of lines) for (const { object_id } of json.data?.data ?? []) ids.add(String(object_id))
  }
  return ids
}

test('[protocol 72, 73, 74] a thousand calls at once each get a number of their own, and all are announced', async () => {
  const before = await readMarkers()
  const calls = Array.from({ length: CALLS }, (_, n) => ({ user: `u${n % USERS}`, client: `c${n % 2}` }))
  const numbers = await Promise.all(calls.map(({ user, client }) => ask(user, client)))
  expect(new Set(numbers).size).toBe(CALLS)
  // Those that wait together travel together.
  expect((await readMarkers()) - before).toBeLessThan(CALLS / 4)

  for (const user of ['u0', 'u99']) {
    const own = numbers.filter((_, n) => calls[n]?.user === user)
    const highest = own.reduce((a, b) => (a > b ? a : b))
    const client = calls[numbers.indexOf(highest)]?.client ?? ''
    await using stream = await openLines(stage.url, tokenOf(user), { client_id: client })
    await readUntil(stream, highest)
    await using other = await openLines(stage.url, tokenOf(user), { client_id: `${client}-other` })
    expect(announcedBy(await other.until('checkpoint_complete'))).toBe(0n)
  }
})

test('[protocol 74, 75] while replication lags a number waits for all that was committed before it', async () => {
  await using stream = await openLines(stage.url, tokenOf('lena'), { raw_data: true, client_id: 'c' })
  await stream.until('checkpoint_complete')
  const { sql } = stage.database
  await sql(`INSERT INTO notes SELECT 'o' || n, 'other', repeat('x', 100) FROM generate_series(1, ${BULK_ROWS}) n`)
  const numbers: bigint[] = []
  for (const id of ['1', '2', '3']) {
    await sql(`INSERT INTO notes VALUES ('lena-${id}', 'lena', '')`)
    numbers.push(await ask('lena', 'c'))
  }
  const seen = new Set<string>()
  for (const [n, number] of numbers.entries()) {
    for (const id of await readUntil(stream, number)) seen.add(id)
    expect([...seen].sort().slice(0, n + 1)).toEqual(['lena-1', 'lena-2', 'lena-3'].slice(0, n + 1))
    if (seen.size === numbers.length) break
  }
})

test('[protocol 76] on a source where nothing happens a number is announced within a second or two', async () => {
  await using stream = await openLines(stage.url, tokenOf('ida'), { client_id: 'c' })
  await stream.until('checkpoint_complete')
  const startedAtMs = performance.now()
  await readUntil(stream, await ask('ida', 'c'))
  expect(performance.now() - startedAtMs).toBeLessThan(5_000)
})

test('[protocol 77, 78] numbers of clients only go up, in either form, and those out of range are refused', async () => {
  const greatest = '9223372036854775807'
  expect(await askFor('rita', '3')).toEqual({ checkpoint_request_id: '3' })
  expect(await askFor('rita', 3)).toEqual({ checkpoint_request_id: '3' })
  expect(await askFor('rita', 2)).toEqual({ checkpoint_request_id: '3' })
  expect(await askFor('rita', 9_007_199_254_740_991)).toEqual({ checkpoint_request_id: '9007199254740991' })
  for (const wrong of ['0', 0, -1, '-1', '9223372036854775808', 1.5, '1e3', ' 4', '']) {
    expect(await askFor('rita', wrong)).toBe(400)
  }
  expect(await askFor('rita', greatest)).toEqual({ checkpoint_request_id: greatest })
  await using stream = await openLines(stage.url, tokenOf('rita'), { client_id: 'c' })
  await readUntil(stream, BigInt(greatest))
  // Nobody else is bound by that.
  expect(await ask('rita', 'd')).toBeLessThan(BigInt(greatest))
  expect((await fetch(`${stage.url}/write-checkpoint2.json?client_id=c`, { headers: authorized('rita') })).status).toBe(
    400,
  )
})

test('how many numbers wait to be announced, and how long, can be watched', async () => {
  const read = async (name: string): Promise<number> => {
    const text = await (await fetch(`${stage.url}/metrics`)).text()
    return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  }
  const count = 'headwater_write_checkpoints_pending_count'
  await stage.database.sql(`UPDATE notes SET text = '' WHERE owner = 'other'`)
  await ask('max', 'c')
  expect(await read(count)).toBeGreaterThanOrEqual(1)
  await expect.poll(() => read(count), { timeout: 20_000 }).toBe(0)
  expect(await read('headwater_write_checkpoints_pending_age_seconds')).toBe(0)
})

/** Markers that were ever read: transactions, as nothing else is going on. */
async function readMarkers(): Promise<number> {
  return (await stage.service.readStatus()).replication.counts.transactions
}
