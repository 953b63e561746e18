import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OP_ID_ZERO } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { begin, deltaAt, idsIn, put, readOf, slice, type StorageUnderTest } from '../example-data.contract.ts'
import type { BucketStorage } from '../storage.ts'
import { storageContract } from '../storage.contract.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

storageContract('SQLite storage', openTemporary)

test('a transaction that is larger than the tail may be is packed on its way, and readers see nothing of it', async () => {
  await using opened = await begin(openTemporary)
  const { storage } = opened
  const names = Array.from({ length: 50 }, (_, n) => `bucket ${n}`)
  await storage.append(deltaAt(10, { operations: names.map((name) => put(name, 'first')) }))
  const data = JSON.stringify({ text: 'x'.repeat(50_000) })
  const slices = Array.from({ length: 25 }, (_, n) => `slice ${n}`)

  for (const id of slices) {
    await storage.append(slice({ operations: names.map((name) => ({ ...put(name, id), data })) }))
    expect(await visibleIds(storage)).toEqual(['first'])
  }
  await storage.rollback()
  expect(await visibleIds(storage)).toEqual(['first'])

  for (const id of slices) {
    await storage.append(slice({ operations: names.map((name) => ({ ...put(name, id), data })) }))
  }
  await storage.append(deltaAt(20, {}))
  for (const name of ['bucket 0', 'bucket 49']) expect(await idsIn(storage, name)).toEqual(['first', ...slices])
})

async function visibleIds(storage: BucketStorage): Promise<string[]> {
  const head = await storage.readHead()
  const { body } = await storage.readBucket({ ...readOf('bucket 7'), upTo: head?.checkpoint.opId ?? OP_ID_ZERO })
  return (JSON.parse(`[${Buffer.concat(body).toString()}]`) as { object_id: string }[]).map(
    ({ object_id }) => object_id,
  )
}

const log = { warn: () => {} }

async function openTemporary(): Promise<StorageUnderTest> {
  const path = await mkdtemp(join(tmpdir(), 'headwater-storage-'))
  let storage = await openSqliteStorage({ path, log })
  return {
    storage,
    reopen: async () => {
      await storage[Symbol.asyncDispose]()
      storage = await openSqliteStorage({ path, log })
      return storage
    },
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]()
      await rm(path, { recursive: true })
    },
  }
}
