import { afterAll, beforeAll, expect, test } from 'vitest'
import { authorized, openLines, openStage, type OpenedStream, type Stage, tokenOf } from './protocol.test-parts.ts'

const TABLES = `
  CREATE TABLE notes (id text PRIMARY KEY, owner text);
  CREATE TABLE checkpoints (user_id text, client_id text, checkpoint bigint, PRIMARY KEY (user_id, client_id));
  INSERT INTO checkpoints VALUES ('old', 'phone', 41)`

const SYNC_CONFIG = `
config:
  edition: 3
event_definitions:
  write_checkpoints:
    payloads:
      - SELECT user_id, client_id, checkpoint FROM checkpoints
streams:
  mine:
    auto_subscribe: true
    query: SELECT * FROM notes WHERE owner = auth.user_id()
`

let stage: Stage
beforeAll(async () => {
  stage = await openStage({ tables: TABLES, syncConfig: SYNC_CONFIG })
})
afterAll(() => stage[Symbol.asyncDispose]())

/** Ids of the rows of one round, and the number that it announces. */
async function readRound(stream: OpenedStream): Promise<{ readonly ids: string[]; readonly number: unknown }> {
  const lines = await stream.until('checkpoint_complete')
  const announced = lines.find(({ kind }) => kind.startsWith('checkpoint'))?.json
  const ids = lines.flatMap(({ json }) => json.data?.data ?? []).map(({ object_id }) => String(object_id))
  return { ids, number: (announced.checkpoint ?? announced.checkpoint_diff).write_checkpoint }
}

test('[protocol 38, 41, 75] the number of the backend is announced with the checkpoint that has its row, and stays', async () => {
  await using stream = await openLines(stage.url, tokenOf('ann'), { raw_data: true, client_id: 'phone' })
  await using other = await openLines(stage.url, tokenOf('ann'), { raw_data: true, client_id: 'tablet' })
  expect(await readRound(stream)).toEqual({ ids: [], number: undefined })
  await readRound(other)

  const { sql } = stage.database
  await sql(`INSERT INTO notes VALUES ('1', 'ann')`)
  expect(await readRound(stream)).toEqual({ ids: ['1'], number: undefined })
  await sql(`INSERT INTO notes VALUES ('2', 'ann'); INSERT INTO checkpoints VALUES ('ann', 'phone', 7)`)
  expect(await readRound(stream)).toEqual({ ids: ['2'], number: '7' })
  await sql(`UPDATE checkpoints SET checkpoint = 8 WHERE user_id = 'ann'`)
  expect(await readRound(stream)).toEqual({ ids: [], number: '8' })
  await sql(`INSERT INTO notes VALUES ('3', 'ann')`)
  expect(await readRound(stream)).toEqual({ ids: ['3'], number: '8' })
  for (const id of ['1', '2', '3']) expect(await readRound(other)).toEqual({ ids: [id], number: undefined })
})

test('a number from before the service knew the source is part of the first checkpoint', async () => {
  await using stream = await openLines(stage.url, tokenOf('old'), { raw_data: true, client_id: 'phone' })
  expect(await readRound(stream)).toEqual({ ids: [], number: '41' })
})

test('a row that says no number is counted, and whoever wrote something else is served', async () => {
  await using stream = await openLines(stage.url, tokenOf('eve'), { raw_data: true, client_id: 'phone' })
  await readRound(stream)
  await stage.database.sql(`
    INSERT INTO notes VALUES ('5', 'eve'); INSERT INTO checkpoints VALUES ('eve', 'tablet', -1), ('eve', 'phone', 2)`)
  expect(await readRound(stream)).toEqual({ ids: ['5'], number: '2' })
  const metrics = await (await fetch(`${stage.url}/metrics`)).text()
  expect(metrics).toContain('\nheadwater_replication_row_errors_total 1\n')
})

test('who asks all the same gets the number that the backend writes, also when it takes its time', async () => {
  const asked = ask('carl')
  await stage.database.sql(
    `INSERT INTO notes VALUES ('4', 'carl'); INSERT INTO checkpoints VALUES ('carl', 'phone', 3)`,
  )
  expect(await asked).toEqual([200, { data: { write_checkpoint: '3' } }])
  await stage.database.sql(`UPDATE checkpoints SET checkpoint = 5 WHERE user_id = 'carl'`)
  expect(await ask('carl')).toEqual([200, { data: { write_checkpoint: '5' } }])
  // Perhaps the answer was lost: nobody waits for ever.
  expect(await ask('carl')).toEqual([200, { data: { write_checkpoint: '5' } }])
})

test('who asks is refused with what to do when the backend never wrote a number for the client', async () => {
  const [status, answer] = await ask('dora')
  expect([status, answer]).toMatchObject([400, { error: { code: 'PSYNC_S2001', name: 'ValidationError' } }])
  expect(JSON.stringify(answer)).toContain('Check user_id and client_id of its rows')
})

test('numbers that clients choose are refused with what to do instead', async () => {
  const body = JSON.stringify({ client_id: 'phone', checkpoint_request_id: 1 })
  const request = { method: 'POST', headers: authorized('ann'), body }
  const answer = await fetch(`${stage.url}/sync/checkpoint-request`, request)
  expect(answer.status).toBe(400)
  expect(await answer.text()).toContain('Hand its number to complete() on the client')
})

async function ask(userId: string): Promise<readonly [number, unknown]> {
  const url = `${stage.url}/write-checkpoint2.json?client_id=phone`
  const response = await fetch(url, { headers: authorized(userId) })
  return [response.status, await response.json()]
}
