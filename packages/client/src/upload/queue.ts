import { HeadwaterError } from '@headwater/protocol'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import { CrudEntry } from './crud.ts'
import { TARGET_UNKNOWN } from './hold.ts'
import { FORGET_ASKED } from './write-checkpoints.ts'
import type { CrudBatch, CrudTransaction, UploadQueueStats } from './crud.ts'

export const DEFAULT_CRUD_BATCH_LIMIT = 100

/** Bytes that an entry costs beside its payload, for the estimate of the queue's size. */
const ENTRY_OVERHEAD_BYTES = 20

const COUNT = 'SELECT count(*) AS count FROM ps_crud'
const COUNT_AND_SIZE = `SELECT count(*) AS count, coalesce(sum(length(CAST(data AS BLOB)) + ${ENTRY_OVERHEAD_BYTES}), 0) AS size FROM ps_crud`
const HEAD = 'SELECT id, tx_id, data FROM ps_crud ORDER BY id LIMIT ?'
const FIRST_AFTER = 'SELECT id, tx_id, data FROM ps_crud WHERE id > ? ORDER BY id LIMIT 1'
const OF_TRANSACTION = 'SELECT id, tx_id, data FROM ps_crud WHERE id >= ? AND tx_id = ? ORDER BY id'
const SET_TARGET = 'UPDATE ps_control SET target_write_checkpoint = ? WHERE id = 1'

type CrudRow = { readonly id: number; readonly tx_id: number | null; readonly data: string }

/** Local writes on their way to the app's backend, oldest first. */
export class UploadQueue {
  readonly #sql: SqlDatabase

  constructor(sql: SqlDatabase) {
    this.#sql = sql
  }

  readStats(includeSize: boolean): Promise<UploadQueueStats> {
    return this.#sql.readLock(async (context) => {
      if (includeSize) return context.get<{ count: number; size: number }>(COUNT_AND_SIZE)
      const { count } = await context.get<{ count: number }>(COUNT)
      return { count, size: null }
    })
  }

  /** At most `limit` entries, which may cut through a transaction; null when there are none. */
  async readBatch(limit: number): Promise<CrudBatch | null> {
    const rows = await this.#sql.readLock((context) => context.getAll<CrudRow>(HEAD, [limit + 1]))
    const crud = rows.slice(0, limit).map((row) => CrudEntry.fromRow(row))
    const last = crud.at(-1)
    if (last === undefined) return null
    return { crud, haveMore: rows.length > limit, complete: this.#completion(last.clientId) }
  }

  /** The oldest transaction with a position after `after`; null when there is none. */
  async readTransaction(after: number): Promise<CrudTransaction | null> {
    const rows = await this.#sql.readLock(async (context) => {
      const first = await context.getOptional<CrudRow>(FIRST_AFTER, [after])
      if (first === null || first.tx_id === null) return first === null ? [] : [first]
      return context.getAll<CrudRow>(OF_TRANSACTION, [first.id, first.tx_id])
    })
    const crud = rows.map((row) => CrudEntry.fromRow(row))
    const last = crud.at(-1)
    if (last === undefined) return null
    return {
      crud,
      transactionId: last.transactionId,
      haveMore: false,
      complete: this.#completion(last.clientId),
    }
  }

  /** All transactions in order, without taking any off. */
  async *readTransactions(): AsyncIterableIterator<CrudTransaction> {
    let after = -1
    for (;;) {
      const transaction = await this.readTransaction(after)
      if (transaction === null) return
      yield transaction
      after = transaction.crud.at(-1)?.clientId ?? after
    }
  }

  /**
   * Takes everything up to `last` off the queue. A write checkpoint that the backend chose becomes the target once
   * nothing is left; otherwise the target stays as it is, and the uploader asks the service for one.
   */
  #completion(last: number): (writeCheckpoint?: string) => Promise<void> {
    return (writeCheckpoint) =>
      this.#sql.writeTransaction(async (transaction) => {
        await transaction.execute('DELETE FROM ps_crud WHERE id <= ?', [last])
        if (writeCheckpoint === undefined) return
        const { count } = await transaction.get<{ count: number }>(COUNT)
        if (count > 0) return
        await transaction.execute(SET_TARGET, [parseWriteCheckpoint(writeCheckpoint)])
        await transaction.execute(FORGET_ASKED)
      })
  }
}

export function parseWriteCheckpoint(text: string): bigint {
  const number = /^\d{1,19}$/.test(text) ? BigInt(text) : undefined
  if (number === undefined || number >= TARGET_UNKNOWN) {
    throw new HeadwaterError(
      'bad-write-checkpoint',
      `Cannot use this write checkpoint: expected decimal digits, below ${TARGET_UNKNOWN}, got ${JSON.stringify(text.slice(0, 40))}`,
    )
  }
  return number
}
