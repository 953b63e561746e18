import { decodeSyncRequest, type OperationFormat, type SyncRequest } from '@headwater/protocol'
import type { VerifiedUser } from '../auth/claims.ts'
import { answerEmpty, type Answer, type HttpRequest } from './answer.ts'
import { authorize } from './authorize.ts'
import { RETRY_AFTER_SECONDS } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { negotiateEncoding, negotiateFormat, STREAM_CONTENT_TYPES } from './negotiate.ts'
import { answerRefusal } from './refusal.ts'
import { Slots } from './slots.ts'

/** Room for the positions of about 80,000 buckets. */
const BODY_BYTES_MAX = 8 * 1024 * 1024

/** Compressors are what an open stream holds most memory in; beyond this many, streams are sent as they are. */
const COMPRESSED_MAX = 1_000

/** How much of what a client says of itself goes into the log. */
const APP_METADATA_MAX = 20
const TEXT_CHARS_MAX = 100

/** What a stream is opened with. */
export type StreamOpen = {
  readonly request: SyncRequest
  readonly user: VerifiedUser
  readonly format: OperationFormat
}

/** `POST /sync/stream`. A malformed request is told before a missing token. */
export function createSyncStreamRoute(parts: HttpParts): (request: HttpRequest) => Promise<Answer> {
  const streams = new Slots(parts.limits.connectionsMax)
  const compressors = new Slots(COMPRESSED_MAX)

  return async (request) => {
    if (!streams.hasFree) return answerTooMany()
    const fields = await request.readFields(BODY_BYTES_MAX)
    const syncRequest = decodeSyncRequest({ ...Object.fromEntries(request.query), ...fields })
    const authorized = await authorize(parts.verify, request.headers)
    if (authorized.kind === 'refused') return answerRefusal(parts, authorized)
    const releaseStream = streams.take()
    if (releaseStream === undefined) return answerTooMany()

    const { user } = authorized
    const lineFormat = negotiateFormat(request.headers.accept)
    const format = lineFormat === 'ndjson' && !syncRequest.rawData ? 'ndjson-nested' : lineFormat
    const wanted = negotiateEncoding(request.headers['accept-encoding'])
    const releaseCompressor = wanted === 'identity' ? undefined : compressors.take()
    const description = describe(request, syncRequest, user)
    const openedAtMs = parts.nowMs()
    parts.log.info('stream-opened', { ...description, format, appMetadata: shorten(syncRequest.appMetadata) })
    return {
      kind: 'stream',
      headers: { 'Content-Type': STREAM_CONTENT_TYPES[lineFormat], 'X-Accel-Buffering': 'no' },
      encoding: releaseCompressor === undefined ? 'identity' : wanted,
      chunks: parts.openStream({ request: syncRequest, user, format }, request.signal),
      ended: ({ bytesSent }) => {
        releaseStream()
        releaseCompressor?.()
        parts.log.info('stream-closed', { ...description, bytesSent, openMs: parts.nowMs() - openedAtMs })
      },
    }
  }
}

function answerTooMany(): Answer {
  return answerEmpty(429, { 'Retry-After': String(RETRY_AFTER_SECONDS) })
}

function describe(request: HttpRequest, { clientId }: SyncRequest, { userId }: VerifiedUser): Record<string, unknown> {
  const userAgent = request.headers['x-user-agent'] ?? request.headers['user-agent']
  return { userId, clientId, userAgent: String(userAgent ?? '').slice(0, TEXT_CHARS_MAX) }
}

function shorten(appMetadata: SyncRequest['appMetadata']): Record<string, string> {
  const entries = Object.entries(appMetadata).slice(0, APP_METADATA_MAX)
  return Object.fromEntries(entries.map(([key, text]) => [key, text.slice(0, TEXT_CHARS_MAX)]))
}
