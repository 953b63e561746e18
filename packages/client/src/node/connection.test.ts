import { describe, expect, test } from 'vitest'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { bucketEntry, checkpointLine, completeLine, dataLine, put } from '../sync/scripted-service.test-parts.ts'
import { eventually, openThrowAway, until } from './throw-away-database.test-parts.ts'

const schema = new Schema({ lists: new Table({ name: column.text }) })

describe('the request', () => {
  test('[protocol 96, 97] has exactly the documented fields and headers', async () => {
    await using opened = await openThrowAway(schema)
    void opened.connect({ params: { team: 7 }, appMetadata: { build: '91' }, includeDefaultStreams: false })
    const { request, headers } = await opened.service.stream(0)
    expect(request).toEqual({
      buckets: [],
      include_checksum: true,
      raw_data: true,
      binary_data: true,
      client_id: await opened.db.getClientId(),
      parameters: { team: 7 },
      app_metadata: { build: '91' },
      streams: { include_defaults: false, subscriptions: [] },
    })
    expect(headers.get('authorization')).toBe('Token token-1')
    expect(headers.get('content-type')).toBe('application/json')
    expect(headers.get('accept')).toContain('application/x-ndjson')
    expect(headers.get('accept')).toContain('application/vnd.powersync.bson-stream')
    expect(headers.get('x-user-agent')).toMatch(/^headwater-js node\//)
  })

  test('is not sent with metadata that is not text', async () => {
    await using opened = await openThrowAway(schema)
    await expect(opened.connect({ appMetadata: JSON.parse('{"build":91}') })).rejects.toThrow(/"build" is 91/)
  })
})

describe('connecting', () => {
  test('resolves with the first attempt, also a failed one, and tries again by itself', async () => {
    await using opened = await openThrowAway(schema)
    opened.service.refusals.push(() => new TypeError('no route to host'))
    await opened.connect()
    expect(opened.db.currentStatus.downloadError?.message).toBe('no route to host')
    const stream = await opened.service.stream(0)
    await opened.db.waitForStatus((status) => status.connected)
    stream.send(checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    expect(opened.db.currentStatus.downloadError).toBeUndefined()
  })

  test('again uses the last options only', async () => {
    await using opened = await openThrowAway(schema)
    await Promise.all([1, 2, 3].map((n) => opened.connect({ params: { n } })))
    expect(opened.service.streams.map(({ request }) => request['parameters'])).toEqual([{ n: 3 }])
  })

  test('stored status is there before it, and survives failing', async () => {
    await using opened = await openThrowAway(schema)
    void opened.connect()
    const stream = await opened.service.stream(0)
    stream.send(checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    const { lastSyncedAt } = opened.db.currentStatus
    await using reopened = await opened.reopen()
    expect(reopened.db.currentStatus).toMatchObject({ hasSynced: true, lastSyncedAt })
    reopened.service.refusals.push(() => new Response('no', { status: 500 }))
    await reopened.connect()
    expect(reopened.db.currentStatus).toMatchObject({ hasSynced: true, lastSyncedAt })
    await reopened.db.disconnect()
    expect(reopened.db.currentStatus).toMatchObject({ hasSynced: true, lastSyncedAt, connected: false })
  })

  test('disconnect ends the stream, and a pause, at once', async () => {
    await using opened = await openThrowAway(schema)
    await opened.connect()
    const stream = await opened.service.stream(0)
    await opened.db.disconnect()
    expect(stream.closedByClient).toBe(true)
    opened.service.refusals.push(() => new TypeError('down'))
    await opened.connect({ retryDelayMs: 60_000 })
    await opened.db.disconnect()
    expect(opened.db.connecting).toBe(false)
  })

  test('waiting for a status ends with its signal, and fails with its predicate', async () => {
    await using opened = await openThrowAway(schema)
    const stop = new AbortController()
    const waiting = opened.db.waitForFirstSync(stop.signal)
    stop.abort()
    await waiting
    const failing = opened.db.waitForStatus(() => {
      throw new Error('bad predicate')
    })
    await expect(failing).rejects.toThrow('bad predicate')
  })
})

describe('credentials', () => {
  const numbered = () => {
    let count = 0
    return () => Promise.resolve({ endpoint: 'http://service.test', token: `t${++count}` })
  }

  test('[protocol 98] a 401 brings new ones for the next attempt', async () => {
    await using opened = await openThrowAway(schema)
    opened.service.refusals.push(() => new Response('expired', { status: 401 }))
    void opened.connect({}, { fetchCredentials: numbered() })
    expect((await opened.service.stream(0)).headers.get('authorization')).toBe('Token t2')
  })

  test('[protocol 98] 30 seconds before the end they are renewed without a visible break; with 0 left they are dropped', async () => {
    await using opened = await openThrowAway(schema)
    void opened.connect({}, { fetchCredentials: numbered() })
    const first = await opened.service.stream(0)
    await opened.db.waitForStatus(({ connected }) => connected)
    const shown: boolean[] = []
    opened.db.registerListener({ statusChanged: ({ connected }) => shown.push(connected) })
    first.send({ token_expires_in: 30 })
    const second = await opened.service.stream(1)
    expect(second.headers.get('authorization')).toBe('Token t2')
    await until(() => first.closedByClient)
    expect(shown).not.toContain(false)
    second.send({ token_expires_in: 0 })
    expect((await opened.service.stream(2)).headers.get('authorization')).toBe('Token t3')
    expect(shown).toContain(false)
  })

  test('renewing that fails leaves the connection alone', async () => {
    await using opened = await openThrowAway(schema)
    const fetchCredentials = numbered()
    let offline = false
    void opened.connect(
      {},
      { fetchCredentials: () => (offline ? Promise.reject(new Error('offline')) : fetchCredentials()) },
    )
    const stream = await opened.service.stream(0)
    offline = true
    stream.send({ token_expires_in: 20 })
    await until(() => opened.logs.some(({ message }) => message.includes('new credentials ahead of time')))
    stream.send(checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    expect(opened.service.streams).toHaveLength(1)
  })

  test('nobody signed in is shown, and tried again', async () => {
    await using opened = await openThrowAway(schema)
    let signedIn = false
    const fetchCredentials = () => Promise.resolve(signedIn ? { endpoint: 'http://service.test', token: 't' } : null)
    await opened.connect({}, { fetchCredentials })
    expect(opened.db.currentStatus.downloadError?.message).toBe('Not signed in')
    signedIn = true
    await opened.service.stream(0)
  })
})

describe('streams', () => {
  const subscriptionsOf = (request: Record<string, unknown>) => Reflect.get(Object(request['streams']), 'subscriptions')
  const wanted = (stream: string, id: string, override_priority: number | null = null) => ({
    stream,
    parameters: { id },
    override_priority,
  })

  test('subscribing while connected asks again without a visible break', async () => {
    await using opened = await openThrowAway(schema)
    await opened.connect()
    const shown: boolean[] = []
    opened.db.registerListener({ statusChanged: ({ connected }) => shown.push(connected) })
    const subscription = await opened.db.syncStream('project', { id: 'p1' }).subscribe({ priority: 1 })
    const { request } = await opened.service.stream(1)
    expect(subscriptionsOf(request)).toEqual([wanted('project', 'p1', 1)])
    expect(shown).not.toContain(false)
    expect(subscription.name).toBe('project')
  })

  test('a subscription has synced when the buckets of its stream were shown', async () => {
    await using opened = await openThrowAway(schema)
    const subscription = await opened.db.syncStream('project', { id: 'p1' }).subscribe()
    void opened.connect()
    const stream = await opened.service.stream(0)
    const operations = [put(1, 'lists', 'a', { name: 'A' })]
    const entry = { ...bucketEntry('b', operations, 1), subscriptions: [{ sub: 0 }] }
    const streams = [
      { name: 'project', is_default: false, errors: [{ subscription: 0, message: 'half of it failed' }] },
    ]
    const other = bucketEntry('c', 5, 3)
    stream.send({ checkpoint: { last_op_id: '1', buckets: [entry, { ...other, subscriptions: [] }], streams } })
    stream.send(dataLine('b', operations), { partial_checkpoint_complete: { last_op_id: '1', priority: 1 } })
    await subscription.waitForFirstSync()
    const status = opened.db.currentStatus.forStream(subscription)
    expect(status?.subscription).toMatchObject({ active: true, isDefault: false, hasExplicitSubscription: true })
    expect(status?.priority).toBe(1)
    expect(opened.db.currentStatus.hasSynced).toBe(false)
    expect(opened.logs.some(({ message }) => message.includes('half of it failed'))).toBe(true)
  })

  test('survives a restart; ttl 0 ends with its last handle; two handles need two releases', async () => {
    await using opened = await openThrowAway(schema)
    const { db } = opened
    await db.syncStream('kept', { id: '1' }).subscribe()
    const stream = db.syncStream('brief', { id: '2' })
    const handles = [await stream.subscribe({ ttl: 0 }), await stream.subscribe({ ttl: 0 })]
    const count = async () =>
      (await db.getAll(`SELECT * FROM ps_stream_subscriptions WHERE stream_name = 'brief'`)).length
    handles[0]?.unsubscribe()
    handles[0]?.unsubscribe()
    await db.syncStream('kept', { id: '1' }).subscribe()
    expect(await count()).toBe(1)
    handles[1]?.unsubscribe()
    await eventually(async () => expect(await count()).toBe(0))
    await using reopened = await opened.reopen()
    void reopened.connect()
    expect(subscriptionsOf((await reopened.service.stream(0)).request)).toEqual([wanted('kept', '1')])
    await reopened.db.syncStream('kept', { id: '1' }).unsubscribeAll()
    expect(subscriptionsOf((await reopened.service.stream(1)).request)).toEqual([])
  })

  test('the most urgent priority that was asked for counts', async () => {
    await using opened = await openThrowAway(schema)
    const stream = opened.db.syncStream('project', { id: 'p' })
    await stream.subscribe({ priority: 2 })
    await stream.subscribe({ priority: 1 })
    await stream.subscribe({ priority: 3 })
    void opened.connect()
    expect(subscriptionsOf((await opened.service.stream(0)).request)).toEqual([wanted('project', 'p', 1)])
  })

  test('default streams appear by themselves and go when the service does not list them', async () => {
    await using opened = await openThrowAway(schema)
    void opened.connect()
    const stream = await opened.service.stream(0)
    stream.send(checkpointLine(0, []), completeLine(0))
    await opened.db.waitForFirstSync()
    expect(opened.db.currentStatus.syncStreams).toMatchObject([
      { subscription: { name: 'all', isDefault: true, active: true, hasSynced: true } },
    ])
    stream.send({ checkpoint: { last_op_id: '1', buckets: [], streams: [] } }, completeLine(1))
    await opened.db.waitForStatus((status) => status.syncStreams?.length === 0)
  })
})
