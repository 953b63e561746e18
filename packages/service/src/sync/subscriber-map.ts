/** Who depends on what. Most things have one subscriber, which then takes no set of its own. */
export class SubscriberMap<Key, Subscriber extends object> {
  readonly #subscribers = new Map<Key, Subscriber | Set<Subscriber>>()

  /** Keys that have subscribers. */
  get size(): number {
    return this.#subscribers.size
  }

  has(key: Key, subscriber: Subscriber): boolean {
    const known = this.#subscribers.get(key)
    return known instanceof Set ? known.has(subscriber) : known === subscriber
  }

  add(key: Key, subscriber: Subscriber): void {
    const known = this.#subscribers.get(key)
    if (known === undefined) this.#subscribers.set(key, subscriber)
    else if (known instanceof Set) known.add(subscriber)
    else if (known !== subscriber) this.#subscribers.set(key, new Set([known, subscriber]))
  }

  remove(key: Key, subscriber: Subscriber): void {
    const known = this.#subscribers.get(key)
    if (known instanceof Set) {
      known.delete(subscriber)
      if (known.size === 0) this.#subscribers.delete(key)
    } else if (known === subscriber) this.#subscribers.delete(key)
  }

  /** Each key of `keys` that has subscribers, with each of them. */
  *matching(keys: {
    readonly size: number
    keys(): Iterable<Key>
    has(key: Key): boolean
  }): Generator<[Key, Subscriber]> {
    // Whichever is smaller is walked through: a commit may name more buckets than anyone follows.
    if (keys.size <= this.#subscribers.size) {
      for (const key of keys.keys()) yield* this.#pairs(key)
    } else {
      for (const key of this.#subscribers.keys()) if (keys.has(key)) yield* this.#pairs(key)
    }
  }

  *all(): Generator<Subscriber> {
    for (const key of this.#subscribers.keys()) for (const [, subscriber] of this.#pairs(key)) yield subscriber
  }

  *#pairs(key: Key): Generator<[Key, Subscriber]> {
    const known = this.#subscribers.get(key)
    if (known === undefined) return
    if (known instanceof Set) for (const subscriber of known) yield [key, subscriber]
    else yield [key, known]
  }
}
