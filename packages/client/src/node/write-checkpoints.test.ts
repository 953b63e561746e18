import { describe, expect, test } from 'vitest'
import type { BackendConnector } from '../connector.ts'
import { column } from '../schema/column.ts'
import { Schema } from '../schema/schema.ts'
import { Table } from '../schema/table.ts'
import { bucketEntry, checkpointLine, completeLine, dataLine, put } from '../sync/scripted-service.test-parts.ts'
import type { ScriptedStream } from '../sync/scripted-service.test-parts.ts'
import { ASK_ANEW_AFTER_MS, REMIND_AFTER_MS } from '../upload/reminder.ts'
import { openOnClock, settle } from './stopped-clock.test-parts.ts'
import { openThrowAway, until } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

const schema = new Schema({ lists: new Table({ name: column.text }) })

const write = ({ db }: ThrowAway, id: string) => db.execute('INSERT INTO lists(id) VALUES (?)', [id])

const readTarget = async ({ db }: ThrowAway) =>
  (await db.get<{ target: unknown }>('SELECT target_write_checkpoint AS target FROM ps_control')).target

const theirs = [put(1, 'lists', 'theirs', { name: 'from the service' })]

/** A whole checkpoint with a row, so that one sees whether downloads are shown. */
function announce(stream: ScriptedStream, writeCheckpoint: string | undefined): void {
  const more = writeCheckpoint === undefined ? {} : { write_checkpoint: writeCheckpoint }
  stream.send(checkpointLine(1, [bucketEntry('b', theirs)], more), dataLine('b', theirs), completeLine(1))
}

async function isShown({ db }: ThrowAway): Promise<boolean> {
  await settle()
  return (await db.getAll(`SELECT id FROM lists WHERE id = 'theirs'`)).length === 1
}

describe('a write checkpoint', () => {
  test('[protocol 96] is asked for under the client id of the stream, in either way', async () => {
    await using opened = await openThrowAway(schema)
    const { service } = opened
    await write(opened, 'a')
    void opened.connect()
    const stream = await service.stream(0)
    await until(() => service.writeCheckpointRequests.length === 1)
    service.offersRequests = false
    await write(opened, 'b')
    await until(() => service.writeCheckpointRequests.length === 2)
    expect(service.writeCheckpointRequests).toEqual([stream.request['client_id'], stream.request['client_id']])
    expect(stream.request['client_id']).toBe(await opened.db.getClientId())
  })

  test('is a number that the device counts by itself, from one up', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    await opened.connect()
    for (const id of ['a', 'b', 'c']) {
      await write(opened, id)
      await advance(1)
    }
    expect(opened.service.numbersRequested).toEqual(['1', '2', '3'])
    expect(await readTarget(opened)).toBe(3)
  })

  test('is a number of the service where that does not let clients choose, and it is asked again after reconnecting', async () => {
    const { opened, advance, calls } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    service.offersRequests = false
    await opened.connect()
    for (const id of ['a', 'b']) {
      await write(opened, id)
      await advance(1)
    }
    expect(await readTarget(opened)).toBe(2)
    expect(calls.get('/sync/checkpoint-request')).toBe(1)
    service.offersRequests = true
    service.streams[0]?.break()
    await advance(100)
    await write(opened, 'c')
    await advance(1)
    expect(service.numbersRequested).toContain('3')
    expect(await readTarget(opened)).toBe(3)
  })

  test('[protocol 99] whose answer was lost is not used for what is written after it', async () => {
    const { opened, advance, down } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    await opened.connect({ retryDelayMs: 1000 })
    service.beforeWriteCheckpoint = () => {
      service.beforeWriteCheckpoint = () => Promise.resolve()
      return Promise.reject(new TypeError('the line broke'))
    }
    await write(opened, 'a')
    await advance(1)
    expect(service.writeCheckpoint).toBe(1)
    down.set('/sync/checkpoint-request', () => new TypeError('offline'))
    await write(opened, 'b')
    await advance(2000)
    down.clear()
    await advance(60_000)
    expect(await readTarget(opened)).toBeGreaterThan(1)
    expect(await readTarget(opened)).toBe(service.writeCheckpoint)
  })

  test('[protocol 99] that was asked for and not answered is not used again after a restart either', async () => {
    await using opened = await openThrowAway(schema)
    const { service } = opened
    let crash = false
    service.beforeWriteCheckpoint = () => (crash ? new Promise(() => {}) : Promise.resolve())
    crash = true
    await write(opened, 'a')
    void opened.connect()
    await until(() => service.writeCheckpoint === 1)
    await using reopened = await opened.reopen()
    await write(reopened, 'b')
    reopened.service.writeCheckpoint = 1
    void reopened.connect()
    await until(() => reopened.service.writeCheckpoint === 2)
    await until(async () => (await readTarget(reopened)) === 2)
  })

  test('is greater than every one that the service has of this device, also from another life', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    opened.service.writeCheckpoint = 40
    await opened.connect()
    await write(opened, 'a')
    await advance(1)
    expect(opened.service.numbersRequested).toEqual(['1', '41'])
    expect(await readTarget(opened)).toBe(41)
  })

  test('that another device takes each time is an error that says so', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    service.beforeWriteCheckpoint = () => Promise.resolve(void (service.writeCheckpoint += 1))
    service.refuse = (path) => {
      if (path === '/sync/checkpoint-request') service.writeCheckpoint += 1000
      return undefined
    }
    await opened.connect()
    await write(opened, 'a')
    await advance(1)
    expect(opened.db.currentStatus.uploadError).toMatchObject({ code: 'bad-write-checkpoint' })
    expect(opened.db.currentStatus.uploadError?.message).toContain('copy of this database')
  })
})

