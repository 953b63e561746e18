import { decodeBsonLine, HeadwaterError, splitBson, toBucketName, toOpId } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { deltaAt, lookup, lookupChange, origin, put, remove } from '../storage/example-data.contract.ts'
import { startService } from './session.test-parts.ts'
import { shortTurns } from './turns.test-parts.ts'

test('[protocol 31, 32, 44] a fresh client gets a checkpoint, its data and the completion, in one chunk', async () => {
  await using service = await startService()
  await service.storage.append(
    deltaAt(10, { operations: [put('lists', 'L1', 3687929421), put('todos', 'T1', 7), put('other', 'x')] }),
  )
  const stream = service.connect()

  const chunk = await stream.chunk()
  expect(chunk.map(({ kind }) => kind)).toEqual(['checkpoint', 'data', 'data', 'checkpoint-complete'])
  expect(chunk[0]).toMatchObject({
    checkpoint: {
      lastOpId: 3n,
      writeCheckpoint: undefined,
      buckets: [{ bucket: 'lists', checksum: 3687929421, count: 1, priority: 3 }, { bucket: 'todos' }],
      streams: [{ name: 'all' }],
    },
  })
  expect(chunk[1]).toMatchObject({
    batch: { bucket: 'lists', after: 0n, nextAfter: 1n, hasMore: false, operations: [{ opId: 1n, id: 'L1' }] },
  })
  expect(chunk[3]).toMatchObject({ lastOpId: 3n })
})

test('[protocol 37, 42] a live change comes as a diff, its operations and the completion, in one chunk', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, { operations: [put('todos', 'T1', 1), put('todos', 'T2', 2)] }))
  const stream = service.connect()
  await stream.chunk()

  await service.storage.append(
    deltaAt(20, { operations: [put('other', 'x'), put('todos', 'T1', 5), remove('todos', 'T2')] }),
  )
  expect(await stream.chunk()).toMatchObject([
    {
      kind: 'checkpoint-diff',
      diff: { lastOpId: 5n, removedBuckets: [], updatedBuckets: [{ bucket: 'todos', count: 4 }] },
    },
    {
      kind: 'data',
      batch: {
        bucket: 'todos',
        after: 2n,
        nextAfter: 5n,
        operations: [
          { kind: 'put', opId: 4n },
          { kind: 'remove', opId: 5n },
        ],
      },
    },
    { kind: 'checkpoint-complete', lastOpId: 5n },
  ])
})

test('clients of one bucket that stand differently are each told what they lack', async () => {
  await using service = await startService()
  const { storage } = service
  await storage.append(deltaAt(10, { operations: [put('todos', 'T1', 1), put('lists', 'L1', 2)] }))
  const early = [service.connect(), service.connect()]
  const withCheckpoint = service.connect({ clientId: 'phone' })
  const bson = service.connect({}, { format: 'bson' })
  for (const stream of [...early, withCheckpoint]) await stream.until('checkpoint-complete')
  await bson.bytes()
  await storage.append(deltaAt(20, { writeCheckpoints: [{ key: 'ann/phone', number: 7n }] }))
  await withCheckpoint.until('checkpoint-complete')

  await storage.append(deltaAt(30, { operations: [put('todos', 'T2', 3)] }))
  const told = await Promise.all([...early, withCheckpoint].map((stream) => stream.chunk()))
  const late = service.connect()
  await late.until('checkpoint-complete')
  const expected = (writeCheckpoint: bigint | undefined) => [
    { kind: 'checkpoint-diff', diff: { lastOpId: 3n, writeCheckpoint, updatedBuckets: [{ count: 2, checksum: 4 }] } },
    { kind: 'data', batch: { after: 1n, nextAfter: 3n, hasMore: false, operations: [{ id: 'T2' }] } },
    { kind: 'checkpoint-complete', lastOpId: 3n },
  ]
  expect(told).toMatchObject([expected(undefined), expected(undefined), expected(7n)])
  expect(Buffer.from(await bson.bytes()).includes('T2')).toBe(true)

  await storage.append(deltaAt(40, { operations: [put('todos', 'T3', 4)] }))
  for (const stream of [...early, late]) {
    expect((await stream.chunk())[1]).toMatchObject({ batch: { after: 3n, operations: [{ id: 'T3' }] } })
  }
})

