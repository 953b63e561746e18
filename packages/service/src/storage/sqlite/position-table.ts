import { strict as assert } from 'node:assert'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { toOpId } from '@headwater/protocol'
import type { Plan } from '@headwater/sync-config'
import { type Lsn, toLsn } from '../../postgres/lsn.ts'
import type { StoredCheckpoint } from '../delta.ts'
import type { GenerationOrigin } from '../storage.ts'

/** How far everything is: the one row of the table `position`. */
export type Position = {
  readonly resume: Lsn | undefined
  readonly headOp: number
  readonly operationCount: number
  readonly shown: StoredCheckpoint | undefined
}

export type Generation = { readonly number: number; readonly origin: GenerationOrigin }

/** The tables `position` and `generation`. */
export class PositionTable {
  readonly #read: StatementSync
  readonly #write: StatementSync
  readonly #readGeneration: StatementSync
  readonly #insertGeneration: StatementSync

  constructor(writer: DatabaseSync) {
    this.#read = writer.prepare('SELECT resume, head_op, operation_count, shown_op, shown_lsn FROM position')
    this.#read.setReadBigInts(true)
    this.#write = writer.prepare(
      'UPDATE position SET resume = ?, head_op = ?, operation_count = ?, shown_op = ?, shown_lsn = ?',
    )
    this.#readGeneration = writer.prepare('SELECT number, system_id, slot, plan FROM generation')
    this.#insertGeneration = writer.prepare(
      'INSERT INTO generation (number, system_id, slot, plan) VALUES (?, ?, ?, ?)',
    )
  }

  read(): Position {
    const row = this.#read.get()
    assert(row !== undefined, 'The table "position" has lost its row')
    const resume = readLsn(row['resume'])
    const shownLsn = readLsn(row['shown_lsn'])
    const shownOp = row['shown_op']
    return {
      resume,
      headOp: Number(row['head_op']),
      operationCount: Number(row['operation_count']),
      shown:
        typeof shownOp === 'bigint' && shownLsn !== undefined ? { opId: toOpId(shownOp), lsn: shownLsn } : undefined,
    }
  }

  write(position: Position): void {
    this.#write.run(
      writeLsn(position.resume),
      position.headOp,
      position.operationCount,
      position.shown?.opId ?? null,
      writeLsn(position.shown?.lsn),
    )
  }

  readGeneration(): Generation | undefined {
    const row = this.#readGeneration.get()
    if (row === undefined) return undefined
    const plan = JSON.parse(String(row['plan'])) as Plan
    const origin = { systemId: String(row['system_id']), slot: String(row['slot']), plan }
    return { number: Number(row['number']), origin }
  }

  insertGeneration({ number, origin }: Generation): void {
    this.#insertGeneration.run(number, origin.systemId, origin.slot, JSON.stringify(origin.plan))
  }
}

/** SQLite's integers are signed, log positions are not: the upper half of them is stored as negative numbers. */
function writeLsn(lsn: Lsn | undefined): bigint | null {
  return lsn === undefined ? null : BigInt.asIntN(64, lsn)
}

function readLsn(stored: unknown): Lsn | undefined {
  return typeof stored === 'bigint' ? toLsn(BigInt.asUintN(64, stored)) : undefined
}