describe('downloads that wait for a write checkpoint', () => {
  test('are shown after a reconnect to a service that lost all its numbers', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    await opened.connect({ retryDelayMs: 1000 })
    for (const id of ['a', 'b', 'c']) {
      await write(opened, id)
      await advance(1)
    }
    service.writeCheckpoint = 0
    service.streams[0]?.break()
    await advance(2000)
    const again = await service.stream(1)
    await settle()
    expect(service.writeCheckpoint).toBe(3)
    announce(again, undefined)
    expect(await isShown(opened)).toBe(false)
    announce(again, '3')
    expect(await isShown(opened)).toBe(true)
  })

  test('wait for a new number where the service has a greater one, as of another user of this device', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    await opened.connect({ retryDelayMs: 1000 })
    await write(opened, 'a')
    await advance(1)
    service.writeCheckpoint = 9
    service.streams[0]?.break()
    await advance(2000)
    const again = await service.stream(1)
    await settle()
    expect(service.writeCheckpoint).toBe(10)
    announce(again, '9')
    expect(await isShown(opened)).toBe(false)
    announce(again, '10')
    expect(await isShown(opened)).toBe(true)
  })

  test('have the service told again of a number that it forgot for its age', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    await opened.connect()
    const stream = await service.stream(0)
    await write(opened, 'a')
    await advance(1)
    service.writeCheckpoint = 0
    await advance(REMIND_AFTER_MS * 1.1)
    expect(service.writeCheckpoint).toBe(1)
    announce(stream, '1')
    expect(await isShown(opened)).toBe(true)
    const { length } = service.numbersRequested
    await advance(10 * 60_000, 30_000)
    expect(service.numbersRequested).toHaveLength(length)
  })

  test('have it told less and less often', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    await opened.connect()
    const stream = await service.stream(0)
    await write(opened, 'a')
    await advance(1)
    const tellMs: number[] = []
    for (let seconds = 1; seconds <= 200; seconds += 1) {
      const before = service.numbersRequested.length
      await advance(1000)
      if (seconds % 20 === 0) stream.send({ token_expires_in: 3600 })
      if (service.numbersRequested.length > before) tellMs.push(seconds * 1000)
    }
    expect(tellMs).toEqual([10_000, 30_000, 70_000, 130_000, 190_000])
    expect(new Set(service.numbersRequested)).toEqual(new Set(['1']))
  })

  test('are none when nothing was written, and then nothing is asked for', async () => {
    const { opened, advance, calls } = await openOnClock(schema)
    await using _ = opened
    await opened.connect()
    await advance(40_000)
    expect(calls.get('/sync/checkpoint-request')).toBeUndefined()
    announce(await opened.service.stream(0), undefined)
    expect(await isShown(opened)).toBe(true)
  })

  test('of a service that chooses the numbers have another asked for, after a minute and then less often', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    service.offersRequests = false
    service.writeCheckpoint = 6
    await opened.connect()
    await write(opened, 'a')
    await advance(1)
    expect(await readTarget(opened)).toBe(7)
    service.writeCheckpoint = 0
    const askedMs: number[] = []
    for (let seconds = 1; seconds <= 500; seconds += 1) {
      const before = service.writeCheckpointRequests.length
      await advance(1000)
      if (seconds % 20 === 0) service.streams.at(-1)?.send({ token_expires_in: 3600 })
      if (service.writeCheckpointRequests.length > before) askedMs.push(seconds * 1000)
    }
    expect(askedMs[0]).toBeGreaterThanOrEqual(ASK_ANEW_AFTER_MS)
    expect(askedMs).toHaveLength(3)
    expect((askedMs[2] ?? 0) - (askedMs[1] ?? 0)).toBeGreaterThan((askedMs[1] ?? 0) - (askedMs[0] ?? 0))
    announce(await service.stream(service.streams.length - 1), '3')
    expect(await isShown(opened)).toBe(true)
  })

  test('of a service that chooses the numbers are not shown by a number from before it lost them', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    const { service } = opened
    service.offersRequests = false
    const upload = Promise.withResolvers<void>()
    await write(opened, 'a')
    await opened.connect(
      {},
      {
        uploadData: async (database) => {
          await upload.promise
          await (await database.getCrudBatch())?.complete()
        },
      },
    )
    announce(await service.stream(0), '90')
    await settle()
    service.streams[0]?.break()
    await advance(100)
    const stream = await service.stream(1)
    announce(stream, undefined)
    await settle()
    upload.resolve()
    await advance(1)
    expect(await readTarget(opened)).toBe(1)
    expect(await isShown(opened)).toBe(false)
    // What the stream has announced was of the numbers that are lost, so there is a new one.
    announce(await service.stream(2), '1')
    expect(await isShown(opened)).toBe(true)
  })
})

