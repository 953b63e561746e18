import { ERROR_TABLE, type HeadwaterError } from '@headwater/protocol'
import { CLOCK_TOLERANCE_SECONDS } from '../auth/claims.ts'
import type { Revocation } from '../auth/revocation.ts'
import { REVOCATIONS_MAX } from '../auth/revocations.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../observe/log.ts'
import { openSession, type Session } from '../postgres/connection.ts'
import { createRevocationReader, FIRST_TRANSACTION, type RevocationRow } from '../postgres/revocation-table.ts'
import { toSourceError } from '../postgres/source-error.ts'
import { parseSourceUrl } from '../postgres/source-url.ts'

export type WatchRevocationsParts = {
  readonly url: string
  /** `name` or `schema.name`. */
  readonly table: string
  readonly lifetimeMaxSeconds: number
  readonly add: (revocations: readonly Revocation[]) => Promise<void>
  readonly clock: Clock
  readonly log: Pick<Log, 'info' | 'warn'>
}

/** Revocations must be in force within a second. An indexed read of nothing costs the source 0.15 ms. */
const POLL_MS = 400
/** A source that does not answer for so long is left, and connected to anew. */
const ANSWER_MS = 10_000
const RETRY_MS = 1_000
/** An error that an operator must mend is not asked for again at once: the log of the source has a line each time. */
const UNUSABLE_RETRY_MS = 10_000
/** How often everything is read again: rows that were changed in place are not new. */
const REREAD_MS = 60_000

/**
 * Follows the table of revocations until `signal` aborts, whatever happens to the source. It is not read from the log,
 * because a revocation must not wait behind a large transaction or a first copy.
 */
export async function watchRevocations(parts: WatchRevocationsParts, signal: AbortSignal): Promise<void> {
  const { clock, log } = parts
  let told: string | undefined
  while (!signal.aborted) {
    const failure = await followOnce(parts, () => (told = undefined), signal)
    if (failure === undefined) return
    // Once for each outage: replication says more of it.
    if (told !== failure.message) log.warn('revocations-unread', { code: failure.code, message: failure.message })
    told = failure.message
    await clock.wait(ERROR_TABLE[failure.code].retry === 'backoff' ? RETRY_MS : UNUSABLE_RETRY_MS, signal)
  }
}

/** One connection's life. Undefined when `signal` aborted. */
async function followOnce(
  parts: WatchRevocationsParts,
  onRead: () => void,
  signal: AbortSignal,
): Promise<HeadwaterError | undefined> {
  const source = parseSourceUrl(parts.url, process.env)
  try {
    const session = await openSession(source, {
      applicationName: 'headwater revocations',
      kind: 'sql',
      queryTimeoutMs: ANSWER_MS,
    })
    // Ends a statement that is never answered, too.
    const leave = (): void => session.destroy()
    signal.addEventListener('abort', leave, { once: true })
    try {
      await follow(parts, session, onRead, signal)
    } finally {
      signal.removeEventListener('abort', leave)
      session.destroy()
    }
    return undefined
  } catch (error) {
    return signal.aborted ? undefined : toSourceError(error, source)
  }
}

async function follow(
  parts: WatchRevocationsParts,
  session: Session,
  onRead: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { clock, table, lifetimeMaxSeconds } = parts
  // One more than is kept, so that what is left out is noticed there.
  const reader = createRevocationReader(session, { table, lifetimeMaxSeconds, rowsMax: REVOCATIONS_MAX + 1 })
  let from = FIRST_TRANSACTION
  let rereadAtMs = clock.nowMs() + REREAD_MS
  while (!signal.aborted) {
    const page = await reader.read(from)
    onRead()
    from = page?.nextTransaction ?? FIRST_TRANSACTION
    const nowMs = clock.nowMs()
    if (page !== undefined && page.rows.length > 0) await parts.add(page.rows.map((row) => toRevocation(row, nowMs)))
    if (nowMs >= rereadAtMs) {
      from = FIRST_TRANSACTION
      rereadAtMs = nowMs + REREAD_MS
    }
    await clock.wait(POLL_MS, signal)
  }
}

/** A moment in the future would keep out a user who signs in anew, and nothing takes a revocation back. */
function toRevocation(row: RevocationRow, nowMs: number): Revocation {
  return { ...row, issuedBeforeMs: Math.min(row.issuedBeforeMs, nowMs + CLOCK_TOLERANCE_SECONDS * 1000) }
}
