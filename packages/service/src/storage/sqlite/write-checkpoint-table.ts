import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { describeCheckpointEvents } from '@headwater/sync-config'
import { EVERY_CLIENT, type WriteCheckpoint } from '../delta.ts'
import type { GenerationOrigin } from '../storage.ts'

/** Whose numbers: of the service, which clients ask for, or of the app's backend, which replication brings. */
export type NumberKind = 'asked' | 'custom'

const TABLES = { asked: 'write_checkpoint', custom: 'custom_write_checkpoint' } as const

const HOUR_MS = 3_600_000

/** Whose numbers clients see in this generation. */
export function kindShown(origin: GenerationOrigin | undefined): NumberKind {
  return origin === undefined || describeCheckpointEvents(origin.plan) === undefined ? 'asked' : 'custom'
}

/** Do numbers of the app's backend go on to mean what they meant? */
export function keepsCustomNumbers(before: GenerationOrigin | undefined, after: GenerationOrigin): boolean {
  const events = describeCheckpointEvents(after.plan)
  return (
    before !== undefined &&
    events !== undefined &&
    before.systemId === after.systemId &&
    describeCheckpointEvents(before.plan) === events
  )
}

/** The writer's side of one kind of numbers. Those of a key never go down. */
export class WriteCheckpointWriter {
  readonly #addPending: StatementSync
  readonly #readPending: StatementSync
  readonly #show: StatementSync
  readonly #readHighest: StatementSync

  constructor(writer: DatabaseSync, kind: NumberKind) {
    const table = TABLES[kind]
    this.#addPending = writer.prepare(
      `INSERT INTO ${table} (key, pending, used_hour) VALUES (?, ?, ?)
       ON CONFLICT DO UPDATE SET pending = MAX(excluded.pending, COALESCE(pending, 0)), used_hour = excluded.used_hour`,
    )
    this.#readPending = writer.prepare(
      `SELECT key, MAX(pending, COALESCE(shown, 0)) AS number FROM ${table} WHERE pending IS NOT NULL`,
    )
    this.#readPending.setReadBigInts(true)
    this.#show = writer.prepare(
      `UPDATE ${table} SET shown = MAX(COALESCE(shown, 0), pending), pending = NULL WHERE pending IS NOT NULL`,
    )
    this.#readHighest = writer.prepare(
      `SELECT MAX(MAX(COALESCE(shown, 0), COALESCE(pending, 0))) AS highest FROM ${table}`,
    )
    this.#readHighest.setReadBigInts(true)
  }

  /** Of all keys; 0 without any. */
  readHighest(): bigint {
    const highest = this.#readHighest.get()?.['highest']
    return typeof highest === 'bigint' ? highest : 0n
  }

  /** `nowMs`: by the clock. */
  write(writeCheckpoints: readonly WriteCheckpoint[], nowMs: number): void {
    const hour = Math.floor(nowMs / HOUR_MS)
    for (const { key, number } of writeCheckpoints) this.#addPending.run(key, number, hour)
  }

  /** Makes what waits visible, and returns it. */
  showPending(): Map<string, bigint> {
    const shown = new Map<string, bigint>()
    for (const { key, number } of this.#readPending.iterate()) {
      if (typeof number === 'bigint') shown.set(String(key), number)
    }
    if (shown.size > 0) this.#show.run()
    return shown
  }
}

/** The readers' side. */
export class WriteCheckpointReader {
  readonly #find: StatementSync
  readonly #findStored: StatementSync

  constructor(reader: DatabaseSync, origin: GenerationOrigin | undefined) {
    this.#findStored = reader.prepare(
      `SELECT MAX(MAX(COALESCE(shown, 0), COALESCE(pending, 0))) AS stored FROM write_checkpoint WHERE key IN (?, ?)`,
    )
    this.#findStored.setReadBigInts(true)
    this.#find = reader.prepare(`SELECT MAX(shown) AS shown FROM ${TABLES[kindShown(origin)]} WHERE key IN (?, ?)`)
    this.#find.setReadBigInts(true)
  }

  /** What clients see. */
  find(key: string): bigint | undefined {
    const shown = this.#find.get(key, EVERY_CLIENT)?.['shown']
    return typeof shown === 'bigint' ? shown : undefined
  }

  /** Of the service's numbers, that of the key or of every client, shown or not; 0 without any. */
  findStored(key: string): bigint {
    const stored = this.#findStored.get(key, EVERY_CLIENT)?.['stored']
    return typeof stored === 'bigint' ? stored : 0n
  }
}
