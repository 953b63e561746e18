import { HeadwaterError } from '@headwater/protocol'
import { LIMIT_TABLE, type LimitName, type LimitWatch } from '../observe/limit-watch.ts'

/** What one thing of a user holds of a room. */
export type Claim = {
  readonly size: () => number
  /** Makes the claim as large as `size`, or throws that there is no room; smaller is always possible. */
  readonly hold: (size: number) => void
  readonly release: () => void
}

export type RoomLimit = {
  readonly limit: LimitName
  readonly max: number
  /** What is told to whoever finds no room. */
  readonly message: string
}

/**
 * Room that users share: so much in all, and of it so much for each. Nobody waits: who finds too little is told so, with
 * the code of the limit that was reached.
 */
export class SharedRoom {
  readonly #watch: LimitWatch
  readonly #all: RoomLimit
  readonly #each: RoomLimit
  readonly #byUser = new Map<string, number>()
  #taken = 0

  constructor(watch: LimitWatch, limits: { readonly all: RoomLimit; readonly each: RoomLimit }) {
    this.#watch = watch
    this.#all = limits.all
    this.#each = limits.each
  }

  /** For those who are not known yet. Throws when nobody finds room. */
  check(): void {
    if (this.#taken >= this.#all.max) throw this.#refuse(this.#all, undefined)
  }

  /** A claim that holds nothing yet. */
  open(userId: string): Claim {
    return new UserClaim(this, userId)
  }

  /** For claims. Throws when there is no room for `more`. */
  change(userId: string, more: number): void {
    const ofUser = (this.#byUser.get(userId) ?? 0) + more
    const ofAll = this.#taken + more
    if (more > 0) {
      if (ofUser > this.#each.max) throw this.#refuse(this.#each, userId)
      if (ofAll > this.#all.max) throw this.#refuse(this.#all, userId)
      this.#watch.noteUse(this.#each.limit, { used: ofUser, max: this.#each.max, userId })
      this.#watch.noteUse(this.#all.limit, { used: ofAll, max: this.#all.max })
    }
    this.#taken = ofAll
    if (ofUser === 0) this.#byUser.delete(userId)
    else this.#byUser.set(userId, ofUser)
  }

  #refuse({ limit, message }: RoomLimit, userId: string | undefined): HeadwaterError {
    this.#watch.reached(limit, { userId })
    return new HeadwaterError(LIMIT_TABLE[limit].code, message)
  }
}

/** A class, as every open stream keeps some. */
class UserClaim implements Claim {
  readonly #room: SharedRoom
  readonly #userId: string
  #held = 0

  constructor(room: SharedRoom, userId: string) {
    this.#room = room
    this.#userId = userId
  }

  size(): number {
    return this.#held
  }

  hold(size: number): void {
    this.#room.change(this.#userId, size - this.#held)
    this.#held = size
  }

  release(): void {
    this.hold(0)
  }
}
