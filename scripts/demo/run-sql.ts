import { Client } from 'pg'
import { readRunning } from './start-demo.ts'

/** Runs SQL in the Postgres of the demo that runs on `folder`, and returns what to print. */
export async function runSql(folder: string, sql: string): Promise<string> {
  const running = await readRunning(folder)
  if (running === undefined) {
    throw new Error('Cannot reach the demo, because it is not running. Start it in another terminal: npm run demo')
  }
  const client = new Client({ connectionString: running.postgresUrl })
  await client.connect()
  try {
    const { command, rowCount, rows } = await client.query<Record<string, unknown>>(sql)
    const lines = rows.map((row) => JSON.stringify(row))
    return [...lines, `${command} ${rowCount ?? ''}`.trim()].join('\n')
  } finally {
    await client.end()
  }
}
