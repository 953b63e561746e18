import type { LimitWatch } from '../observe/limit-watch.ts'
import type { RequestPlace } from './admit.ts'
import { type Claim, SharedRoom } from './shared-room.ts'

export type StreamLimits = {
  /** Sync streams over HTTP and WebSocket connections, together. */
  readonly connectionsMax: number
  /** The same of one user. */
  readonly userConnectionsMax: number
}

/** One for each stream over HTTP, and for each WebSocket connection with its first stream. */
export function createStreamRoom(limitWatch: LimitWatch, limits: StreamLimits): SharedRoom {
  return new SharedRoom(limitWatch, {
    all: {
      limit: 'connections',
      max: limits.connectionsMax,
      message: 'As many sync streams are open as the service allows',
    },
    each: {
      limit: 'user-connections',
      max: limits.userConnectionsMax,
      message: 'As many sync streams of this user are open as the service allows one user',
    },
  })
}

/** A place among the streams that all processes serve. */
export type PlaceAmongAll = {
  /** Rejects with the code of the limit that is reached, or when that cannot be found out. */
  readonly granted: Promise<void>
  /** Whether or not it was granted, or will be. */
  readonly giveBack: () => void
}

export type StreamPlacesParts = {
  readonly limitWatch: LimitWatch
  readonly limits: StreamLimits
  readonly takePlaceAmongAll: (userId: string) => PlaceAmongAll
}

/** Places for the streams of this process. Each is held at once, and granted when there is one among those of all processes. */
export class StreamPlaces {
  readonly #room: SharedRoom
  readonly #takeAmongAll: StreamPlacesParts['takePlaceAmongAll']

  constructor({ limitWatch, limits, takePlaceAmongAll }: StreamPlacesParts) {
    this.#room = createStreamRoom(limitWatch, limits)
    this.#takeAmongAll = takePlaceAmongAll
  }

  /** For those who are not known yet. Throws when nobody finds a place. */
  check(): void {
    this.#room.check()
  }

  /** One that is not held yet. */
  open(userId: string): StreamPlace {
    return new StreamPlace(this.#room.open(userId), () => this.#takeAmongAll(userId))
  }
}

/** To be held, awaited, and released whatever came of that. */
export class StreamPlace implements RequestPlace {
  readonly #claim: Claim
  readonly #takeAmongAll: () => PlaceAmongAll
  #amongAll: PlaceAmongAll | undefined

  constructor(claim: Claim, takeAmongAll: () => PlaceAmongAll) {
    this.#claim = claim
    this.#takeAmongAll = takeAmongAll
  }

  hold(size: 1): void {
    this.#claim.hold(size)
    this.#amongAll ??= this.#takeAmongAll()
  }

  /** Of one that is held. Rejects as `PlaceAmongAll.granted` does. */
  async granted(): Promise<void> {
    await this.#amongAll?.granted
  }

  release(): void {
    this.#claim.release()
    this.#amongAll?.giveBack()
    this.#amongAll = undefined
  }
}
