import { inspect } from 'node:util'
/** One user's device: a real client on a real database file, behind a wire that can break. */
import { join } from 'node:path'
import { issueToken } from '@headwater/backend'
import { createUploader, HeadwaterDatabase, type SyncStatus } from '@headwater/client/node'
import { indexRows, type FaultProxy, type OracleRow, type Random, type TableRows } from '@headwater/testkit'
import type { WriteLog } from './write-log.ts'
import { DEVICE_SCHEMA, ORACLE } from './world.ts'

export type DeviceOptions = {
  readonly name: string
  readonly userId: string
  readonly folder: string
  readonly secret: string
  readonly audience: string
  readonly tokenTtlSeconds: number
  /** To the service; its faults are this device's bad network. */
  readonly proxy: FaultProxy
  readonly uploadUrl: string
  /** What it subscribes to in the stream `picked`. */
  readonly pickedList: string
  readonly random: Random
  readonly log: WriteLog
  /** Hears what is about to be done. */
  readonly note: (what: string) => void
}

export type Device = AsyncDisposable & {
  readonly name: string
  readonly proxy: FaultProxy
  /** What the oracle needs to know of it. */
  readonly oracleValues: Readonly<Record<string, string>>
  /** Does one thing that a person would, in one local transaction. */
  readonly write: () => Promise<void>
  readonly connect: () => void
  readonly disconnect: () => Promise<void>
  /** The platform says that the network is back. */
  readonly wake: () => void
  /** Closes the app and opens it again on the same file. */
  readonly restart: () => Promise<void>
  /** Every table as of one moment. */
  readonly readRows: () => Promise<ReadonlyMap<string, TableRows>>
  readonly countQueued: () => Promise<number>
  readonly readStatus: () => SyncStatus
  readonly hasSynced: () => boolean
  /** Set as soon as the device has shown a state that never was in the source. */
  readonly readBreach: () => string | undefined
}

const RETRY_DELAY_MS = 100
const UPLOAD_THROTTLE_MS = 10

const WRITES = {
  'journal entry': 10,
  'add todo': 6,
  'change todo': 6,
  'delete todo': 2,
  'several in one': 5,
  'roll back': 1,
} as const

export async function openDevice(options: DeviceOptions): Promise<Device> {
  const { name, userId, random, log, proxy } = options
  let breach: string | undefined
  const wakeUps = new Set<() => void>()
  const token = (): Promise<string> => issueToken({ ...options, ttlSeconds: options.tokenTtlSeconds })
  let db = await open()

  async function open(): Promise<HeadwaterDatabase> {
    const opened = new HeadwaterDatabase({
      schema: DEVICE_SCHEMA,
      database: { dbFilename: join(options.folder, `${name}.db`) },
      random: random.fraction,
      listenForWakeUps: (wake) => {
        wakeUps.add(wake)
        return () => wakeUps.delete(wake)
      },
      logger: { log: ({ message, error }) => options.note(`${name} says: ${message} ${inspect(error)}`) },
    })
    await opened.init()
    await opened.syncStream('picked', { list: options.pickedList }).subscribe()
    watchMoney(opened, (seen) => (breach ??= seen))
    connectTo(opened)
    return opened
  }

  /** Waits for nothing: `connect` ends with the first attempt, which on a bad wire may take as long as it likes. */
  function connectTo(opened: HeadwaterDatabase): void {
    const upload = createUploader({
      url: options.uploadUrl,
      fetchToken: token,
      onRejected: ({ transaction, entries }) => {
        for (const { opId, message } of entries) {
          const data = transaction.crud.find(({ clientId }) => clientId === opId)?.opData
          if (typeof data?.['write_id'] === 'string') log.reject(data['write_id'], message)
        }
      },
    })
    const connector = {
      fetchCredentials: async () => ({ endpoint: `http://127.0.0.1:${proxy.port}`, token: await token() }),
      uploadData: upload,
    }
    opened
      .connect(connector, { retryDelayMs: RETRY_DELAY_MS, crudUploadThrottleMs: UPLOAD_THROTTLE_MS })
      .catch((error: unknown) => (breach ??= `connect failed: ${String(error)}`))
  }

  return {
    name,
    proxy,
    oracleValues: { user: userId, list: options.pickedList },
    write: () => write(db, options),
    connect: () => connectTo(db),
    disconnect: () => db.disconnect(),
    wake: () => {
      for (const wake of wakeUps) wake()
    },
    restart: async () => {
      await db.close()
      db = await open()
    },
    readRows: () => readRows(db),
    countQueued: async () => (await db.getUploadQueueStats()).count,
    readStatus: () => db.currentStatus,
    hasSynced: () => db.currentStatus.hasSynced === true,
    readBreach: () => breach,
    [Symbol.asyncDispose]: () => db.close(),
  }
}

