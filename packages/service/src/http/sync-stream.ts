import { decodeSyncRequest } from '@headwater/protocol'
import { admit } from './admit.ts'
import type { Answer, HttpRequest } from './answer.ts'
import type { HttpParts } from './http-parts.ts'
import { negotiateEncoding, negotiateFormat, STREAM_CONTENT_TYPES } from './negotiate.ts'
import type { SyncStreams } from './sync-streams.ts'
import { readUserAgent } from './user-agent.ts'
import { weighRequest } from './user-requests.ts'

/** `POST /sync/stream`; `streams` are the places of all transports. A malformed request is told before a missing token. */
export function createSyncStreamRoute(
  parts: HttpParts,
  { connections, requests, compressors, open }: SyncStreams,
): (request: HttpRequest) => Promise<Answer> {
  const bytesMax = parts.limits.requestBytesMax
  return async (request) => {
    const admitted = await admit(parts, request, { requests, places: connections, bytesMax, read: decodeSyncRequest })
    if (admitted.kind === 'whole') return admitted
    const { asked, user, place, memory } = admitted
    memory.hold(Math.min(memory.size(), weighRequest(asked)))

    const lineFormat = negotiateFormat(request.headers.accept)
    const format = lineFormat === 'ndjson' && !asked.rawData ? 'ndjson-nested' : lineFormat
    const wanted = negotiateEncoding(request.headers['accept-encoding'])
    const releaseCompressor = wanted === 'identity' ? undefined : compressors.take()
    const { chunks, ended } = open(
      { request: asked, user, format },
      {
        transport: 'http',
        userAgent: readUserAgent(request.headers),
        signal: request.signal,
        cutOff: request.cutOff,
      },
    )
    return {
      kind: 'stream',
      userId: user.userId,
      headers: { 'Content-Type': STREAM_CONTENT_TYPES[lineFormat], 'X-Accel-Buffering': 'no' },
      encoding: releaseCompressor === undefined ? 'identity' : wanted,
      chunks,
      ended: (outcome) => {
        place.release()
        memory.release()
        releaseCompressor?.()
        ended(outcome)
      },
    }
  }
}
