/** Numbers that are held; storage knows them soon, so this many mean that replication is far behind. */
const NUMBERS_MAX = 200_000

/** How many of the oldest numbers are looked at when one is added, so that their count does not grow. */
const SWEEP_COUNT = 2

/** Highest write checkpoints by key: those that storage has, and those whose markers are on their way into it. */
export class IssuedNumbers {
  readonly #readStored: (key: string) => Promise<bigint>
  /** Oldest first; storage may not have these yet. */
  readonly #underWay = new Map<string, bigint>()

  /** `readStored`: the highest number of a key in storage, 0 without any. */
  constructor(readStored: (key: string) => Promise<bigint>) {
    this.#readStored = readStored
  }

  get isFull(): boolean {
    return this.#underWay.size >= NUMBERS_MAX
  }

  /** The marker of this number is in the source's log. */
  add(key: string, number: bigint): void {
    const before = this.#underWay.get(key)
    if (before !== undefined && before >= number) return
    this.#underWay.delete(key)
    this.#underWay.set(key, number)
    void this.#sweep()
  }

  /** Highest number of the key; 0 without any. */
  async readHighest(key: string): Promise<bigint> {
    const stored = await this.#readStored(key)
    const underWay = this.#underWay.get(key) ?? 0n
    return stored > underWay ? stored : underWay
  }

  /** What storage has by now need not be held. A failure to read is told to whoever asks next for that key. */
  async #sweep(): Promise<void> {
    const oldest = [...this.#underWay.entries().take(SWEEP_COUNT)]
    for (const [key, number] of oldest) {
      const stored = await this.#readStored(key).catch(() => 0n)
      if (stored < number) return
      if (this.#underWay.get(key) === number) this.#underWay.delete(key)
    }
  }
}
