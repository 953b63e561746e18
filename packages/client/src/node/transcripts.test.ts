import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import type { ScriptedStream } from '../sync/scripted-service.test-parts.ts'
import { openThrowAway, until } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const text = column.text
const schema = new Schema({
  lists: new Table({ name: text, owner_id: text }),
  todos: new Table({ list_id: text, title: text, done: column.integer }),
  notes: new Table({ body: text }),
  docs: new Table({ t: text }),
  profile: new Table({ name: text }),
  messages: new Table({ txt: text }),
  files: new Table({ size: column.integer }),
  log: new Table({ n: column.integer }),
  tasks: new Table({ v: column.integer }),
})

type Conversation = { readonly requests: string[]; readonly lines: string[] }

/** The recorded conversations, by name: `=` begins one, `>` is a request, `<` a line of the answer. */
const conversations = new Map<string, Conversation>()
for (const line of readFileSync(join(import.meta.dirname, '../../../protocol/fixtures/transcripts.txt'), 'utf8').split(
  '\n',
)) {
  const rest = line.slice(2)
  if (line.startsWith('= ')) conversations.set(rest, { requests: [], lines: [] })
  else if (line.startsWith('> ')) [...conversations.values()].at(-1)?.requests.push(rest)
  else if (line.startsWith('< ')) [...conversations.values()].at(-1)?.lines.push(rest)
}

function recorded(name: string): Conversation {
  const found = conversations.get(name)
  if (found === undefined) throw new Error(`no conversation is called "${name}"`)
  return found
}

const bucketsOf = (request: string | Record<string, unknown> | undefined): unknown => {
  const value: unknown = typeof request === 'string' ? JSON.parse(request) : request
  return Reflect.get(Object(value), 'buckets')
}

async function settled({ db }: ThrowAway, lastOpId: number): Promise<void> {
  await until(async () => {
    const { op } = await db.get<{ op: number }>('SELECT checkpoint_op AS op FROM ps_control')
    return op === lastOpId && !db.currentStatus.downloading
  })
}

async function start(): Promise<{ opened: ThrowAway; stream: ScriptedStream }> {
  const opened = await openThrowAway(schema)
  void opened.connect()
  return { opened, stream: await opened.service.stream(0) }
}

test('a client from its first sync over updates and a reconnect to an upload of its own', async () => {
  const { opened, stream } = await start()
  await using _ = opened
  const { db, service } = opened
  const todos = () => db.getAll('SELECT id, title, done FROM todos ORDER BY id')
  stream.send(...recorded('a first sync of two buckets').lines)
  await db.waitForFirstSync()
  expect(await todos()).toEqual([
    { id: 'T1', title: 'Milk', done: 0 },
    { id: 'T2', title: 'Bread', done: 1 },
  ])
  stream.send(...recorded('an update on the open stream').lines)
  await settled(opened, 6)
  expect(await todos()).toEqual([{ id: 'T1', title: 'Oat milk', done: 0 }])

  stream.break()
  const again = await service.stream(1)
  const resumption = recorded('a resumption with nothing new')
  expect(bucketsOf(again.request)).toEqual(bucketsOf(resumption.requests[0]))
  again.send(...resumption.lines)
  again.send(...recorded('a bucket appears and another goes away').lines)
  await settled(opened, 21)
  expect(await db.getAll('SELECT id FROM lists')).toEqual([{ id: 'L9' }])
  expect(await todos()).toEqual([
    { id: 'T7', title: 'Slides', done: 0 },
    { id: 'T8', title: 'Agenda', done: 0 },
  ])

  await db.execute(`UPDATE todos SET title = 'Slides v2' WHERE id = 'T7'`)
  await until(() => service.writeCheckpointRequests.length === 1)
  const upload = recorded('an upload comes back with its write checkpoint').lines
  again.send(...upload.slice(0, 3))
  await settled(opened, 22)
  expect(await db.get('SELECT last_applied_op AS op FROM ps_buckets WHERE name LIKE ?', ['%L9%'])).toEqual({ op: 8 })
  again.send(...upload.slice(3))
  await settled(opened, 23)
  expect(await todos()).toEqual([
    { id: 'T7', title: 'Slides v2', done: 0 },
    { id: 'T8', title: 'Agenda', done: 1 },
  ])
})

