/** The page of the driver's browser tests: gives them the driver, and a way to end its worker as a crash would. */
import { column, createWebDriver, HeadwaterDatabase, Schema, Table, type SqliteConnection } from '@headwater/client/web'

declare global {
  var sqlitePage: typeof page
}

const workers: Worker[] = []
const warnings: string[] = []

type ErrorFields = {
  readonly name: string
  readonly message: string
  readonly code?: unknown
  readonly resultCode?: unknown
}

const page = {
  warnings,
  /** For tests that use one connection in several steps. */
  connection: undefined as SqliteConnection | undefined,
  run: async (sql: string) => {
    if (page.connection === undefined) throw new Error('Cannot run SQL: set `connection` first')
    return await page.connection.run(sql)
  },
  /** What a promise was rejected with, as plain values that can leave the page. */
  errorOf: async (promise: Promise<unknown>): Promise<ErrorFields> => {
    try {
      await promise
    } catch (error) {
      if (error instanceof Error) return Object.assign({}, error, { name: error.name, message: error.message })
    }
    throw new Error('Expected an error, and there was none')
  },
  openDriver: (dbFilename: string) =>
    createWebDriver({
      dbFilename,
      logger: { log: (record) => warnings.push(record.message) },
    }),
  openDatabase: (dbFilename: string) =>
    new HeadwaterDatabase({
      schema: new Schema({ todos: new Table({ title: column.text }) }),
      database: { dbFilename },
    }),
  /** Kills every worker of the page without a word, as the browser does when it runs out of memory. */
  killWorkers: () => {
    for (const worker of workers.splice(0)) worker.terminate()
  },
}

const { Worker: BrowserWorker } = globalThis
globalThis.Worker = class extends BrowserWorker {
  constructor(url: string | URL, options?: WorkerOptions) {
    super(url, options)
    workers.push(this)
  }
}

globalThis.sqlitePage = page
