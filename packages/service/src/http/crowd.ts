type Place = { readonly group: string; readonly size: number }
type Group<Member> = { size: number; readonly members: Set<Member> }

/**
 * Members of several groups, which take up room together. When it is not enough, the group that takes most of it loses
 * its oldest member: who comes in large numbers meets himself.
 */
export class Crowd<Member> {
  readonly #roomMax: number
  readonly #turnAway: (member: Member) => void
  readonly #places = new Map<Member, Place>()
  readonly #groups = new Map<string, Group<Member>>()
  #taken = 0

  /** `turnAway` is called after the member was removed. */
  constructor(roomMax: number, turnAway: (member: Member) => void) {
    this.#roomMax = roomMax
    this.#turnAway = turnAway
  }

  get taken(): number {
    return this.#taken
  }

  /** As the newest of its group. May turn away others, or the member itself. */
  add(member: Member, group: string, size = 1): void {
    this.remove(member)
    const known = this.#groups.get(group) ?? { size: 0, members: new Set() }
    this.#groups.set(group, known)
    known.members.add(member)
    known.size += size
    this.#places.set(member, { group, size })
    this.#taken += size
    while (this.#taken > this.#roomMax && this.#places.size > 0) this.#turnAwayOne()
  }

  /** Nothing happens when it is not there. */
  remove(member: Member): void {
    const place = this.#places.get(member)
    if (place === undefined) return
    this.#places.delete(member)
    this.#taken -= place.size
    const group = this.#groups.get(place.group)
    if (group === undefined) return
    group.members.delete(member)
    group.size -= place.size
    if (group.members.size === 0) this.#groups.delete(place.group)
  }

  #turnAwayOne(): void {
    let largest: Group<Member> | undefined
    for (const group of this.#groups.values()) {
      if (largest === undefined || group.size > largest.size) largest = group
    }
    for (const member of largest?.members ?? []) {
      this.remove(member)
      this.#turnAway(member)
      return
    }
  }
}