test('a download that breaks off is resumed where it was', async () => {
  const { opened, stream } = await start()
  await using _ = opened
  const { requests, lines } = recorded('a download that breaks off and is resumed')
  stream.send(...lines.slice(0, 2))
  await opened.db.waitForStatus((status) => status.downloadProgress?.downloadedOperations === 2)
  stream.break()
  const again = await opened.service.stream(1)
  expect(bucketsOf(again.request)).toEqual(bucketsOf(requests.at(-1)))
  again.send(...lines.slice(2))
  await opened.db.waitForFirstSync()
  expect(await opened.db.getAll('SELECT id FROM notes ORDER BY id')).toEqual(
    ['N0', 'N1', 'N2', 'N3'].map((id) => ({ id })),
  )
})

test('a damaged bucket is fetched again', async () => {
  const { opened, stream } = await start()
  await using _ = opened
  const { requests, lines } = recorded('a bucket with a wrong sum is fetched again')
  const whole = lines.slice(3)
  // The device once had all of it at op 31, and then lost a row.
  const partly = JSON.parse(whole[1] ?? '')
  partly.data.data.splice(1)
  stream.send(whole[0] ?? '', partly, lines[1] ?? '', lines[2] ?? '')
  const again = await opened.service.stream(1)
  expect(bucketsOf(again.request)).toEqual(bucketsOf(requests.at(-1)))
  again.send(...whole)
  await opened.db.waitForFirstSync()
  expect(await opened.db.getAll('SELECT id, t FROM docs ORDER BY id')).toEqual([
    { id: 'A', t: 'three' },
    { id: 'B', t: 'two' },
  ])
})

test('urgent buckets are shown first, over pending writes only those of priority 0', async () => {
  const { opened, stream } = await start()
  await using _ = opened
  const { lines } = recorded('priorities and partial completion')
  stream.send(...lines.slice(0, 3))
  await opened.db.waitForFirstSync({ priority: 0 })
  expect(await opened.db.getAll('SELECT name FROM profile')).toEqual([{ name: 'Ada' }])
  stream.send(...lines.slice(3, 5))
  await opened.db.waitForFirstSync({ priority: 1 })
  expect(await opened.db.getAll('SELECT txt FROM messages')).toEqual([{ txt: 'hi' }])
  stream.send(...lines.slice(5))
  await settled(opened, 44)
  expect(await opened.db.getAll('SELECT size FROM files ORDER BY id')).toEqual([{ size: 123_456_789_012 }, { size: 5 }])
  expect(await opened.db.getAll('SELECT txt FROM messages ORDER BY id')).toEqual([{ txt: 'hi' }, { txt: 'there?' }])
})

test('a newer checkpoint in the middle of a download changes what is urgent, and loses nothing', async () => {
  const { opened, stream } = await start()
  await using _ = opened
  stream.send(...recorded('a newer checkpoint interrupts a long download').lines)
  await opened.db.waitForFirstSync()
  expect(await opened.db.getAll('SELECT name FROM profile')).toEqual([{ name: 'Ada L.' }])
  expect(await opened.db.get('SELECT count(*) AS n, sum(n) AS sum FROM log')).toEqual({ n: 6, sum: 15 })
})

test.each(['a new client after CLEAR', 'a client in the middle after MOVE', 'a client in the middle after CLEAR'])(
  'compaction shows the same rows to %s',
  async (name) => {
    const { opened, stream } = await start()
    await using _ = opened
    if (name !== 'a new client after CLEAR') {
      const operation = (op_id: number, id: string, checksum: number, subkey: string) => ({
        op_id: String(op_id),
        op: 'PUT',
        object_type: 'tasks',
        object_id: id,
        checksum,
        subkey,
        data: JSON.stringify({ id, v: 1 }),
      })
      const data = [
        operation(201, 't1', 1_400_086_169, '46e04497-6797-541b-98ca-3b1b2be81bb3'),
        operation(202, 't2', 1_918_513_038, '7b1ffe1c-fc07-52cf-9eb8-71bc34e16bb7'),
      ]
      const buckets = [{ bucket: '1#tasks|0["p9"]', checksum: 3_318_599_207, count: 2, priority: 3, subscriptions: [] }]
      stream.send(
        { checkpoint: { last_op_id: '202', buckets, streams: [] } },
        { data: { bucket: '1#tasks|0["p9"]', after: '0', has_more: false, data, next_after: '202' } },
        { checkpoint_complete: { last_op_id: '202' } },
      )
      await opened.db.waitForFirstSync()
    }
    stream.send(...recorded(name).lines)
    await settled(opened, 206)
    expect(await opened.db.getAll('SELECT * FROM tasks ORDER BY id')).toEqual([
      { id: 't1', v: 3 },
      { id: 't3', v: 1 },
    ])
  },
)
