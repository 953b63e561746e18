import { HeadwaterError } from '@headwater/protocol'
import type { Refusal, VerifiedUser } from '../auth/claims.ts'
import type { BodyRoom, HttpRequest } from './answer.ts'
import { authorize, findRevoked } from './authorize.ts'
import type { HttpParts } from './http-parts.ts'
import type { Claim } from './shared-room.ts'
import type { UserRequests } from './user-requests.ts'

/** Of a body whose sender is not known: enough to say what is wrong with an ordinary one. */
const STRANGER_BYTES_MAX = 16 * 1024

/** Says which client of the user it is, if that is known. */
type OfClient = { readonly clientId: string | undefined }

/** Of those who ask for the same at once. */
export type RequestPlace = {
  /** Throws the code of the limit that is reached. */
  readonly hold: (size: 1) => void
  readonly release: () => void
}

/** Of a user, or of somebody who is not known. Throws `bad-request`, and as `readParameters`. */
export type ReadAsked<Asked> = (request: HttpRequest, room: BodyRoom, userId: string | undefined) => Promise<Asked>

export type Admission<Asked extends OfClient, Place extends RequestPlace> = {
  readonly requests: UserRequests
  /** One of its places is taken before the body is read. */
  readonly places: { readonly check: () => void; readonly open: (userId: string) => Place }
  readonly bytesMax: number
  readonly read: ReadAsked<Asked>
}

export type Admitted<Asked extends OfClient, Place extends RequestPlace> = {
  readonly kind: 'admitted'
  readonly user: VerifiedUser
  readonly asked: Asked
  /** What the request holds; both are to be given back. */
  readonly place: Place
  readonly memory: Claim
}

/**
 * Finds out who sends a request and what for. Only then is much of it read: whoever has not proven who they are can make
 * the service hold little. Throws what is wrong with the request, which is told before a token that is.
 */
export async function admit<Asked extends OfClient, Place extends RequestPlace>(
  parts: HttpParts,
  request: HttpRequest,
  { requests, places, bytesMax, read }: Admission<Asked, Place>,
): Promise<Admitted<Asked, Place> | Refusal> {
  places.check()
  const result = await authorize(parts, request.headers)
  if (result.kind === 'refused') {
    await checkBody(request, read)
    return result
  }
  const { user } = result
  request.identified()
  const place = places.open(user.userId)
  const memory = requests.memory.open(user.userId)
  try {
    requests.count(user.userId)
    place.hold(1)
    const asked = await readCounted()
    const revoked = findRevoked(parts.revocations, user, asked.clientId)
    if (revoked === undefined) return { kind: 'admitted', user, asked, place, memory }
    place.release()
    memory.release()
    return revoked
  } catch (error) {
    place.release()
    memory.release()
    throw error
  }

  /** What was read has cost its time, also when it was too much. */
  async function readCounted(): Promise<Asked> {
    try {
      return await read(request, { bytesMax, claim: memory }, user.userId)
    } finally {
      requests.countBytes(user.userId, memory.size())
    }
  }
}

/** To unpack would take more memory than the body itself. */
async function checkBody(request: HttpRequest, read: ReadAsked<unknown>): Promise<void> {
  if (request.headers['content-encoding']?.trim().toLowerCase() === 'gzip') return
  try {
    await read(request, { bytesMax: STRANGER_BYTES_MAX }, undefined)
  } catch (error) {
    if (!(error instanceof HeadwaterError) || error.code !== 'request-too-large') throw error
  }
}
