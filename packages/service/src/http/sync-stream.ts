import { type ControlLine, encodeLine, type LineFormat } from '@headwater/protocol'
import type { Refusal } from '../auth/claims.ts'
import { admit, type ReadAsked } from './admit.ts'
import type { Answer, HttpRequest, WholeAnswer } from './answer.ts'
import { tellError } from './error-response.ts'
import { formatDescription } from './error-text.ts'
import type { HttpParts } from './http-parts.ts'
import { negotiateEncoding, negotiateFormat, STREAM_CONTENT_TYPES } from './negotiate.ts'
import type { ReceivedRequest } from './read-sync-request.ts'
import { answerRefusal, noteRefusal } from './refusal.ts'
import type { SyncStreams } from './sync-streams.ts'
import { readUserAgent } from './user-agent.ts'

type Asked = ReceivedRequest & { readonly clientId: string | undefined }

/** Those who are not known take turns as one user. */
const NOBODY = ''

/** `POST /sync/stream`; `streams` are the places of all transports. A malformed request is told before a missing token. */
export function createSyncStreamRoute(
  parts: HttpParts,
  { places, requests, compressors, open, count }: SyncStreams,
): (request: HttpRequest) => Promise<Answer> {
  const bytesMax = parts.limits.requestBytesMax
  const read: ReadAsked<Asked> = async (request, room, userId) => {
    const received = await request.readSyncRequest(room, parts.turns.begin(userId ?? NOBODY))
    return { ...received, clientId: received.request.clientId }
  }
  return async (request) => {
    const admitted = await admit(parts, request, { requests, places, bytesMax, read })
    const lineFormat = negotiateFormat(request.headers.accept)
    if (admitted.kind === 'refused') {
      return admitted.code === 'auth-revoked' ? endRevoked(parts, admitted, lineFormat) : answerRefusal(parts, admitted)
    }
    const { asked, user, place, memory } = admitted
    try {
      await place.granted()
    } catch (error) {
      place.release()
      memory.release()
      throw error
    }
    memory.hold(asked.keptBytes)

    const format = lineFormat === 'ndjson' && !asked.request.rawData ? 'ndjson-nested' : lineFormat
    const wanted = negotiateEncoding(request.headers['accept-encoding'])
    const releaseCompressor = wanted === 'identity' ? undefined : compressors.take()
    const { chunks, ended } = open(
      { request: asked.request, user, format },
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
      headers: headersOf(lineFormat),
      encoding: releaseCompressor === undefined ? 'identity' : wanted,
      chunks,
      tellFailure: (error) => encodeLine(tellFailure(error, parts.chooseRetryAfterMs(count())), lineFormat),
      ended: (outcome) => {
        place.release()
        memory.release()
        releaseCompressor?.()
        ended(outcome)
      },
    }
  }
}

/** What fails one stream often fails all: their clients should not come back in one second either. */
function tellFailure(error: unknown, retryAfterMs: number | undefined): ControlLine {
  const told = tellError(error)
  return {
    kind: 'stream-error',
    code: told.code,
    message: formatDescription(told),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/**
 * A stream that says nothing but that its token is over: every client asks for another one then. To a 401 official
 * clients of some age do not: they send the same token until the app is started again (seen with 0.13 and 0.18).
 */
function endRevoked(parts: HttpParts, refusal: Refusal, format: LineFormat): WholeAnswer {
  noteRefusal(parts, refusal)
  const body = encodeLine({ kind: 'token-expires-in', seconds: 0 }, format)
  return { kind: 'whole', status: 200, headers: headersOf(format), body }
}

function headersOf(format: LineFormat): Readonly<Record<string, string>> {
  return { 'Content-Type': STREAM_CONTENT_TYPES[format], 'X-Accel-Buffering': 'no' }
}
