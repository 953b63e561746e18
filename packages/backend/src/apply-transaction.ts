import { HeadwaterError } from '@headwater/protocol'

import { applyEntry } from './apply-entry.ts'
import type { EntryParts } from './apply-entry.ts'
import { classifyFault } from './database-fault.ts'
import { lockMark, readSettled, writeMark } from './upload-log.ts'
import type { ClientKey } from './upload-log.ts'
import type { SettledEntry, UploadMark } from './upload-mark.ts'
import { findPending, fingerprintOf } from './upload-mark.ts'
import type { UploadEntry, UploadTransaction } from './upload-request.ts'
import type { Rejection } from './write-rules.ts'

/**
 * What happens to a client's transaction when one of its entries is refused. `per-entry`: the others are applied.
 * `all-or-nothing`: none is.
 */
export type RefusalScope = 'per-entry' | 'all-or-nothing'

export type TransactionParts = EntryParts & {
  readonly key: ClientKey
  readonly scope: RefusalScope
  /** The first position of this request. The client has the answers to everything before it. */
  readonly firstOpId: number
}

export type TransactionResult = {
  readonly txId: number
  readonly outcome: 'applied' | 'replayed'
  readonly rejections: readonly Rejection[]
}

/**
 * Applies one transaction of a client in one of Postgres, together with the mark that it was applied.
 *
 *     first    without savepoints: one statement an entry, and nearly always enough
 *     then     with a savepoint an entry, when Postgres refused one and the others are wanted
 *     at last  none of the writes, only the mark and the reasons
 *
 * Throws faults that are not the entries': then nothing has happened, and the client sends the same again.
 */
export async function applyTransaction(
  parts: TransactionParts,
  transaction: UploadTransaction,
): Promise<TransactionResult> {
  const first = await attempt(parts, transaction, 'plain')
  if (first.kind === 'settled') return first.result
  const second = parts.scope === 'per-entry' ? await attempt(parts, transaction, 'savepoints') : first
  if (second.kind === 'settled') return second.result
  return recordRefusal(parts, transaction, second.rejection)
}

type Attempt =
  | { readonly kind: 'settled'; readonly result: TransactionResult }
  /** Rolled back. */
  | { readonly kind: 'refused'; readonly rejection: Rejection }

/** Waiting for another's lock, or for a slow trigger, is bounded; then the client is told to come again. */
const BEGIN = `
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '30s';
SET LOCAL idle_in_transaction_session_timeout = '60s'`

async function attempt(
  parts: TransactionParts,
  transaction: UploadTransaction,
  how: 'plain' | 'savepoints',
): Promise<Attempt> {
  return inTransaction(parts, transaction, async (pending) => {
    const rejections: Rejection[] = []
    for (const entry of pending) {
      const rejection = how === 'plain' ? await applyPlain(parts, entry) : await applyWithSavepoint(parts, entry)
      if (rejection === undefined) continue
      const spoilsAll =
        parts.scope === 'all-or-nothing' || (how === 'plain' && rejection.code === 'refused-by-database')
      if (spoilsAll) return { kind: 'spoiled', by: rejection }
      rejections.push(rejection)
    }
    return { kind: 'done', rejections }
  })
}

/** Nothing of the transaction but the mark, so that the client can go on with the next one. */
async function recordRefusal(
  parts: TransactionParts,
  transaction: UploadTransaction,
  cause: Rejection,
): Promise<TransactionResult> {
  const message = `Not applied, because entry ${cause.opId} of the same transaction was refused`
  const recorded = await inTransaction(parts, transaction, async (pending) => ({
    kind: 'done',
    rejections: pending.map(({ opId }) =>
      opId === cause.opId ? cause : { opId, code: 'transaction-refused', message },
    ),
  }))
  if (recorded.kind === 'settled') return recorded.result
  throw new Error('Cannot record a refused upload: Postgres refused the record too')
}

type Work = (pending: readonly UploadEntry[]) => Promise<WorkOutcome>
type WorkOutcome =
  | { readonly kind: 'done'; readonly rejections: readonly Rejection[] }
  | { readonly kind: 'spoiled'; readonly by: Rejection }