describe('a backend that chooses the write checkpoint', () => {
  const choosing = (number: string | number | bigint): Partial<BackendConnector> => ({
    uploadData: async (database) => {
      await (await database.getCrudBatch())?.complete()
      return number
    },
  })

  test.each([42, 42n, '42'])('returns it from uploadData, and the service is not asked: %o', async (number) => {
    const { opened, advance, calls } = await openOnClock(schema)
    await using _ = opened
    await write(opened, 'a')
    await opened.connect({}, choosing(number))
    const stream = await opened.service.stream(0)
    await settle()
    expect(await readTarget(opened)).toBe(42)
    announce(stream, '41')
    expect(await isShown(opened)).toBe(false)
    stream.break()
    await advance(40_000)
    expect(calls.get('/sync/checkpoint-request')).toBeUndefined()
    announce(await opened.service.stream(1), '42')
    expect(await isShown(opened)).toBe(true)
  })

  test('may be overtaken by its own announcement', async () => {
    const { opened } = await openOnClock(schema)
    await using _ = opened
    const answer = Promise.withResolvers<number>()
    await write(opened, 'a')
    await opened.connect(
      {},
      {
        uploadData: async (database) => {
          await (await database.getCrudBatch())?.complete()
          return answer.promise
        },
      },
    )
    announce(await opened.service.stream(0), '42')
    expect(await isShown(opened)).toBe(false)
    answer.resolve(42)
    expect(await isShown(opened)).toBe(true)
  })

  test('chooses another for what was written meanwhile', async () => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    let number = 41
    await write(opened, 'a')
    await opened.connect(
      {},
      {
        uploadData: async (database) => {
          const transaction = await database.getNextCrudTransaction()
          if (number === 41) await write(opened, 'meanwhile')
          await transaction?.complete()
          number += 1
          return number
        },
      },
    )
    await advance(1)
    expect(number).toBe(43)
    expect(await readTarget(opened)).toBe(43)
    expect(opened.service.numbersRequested).toEqual([])
  })

  test.each([0.5, -1, 'soon', '9223372036854775807'])('cannot choose %s', async (number) => {
    const { opened, advance } = await openOnClock(schema)
    await using _ = opened
    await write(opened, 'a')
    await opened.connect({}, choosing(number))
    await settle()
    await advance(1)
    expect(opened.logs.some(({ error }) => Reflect.get(Object(error), 'code') === 'bad-write-checkpoint')).toBe(true)
  })
})