test('[protocol 40] a change of buckets that a client does not have sends it nothing', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, { operations: [put('todos', 'T1')] }))
  const stream = service.connect()
  await stream.chunk()
  await service.storage.append(deltaAt(20, { operations: [put('other', 'x')] }))
  await service.storage.append(deltaAt(30, { operations: [put('todos', 'T3')] }))
  expect(await stream.chunk()).toMatchObject([{ diff: { lastOpId: 3n } }, { batch: { after: 1n } }, {}])
})

test('[protocol 43] a client that resumes gets only what it does not have', async () => {
  await using service = await startService()
  await service.storage.append(
    deltaAt(10, { operations: [put('lists', 'L1'), put('todos', 'T1'), put('todos', 'T2')] }),
  )
  const buckets = [bucketAt('lists', 3), bucketAt('todos', 2), bucketAt('gone', 3)]
  const chunk = await service.connect({ buckets }).chunk()
  expect(chunk).toMatchObject([
    { kind: 'checkpoint' },
    { kind: 'data', batch: { bucket: 'todos', after: 2n, operations: [{ id: 'T2' }] } },
    { kind: 'checkpoint-complete' },
  ])
  const nothing = await service.connect({ buckets: [bucketAt('lists', 3), bucketAt('todos', 3)] }).chunk()
  expect(nothing.map(({ kind }) => kind)).toEqual(['checkpoint', 'checkpoint-complete'])
})

test('[protocol 46, 47] urgent buckets are sent and completed before the others', async () => {
  await using service = await startService({ grants: { files: 3, inbox: 1, me: 0 } })
  await service.storage.append(deltaAt(10, { operations: [put('files', 'f1'), put('inbox', 'm1'), put('me', 'u1')] }))
  const stream = service.connect()
  expect(await stream.chunk()).toMatchObject([
    { kind: 'checkpoint' },
    { batch: { bucket: 'me' } },
    { kind: 'partial-checkpoint-complete', priority: 0, lastOpId: 3n },
    { batch: { bucket: 'inbox' } },
    { kind: 'partial-checkpoint-complete', priority: 1 },
    { batch: { bucket: 'files' } },
    { kind: 'checkpoint-complete' },
  ])
  await service.storage.append(deltaAt(20, { operations: [put('inbox', 'm2')] }))
  expect((await stream.chunk()).map(({ kind }) => kind)).toEqual(['checkpoint-diff', 'data', 'checkpoint-complete'])
})

test('[protocol 39, 43, 48] a newer checkpoint interrupts a long download, and the urgent change comes first', async () => {
  await using service = await startService({ grants: { me: 1, log: 3 } })
  await service.storage.append(
    deltaAt(10, { operations: [put('me', 'u1'), ...Array.from({ length: 5000 }, (_, n) => put('log', `g${n}`))] }),
  )
  const stream = service.connect()
  const first = await stream.chunk()
  expect(first.map(({ kind }) => kind).slice(0, 4)).toEqual([
    'checkpoint',
    'data',
    'partial-checkpoint-complete',
    'data',
  ])

  await service.storage.append(deltaAt(20, { operations: [put('me', 'u1')] }))
  const lines = [...first, ...(await stream.until('checkpoint-complete'))]
  const diffAt = lines.findIndex(({ kind }) => kind === 'checkpoint-diff')
  expect(lines[diffAt]).toMatchObject({ diff: { lastOpId: 5002n, updatedBuckets: [{ bucket: 'me' }] } })
  expect(lines[diffAt + 1]).toMatchObject({ batch: { bucket: 'me', operations: [{ opId: 5002n }] } })
  expect(lines[diffAt + 2]).toMatchObject({ kind: 'partial-checkpoint-complete', priority: 1 })
  expect(lines.filter(({ kind }) => kind === 'checkpoint-complete')).toHaveLength(1)
  const log = lines.flatMap((line) =>
    line.kind === 'data' && line.batch.bucket === 'log' ? line.batch.operations : [],
  )
  expect(log.map(({ opId }) => Number(opId))).toEqual(Array.from({ length: 5000 }, (_, n) => n + 2))
})

