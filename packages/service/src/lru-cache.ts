/**
 * Keeps what was used of late, up to a weight; the rest is forgotten. In two halves: what is used moves into the young
 * one, and when that is full the old one is dropped, so that to find something costs no more than a look.
 */
export class LruCache<Key, Value> {
  readonly #halfMax: number
  #young = new Map<Key, Entry<Value>>()
  #old = new Map<Key, Entry<Value>>()
  #youngWeight = 0

  constructor(weightMax: number) {
    this.#halfMax = weightMax / 2
  }

  find(key: Key): Value | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young.value
    const old = this.#old.get(key)
    if (old === undefined) return undefined
    this.#old.delete(key)
    this.#add(key, old)
    return old.value
  }

  /** A value that alone is heavier than half of the limit is not kept. */
  keep(key: Key, value: Value, weight: number): void {
    this.forget(key)
    if (weight <= this.#halfMax) this.#add(key, { value, weight })
  }

  forget(key: Key): void {
    this.#old.delete(key)
    const entry = this.#young.get(key)
    if (entry === undefined) return
    this.#young.delete(key)
    this.#youngWeight -= entry.weight
  }

  clear(): void {
    this.#young.clear()
    this.#old.clear()
    this.#youngWeight = 0
  }

  #add(key: Key, entry: Entry<Value>): void {
    if (this.#youngWeight + entry.weight > this.#halfMax) {
      this.#old = this.#young
      this.#young = new Map()
      this.#youngWeight = 0
    }
    this.#young.set(key, entry)
    this.#youngWeight += entry.weight
  }
}

type Entry<Value> = { readonly value: Value; readonly weight: number }