/** Every source transaction keeps the sum of all balances at 0, so every state that a device shows must as well. */
function watchMoney(db: HeadwaterDatabase, report: (breach: string) => void): void {
  db.watch('SELECT coalesce(sum(balance), 0) AS total, count(*) AS accounts FROM accounts', [], {
    onResult: (result) => {
      const [row] = result.array
      if (row !== undefined && row['total'] !== 0) {
        report(`${String(row['accounts'])} accounts hold ${String(row['total'])} in all, not 0`)
      }
    },
    onError: () => undefined,
  })
}

async function readRows(db: HeadwaterDatabase): Promise<ReadonlyMap<string, TableRows>> {
  return db.readTransaction(async (transaction) => {
    const tables = new Map<string, TableRows>()
    for (const { table, columns } of ORACLE) {
      const { rawRows } = await transaction.executeRaw(`SELECT ${columns.join(', ')} FROM ${table}`)
      tables.set(table, indexRows(table, rawRows as readonly OracleRow[]))
    }
    return tables
  })
}

type Todo = { readonly id: string; readonly title: string }

async function write(db: HeadwaterDatabase, options: DeviceOptions): Promise<void> {
  const { userId, random, log } = options
  const name = random.weighted(WRITES)
  options.note(`${options.name}: ${name}`)
  const todos = await db.getAll<Todo>('SELECT id, title FROM todos ORDER BY id')
  const lists = await db.getAll<{ readonly id: string }>('SELECT id FROM lists ORDER BY id')

  /** Not one of these is logged before its transaction has been committed. */
  const done: (() => void)[] = []
  await db
    .writeTransaction(async (transaction) => {
      const addJournal = async (): Promise<void> => {
        const writeId = log.nextId(options.name)
        const values = [random.uuid(), userId, random.text(30), writeId]
        await transaction.execute('INSERT INTO journal (id, user_id, body, write_id) VALUES (?, ?, ?, ?)', values)
        done.push(() => log.note({ writeId, kind: 'journal' }))
      }
      const addTodo = async (): Promise<void> => {
        if (lists.length === 0) return
        const [id, writeId] = [random.uuid(), log.nextId(options.name)]
        const values = [
          id,
          random.pick(lists).id,
          random.text(20),
          random.integer(2),
          random.integer(1_000) / 8,
          writeId,
        ]
        await transaction.execute(
          'INSERT INTO todos (id, list_id, title, done, weight, write_id) VALUES (?, ?, ?, ?, ?, ?)',
          values,
        )
        done.push(() => log.note({ writeId, kind: 'add todo' }))
      }
      const changeTodo = async (): Promise<void> => {
        if (todos.length === 0) return
        const [{ id }, writeId] = [random.pick(todos), log.nextId(options.name)]
        const { rowsAffected } = await transaction.execute(
          'UPDATE todos SET title = ?, done = 1 - done, weight = NULL, write_id = ? WHERE id = ?',
          [random.text(15), writeId, id],
        )
        if (rowsAffected === 1) done.push(() => log.note({ writeId, kind: 'change todo', id }))
      }
      const deleteTodo = async (): Promise<void> => {
        if (todos.length > 0) await transaction.execute('DELETE FROM todos WHERE id = ?', [random.pick(todos).id])
      }
      switch (name) {
        case 'journal entry':
          return addJournal()
        case 'add todo':
          return addTodo()
        case 'change todo':
          return changeTodo()
        case 'delete todo':
          return deleteTodo()
        case 'several in one':
          await addJournal()
          for (let count = random.between(1, 4); count > 0; count--) {
            await random.pick([addTodo, changeTodo, deleteTodo, addJournal])()
          }
          return addJournal()
        case 'roll back':
          await addJournal()
          await addTodo()
          throw new RolledBack()
      }
    })
    .catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error
      done.length = 0
    })
  for (const note of done) note()
}

class RolledBack extends Error {}
