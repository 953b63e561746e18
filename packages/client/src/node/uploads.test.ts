import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { createUploader } from '../upload/backend-uploader.ts'
import type { RejectedTransaction } from '../upload/backend-uploader.ts'
import { eventually, openThrowAway, until } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const schema = new Schema({
  items: new Table({ n: column.integer }),
  events: Table.createInsertOnly({ what: column.text }),
})

async function openWithWrites(count: number): Promise<ThrowAway> {
  const opened = await openThrowAway(schema)
  for (let n = 1; n <= count; n += 1) {
    await opened.db.writeTransaction(async (transaction) => {
      await transaction.execute('INSERT INTO items(id, n) VALUES (?, ?)', [`a${n}`, n])
      await transaction.execute('INSERT INTO items(id, n) VALUES (?, ?)', [`b${n}`, n])
    })
  }
  return opened
}

describe('the queue', () => {
  test('is handed out in batches that may cut through a transaction', async () => {
    await using opened = await openWithWrites(2)
    const batch = await opened.db.getCrudBatch(3)
    expect(batch?.crud.map(({ id }) => id)).toEqual(['a1', 'b1', 'a2'])
    expect(batch?.haveMore).toBe(true)
    await opened.db.execute(`INSERT INTO items(id) VALUES ('later')`)
    await batch?.complete()
    expect((await opened.db.getCrudBatch())?.crud.map(({ id }) => id)).toEqual(['b2', 'later'])
  })

  test('is handed out transaction by transaction', async () => {
    await using opened = await openWithWrites(2)
    const transaction = await opened.db.getNextCrudTransaction()
    expect(transaction).toMatchObject({ transactionId: 1, haveMore: false })
    expect(transaction?.crud.map((entry) => entry.toJSON())).toEqual([
      { op_id: 1, op: 'PUT', type: 'items', id: 'a1', tx_id: 1, data: { n: 1 } },
      { op_id: 2, op: 'PUT', type: 'items', id: 'b1', tx_id: 1, data: { n: 1 } },
    ])
  })

  test('can be walked through; completing one takes off all before it', async () => {
    await using opened = await openWithWrites(3)
    const seen: (number | undefined)[] = []
    for await (const transaction of opened.db.getCrudTransactions()) {
      seen.push(transaction.transactionId)
      if (transaction.transactionId === 2) await transaction.complete()
    }
    expect(seen).toEqual([1, 2, 3])
    expect((await opened.db.getNextCrudTransaction())?.transactionId).toBe(3)
  })

  test('an entry without a transaction stands alone, and a gap does not cut one in two', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute(`INSERT INTO ps_crud(data) VALUES ('{"op":"DELETE","id":"x","type":"items"}')`)
    await opened.db.executeBatch('INSERT INTO items(id) VALUES (?)', [['a'], ['b'], ['c']])
    await opened.db.execute('DELETE FROM ps_crud WHERE id = 3')
    const sizes: number[] = []
    for await (const { crud } of opened.db.getCrudTransactions()) sizes.push(crud.length)
    expect(sizes).toEqual([1, 2])
  })

  test('says how long it is', async () => {
    await using opened = await openWithWrites(1)
    const rows = await opened.db.getAll<{ data: string }>('SELECT data FROM ps_crud')
    const size = rows.reduce((sum, { data }) => sum + data.length + 20, 0)
    expect(await opened.db.getUploadQueueStats(true)).toEqual({ count: 2, size })
    expect(await opened.db.getUploadQueueStats()).toEqual({ count: 2, size: null })
  })
})

