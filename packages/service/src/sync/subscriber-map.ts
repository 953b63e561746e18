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

  /** Names each key of `keys` that has subscribers, with each of them. An iterator over them would take twice as long. */
  visit(keys: Keys<Key>, visit: (key: Key, subscriber: Subscriber) => void): void {
    // Whichever is smaller is walked through: a commit may name more buckets than anyone follows.
    if (keys.size <= this.#subscribers.size) {
      for (const key of keys.keys()) visitAll(key, this.#subscribers.get(key), visit)
    } else {
      for (const [key, known] of this.#subscribers) if (keys.has(key)) visitAll(key, known, visit)
    }
  }

  *all(): Generator<Subscriber> {
    for (const known of this.#subscribers.values()) {
      if (known instanceof Set) yield* known
      else yield known
    }
  }
}

type Keys<Key> = { readonly size: number; readonly keys: () => Iterable<Key>; readonly has: (key: Key) => boolean }

function visitAll<Key, Subscriber extends object>(
  key: Key,
  known: Subscriber | Set<Subscriber> | undefined,
  visit: (key: Key, subscriber: Subscriber) => void,
): void {
  if (known === undefined) return
  if (known instanceof Set) for (const subscriber of known) visit(key, subscriber)
  else visit(key, known)
}
