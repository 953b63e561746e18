import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { describeCheckpointEvents } from '@headwater/sync-config'
import { type Delta, EVERY_CLIENT, FORGOTTEN_CLIENTS, type WriteCheckpoint } from '../delta.ts'
import type { GenerationOrigin, StoredWriteCheckpoint } from '../storage.ts'

/** Whose numbers: of the service, which clients ask for, or of the app's backend, which replication brings. */
export type NumberKind = 'asked' | 'custom'

/** How long numbers are kept that nobody uses. */
export type Retention = {
  readonly days: number
  /** By the clock, in milliseconds since 1970. */
  readonly nowMs: () => number
}

const TABLES = { asked: 'write_checkpoint', custom: 'custom_write_checkpoint' } as const

const HOUR_MS = 3_600_000

/** Numbers that are forgotten in one commit, which waits for it. */
const FORGET_MAX = 5_000

/**
 * A client that waits for a number of the backend which is forgotten waits until it uploads again, for such numbers are
 * not ours to make. So the newest are kept however old they are, as many as cost little.
 */
const CUSTOM_KEPT_MIN = 100_000

/** A number is used again before so much of its time is over: a use costs a write. */
const STALE_PART = 0.1

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

/** The writer's side of one kind of numbers. Those of a key never go down, unless they are forgotten. */
class WriteCheckpointWriter {
  readonly #addPending: StatementSync
  readonly #readPending: StatementSync
  readonly #show: StatementSync
  readonly #readHighest: StatementSync
  readonly #readEveryClient: StatementSync
  readonly #forget: StatementSync

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
    this.#readEveryClient = writer.prepare(`SELECT used_hour FROM ${table} WHERE key = ?`)
    this.#forget = writer.prepare(
      `DELETE FROM ${table} WHERE key IN (SELECT key FROM ${table} WHERE ${unusedOf(kind)} LIMIT ${FORGET_MAX})`,
    )
  }

  /** Of all keys; 0 without any. What is forgotten is below the number that stands for it. */
  readHighest(): bigint {
    const highest = this.#readHighest.get()?.['highest']
    return typeof highest === 'bigint' ? highest : 0n
  }

  /** Was `EVERY_CLIENT` written in this generation? */
  coversEveryClient(): boolean {
    return Number(this.#readEveryClient.get(EVERY_CLIENT)?.['used_hour'] ?? 0) > 0
  }

  write(writeCheckpoints: readonly WriteCheckpoint[], nowMs: number): void {
    for (const { key, number } of writeCheckpoints) this.#addPending.run(key, number, toHour(nowMs))
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

  /** What has not been used within the retention; not all at once. */
  forgetUnused(retention: Retention): void {
    this.#forget.run(unusedBefore(retention))
  }
}

/** The writer's side of both kinds. */
export class WriteCheckpointWriters {
  readonly asked: WriteCheckpointWriter
  readonly #custom: WriteCheckpointWriter
  readonly #retention: Retention

  constructor(writer: DatabaseSync, retention: Retention) {
    this.asked = new WriteCheckpointWriter(writer, 'asked')
    this.#custom = new WriteCheckpointWriter(writer, 'custom')
    this.#retention = retention
  }

  write({ writeCheckpoints, customWriteCheckpoints }: Delta): void {
    const nowMs = this.#retention.nowMs()
    this.asked.write(writeCheckpoints, nowMs)
    this.#custom.write(customWriteCheckpoints, nowMs)
  }

  /** Makes what waits visible, and returns what of it clients see in this generation. */
  showPending(kind: NumberKind): Map<string, bigint> {
    const shown = { asked: this.asked.showPending(), custom: this.#custom.showPending() }
    if (shown.asked.has(FORGOTTEN_CLIENTS)) {
      this.asked.forgetUnused(this.#retention)
      this.#custom.forgetUnused(this.#retention)
    }
    return shown[kind]
  }
}

/** What clients see. */
export class WriteCheckpointReader {
  readonly #find: StatementSync

  constructor(reader: DatabaseSync, origin: GenerationOrigin | undefined) {
    this.#find = reader.prepare(
      kindShown(origin) === 'custom'
        ? `SELECT shown FROM custom_write_checkpoint WHERE key = ?1`
        : // Conditions joined by OR would have SQLite make a table of what each of them finds.
          `SELECT MAX(shown) AS shown FROM (
             SELECT shown FROM write_checkpoint WHERE key = ?1
             UNION ALL SELECT shown FROM write_checkpoint WHERE key = '${EVERY_CLIENT}'
             UNION ALL SELECT shown FROM write_checkpoint WHERE key = '${FORGOTTEN_CLIENTS}'
               AND NOT EXISTS (SELECT 1 FROM write_checkpoint WHERE key = ?1)
           )`,
    )
    this.#find.setReadBigInts(true)
  }

  find(key: string): bigint | undefined {
    const shown = this.#find.get(key)?.['shown']
    return typeof shown === 'bigint' ? shown : undefined
  }
}

/** What replication asks of the service's numbers. */
export class StoredNumbers {
  readonly #retention: Retention
  readonly #findOwn: StatementSync
  readonly #findOthers: StatementSync
  readonly #countPending: StatementSync
  readonly #hasUnused: readonly StatementSync[]

  constructor(reader: DatabaseSync, retention: Retention) {
    this.#retention = retention
    this.#findOwn = reader.prepare(
      `SELECT MAX(COALESCE(shown, 0), COALESCE(pending, 0)) AS stored, used_hour FROM write_checkpoint WHERE key = ?`,
    )
    this.#findOwn.setReadBigInts(true)
    this.#findOthers = reader.prepare(
      `SELECT MAX(MAX(COALESCE(shown, 0), COALESCE(pending, 0))) AS stored FROM write_checkpoint WHERE key IN (?, ?)`,
    )
    this.#findOthers.setReadBigInts(true)
    this.#countPending = reader.prepare(
      `SELECT (SELECT COUNT(*) FROM write_checkpoint WHERE pending IS NOT NULL) +
         (SELECT COUNT(*) FROM custom_write_checkpoint WHERE pending IS NOT NULL) AS pending`,
    )
    this.#hasUnused = (['asked', 'custom'] as const).map((kind) =>
      reader.prepare(`SELECT 1 FROM ${TABLES[kind]} WHERE ${unusedOf(kind)} LIMIT 1`),
    )
  }

  find(key: string): StoredWriteCheckpoint {
    const row = this.#findOwn.get(key)
    const own = row?.['stored']
    const others = this.#findOthers.get(EVERY_CLIENT, row === undefined ? FORGOTTEN_CLIENTS : EVERY_CLIENT)?.['stored']
    const ofOthers = typeof others === 'bigint' ? others : 0n
    if (typeof own !== 'bigint') return { own: undefined, highest: ofOthers, isStale: false }
    const { days, nowMs } = this.#retention
    const isStale = Number(row?.['used_hour']) < toHour(nowMs()) - Math.max(1, days * 24 * STALE_PART)
    return { own, highest: own > ofOthers ? own : ofOthers, isStale }
  }

  /** Of both kinds: stored, and not shown to clients yet. */
  countPending(): number {
    return Number(this.#countPending.get()?.['pending'] ?? 0)
  }

  hasUnused(): boolean {
    return this.#hasUnused.some((statement) => statement.get(unusedBefore(this.#retention)) !== undefined)
  }
}

/** A condition with one parameter, the hour before which a number must have been used last. */
function unusedOf(kind: NumberKind): string {
  const unused = `used_hour < ?1 AND pending IS NULL`
  if (kind === 'asked') return `${unused} AND key NOT IN ('${EVERY_CLIENT}', '${FORGOTTEN_CLIENTS}')`
  const table = TABLES[kind]
  return `${unused} AND used_hour < (SELECT used_hour FROM ${table} ORDER BY used_hour DESC LIMIT 1 OFFSET ${CUSTOM_KEPT_MIN})`
}

function unusedBefore({ days, nowMs }: Retention): number {
  return toHour(nowMs()) - days * 24
}

function toHour(ms: number): number {
  return Math.floor(ms / HOUR_MS)
}
