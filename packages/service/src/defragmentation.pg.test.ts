import { afterAll, beforeAll, expect, test } from 'vitest'
import { openLines, openStage, send, type Stage, tokenOf } from './protocol.test-parts.ts'
import { holdAfter, type ModelOperation, NOTHING_HELD } from './storage/sqlite/random-deltas.contract.ts'

const OPERATOR_TOKEN = 'a-token-for-tests-of-operators'

const SYNC_CONFIG = `
config:
  edition: 3
streams:
  tasks:
    auto_subscribe: true
    query: SELECT id, body FROM tasks WHERE owner = auth.user_id()
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({
    tables: 'CREATE TABLE tasks (id text PRIMARY KEY, owner text, body text)',
    syncConfig: SYNC_CONFIG,
    settings: { api: { tokens: [OPERATOR_TOKEN] } },
  })
})
afterAll(() => stage[Symbol.asyncDispose]())

const HOT = 300
const ROUNDS = 8

test('[protocol 62] an old row comes once more as it is, and what came behind it goes, for a client at any position', async () => {
  const { sql } = stage.database
  await sql(`INSERT INTO tasks VALUES ('old', 'ann', 'as it ever was')`)
  await untilRead((operations) => operations.length === 1)
  await sql(`INSERT INTO tasks SELECT 'hot' || n, 'ann', '' FROM generate_series(1, ${HOT}) n`)
  for (let round = 1; round <= ROUNDS; round++) {
    // What is replicated together becomes one operation of each row.
    await untilRead((operations) => operations.length === 1 + round * HOT)
    await sql(`UPDATE tasks SET body = body || 'v' WHERE id LIKE 'hot%'`)
  }
  const original = await untilRead((operations) => operations.length === 1 + (ROUNDS + 1) * HOT)
  const before = holdAfter(NOTHING_HELD, original)
  await using stream = await openLines(stage.url, tokenOf('ann'), {
    raw_data: true,
    buckets: [{ name: (await readFrom(0)).entry.bucket, after: String(original.at(-1)?.opId) }],
  })
  await stream.until('checkpoint_complete')

  await compact()
  // Any delta takes it along: this one is of somebody else's row.
  await sql(`INSERT INTO tasks VALUES ('other', 'bob', '')`)
  const [diff, data] = await stream.until('checkpoint_complete')
  expect(diff?.kind).toBe('checkpoint_diff')
  expect(data?.json.data.data).toMatchObject([
    { op: 'PUT', object_id: 'old', checksum: original[0]?.checksum, data: '{"id":"old","body":"as it ever was"}' },
  ])
  await compact()
  await untilRead(([first]) => first?.op === 'CLEAR')

  const { operations: left, entry } = await readFrom(0)
  expect(left.length).toBeLessThan(original.length / 2)
  const everything = holdAfter(NOTHING_HELD, left)
  expect(everything.sum | 0).toBe(entry.checksum)
  expect(checksumsOf(left, everything.rows)).toEqual(checksumsOf(original, before.rows))
  for (const { opId: position } of original.filter((_, n) => n % 100 === 0 || n === original.length - 1)) {
    const held = holdAfter(
      NOTHING_HELD,
      original.filter(({ opId }) => opId <= position),
    )
    const { operations } = await readFrom(position, entry.bucket)
    expect(holdAfter(held, operations), `from ${position}`).toEqual(everything)
  }
  const metrics = (await send(stage.url, 'GET', '/metrics')).text
  expect(metrics).toMatch(/^headwater_storage_reappended_operations_total 1$/m)
})

function checksumsOf(operations: readonly ModelOperation[], rows: ReadonlyMap<string, number>) {
  const checksums = new Map(operations.map(({ opId, checksum }) => [opId, checksum]))
  return new Map(Array.from(rows, ([row, opId]) => [row, checksums.get(opId)]))
}

async function compact(): Promise<void> {
  const headers = { authorization: `Token ${OPERATOR_TOKEN}`, 'content-type': 'application/json' }
  const { status } = await send(stage.url, 'POST', '/api/admin/v1/compact', headers, '{}')
  expect(status).toBe(200)
}

async function untilRead(isSo: (operations: readonly ModelOperation[]) => boolean): Promise<readonly ModelOperation[]> {
  let operations: readonly ModelOperation[] = []
  await expect
    .poll(
      async () => {
        operations = (await readFrom(0)).operations
        return isSo(operations)
      },
      { timeout: 20_000 },
    )
    .toBe(true)
  return operations
}

type WireOperation = {
  readonly op_id: string
  readonly op: ModelOperation['op']
  readonly checksum: number
  readonly object_id?: string
}

type Sent = {
  readonly entry: { readonly bucket: string; readonly checksum: number }
  readonly operations: readonly ModelOperation[]
}

/** What a client of a position is sent until a checkpoint is complete. */
async function readFrom(after: number, name?: string): Promise<Sent> {
  const buckets = name === undefined ? [] : [{ name, after: String(after) }]
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true, buckets })
  const lines = await stream.until('checkpoint_complete')
  const [entry] = lines[0]?.json.checkpoint.buckets ?? []
  const sent: readonly WireOperation[] = lines.flatMap(({ json }) => json.data?.data ?? [])
  return {
    entry,
    operations: sent.map(({ op_id, op, checksum, object_id: row }) => ({ opId: Number(op_id), op, checksum, row })),
  }
}
