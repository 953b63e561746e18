import { decodeSyncRequest } from '@headwater/protocol'
import type { Answer, HttpRequest } from './answer.ts'
import { authorize } from './authorize.ts'
import { answerCode } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { negotiateEncoding, negotiateFormat, STREAM_CONTENT_TYPES } from './negotiate.ts'
import { answerRefusal } from './refusal.ts'
import type { SyncStreams } from './sync-streams.ts'
import { readUserAgent } from './user-agent.ts'

/** Room for the positions of about 80,000 buckets. */
export const REQUEST_BYTES_MAX = 8 * 1024 * 1024

/** `POST /sync/stream`; `streams` are the places of all transports. A malformed request is told before a missing token. */
export function createSyncStreamRoute(
  parts: HttpParts,
  { connections, compressors, open }: SyncStreams,
): (request: HttpRequest) => Promise<Answer> {
  return async (request) => {
    if (!connections.hasFree) return answerTooMany()
    const syncRequest = decodeSyncRequest(await request.readParameters(REQUEST_BYTES_MAX))
    const authorized = await authorize(parts.verify, request.headers)
    if (authorized.kind === 'refused') return answerRefusal(parts, authorized)
    const releaseConnection = connections.take()
    if (releaseConnection === undefined) return answerTooMany()

    const lineFormat = negotiateFormat(request.headers.accept)
    const format = lineFormat === 'ndjson' && !syncRequest.rawData ? 'ndjson-nested' : lineFormat
    const wanted = negotiateEncoding(request.headers['accept-encoding'])
    const releaseCompressor = wanted === 'identity' ? undefined : compressors.take()
    const { chunks, ended } = open(
      { request: syncRequest, user: authorized.user, format },
      { transport: 'http', userAgent: readUserAgent(request.headers), signal: request.signal },
    )
    return {
      kind: 'stream',
      headers: { 'Content-Type': STREAM_CONTENT_TYPES[lineFormat], 'X-Accel-Buffering': 'no' },
      encoding: releaseCompressor === undefined ? 'identity' : wanted,
      chunks,
      ended: (outcome) => {
        releaseConnection()
        releaseCompressor?.()
        ended(outcome)
      },
    }
  }
}

function answerTooMany(): Answer {
  return answerCode('too-many-connections', 'As many sync streams are open as the service allows')
}
