import type { Clock } from '../clock.ts'

/** Someone who may want to be called at a time. */
export class Alarm {
  readonly ring: () => void
  /** Milliseconds since 1970; as it was set last. */
  atMs = 0
  /** Where it stands among those that are set; -1 when it is not. */
  place = -1

  constructor(ring: () => void) {
    this.ring = ring
  }

  get isSet(): boolean {
    return this.place !== -1
  }
}

/** Why a wait is cut short. Not an error, which would cost a stack trace. */
const EARLIER = Symbol('another alarm is earlier')

/** Very many alarms on one timer: a timer for each would cost as much as all else that an idle stream holds. */
export class Alarms {
  readonly #clock: Clock
  /** A binary heap: the alarm at place n rings no later than those at 2n + 1 and 2n + 2. */
  readonly #heap: Alarm[] = []
  /** For the alarm that was the first of all when it began. */
  #wait: { readonly untilMs: number; readonly end: AbortController } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Has it ring once at this time, and not at the time that was set before. */
  set(alarm: Alarm, atMs: number): void {
    if (!alarm.isSet) {
      alarm.place = this.#heap.length
      this.#heap.push(alarm)
    }
    alarm.atMs = atMs
    this.#sink(alarm)
    this.#rise(alarm)
    if (this.#wait === undefined) void this.#run()
    else if (atMs < this.#wait.untilMs) this.#wait.end.abort(EARLIER)
  }

  clear(alarm: Alarm): void {
    if (!alarm.isSet) return
    const last = this.#heap.pop()
    if (last !== undefined && last !== alarm) {
      this.#put(last, alarm.place)
      this.#sink(last)
      this.#rise(last)
    }
    alarm.place = -1
  }

  /** Until none is set. Never rejects. */
  async #run(): Promise<void> {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const delayMs = first.atMs - this.#clock.nowMs()
      if (delayMs > 0) {
        const end = new AbortController()
        this.#wait = { untilMs: first.atMs, end }
        await this.#clock.wait(delayMs, end.signal)
      } else {
        this.clear(first)
        first.ring()
      }
    }
    this.#wait = undefined
  }

  #rise(alarm: Alarm): void {
    for (;;) {
      const parent = alarm.place === 0 ? undefined : this.#heap[(alarm.place - 1) >> 1]
      if (parent === undefined || parent.atMs <= alarm.atMs) return
      this.#swap(alarm, parent)
    }
  }

  #sink(alarm: Alarm): void {
    for (;;) {
      const left = this.#heap[2 * alarm.place + 1]
      const right = this.#heap[2 * alarm.place + 2]
      const next = right === undefined || (left !== undefined && left.atMs <= right.atMs) ? left : right
      if (next === undefined || next.atMs >= alarm.atMs) return
      this.#swap(alarm, next)
    }
  }

  #swap(a: Alarm, b: Alarm): void {
    const { place } = a
    this.#put(a, b.place)
    this.#put(b, place)
  }

  #put(alarm: Alarm, place: number): void {
    this.#heap[place] = alarm
    alarm.place = place
  }
}
