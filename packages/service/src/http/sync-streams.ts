import type { OperationFormat, SyncRequest } from '@headwater/protocol'
import type { VerifiedUser } from '../auth/claims.ts'
import { toTokenHolder } from '../auth/revocation.ts'
import type { RevocationWatch } from '../auth/revocations.ts'
import type { HttpParts } from './http-parts.ts'
import { Crowd } from './crowd.ts'
import { SharedFrames } from './shared-frames.ts'
import { Slots } from './slots.ts'
import { SlowReaders } from './slow-readers.ts'
import { StreamPlaces } from './stream-places.ts'
import { createUserRequests, type UserRequests } from './user-requests.ts'

/** Compressors are what an open stream holds most memory in; beyond this many, streams are sent as they are. */
const COMPRESSED_MAX = 1_000

/** How much of what a client says of itself goes into the log. */
const APP_METADATA_MAX = 20
const TEXT_CHARS_MAX = 100

/** A stream whose token was revoked ends at once; a client that does not take even that is cut off. */
const REVOKED_GRACE_MS = 500

const TRANSPORTS = ['http', 'websocket'] as const
export type Transport = (typeof TRANSPORTS)[number]

/** What a stream is opened with. */
export type StreamOpen = {
  readonly request: SyncRequest
  readonly user: VerifiedUser
  readonly format: OperationFormat
  /** Between two keepalive lines; 20 s when absent. Infinity: only those that tell the end of the token. */
  readonly keepaliveMs?: number | undefined
  readonly revocation?: RevocationWatch | undefined
}

/** Who asks for a stream, and by which way. */
export type StreamClient = {
  readonly transport: Transport
  readonly userAgent: string | undefined
  /** Aborts when the client is gone or does not want the stream any more; with a `StreamsEnd` when the service stops. */
  readonly signal: AbortSignal
  /** Ends its connection without a word. */
  readonly cutOff: () => void
}

type Cuttable = { readonly cutOff: (reason: 'memory-full') => void }

export type OpenedStream = {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Called once, whatever happens, when the stream is over. `bytesSent` is before compression. */
  readonly ended: (outcome: { readonly bytesSent: number }) => void
}

/** The sync streams of this process, whatever transport carries them. */
export type SyncStreams = {
  readonly places: StreamPlaces
  readonly requests: UserRequests
  readonly slowReaders: SlowReaders
  /** WebSockets in the middle of a message. */
  readonly partialMessages: Crowd<Cuttable>
  readonly compressors: Slots
  /** Of WebSockets. */
  readonly frames: SharedFrames
  /** How many are open. */
  readonly count: () => number
  readonly open: (open: StreamOpen, client: StreamClient) => OpenedStream
}

export function createSyncStreams(parts: HttpParts): SyncStreams {
  const { limits, limitWatch, log, metrics, nowMs } = parts
  for (const transport of TRANSPORTS) metrics.change('headwater_sync_streams_count', 0, { transport })
  let count = 0
  return {
    places: new StreamPlaces(parts),
    requests: createUserRequests(parts),
    slowReaders: new SlowReaders(limitWatch, limits),
    partialMessages: new Crowd(limits.requestMemoryBytesMax, (connection) => {
      limitWatch.reached('request-memory')
      connection.cutOff('memory-full')
    }),
    compressors: new Slots(COMPRESSED_MAX),
    frames: new SharedFrames(),
    count: () => count,
    open: (open, { transport, userAgent = '', signal, cutOff }) => {
      const description = {
        transport,
        userId: open.user.userId,
        clientId: open.request.clientId,
        userAgent: userAgent.slice(0, TEXT_CHARS_MAX),
      }
      const openedAtMs = nowMs()
      const revocation = parts.revocations.watch(toTokenHolder(open.user, open.request.clientId))
      let grace: NodeJS.Timeout | undefined
      revocation.listen(() => {
        grace = setTimeout(cutOff, REVOKED_GRACE_MS).unref()
      })
      count += 1
      metrics.change('headwater_sync_streams_count', 1, { transport })
      log.info('stream-opened', {
        ...description,
        format: open.format,
        appMetadata: shorten(open.request.appMetadata),
      })
      return {
        chunks: parts.openStream({ ...open, revocation }, signal),
        ended: ({ bytesSent }) => {
          revocation.close()
          clearTimeout(grace)
          count -= 1
          metrics.change('headwater_sync_streams_count', -1, { transport })
          log.info('stream-closed', { ...description, bytesSent, openMs: nowMs() - openedAtMs })
        },
      }
    },
  }
}

function shorten(appMetadata: SyncRequest['appMetadata']): Record<string, string> {
  const entries = Object.entries(appMetadata).slice(0, APP_METADATA_MAX)
  return Object.fromEntries(entries.map(([key, text]) => [key, text.slice(0, TEXT_CHARS_MAX)]))
}
