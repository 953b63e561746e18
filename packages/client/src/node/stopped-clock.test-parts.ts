import { createManualClock } from '@headwater/testkit'
import type { ManualClock } from '@headwater/testkit'
import type { Schema } from '../schema/schema.ts'
import { openThrowAway } from './throw-away-database.test-parts.ts'
import type { ThrowAway } from './throw-away-database.test-parts.ts'

/** A device whose time stands still, and which calls paths that count how often they were called. */
export type OnClock = {
  readonly opened: ThrowAway
  readonly clock: ManualClock
  /** Moves on, in steps no longer than `stepMs`, and lets everything happen that is due. */
  readonly advance: (byMs: number, stepMs?: number) => Promise<void>
  readonly wake: () => void
  readonly calls: Map<string, number>
  /** What a path is answered with; paths without an entry work. */
  readonly down: Map<string, () => Response | Error>
}

export async function openOnClock(schema: Schema): Promise<OnClock> {
  const clock = createManualClock()
  const calls = new Map<string, number>()
  const down = new Map<string, () => Response | Error>()
  let wake = () => {}
  const listenForWakeUps = (listener: () => void) => {
    wake = listener
    return () => {}
  }
  const opened = await openThrowAway(schema, { clock, random: () => 0.5, listenForWakeUps })
  opened.service.refuse = (path) => {
    calls.set(path, (calls.get(path) ?? 0) + 1)
    return down.get(path)?.()
  }
  const advance = async (byMs: number, stepMs = byMs) => {
    await settle()
    for (let leftMs = byMs; leftMs > 0; leftMs -= stepMs) {
      await clock.advance(Math.min(stepMs, leftMs))
      await settle()
    }
  }
  return { opened, clock, advance, wake: () => wake(), calls, down }
}

/** Everything but the clock is promises here, so some turns of the event loop let all of it come to rest. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await new Promise(setImmediate)
}
