import type { Subscription } from './checkpoint-feed.ts'

/** Who depends on what. Most things have one subscriber, which then takes no set of its own. */
export class SubscriberMap<Key> {
  readonly #subscribers = new Map<Key, Subscription | Set<Subscription>>()

  /** Keys that have subscribers. */
  get size(): number {
    return this.#subscribers.size
  }

  add(key: Key, subscription: Subscription): void {
    const known = this.#subscribers.get(key)
    if (known === undefined) this.#subscribers.set(key, subscription)
    else if (known instanceof Set) known.add(subscription)
    else if (known !== subscription) this.#subscribers.set(key, new Set([known, subscription]))
  }

  remove(key: Key, subscription: Subscription): void {
    const known = this.#subscribers.get(key)
    if (known instanceof Set) {
      known.delete(subscription)
      if (known.size === 0) this.#subscribers.delete(key)
    } else if (known === subscription) this.#subscribers.delete(key)
  }

  /** Makes a subscriber of `before` one of `after`. */
  replace(before: readonly Key[], after: readonly Key[], subscription: Subscription): void {
    const [old, next] = [new Set(before), new Set(after)]
    for (const key of old) if (!next.has(key)) this.remove(key, subscription)
    for (const key of next) if (!old.has(key)) this.add(key, subscription)
  }

  /** Each key of `keys` that has subscribers, with each of them. */
  *matching(keys: {
    readonly size: number
    keys(): Iterable<Key>
    has(key: Key): boolean
  }): Generator<[Key, Subscription]> {
    // Whichever is smaller is walked through: a commit may name more buckets than anyone follows.
    if (keys.size <= this.#subscribers.size) {
      for (const key of keys.keys()) yield* this.#pairs(key)
    } else {
      for (const key of this.#subscribers.keys()) if (keys.has(key)) yield* this.#pairs(key)
    }
  }

  *all(): Generator<Subscription> {
    for (const key of this.#subscribers.keys()) for (const [, subscription] of this.#pairs(key)) yield subscription
  }

  *#pairs(key: Key): Generator<[Key, Subscription]> {
    const known = this.#subscribers.get(key)
    if (known === undefined) return
    if (known instanceof Set) for (const subscription of known) yield [key, subscription]
    else yield [key, known]
  }
}
