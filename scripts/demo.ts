/**
 * The demo: a real Postgres, the service, and examples/todo-web, by one command.
 *
 *     npm run demo                     start it; Ctrl-C stops it; the data stay in .headwater/demo
 *     npm run demo -- --sql "SELECT 1" run SQL in the Postgres of the running demo
 *     npm run demo -- --check          try everything in headless Chromium, print a line per step
 */
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { checkDemo } from './demo/check.ts'
import { runSql } from './demo/run-sql.ts'
import { startDemo, type Demo } from './demo/start-demo.ts'

const FOLDER = join(import.meta.dirname, '..', '.headwater', 'demo')
const SQL_EXAMPLE =
  "INSERT INTO todos (list_id, description) SELECT id, 'Written in SQL' FROM lists ORDER BY created_at LIMIT 1"

const { values } = parseArgs({ options: { check: { type: 'boolean' }, sql: { type: 'string' } } })

try {
  if (values.sql !== undefined) console.log(await runSql(FOLDER, values.sql))
  else if (values.check === true) await checkDemo({ screenshots: join(FOLDER, 'screenshots'), print: console.log })
  else await runDemo()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** Runs until Ctrl-C, or until a part of it stops by itself. */
async function runDemo(): Promise<void> {
  const startedMs = performance.now()
  const say = (text: string): void => {
    console.log(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(5)} s  ${text}`)
  }
  const interrupted = waitForSignal()
  const demo = await startDemo({ folder: FOLDER, say })
  printAddresses(demo)
  try {
    await Promise.race([interrupted, demo.ended])
  } finally {
    console.log('\nStopping …')
    await demo.stop()
  }
}

function printAddresses({ appUrl, serviceUrl, postgresUrl }: Demo): void {
  console.log(`
  The app      ${appUrl}
  The service  ${serviceUrl}
  Postgres     ${postgresUrl}

  Write to Postgres from another terminal, and watch it appear:

    npm run demo -- --sql "${SQL_EXAMPLE}"

  Ctrl-C stops everything. The data stay in ${relative(process.cwd(), FOLDER)}.
`)
}

/** Resolves at the first request to stop. At the second one the process ends as it is. */
function waitForSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        resolve()
      })
    }
  })
}
