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
  /** Fingerprints, by position, of the settled entries that the client may still send again. */
  readonly recent: Readonly<Record<string, string>>
  /** What was refused of those. */
  readonly rejections: readonly Rejection[]
  /** Since the mark was written. */
  readonly ageMs: number
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
export function findPending(mark: UploadMark, entries: readonly UploadEntry[]): readonly UploadEntry[] | 'ask-again' {
  const pending: UploadEntry[] = []
  for (const entry of entries) {
    const known = mark.recent[entry.opId]
    const isAbove = entry.opId > mark.lastOpId
    if (!isAbove && known === undefined && mark.ageMs < LATE_REQUEST_MS) return 'ask-again'
    if (isAbove || known !== fingerprint(entry)) pending.push(entry)
  }
  return pending
}

/**
 * The mark after `settled`. What lies before `firstOpId`, the start of the request, is forgotten: that the client
 * went on means that it has the answers.
 */
export function moveMark(
  before: UploadMark,
  settled: readonly UploadEntry[],
  rejections: readonly Rejection[],
  firstOpId: number,
): UploadMark {
  const positions = new Set(settled.map((entry) => entry.opId))
  const mayComeAgain = (opId: number) => opId >= firstOpId && !positions.has(opId)
  const kept = Object.entries(before.recent).filter(([opId]) => mayComeAgain(Number(opId)))
  return {
    lastOpId: settled.at(-1)?.opId ?? before.lastOpId,
    recent: Object.fromEntries([...kept, ...settled.map((entry) => [entry.opId, fingerprint(entry)])]),
    rejections: [...before.rejections.filter(({ opId }) => mayComeAgain(opId)), ...rejections],
    ageMs: 0,
  }
}

function fingerprint({ op, type, id, data }: UploadEntry): string {
  return crc32(JSON.stringify([op, type, id, data])).toString(16)
}
