import { HeadwaterError, type RequestObject, type RequestValue, writeCheckpointKey } from '@headwater/protocol'
import { describeCheckpointEvents, parseRequestJson, type Plan } from '@headwater/sync-config'
import type { RowError, RowKey, RowStates, WriteCheckpoint } from '../storage/delta.ts'
import { completeRow, type IncompleteRows } from './apply-batch.ts'
import type { RowChange } from './row-changes.ts'

/** A row as it was at some moment, in which the app's backend may say how far a client's writes have come. */
export type ToldRow = { readonly key: RowKey; readonly change: RowChange }

/** What such rows say; the part of a `Delta` that follows from them. */
export type CheckpointEffects = {
  readonly customWriteCheckpoints: readonly WriteCheckpoint[]
  readonly rowErrors: readonly RowError[]
}

const NOTHING: CheckpointEffects = { customWriteCheckpoints: [], rowErrors: [] }

/**
 * Reads the write checkpoints of rows that were inserted or updated. Unlike buckets, which show the last state of a row,
 * each state that it went through counts: a row that is deleted in the same batch has still said its number. A row with
 * a value missing that is not stored either is left out: a copy brings it.
 */
export function readCheckpointRows(
  rows: readonly ToldRow[],
  before: RowStates,
  incomplete: IncompleteRows,
  nowMs: number,
): CheckpointEffects {
  if (rows.length === 0) return NOTHING
  const customWriteCheckpoints: WriteCheckpoint[] = []
  const rowErrors: RowError[] = []
  for (const { key, change } of rows) {
    const { table, after } = change
    const row = after === undefined ? undefined : completeRow(change, after, before, incomplete)
    if (row === undefined) continue
    for (const { event, evaluate } of table.checkpoints) {
      const outcome = evaluate(row)
      if (outcome.kind === 'nothing') continue
      const read = outcome.kind === 'payload' ? decodePayload(outcome.data) : outcome
      if (read.kind === 'error') {
        rowErrors.push({ table: table.label, row: key, definition: event, message: read.message, atMs: nowMs })
      } else if (read.number > 0n) customWriteCheckpoints.push({ key: read.key, number: read.number })
    }
  }
  return { customWriteCheckpoints, rowErrors }
}

type Decoded =
  | { readonly kind: 'checkpoint'; readonly key: string; readonly number: bigint }
  | { readonly kind: 'error'; readonly message: string }

/** Users and clients are named so in tokens and streams. */
const NAME_CHARS_MAX = 1_000
const NUMBER_MAX = 9_223_372_036_854_775_807n

/** 0 is no number yet. A number of type real is one as long as it is whole. */
function decodePayload(data: string): Decoded {
  const fields = parseRequestJson(data)
  const { user_id, client_id, checkpoint } = isObject(fields) ? fields : {}
  const userId = readName(user_id)
  const clientId = client_id === null ? undefined : readName(client_id)
  const number = readNumber(checkpoint)
  const problems: string[] = []
  if (userId === undefined) problems.push(`user_id: expected text or a whole number, got ${show(user_id)}`)
  if (clientId === undefined && client_id !== undefined && client_id !== null) {
    problems.push(`client_id: expected text, a whole number or NULL, got ${show(client_id)}`)
  }
  if (number === undefined || number < 0n || number > NUMBER_MAX) {
    problems.push(`checkpoint: expected a whole number from 1 to ${NUMBER_MAX}, got ${show(checkpoint)}`)
  }
  if (userId === undefined || number === undefined || problems.length > 0) {
    return { kind: 'error', message: `Cannot read a write checkpoint: ${problems.join('; ')}` }
  }
  return { kind: 'checkpoint', key: writeCheckpointKey(userId, clientId), number }
}

function isObject(value: RequestValue): value is RequestObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A number stands for its digits, as the `sub` of a token that is one. */
function readName(value: RequestValue | undefined): string | undefined {
  if (typeof value === 'bigint' || (typeof value === 'number' && Number.isSafeInteger(value))) return String(value)
  return typeof value === 'string' && value.length <= NAME_CHARS_MAX ? value : undefined
}

function readNumber(value: RequestValue | undefined): bigint | undefined {
  if (typeof value === 'bigint') return value
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'string' && /^\d{1,19}$/.test(value) ? BigInt(value) : undefined
}

const SHOWN_CHARS_MAX = 40

function show(value: RequestValue | undefined): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'NULL'
  const text = typeof value === 'bigint' ? String(value) : JSON.stringify(value)
  return text.length > SHOWN_CHARS_MAX ? `${text.slice(0, SHOWN_CHARS_MAX)}…` : text
}

/** Does the app's backend make the write checkpoints of clients? */
export function isMadeByBackend(plan: Plan): boolean {
  return describeCheckpointEvents(plan) !== undefined
}

/** What a client is told that sends a number of its own: it could only be announced too early. */
export function madeByBackend(): HeadwaterError {
  return new HeadwaterError(
    'custom-write-checkpoints',
    'Cannot note the number of a client: the sync config has an event for write checkpoints, so the app’s backend ' +
      'makes them. Hand its number to complete() on the client, or remove the event from event_definitions.',
  )
}
