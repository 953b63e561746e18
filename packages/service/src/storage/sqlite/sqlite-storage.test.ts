import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { StorageUnderTest } from '../example-data.contract.ts'
import { storageContract } from '../storage.contract.ts'
import { openSqliteStorage } from './sqlite-storage.ts'

storageContract('SQLite storage', openTemporary)

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
