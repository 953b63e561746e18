import { HeadwaterError } from '@headwater/protocol'
import type { SqliteValue } from '../sqlite/driver.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import { toBigInt } from '../store/complete.ts'
import { TARGET_UNKNOWN } from './hold.ts'
import type { QueueState } from './hold.ts'

export type WriteCheckpointParts = {
  readonly sql: SqlDatabase
  /** Notes a number of ours; returns the greatest that the service has of us, or undefined if it knows no such call. */
  readonly requestCheckpoint: (number: bigint, signal: AbortSignal) => Promise<bigint | undefined>
  /** Has the service choose a number: what older services offer. */
  readonly requestWriteCheckpoint: (signal: AbortSignal) => Promise<bigint>
}

/**
 * How often a number is raised because the service has a greater one. Once is usual after a change of the user or of the
 * service; more often only when somebody else counts under our name.
 */
const ATTEMPTS_MAX = 5

const QUEUE_STATE = `
  SELECT (SELECT min(id) FROM ps_crud), target_write_checkpoint, seen_write_checkpoint,
    (SELECT seq FROM sqlite_sequence WHERE name = 'ps_crud'),
    (SELECT value FROM ps_kv WHERE key = 'asked_write_checkpoint')
  FROM ps_control WHERE id = 1`

const SAVE_ASKED = `
  INSERT INTO ps_kv(key, value) VALUES ('asked_write_checkpoint', ?)
  ON CONFLICT (key) DO UPDATE SET value = excluded.value`

/** The target is from now on a number of the backend's. */
export const FORGET_ASKED = `DELETE FROM ps_kv WHERE key = 'asked_write_checkpoint'`

/**
 * The numbers by which the device learns that its writes have come back. It counts by itself, and the service notes where
 * the source stood when it heard of a number. So a number is used once, and stored before it is sent: one that was sent
 * and not answered may stand for a moment before the newest write.
 */
export class WriteCheckpoints {
  readonly #parts: WriteCheckpointParts
  #offersRequests = true

  constructor(parts: WriteCheckpointParts) {
    this.#parts = parts
  }

  /** False once the service has turned out not to know of numbers that clients choose. */
  get offersRequests(): boolean {
    return this.#offersRequests
  }

  /** Another connection may be to another service. */
  noteConnected(): void {
    this.#offersRequests = true
  }

  /** A number that stands for everything written to the source before this call. Throws what keeps it from being known. */
  async ask(signal: AbortSignal): Promise<bigint> {
    let known: bigint | undefined = 0n
    for (let attempt = 0; attempt < ATTEMPTS_MAX && this.#offersRequests; attempt += 1) {
      const number = await this.#next(known)
      known = await this.#request(number, signal)
      if (known !== undefined && known <= number) return number
      known ??= 0n
    }
    if (!this.#offersRequests) return this.#parts.requestWriteCheckpoint(signal)
    throw new HeadwaterError(
      'bad-write-checkpoint',
      `Cannot ask for a write checkpoint: the service knows greater numbers each time, at last ${known}. ` +
        'Is a copy of this database used by another device?',
    )
  }

  /** Has the service note a number again that it may have forgotten. `overtaken`: it knows a greater one of this device. */
  async repeat(number: bigint, signal: AbortSignal): Promise<'noted' | 'overtaken' | 'not-offered'> {
    const known = await this.#request(number, signal)
    if (known === undefined) return 'not-offered'
    return known > number ? 'overtaken' : 'noted'
  }

  async #request(number: bigint, signal: AbortSignal): Promise<bigint | undefined> {
    const known = await this.#parts.requestCheckpoint(number, signal)
    if (known === undefined) this.#offersRequests = false
    return known
  }

  /** Greater than all that were used, that the stream has announced, and than `known`. */
  #next(known: bigint): Promise<bigint> {
    return this.#parts.sql.writeTransaction(async (transaction) => {
      const { rawRows } = await transaction.executeRaw(QUEUE_STATE)
      const { asked = 0n, seen = 0n } = toQueueState(rawRows[0])
      const next = 1n + [asked, seen, known].reduce((a, b) => (a > b ? a : b))
      if (next >= TARGET_UNKNOWN) {
        throw new HeadwaterError('bad-write-checkpoint', `Cannot ask for a write checkpoint: ${next} is out of range`)
      }
      await transaction.execute(SAVE_ASKED, [next])
      return next
    })
  }
}

export function readQueueState(sql: SqlDatabase): Promise<QueueState> {
  return sql.writeContext(async (context) => toQueueState((await context.executeRaw(QUEUE_STATE)).rawRows[0]))
}

/** Makes `number` the target unless `mayAdopt` refuses. `forgetSeen`: what was seen before is of another life of the service. */
export function adopt(
  sql: SqlDatabase,
  number: bigint,
  chosenBy: { readonly kind: 'service'; readonly forgetSeen: boolean } | { readonly kind: 'backend' },
  mayAdopt: (now: QueueState) => boolean,
): Promise<boolean> {
  return sql.writeTransaction(async (transaction) => {
    const { rawRows } = await transaction.executeRaw(QUEUE_STATE)
    if (!mayAdopt(toQueueState(rawRows[0]))) return false
    await transaction.execute('UPDATE ps_control SET target_write_checkpoint = ? WHERE id = 1', [number])
    if (chosenBy.kind === 'backend') {
      await transaction.execute(FORGET_ASKED)
      return true
    }
    await transaction.execute(SAVE_ASKED, [number])
    if (chosenBy.forgetSeen) {
      await transaction.execute('UPDATE ps_control SET seen_write_checkpoint = NULL WHERE id = 1')
    }
    return true
  })
}

/** Gives up waiting for `number`, if that is the target: another must be asked for. */
export function giveUp(sql: SqlDatabase, number: bigint): Promise<unknown> {
  return sql.writeContext((context) =>
    context.execute(
      `UPDATE ps_control SET target_write_checkpoint = ${TARGET_UNKNOWN} WHERE id = 1 AND target_write_checkpoint = ?`,
      [number],
    ),
  )
}

function toQueueState(row: readonly SqliteValue[] | undefined): QueueState {
  const [head, target, seen, lastQueued, asked] = row ?? []
  return {
    head: toBigInt(head),
    target: toBigInt(target),
    seen: toBigInt(seen),
    lastQueued: toBigInt(lastQueued) ?? 0n,
    asked: toBigInt(asked),
  }
}
