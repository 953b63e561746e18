import type { StreamKey } from '../store/subscriptions.ts'

/** Which streams the app holds, and how often. */
export class StreamHandles {
  readonly #held = new Map<string, { readonly stream: StreamKey; count: number }>()

  /** Returns the function that lets go; it does so once, and says whether it was the last handle. */
  hold(stream: StreamKey): () => boolean {
    const key = keyOf(stream)
    const entry = this.#held.get(key) ?? { stream, count: 0 }
    this.#held.set(key, entry)
    entry.count += 1
    let isHeld = true
    return () => {
      if (!isHeld) return false
      isHeld = false
      entry.count -= 1
      return entry.count <= 0 && this.#held.get(key) === entry && this.#held.delete(key)
    }
  }

  releaseAll(stream: StreamKey): void {
    this.#held.delete(keyOf(stream))
  }

  get held(): readonly StreamKey[] {
    return [...this.#held.values()].map(({ stream }) => stream)
  }
}

function keyOf({ name, parameters }: StreamKey): string {
  return `${name} ${parameters}`
}