/** Runs `work` between the lock on the mark and COMMIT. A rejection, also one by COMMIT itself, rolls back. */
async function inTransaction(parts: TransactionParts, transaction: UploadTransaction, work: Work): Promise<Attempt> {
  const { client } = parts
  await client.query(BEGIN)
  try {
    const mark = await lockMark(client, parts.key)
    const before = await readSettledOf(parts, mark, transaction)
    const pending = findPending(mark, before, transaction.entries)
    if (pending === 'ask-again') throw tooEarly()
    const outcome: WorkOutcome = pending.length === 0 ? { kind: 'done', rejections: [] } : await work(pending)
    if (outcome.kind === 'spoiled') {
      await client.query('ROLLBACK')
      return { kind: 'refused', rejection: outcome.by }
    }
    const settled = settle(pending, outcome.rejections)
    const lastOpId = pending.at(-1)?.opId
    if (lastOpId !== undefined) await writeMark(client, parts.key, { lastOpId, firstOpId: parts.firstOpId, settled })
    const refused = await commit(parts, transaction)
    if (refused !== undefined) return { kind: 'refused', rejection: refused }
    return { kind: 'settled', result: toResult(transaction, before, settled) }
  } catch (error) {
    // The connection may be what failed; the caller throws it away then.
    await client.query('ROLLBACK').catch(() => {})
    throw error
  }
}

/** Usually all of the transaction lies above the mark, and there is nothing to read. */
async function readSettledOf(
  { client, key }: TransactionParts,
  mark: UploadMark,
  { entries }: UploadTransaction,
): Promise<readonly SettledEntry[]> {
  const first = entries[0]?.opId ?? 0
  const last = entries.at(-1)?.opId ?? 0
  return first > mark.lastOpId ? [] : readSettled(client, key, { first, last })
}

function settle(pending: readonly UploadEntry[], rejections: readonly Rejection[]): readonly SettledEntry[] {
  const reasons = new Map(rejections.map((rejection) => [rejection.opId, rejection]))
  return pending.map((entry) => ({
    opId: entry.opId,
    fingerprint: fingerprintOf(entry),
    rejection: reasons.get(entry.opId),
  }))
}

/** What this request settled lies over what earlier ones did. */
function toResult(
  { txId }: UploadTransaction,
  before: readonly SettledEntry[],
  now: readonly SettledEntry[],
): TransactionResult {
  const all = new Map([...before, ...now].map((entry) => [entry.opId, entry]))
  return {
    txId,
    outcome: now.length === 0 ? 'replayed' : 'applied',
    rejections: [...all.values()].flatMap(({ rejection }) => rejection ?? []),
  }
}

function tooEarly(): HeadwaterError {
  return new HeadwaterError(
    'upload-postponed',
    'Cannot apply the upload now: later writes of the same client were applied within the last minutes. Nothing is lost; send it again.',
  )
}

async function applyPlain(parts: TransactionParts, entry: UploadEntry): Promise<Rejection | undefined> {
  try {
    return await applyEntry(parts, entry)
  } catch (error) {
    return toRejection(error, entry.opId)
  }
}

async function applyWithSavepoint(parts: TransactionParts, entry: UploadEntry): Promise<Rejection | undefined> {
  const { client } = parts
  await client.query('SAVEPOINT headwater_entry')
  try {
    const rejection = await applyEntry(parts, entry)
    await client.query('RELEASE SAVEPOINT headwater_entry')
    return rejection
  } catch (error) {
    const rejection = toRejection(error, entry.opId)
    await client.query('ROLLBACK TO SAVEPOINT headwater_entry; RELEASE SAVEPOINT headwater_entry')
    return rejection
  }
}

/** Deferred constraints speak only now, and about the transaction as a whole. */
async function commit(parts: TransactionParts, transaction: UploadTransaction): Promise<Rejection | undefined> {
  try {
    await parts.client.query('COMMIT')
    return undefined
  } catch (error) {
    return toRejection(error, transaction.entries.at(-1)?.opId ?? 0)
  }
}

/** Throws what is no fault of the entry. */
function toRejection(error: unknown, opId: number): Rejection {
  const fault = classifyFault(error)
  if (fault.kind !== 'refused') throw error
  return { opId, code: 'refused-by-database', message: fault.message }
}