describe('uploading', () => {
  const target = ({ db }: ThrowAway) =>
    db
      .get<{ target: number | bigint | null }>('SELECT target_write_checkpoint AS target FROM ps_control')
      .then((row) => row.target)

  test('[protocol 99] sends what was written before, then asks for one write checkpoint', async () => {
    await using opened = await openWithWrites(3)
    void opened.connect()
    await eventually(async () => expect(await target(opened)).toBe(1))
    expect(opened.service.writeCheckpointRequests).toEqual([await opened.db.getClientId()])
    expect(await opened.db.getUploadQueueStats()).toMatchObject({ count: 0 })
  })

  test('goes on failing and trying while the stream is down, and loses nothing', async () => {
    await using opened = await openWithWrites(1)
    opened.service.refusals.push(...Array.from({ length: 50 }, () => () => new TypeError('offline')))
    let attempts = 0
    void opened.connect(
      {},
      {
        uploadData: async (database) => {
          attempts += 1
          if (attempts < 4) throw new Error('backend is down')
          await (await database.getCrudBatch())?.complete('9')
        },
      },
    )
    await opened.db.waitForStatus((status) => status.uploadError?.message === 'backend is down')
    expect(await opened.db.getUploadQueueStats()).toMatchObject({ count: 2 })
    await eventually(async () => expect(await target(opened)).toBe(9))
    await opened.db.waitForStatus((status) => status.uploadError === undefined && !status.uploading)
    expect(attempts).toBe(4)
  })

  test('is slowed down, with a word to the developer, when nothing is completed', async () => {
    await using opened = await openWithWrites(1)
    void opened.connect({ retryDelayMs: 60_000 }, { uploadData: () => Promise.resolve() })
    await opened.db.waitForStatus(
      (status) => status.uploadError?.message === 'Delaying due to previously encountered CRUD item.',
    )
    expect(opened.logs.some(({ message }) => message.includes('call complete()'))).toBe(true)
  })

  test('[protocol 99] a write during the request for a write checkpoint starts another round', async () => {
    await using opened = await openWithWrites(1)
    opened.service.beforeWriteCheckpoint = async () => {
      if (opened.service.writeCheckpointRequests.length > 1) return
      await opened.db.execute(`INSERT INTO items(id) VALUES ('meanwhile')`)
    }
    void opened.connect()
    await eventually(async () => expect(await target(opened)).toBe(2))
    expect(opened.service.writeCheckpointRequests).toHaveLength(2)
  })

  test('[protocol 99] a write during the request that is also uploaded during it makes the answer worthless all the same', async () => {
    await using opened = await openWithWrites(1)
    opened.service.beforeWriteCheckpoint = async () => {
      if (opened.service.writeCheckpointRequests.length > 1) return
      await opened.db.execute(`INSERT INTO items(id) VALUES ('meanwhile')`)
      await (await opened.db.getCrudBatch())?.complete()
    }
    void opened.connect()
    await eventually(async () => expect(await target(opened)).toBe(2))
    expect(opened.service.writeCheckpointRequests).toHaveLength(2)
  })

  test('[protocol 99] no write checkpoint is asked for while an entry is queued', async () => {
    await using opened = await openWithWrites(3)
    const queuedAtRequest: number[] = []
    opened.service.beforeWriteCheckpoint = async () => {
      queuedAtRequest.push((await opened.db.getUploadQueueStats()).count)
    }
    const uploading = Promise.withResolvers<void>()
    void opened.connect(
      {},
      {
        uploadData: async (database) => {
          await uploading.promise
          await (await database.getNextCrudTransaction())?.complete()
        },
      },
    )
    const stream = await opened.service.stream(0)
    stream.send({ token_expires_in: 3600 })
    await opened.db.waitForStatus((status) => status.connected && status.uploading)
    expect(opened.service.writeCheckpointRequests).toEqual([])
    uploading.resolve()
    await eventually(async () => expect(await target(opened)).toBe(1))
    expect(queuedAtRequest).toEqual([0])
  })

  test('entries of insert-only tables hold nothing back and need no write checkpoint', async () => {
    await using opened = await openThrowAway(schema)
    await opened.db.execute(`INSERT INTO events(id, what) VALUES ('e', 'seen')`)
    void opened.connect()
    await eventually(async () => expect((await opened.db.getUploadQueueStats()).count).toBe(0))
    expect(await target(opened)).toBeNull()
    expect(opened.service.writeCheckpointRequests).toEqual([])
  })

  test('ends with disconnect: no upload starts afterwards', async () => {
    await using opened = await openThrowAway(schema)
    let uploads = 0
    await opened.connect({}, { uploadData: () => Promise.resolve(void (uploads += 1)) })
    await opened.db.disconnect()
    await opened.db.execute(`INSERT INTO items(id) VALUES ('a')`)
    await opened.connect({ retryDelayMs: 60_000 }, { uploadData: () => Promise.resolve(void (uploads += 100)) })
    await until(() => uploads > 0)
    expect(uploads).toBe(100)
  })

  test('an empty queue is never shown as uploading', async () => {
    await using opened = await openThrowAway(schema)
    const shown: boolean[] = []
    opened.db.registerListener({ statusChanged: ({ uploading }) => shown.push(uploading) })
    await opened.connect()
    expect(shown).not.toContain(true)
  })
})

describe('the uploader for a backend of ours', () => {
  test('sends transactions, completes applied and refused ones, and reports the refused', async () => {
    await using opened = await openWithWrites(3)
    const bodies: unknown[] = []
    const rejected: RejectedTransaction[] = []
    const upload = createUploader({
      url: 'http://backend.test/upload',
      fetchToken: () => 'secret',
      onRejected: (each) => rejected.push(each),
      fetch: (_, init) => {
        expect(new Headers(init?.headers).get('authorization')).toBe('Bearer secret')
        bodies.push(JSON.parse(typeof init?.body === 'string' ? init.body : ''))
        return Promise.resolve(
          Response.json({
            results: [
              { tx_id: 1, status: 'applied' },
              { tx_id: 2, status: 'rejected', entries: [{ op_id: 4, code: 'not-yours', message: 'no' }] },
            ],
          }),
        )
      },
    })
    await upload(opened.db)
    expect(bodies).toMatchObject([
      {
        client_id: await opened.db.getClientId(),
        transactions: [
          { tx_id: 1 },
          { tx_id: 2, crud: [{ op_id: 3, op: 'PUT', data: { n: 2 } }, { op_id: 4 }] },
          { tx_id: 3 },
        ],
      },
    ])
    expect(rejected).toMatchObject([
      { transaction: { transactionId: 2 }, entries: [{ opId: 4, code: 'not-yours', message: 'no' }] },
    ])
    expect((await opened.db.getNextCrudTransaction())?.transactionId).toBe(3)
  })

  test.each([
    ['the backend', { fetch: () => new Promise<Response>(() => {}) }],
    ['the app that is asked for a token', { fetchToken: () => new Promise<string>(() => {}) }],
  ])('gives up when %s never answers', async (_, never) => {
    await using opened = await openWithWrites(1)
    const upload = createUploader({ url: 'http://backend.test/', timeoutMs: 20, ...never })
    await expect(upload(opened.db)).rejects.toThrow(/no answer within 0.02 seconds/)
    expect((await opened.db.getUploadQueueStats()).count).toBe(2)
  })

  test.each([
    ['an error', () => new Response('down', { status: 503 }), /503 down/],
    ['something else', () => Response.json({ ok: true }), /is not \{"results"/],
    ['no result for what came first', () => Response.json({ results: [] }), /no result for transaction 1/],
  ])('keeps everything when the backend answers %s', async (_, answer, message) => {
    await using opened = await openWithWrites(1)
    const upload = createUploader({ url: 'http://backend.test/', fetch: () => Promise.resolve(answer()) })
    await expect(upload(opened.db)).rejects.toThrow(message)
    expect((await opened.db.getUploadQueueStats()).count).toBe(2)
  })
})