test('[protocol 37, 42] a bucket appears and another goes away when a lookup changes, without any operation', async () => {
  await using service = await startService({ grants: { lists: 3 }, dynamic: true })
  await service.storage.append(
    deltaAt(10, {
      operations: [put('lists', 'L1'), put('dynamic-L1', 'T1'), put('dynamic-L9', 'T9')],
      lookups: [lookupChange('m', [], [lookup('members', '["L1"]')])],
    }),
  )
  const stream = service.connect()
  expect((await stream.chunk())[0]).toMatchObject({
    checkpoint: { buckets: [{ bucket: 'lists' }, { bucket: 'dynamic-L1' }] },
  })

  await service.storage.append(
    deltaAt(20, { lookups: [lookupChange('m', [lookup('members', '["L1"]')], [lookup('members', '["L9"]')])] }),
  )
  expect(await stream.chunk()).toMatchObject([
    {
      kind: 'checkpoint-diff',
      diff: { lastOpId: 4n, removedBuckets: ['dynamic-L1'], updatedBuckets: [{ bucket: 'dynamic-L9', count: 1 }] },
    },
    { batch: { bucket: 'dynamic-L9', after: 0n, operations: [{ opId: 3n }] } },
    { kind: 'checkpoint-complete' },
  ])
})

test('[protocol 38, 41, 73] a write checkpoint alone makes a diff and a completion, and is repeated from then on', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, { operations: [put('todos', 'T1')] }))
  const stream = service.connect({ clientId: 'c-01' })
  const other = service.connect({ clientId: 'c-02' })
  await stream.chunk()
  await other.chunk()
  await service.storage.append(deltaAt(20, { writeCheckpoints: [{ key: 'ann/c-01', number: 5n }] }))
  expect(await stream.chunk()).toEqual([
    { kind: 'checkpoint-diff', diff: { lastOpId: 1n, writeCheckpoint: 5n, updatedBuckets: [], removedBuckets: [] } },
    { kind: 'checkpoint-complete', lastOpId: 1n },
  ])
  await service.storage.append(deltaAt(30, { operations: [put('todos', 'T2')] }))
  expect((await stream.chunk())[0]).toMatchObject({ diff: { writeCheckpoint: 5n } })
  expect((await other.chunk())[0]).toMatchObject({ diff: { lastOpId: 2n, writeCheckpoint: undefined } })
  expect((await service.connect({ clientId: 'c-01' }).chunk())[0]).toMatchObject({
    checkpoint: { writeCheckpoint: 5n },
  })
})

test('[protocol 64, 65] keepalive lines come every 20 seconds or so, once more before the token ends, and 0 ends the stream', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const stream = service.connect({}, { expiresInMs: 65_000 })
  await stream.chunk()
  const seconds: unknown[] = []
  for (let line = stream.chunk(); ; line = stream.chunk()) {
    const chunk = await service.clockUntil(line)
    if (chunk.length === 0) break
    seconds.push(...chunk.map((one) => (one.kind === 'token-expires-in' ? one.seconds : one)))
  }
  expect(seconds).toEqual([45, 25, 20, { kind: 'stream-end', reason: 'token-expired' }, 0])
})

