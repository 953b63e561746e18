import { createStreamRoom, type PlaceAmongAll } from '../http/stream-places.ts'
import type { Claim, SharedRoom } from '../http/shared-room.ts'
import type { LimitWatch } from '../observe/limit-watch.ts'

/** In the main process: the streams of each user, over all workers. */
export class UserStreams {
  readonly #room: SharedRoom

  /** How many there are of all users, each worker knows for its part. */
  constructor(limitWatch: LimitWatch, userConnectionsMax: number) {
    this.#room = createStreamRoom(limitWatch, { connectionsMax: Number.POSITIVE_INFINITY, userConnectionsMax })
  }

  ofWorker(): WorkerStreams {
    return new WorkerStreams(this.#room)
  }
}

/** Those that one worker serves, by numbers of the worker. As many as it tells of, which its part of the limit bounds. */
export class WorkerStreams {
  readonly #room: SharedRoom
  readonly #places = new Map<number, Claim>()
  #hasEnded = false

  constructor(room: SharedRoom) {
    this.#room = room
  }

  /** Throws `too-many-user-connections`. */
  take(place: number, userId: string): void {
    // What it has said before its end may still come.
    if (this.#hasEnded) return
    const claim = this.#room.open(userId)
    claim.hold(1)
    this.#places.set(place, claim)
  }

  /** Nothing happens where the place was refused. */
  giveBack(place: number): void {
    this.#places.get(place)?.release()
    this.#places.delete(place)
  }

  /** The worker is gone, and its streams with it. */
  end(): void {
    this.#hasEnded = true
    for (const claim of this.#places.values()) claim.release()
    this.#places.clear()
  }
}

/** In a worker: a place of which the main process decides. What `take` and `giveBack` send must arrive in that order. */
export function askForPlaces(main: {
  readonly take: (place: number, userId: string) => Promise<void>
  readonly giveBack: (place: number) => void
}): (userId: string) => PlaceAmongAll {
  let lastPlace = 0
  return (userId) => {
    lastPlace += 1
    const place = lastPlace
    const granted = main.take(place, userId)
    // A client that is gone by then has nobody waiting for the answer.
    granted.catch(() => {})
    return { granted, giveBack: () => main.giveBack(place) }
  }
}
