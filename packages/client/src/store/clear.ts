import type { DisconnectAndClearOptions } from '../database-options.ts'
import type { Schema } from '../schema/schema.ts'
import { quoteName } from '../schema/quote.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'

/**
 * Deletes the rows of all tables, the queue and everything about the sync but the client id. Soft: what was downloaded
 * stays, to be shown again when the service lists the same buckets.
 */
export function clearStore(sql: SqlDatabase, schema: Schema, options: DisconnectAndClearOptions): Promise<void> {
  const { clearLocal = true, soft = false } = options
  return sql.writeTransaction(async (transaction) => {
    await transaction.execute('UPDATE ps_control SET applying = 1 WHERE id = 1')
    for (const table of schema.tables) {
      if (table.insertOnly || (table.localOnly && !clearLocal)) continue
      await transaction.execute(`DELETE FROM ${quoteName(table.internalName)}`)
    }
    for (const table of soft ? CLEARED_ALWAYS : [...CLEARED_ALWAYS, 'ps_oplog', 'ps_buckets']) {
      await transaction.execute(`DELETE FROM ${table}`)
    }
    await transaction.execute(`DELETE FROM ps_kv WHERE key <> 'client_id'`)
    if (soft) await transaction.execute('UPDATE ps_buckets SET last_applied_op = 0')
    await transaction.execute(
      `UPDATE ps_control SET applying = 0, target_write_checkpoint = NULL, seen_write_checkpoint = NULL ${soft ? '' : ', checkpoint_op = 0'}
       WHERE id = 1`,
    )
  })
}

const CLEARED_ALWAYS = ['ps_updated_rows', 'ps_untyped', 'ps_crud', 'ps_sync_state', 'ps_stream_subscriptions'] as const
