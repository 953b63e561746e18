import { HeadwaterError } from '@headwater/protocol'
import type { HttpParts } from './http-parts.ts'
import { SharedRoom } from './shared-room.ts'

/** A request costs as many as it has bodies of this size: time to read it grows with its length. */
const BYTES_PER_REQUEST = 64 * 1024

/** Of the memory for requests, what one user may have. */
const USER_SHARE = 1 / 4

/** What users ask for, whatever transport brings it: how often, and what it holds in memory. */
export type UserRequests = {
  /** Throws `too-many-user-requests`. */
  readonly count: (userId: string) => void
  /** Makes a request that was counted cost more, by its length. */
  readonly countBytes: (userId: string, bytes: number) => void
  /** Claims throw `request-memory-full`. */
  readonly memory: SharedRoom
}

export function createUserRequests({ limits, limitWatch, rates }: HttpParts): UserRequests {
  const message = 'Cannot read the request: others take the memory that there is for requests. Try again later'
  const limit = 'request-memory'
  return {
    count: (userId) => {
      if (rates.spend(userId)) return
      limitWatch.reached('user-requests', { userId })
      throw new HeadwaterError(
        'too-many-user-requests',
        `Expected at most ${limits.userRequestsPerSecond} requests a second of one user`,
      )
    },
    countBytes: (userId, bytes) => void rates.spend(userId, Math.floor(bytes / BYTES_PER_REQUEST)),
    memory: new SharedRoom(limitWatch, {
      all: { limit, max: limits.requestMemoryBytesMax, message },
      each: { limit, max: limits.requestMemoryBytesMax * USER_SHARE, message },
    }),
  }
}
