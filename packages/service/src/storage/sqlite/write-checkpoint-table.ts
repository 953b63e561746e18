import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { EVERY_CLIENT, type WriteCheckpoint } from '../delta.ts'

/** The writer's side of the table `write_checkpoint`. Numbers of a key never go down. */
export class WriteCheckpointWriter {
  readonly #addPending: StatementSync
  readonly #readPending: StatementSync
  readonly #show: StatementSync
  readonly #readHighest: StatementSync

  constructor(writer: DatabaseSync) {
    this.#addPending = writer.prepare(
      `INSERT INTO write_checkpoint (key, pending) VALUES (?, ?)
       ON CONFLICT DO UPDATE SET pending = MAX(excluded.pending, COALESCE(pending, 0))`,
    )
    this.#readPending = writer.prepare('SELECT key, pending FROM write_checkpoint WHERE pending IS NOT NULL')
    this.#readPending.setReadBigInts(true)
    this.#show = writer.prepare(
      `UPDATE write_checkpoint SET shown = MAX(COALESCE(shown, 0), pending), pending = NULL
       WHERE pending IS NOT NULL`,
    )
    this.#readHighest = writer.prepare(
      'SELECT MAX(MAX(COALESCE(shown, 0), COALESCE(pending, 0))) AS highest FROM write_checkpoint',
    )
    this.#readHighest.setReadBigInts(true)
  }

  /** Of all keys; 0 without any. */
  readHighest(): bigint {
    const highest = this.#readHighest.get()?.['highest']
    return typeof highest === 'bigint' ? highest : 0n
  }

  write(writeCheckpoints: readonly WriteCheckpoint[]): void {
    for (const { key, number } of writeCheckpoints) this.#addPending.run(key, number)
  }

  /** Makes what waits visible, and returns it. */
  showPending(): Map<string, bigint> {
    const shown = new Map<string, bigint>()
    for (const { key, pending } of this.#readPending.iterate()) {
      if (typeof pending === 'bigint') shown.set(String(key), pending)
    }
    if (shown.size > 0) this.#show.run()
    return shown
  }
}

/** The readers' side. */
export class WriteCheckpointReader {
  readonly #find: StatementSync
  readonly #findStored: StatementSync

  constructor(reader: DatabaseSync) {
    this.#findStored = reader.prepare(
      `SELECT MAX(MAX(COALESCE(shown, 0), COALESCE(pending, 0))) AS stored FROM write_checkpoint WHERE key IN (?, ?)`,
    )
    this.#findStored.setReadBigInts(true)
    this.#find = reader.prepare('SELECT MAX(shown) AS shown FROM write_checkpoint WHERE key IN (?, ?)')
    this.#find.setReadBigInts(true)
  }

  find(key: string): bigint | undefined {
    const shown = this.#find.get(key, EVERY_CLIENT)?.['shown']
    return typeof shown === 'bigint' ? shown : undefined
  }

  /** Of the key or of every client, shown or not; 0 without any. */
  findStored(key: string): bigint {
    const stored = this.#findStored.get(key, EVERY_CLIENT)?.['stored']
    return typeof stored === 'bigint' ? stored : 0n
  }
}