test('[protocol 66] a token that has just expired gets the line that says so, and nothing else', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const stream = service.connect({}, { expiresInMs: -5_000 })
  expect(await stream.chunk()).toEqual([{ kind: 'token-expires-in', seconds: 0 }])
  expect(await stream.chunk()).toEqual([])
})

test('a slow start shows a sign of life after a second and a half', async () => {
  await using service = await startService({ resolveAfter: (clock) => clock.wait(4_000, new AbortController().signal) })
  await service.storage.append(deltaAt(10, {}))
  const stream = service.connect()
  expect(await service.clockUntil(stream.chunk())).toEqual([{ kind: 'token-expires-in', seconds: 3599 }])
  expect((await service.clockUntil(stream.chunk()))[0]).toMatchObject({ kind: 'checkpoint' })
})

test('[protocol 49] a round that read what hides a later operation ends without any completion, also after more pages', async () => {
  let pages = 0
  await using service = await startService({
    grants: { log: 1, todos: 3 },
    wrapStorage: (storage) => ({
      ...storage,
      readBucket: async (read) => {
        const page = await storage.readBucket(read)
        pages += 1
        return pages === 2 ? { ...page, completeFrom: toOpId(2_502n) } : page
      },
    }),
  })
  const entries = Array.from({ length: 2_500 }, (_, n) => put('log', `g${n}`))
  await service.storage.append(deltaAt(10, { operations: [put('todos', 'T1'), ...entries] }))
  const stream = service.connect()
  const read = async () => (await stream.chunk()).map((line) => (line.kind === 'data' ? line.batch.bucket : line.kind))
  const lines: string[] = []
  while (lines.filter((line) => line === 'log').length < 2) lines.push(...(await read()))
  expect(lines.splice(0)).toEqual(['checkpoint', 'log', 'log'])

  await service.storage.append(deltaAt(20, { operations: [put('log', 'later')] }))
  while (!lines.includes('checkpoint-complete')) lines.push(...(await read()))
  expect(lines).toEqual(['checkpoint-diff', 'log', 'partial-checkpoint-complete', 'todos', 'checkpoint-complete'])
})

test('[protocol 49] a newer checkpoint that is still too old for what was sent is not completed either', async () => {
  let needed = 3n
  await using service = await startService({
    grants: { todos: 3 },
    wrapStorage: (storage) => ({
      ...storage,
      readBucket: async (read) => {
        const page = await storage.readBucket(read)
        const completeFrom = toOpId(needed)
        needed = 0n
        return { ...page, completeFrom }
      },
    }),
  })
  const { storage } = service
  await storage.append(deltaAt(10, { operations: [put('todos', 'T1')] }))
  const stream = service.connect()
  const kindsOf = async () => (await stream.chunk()).map(({ kind }) => kind)
  expect(await kindsOf()).toEqual(['checkpoint', 'data'])
  await storage.append(deltaAt(20, { operations: [put('todos', 'T2')] }))
  expect(await kindsOf()).toEqual(['checkpoint-diff', 'data'])
  await storage.append(deltaAt(30, { operations: [put('todos', 'T3')] }))
  expect(await kindsOf()).toEqual(['checkpoint-diff', 'data', 'checkpoint-complete'])
})

test('[protocol 28] a request is refused before the first line while nothing is served yet', async () => {
  await using service = await startService()
  await expect(service.connect().chunk()).rejects.toMatchObject({ code: 'no-sync-config' })
})

test('a request that resolves to too many buckets is refused before the first line', async () => {
  const refuse = async () => {
    throw new HeadwaterError('too-many-buckets', 'Cannot sync: too many buckets')
  }
  await using service = await startService({ resolveAfter: refuse })
  await service.storage.append(deltaAt(10, {}))
  await expect(service.connect().chunk()).rejects.toMatchObject({ code: 'too-many-buckets' })
})

