/** The page of `client-first-sync-web`: our client, and plain SQLite through the same engine and files. */
import { column, createWebDriver, HeadwaterDatabase, Schema, Table } from '@headwater/client/web'

declare global {
  var firstSyncPage: typeof page
}

const schema = new Schema({ items: new Table({ owner: column.text, title: column.text }) })

export type FirstSync = { readonly ms: number; readonly rows: number; readonly letters: number }

const page = {
  /** From `connect` on an empty file until a query finds every row. */
  sync: async (place: { readonly endpoint: string; readonly token: string }): Promise<FirstSync> => {
    const db = new HeadwaterDatabase({ schema, database: { dbFilename: 'first-sync.db' } })
    await db.init()
    const startedAtMs = performance.now()
    await db.connect({
      fetchCredentials: () => Promise.resolve(place),
      uploadData: () => Promise.resolve(),
    })
    await db.waitForFirstSync()
    const ms = performance.now() - startedAtMs
    const found = await db.get<{ rows: number; letters: number }>(
      'SELECT count(*) AS rows, sum(length(title)) AS letters FROM items',
    )
    await db.close()
    return { ms, ...found }
  },

  /** Milliseconds for the same rows into a fresh file, `rowsPerTransaction` in each message to the worker. */
  insertPlain: async (rows: readonly string[][], rowsPerTransaction: number): Promise<number> => {
    const messages: string[] = []
    const driver = createWebDriver({ dbFilename: 'plain.db', logger: { log: ({ message }) => messages.push(message) } })
    const connection = await driver.open('writer')
    await connection.exec('CREATE TABLE plain (id TEXT PRIMARY KEY, owner, title)')
    const startedAtMs = performance.now()
    for (let at = 0; at < rows.length; at += rowsPerTransaction) {
      await connection.exec('BEGIN')
      await connection.runBatch('INSERT INTO plain VALUES (?, ?, ?)', rows.slice(at, at + rowsPerTransaction))
      await connection.exec('COMMIT')
    }
    const ms = performance.now() - startedAtMs
    const found = (await connection.run('SELECT count(*) FROM plain')).rows[0]?.[0]
    await connection.close()
    if (found !== rows.length) throw new Error(`The plain table has ${String(found)} of ${rows.length} rows`)
    if (messages.length > 0) throw new Error(messages.join('; '))
    return ms
  },
}

globalThis.firstSyncPage = page
