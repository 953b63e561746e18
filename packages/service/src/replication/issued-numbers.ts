import { EVERY_CLIENT, FORGOTTEN_CLIENTS, type WriteCheckpoint } from '../storage/delta.ts'
import type { StoredWriteCheckpoint } from '../storage/storage.ts'

/** Numbers that are held; storage knows them soon, so this many mean that replication is far behind. */
const NUMBERS_MAX = 200_000

export type KnownNumbers = {
  /** Of the key itself; 0 without any. */
  readonly own: bigint
  /** What clients with this key may have been told, or will be by what is under way; at least `own`. */
  readonly highest: bigint
}

type UnderWay = { readonly number: bigint; readonly sinceMs: number }

/** Write checkpoints by key whose markers are on their way into storage. */
export class IssuedNumbers {
  /** Oldest first. */
  readonly #underWay = new Map<string, UnderWay>()
  readonly #writing = new Map<string, bigint>()
  /** Stored, but not shown to clients yet; since when. */
  #unshownSinceMs: number | undefined

  get isFull(): boolean {
    return this.#underWay.size >= NUMBERS_MAX
  }

  get count(): number {
    return this.#underWay.size
  }

  /** When the oldest was issued that clients cannot see yet. */
  get oldestMs(): number | undefined {
    const [oldest] = this.#underWay.values().take(1)
    return this.#unshownSinceMs ?? oldest?.sinceMs
  }

  /** The marker of these is being written; one at a time. It may be stored before we are told that it is written. */
  begin(entries: readonly WriteCheckpoint[]): void {
    for (const { key, number } of entries) {
      if (number > (this.#writing.get(key) ?? 0n)) this.#writing.set(key, number)
    }
  }

  /** It is in the source's log. */
  noteWritten(nowMs: number): void {
    for (const [key, number] of this.#writing) this.add(key, number, nowMs)
    this.#writing.clear()
  }

  noteNotWritten(): void {
    this.#writing.clear()
  }

  /** The marker of this number is in the source's log, or will be before that of any number that is asked for later. */
  add(key: string, number: bigint, nowMs: number): void {
    const before = this.#underWay.get(key)
    if (before !== undefined && before.number >= number) return
    this.#underWay.set(key, { number, sinceMs: before?.sinceMs ?? nowMs })
  }

  remove(key: string): void {
    this.#underWay.delete(key)
  }

  /** These are durable now; `isShown`: clients can see them, and all that were stored before. */
  noteStored(stored: readonly WriteCheckpoint[], isShown: boolean, nowMs: number): void {
    for (const { key, number } of stored) {
      if ((this.#writing.get(key) ?? 0n) <= number) this.#writing.delete(key)
      const underWay = this.#underWay.get(key)
      if (underWay !== undefined && underWay.number <= number) this.#underWay.delete(key)
    }
    if (isShown) this.#unshownSinceMs = undefined
    else if (stored.length > 0) this.#unshownSinceMs ??= nowMs
  }

  /** `stored`: what storage says of the key. */
  combine(key: string, stored: StoredWriteCheckpoint): KnownNumbers {
    const ofKey = this.#underWay.get(key)?.number
    const isForgotten = stored.own === undefined && ofKey === undefined
    const own = greater(stored.own ?? 0n, ofKey ?? 0n)
    const ofEvery = this.#underWay.get(EVERY_CLIENT)?.number ?? 0n
    const ofForgotten = isForgotten ? (this.#underWay.get(FORGOTTEN_CLIENTS)?.number ?? 0n) : 0n
    return { own, highest: greater(greater(own, stored.highest), greater(ofEvery, ofForgotten)) }
  }
}

function greater(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
