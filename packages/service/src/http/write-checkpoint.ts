import { writeCheckpointKey } from '@headwater/protocol'
import { type Answer, answerData, answerEmpty, type HttpRequest } from './answer.ts'
import { authorize } from './authorize.ts'
import { RETRY_AFTER_SECONDS } from './error-response.ts'
import type { HttpParts } from './http-parts.ts'
import { answerRefusal } from './refusal.ts'
import { Slots } from './slots.ts'

/** Requests that may wait for the source at once; they are answered in batches, so this is a second's worth. */
const WAITING_MAX = 2_000

/**
 * `GET /write-checkpoint2.json`: a number that the client's stream announces once everything that was written to the
 * source before this call has come through it.
 */
export function createWriteCheckpointRoute(parts: HttpParts): (request: HttpRequest) => Promise<Answer> {
  const waiting = new Slots(WAITING_MAX)
  return async (request) => {
    const release = waiting.take()
    if (release === undefined) return answerEmpty(429, { 'Retry-After': String(RETRY_AFTER_SECONDS) })
    try {
      const authorized = await authorize(parts.verify, request.headers)
      if (authorized.kind === 'refused') return answerRefusal(parts, authorized)
      const clientId = request.query.get('client_id') ?? undefined
      const number = await parts.requestWriteCheckpoint(writeCheckpointKey(authorized.user.userId, clientId))
      parts.metrics.add('headwater_write_checkpoints_total', 1)
      return answerData({ write_checkpoint: `${number}` })
    } finally {
      release()
    }
  }
}
