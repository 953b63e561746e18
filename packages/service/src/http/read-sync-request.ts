import {
  BsonRequestSplitter,
  HeadwaterError,
  type RequestValue,
  type SyncRequest,
  SyncRequestDecoder,
} from '@headwater/protocol'
import { EvaluationError, RequestSplitter } from '@headwater/sync-config'
import type { Turn } from '@headwater/sync-config'
import { type PayloadEncoding, unreadable } from './unreadable.ts'

/** Shorter ones wait for nobody: they take less than a turn. */
const SHORT_BYTES = 64 * 1024

/** A request for a sync stream. */
export type ReceivedRequest = {
  readonly request: SyncRequest
  /** Of what was sent: all but the positions, which are not kept for as long as the stream is open. */
  readonly keptBytes: number
}

export type RequestReading = {
  /** Names it in messages. */
  readonly what: string
  readonly encoding: PayloadEncoding
  /** The fields, of what is left without the elements of long arrays. Throws `bad-request`. */
  readonly fieldsOf: (rest: RequestValue) => unknown
  /** Of the user: when it is over, a long request waits for the next one. */
  readonly turn: Turn
}

/**
 * Reads a request while it comes, a little at a time; one without a byte has no fields. BSON has to come in one piece.
 * Throws `bad-request`, `request-too-large`, and what the pieces fail with.
 */
export async function readSyncRequest(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { what, encoding, fieldsOf, turn }: RequestReading,
): Promise<ReceivedRequest> {
  const splitter = encoding === 'bson' ? new BsonRequestSplitter() : new RequestSplitter()
  const decoder = new SyncRequestDecoder()
  let bytes = 0
  let positionBytes = 0
  try {
    for await (const piece of pieces) {
      bytes += piece.length
      for (const part of splitter.split(piece)) {
        decoder.add(part)
        if (part.array === 'buckets') positionBytes += part.bytes
        if (bytes > SHORT_BYTES && turn.isOver) await turn.next()
      }
      if (bytes > SHORT_BYTES && turn.isOver) await turn.next()
    }
    const request = decoder.finish(bytes === 0 ? {} : fieldsOf(splitter.end()))
    return { request, keptBytes: bytes - positionBytes }
  } catch (cause) {
    const isOfFormat =
      cause instanceof EvaluationError || (cause instanceof HeadwaterError && cause.code === 'bad-bson')
    throw isOfFormat ? unreadable(what, encoding, cause) : cause
  }
}
