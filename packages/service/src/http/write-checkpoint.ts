import { decodeCheckpointRequest, HeadwaterError, type RequestObject, writeCheckpointKey } from '@headwater/protocol'
import type { VerifiedUser } from '../auth/claims.ts'
import { admit, type ReadAsked } from './admit.ts'
import { type Answer, answerData, type HttpRequest } from './answer.ts'
import type { HttpParts } from './http-parts.ts'
import { answerRefusal } from './refusal.ts'
import { SharedRoom } from './shared-room.ts'
import type { UserRequests } from './user-requests.ts'

/** A client's name and number, and some room for fields that are ignored. */
const BODY_BYTES_MAX = 64 * 1024

const CLIENT_ID_CHARS_MAX = 1_000

type Handler = (request: HttpRequest) => Promise<Answer>

export type WriteCheckpointRoutes = {
  /**
   * `GET /write-checkpoint2.json`: a number that the client's stream announces once everything that was written to the
   * source before this call has come through it.
   */
  readonly managed: Handler
  /** `POST /sync/checkpoint-request`: the same with a number of the client's own choice. */
  readonly requested: Handler
  /**
   * `GET /write-checkpoint.json`, the way of the oldest clients: the answer waits until everything that was written to
   * the source before is stored, and names the checkpoint that has it.
   */
  readonly awaited: Handler
}

/** The three ways to learn when one's own writes have come back. They share their places. */
export function createWriteCheckpointRoutes(parts: HttpParts, requests: UserRequests): WriteCheckpointRoutes {
  const { writeCheckpointsMax, userWriteCheckpointsMax } = parts.limits
  const places = new SharedRoom(parts.limitWatch, {
    all: {
      limit: 'write-checkpoints',
      max: writeCheckpointsMax,
      message: 'Too many clients wait for write checkpoints',
    },
    each: {
      limit: 'user-write-checkpoints',
      max: userWriteCheckpointsMax,
      message: 'Too many clients of this user wait for write checkpoints',
    },
  })

  /** A malformed request is told before a missing token. */
  const route =
    <Asked extends { readonly clientId: string | undefined }>(
      decode: (fields: RequestObject) => Asked,
      result: (asked: Asked, user: VerifiedUser, signal: AbortSignal) => Promise<object>,
    ): Handler =>
    async (request) => {
      const read: ReadAsked<Asked> = async (_, room) => decode(await request.readParameters(room))
      const admitted = await admit(parts, request, { requests, places, bytesMax: BODY_BYTES_MAX, read })
      if (admitted.kind === 'refused') return answerRefusal(parts, admitted)
      const { asked, user, place, memory } = admitted
      memory.release()
      try {
        const answer = answerData(await result(asked, user, request.signal))
        parts.metrics.add('headwater_write_checkpoints_total', 1)
        return answer
      } finally {
        place.release()
      }
    }

  return {
    managed: route(readClient, async ({ clientId }, { userId }) => ({
      write_checkpoint: `${await parts.requestWriteCheckpoint(writeCheckpointKey(userId, clientId))}`,
    })),
    requested: route(decodeCheckpointRequest, async ({ clientId, number }, { userId }) => ({
      checkpoint_request_id: `${await parts.requestCheckpointNumber(writeCheckpointKey(userId, clientId), number)}`,
    })),
    awaited: route(readClient, async ({ clientId }, { userId }, signal) => ({
      checkpoint: `${await parts.awaitCheckpoint(writeCheckpointKey(userId, clientId), signal)}`,
    })),
  }
}

/** Null counts as absent, as everywhere. */
function readClient({ client_id: clientId }: RequestObject): { readonly clientId: string | undefined } {
  if (clientId === undefined || clientId === null) return { clientId: undefined }
  if (typeof clientId === 'string' && clientId.length <= CLIENT_ID_CHARS_MAX) return { clientId }
  throw new HeadwaterError('bad-request', `client_id: expected text of at most ${CLIENT_ID_CHARS_MAX} characters`)
}
