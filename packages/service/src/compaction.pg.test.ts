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

/** As they are written; each is one operation of its owner. */
const HISTORY = [
  (owner: string) => `INSERT INTO tasks VALUES ('${owner}-t1', '${owner}', repeat('v1', 100))`,
  (owner: string) => `INSERT INTO tasks VALUES ('${owner}-t2', '${owner}', repeat('v1', 100))`,
  (owner: string) => `UPDATE tasks SET body = repeat('v2', 100) WHERE id = '${owner}-t1'`,
  (owner: string) => `DELETE FROM tasks WHERE id = '${owner}-t2'`,
  (owner: string) => `INSERT INTO tasks VALUES ('${owner}-t3', '${owner}', repeat('v1', 100))`,
  (owner: string) => `UPDATE tasks SET body = repeat('v3', 100) WHERE id = '${owner}-t1'`,
]

test.each([
  { owner: 'ann', before: [], kinds: ['CLEAR', 'PUT', 'PUT'], replaced: 4 },
  {
    owner: 'bob',
    // A row that nothing supersedes: what comes after it cannot go into a CLEAR.
    before: [`INSERT INTO tasks VALUES ('bob-t0', 'bob', 'first')`],
    kinds: ['PUT', 'MOVE', 'MOVE', 'MOVE', 'REMOVE', 'PUT', 'PUT'],
    replaced: 3,
  },
])('[protocol 60, 61, 62] a client at any position comes to the same after a compaction ($owner)', async (given) => {
  const { owner, before, kinds, replaced } = given
  const writes = [...before, ...HISTORY.map((write) => write(owner))]
  for (const [n, write] of writes.entries()) {
    await stage.database.sql(write)
    // Writes that are replicated together become one operation.
    await expect.poll(async () => (await readFrom(owner, 0)).operations.length, { timeout: 10_000 }).toBe(n + 1)
  }
  const original = await readFrom(owner, 0)
  const everything = holdAfter(NOTHING_HELD, original.operations)

  const answer = await send(
    stage.url,
    'POST',
    '/api/admin/v1/compact',
    { authorization: `Token ${OPERATOR_TOKEN}`, 'content-type': 'application/json' },
    '{}',
  )
  expect(answer.json()).toMatchObject({
    data: { moved: 3, cleared: expect.any(Number), bytes_freed: expect.any(Number) },
  })

  const compacted = await readFrom(owner, 0)
  expect(compacted.operations.map(({ op }) => op)).toEqual(kinds)
  expect(compacted.entry).toMatchObject({ checksum: original.entry.checksum, count: kinds.length })
  expect(original.entry.checksum).toBe(everything.sum | 0)
  const [first] = compacted.operations
  if (first?.op === 'CLEAR') {
    const gone = original.operations.slice(0, replaced)
    const { sum } = holdAfter(NOTHING_HELD, gone)
    expect(first).toEqual({ opId: gone.at(-1)?.opId, op: 'CLEAR', checksum: sum, row: undefined })
  } else {
    for (const [n, operation] of compacted.operations.entries()) {
      const { opId, checksum, row } = original.operations[n] ?? {}
      expect(operation).toMatchObject({ opId, checksum, row: operation.op === 'MOVE' ? undefined : row })
    }
  }
  expect(compacted.texts.filter((text) => /"op":"(MOVE|CLEAR)"/.test(text))).toEqual(
    compacted.texts.filter((text) => /^\{"op_id":"\d+","op":"(MOVE|CLEAR)","checksum":\d+\}$/.test(text)),
  )

  const positions = [0, ...original.operations.map(({ opId }) => opId)]
  for (const position of positions) {
    const held = holdAfter(
      NOTHING_HELD,
      original.operations.filter(({ opId }) => opId <= position),
    )
    const { operations, entry } = await readFrom(owner, position, original.entry.bucket)
    const now = holdAfter(held, operations)
    expect(now, `from ${position}`).toEqual(everything)
    expect(now.sum | 0).toBe(entry.checksum)
  }
})

type WireOperation = {
  readonly op_id: string
  readonly op: ModelOperation['op']
  readonly checksum: number
  readonly object_id?: string
}

type Entry = { readonly bucket: string; readonly checksum: number; readonly count: number }

/** What a client of a position is sent until a checkpoint is complete. */
async function readFrom(
  owner: string,
  after: number,
  name?: string,
): Promise<{
  readonly entry: Entry
  readonly operations: readonly ModelOperation[]
  readonly texts: readonly string[]
}> {
  const buckets = name === undefined ? [] : [{ name, after: String(after) }]
  await using stream = await openLines(stage.url, tokenOf(owner), { raw_data: true, buckets })
  const lines = await stream.until('checkpoint_complete')
  const [entry] = lines[0]?.json.checkpoint.buckets ?? []
  const sent: readonly WireOperation[] = lines.flatMap(({ json }) => json.data?.data ?? [])
  return {
    entry,
    texts: sent.map((operation) => JSON.stringify(operation)),
    operations: sent.map(({ op_id, op, checksum, object_id: row }) => ({ opId: Number(op_id), op, checksum, row })),
  }
}
