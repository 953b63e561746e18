/** The page of the driver's browser tests: gives them the driver, and a way to end its worker as a crash would. */
import { createWebDriver } from '@headwater/client/web'

declare global {
  var sqlitePage: typeof page
}

const workers: Worker[] = []
const warnings: string[] = []

const page = {
  warnings,
  openDriver: (dbFilename: string) =>
    createWebDriver({
      dbFilename,
      logger: { log: (record) => warnings.push(record.message) },
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
