import { randomUuid } from '../random-uuid.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'

/** The id of this database, the same for its whole life; made at the first call. */
export function readClientId(sql: SqlDatabase): Promise<string> {
  return sql.writeTransaction(async (transaction) => {
    const known = await transaction.getOptional<{ value: string }>(`SELECT value FROM ps_kv WHERE key = 'client_id'`)
    if (known !== null) return known.value
    const id = randomUuid()
    await transaction.execute(`INSERT INTO ps_kv(key, value) VALUES ('client_id', ?)`, [id])
    return id
  })
}