test('[protocol 53] a new generation ends the streams of the old one normally', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, {}))
  const stream = service.connect()
  await stream.chunk()
  const next = stream.chunk()
  await service.storage.startGeneration(origin())
  expect(await next).toEqual([{ kind: 'stream-end', reason: 'config-changed' }])
  expect(await stream.chunk()).toEqual([])
})

test('what is committed while the buckets of a client are looked up is not missed', async () => {
  let between = async (): Promise<void> => {}
  await using service = await startService({ resolveAfter: () => between() })
  await service.storage.append(deltaAt(10, { operations: [put('todos', 'T1')] }))
  between = async () => {
    between = async () => {}
    await service.storage.append(deltaAt(20, { operations: [put('todos', 'T2')] }))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const stream = service.connect()
  expect(await stream.chunk()).toMatchObject([{ checkpoint: { lastOpId: 1n } }, {}, { lastOpId: 1n }])
  expect(await stream.chunk()).toMatchObject([
    { kind: 'checkpoint-diff', diff: { lastOpId: 2n } },
    { batch: { operations: [{ id: 'T2' }] } },
    { lastOpId: 2n },
  ])
})

test('commits that come while very many buckets are announced make nobody look at all of them again', async () => {
  const names = Array.from({ length: 60 }, (_, n) => `list${n}`)
  let looks = 0
  await using service = await startService({
    grants: Object.fromEntries(names.map((name) => [name, 3])),
    turns: shortTurns,
    resolveAfter: async () => {
      looks += 1
    },
  })
  const { storage } = service
  await storage.append(deltaAt(1, { operations: names.map((name) => put(name, 'first')) }))
  const stream = service.connect()
  const first = stream.until('checkpoint-complete')
  for (let at = 2; at < 100; at++) {
    await new Promise(setImmediate)
    const operations = [put('other', `x${at}`), ...(at % 20 === 0 ? [put(`list${at % 60}`, `x${at}`)] : [])]
    await storage.append(deltaAt(at, { operations }))
  }
  const lines = await first
  const operations = () => lines.flatMap((line) => (line.kind === 'data' ? line.batch.operations : []))
  while (operations().length < 64) lines.push(...(await stream.chunk()))
  const changed = lines.flatMap((line) => (line.kind === 'checkpoint-diff' ? line.diff.updatedBuckets : []))
  expect(new Set(changed.map(({ bucket }) => bucket))).toEqual(new Set(['list0', 'list20', 'list40']))
  expect(looks).toBe(1)
})

test('a client is not told of buckets that were looked up while a new generation began', async () => {
  let startAnother = async (): Promise<void> => {}
  await using service = await startService({ dynamic: true, resolveAfter: () => startAnother() })
  const member = lookup('members', '["a"]')
  await service.storage.append(
    deltaAt(10, { operations: [put('dynamic-a', 'x')], lookups: [lookupChange('1', [], [member])] }),
  )
  const stream = service.connect()
  await stream.chunk()

  const next = stream.chunk()
  startAnother = async () => {
    startAnother = async () => {}
    void service.storage.startGeneration(origin())
  }
  await service.storage.append(deltaAt(20, { lookups: [lookupChange('2', [], [lookup('members', '["b"]')])] }))
  expect(await next).toEqual([{ kind: 'stream-end', reason: 'config-changed' }])
})

test('[protocol 26] a client that asks for BSON gets BSON', async () => {
  await using service = await startService()
  await service.storage.append(deltaAt(10, { operations: [put('todos', 'T1')] }))
  const { value } = await service.open({}, { format: 'bson' }).next()
  const lines: unknown[] = []
  for await (const document of splitBson(once(value ?? new Uint8Array(0)))) lines.push(decodeBsonLine(document))
  expect(lines).toMatchObject([
    { kind: 'checkpoint' },
    { kind: 'data', batch: { operations: [{ id: 'T1' }] } },
    { kind: 'checkpoint-complete' },
  ])
})

function bucketAt(name: string, after: number) {
  return { name: toBucketName(name), after: toOpId(BigInt(after)) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
