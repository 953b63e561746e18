import { crc32 } from 'node:zlib'

import type { UploadEntry } from './upload-request.ts'
import type { Rejection } from './write-rules.ts'

/**
 * How far one client's queue has been applied. It is written in the transaction that applies the writes, so both are
 * there or neither is: an upload that is sent again, because its answer got lost, changes nothing.
 */
export type UploadMark = {
  /** Position of the entry settled last: applied or refused. -1 before the first. */
  readonly lastOpId: number
  /** Since the mark was written. */
  readonly ageMs: number
}

/** An entry that is settled and that the client may still send again. */
export type SettledEntry = {
  readonly opId: number
  /** Of its content. */
  readonly fingerprint: string
  /** Undefined: it was applied. */
  readonly rejection: Rejection | undefined
}

/** Longer than a request that got stuck on its way can still arrive. */
export const LATE_REQUEST_MS = 5 * 60_000

/**
 * Which entries were not settled yet? An entry above the mark is new. One at or below it is
 *
 *     settled      when we remember its position with the same content: it is sent again
 *     new          when we remember its position with other content: the device was restored from a backup, took its
 *                  client id and an old position along, and has gone on from there
 *     unknown      when we do not remember it: either a request that was stuck and arrives after later ones, or a
 *                  restored device. Five minutes later it can only be the second.
 *
 * `'ask-again'`: unknown, and too early to tell.
 */
export function findPending(
  mark: UploadMark,
  settled: readonly SettledEntry[],
  entries: readonly UploadEntry[],
): readonly UploadEntry[] | 'ask-again' {
  const known = new Map(settled.map(({ opId, fingerprint }) => [opId, fingerprint]))
  const pending: UploadEntry[] = []
  for (const entry of entries) {
    const remembered = known.get(entry.opId)
    const isAbove = entry.opId > mark.lastOpId
    if (!isAbove && remembered === undefined && mark.ageMs < LATE_REQUEST_MS) return 'ask-again'
    if (isAbove || remembered !== fingerprintOf(entry)) pending.push(entry)
  }
  return pending
}

/** Two entries of one position and one fingerprint are the same. */
export function fingerprintOf({ op, type, id, data }: UploadEntry): string {
  return crc32(JSON.stringify([op, type, id, data])).toString(16)
}
