import { HeadwaterError, type OpId } from '@headwater/protocol'
import type { SyncStorage } from '../storage/storage.ts'
import type { CheckpointFeed } from './checkpoint-feed.ts'
import type { Clock } from '../clock.ts'
import { Wake } from './wake.ts'

export type AwaitParts = {
  readonly storage: Pick<SyncStorage, 'readWriteCheckpoint' | 'readHead'>
  readonly feed: Pick<CheckpointFeed, 'subscribe'>
  readonly requestWriteCheckpoint: (key: string) => Promise<bigint>
  readonly clock: Clock
}

/** The oldest clients wait this long for an answer. */
const WAIT_MS = 50_000

/**
 * The checkpoint that has everything that was written to the source before the call. Throws `replication-behind` when
 * it takes more than 50 s or `signal` aborts, and whatever asking for a write checkpoint throws.
 */
export async function awaitCheckpoint(parts: AwaitParts, key: string, signal: AbortSignal): Promise<OpId> {
  const { storage, feed, clock } = parts
  const subscription = feed.subscribe(key)
  const over = new AbortController()
  const wake = new Wake()
  try {
    subscription.onTouched = wake.call
    const number = await parts.requestWriteCheckpoint(key)
    let isTooLate = false
    const waitOut = async (): Promise<void> => {
      await clock.wait(WAIT_MS, AbortSignal.any([signal, over.signal]))
      isTooLate = true
      wake.call()
    }
    void waitOut()
    for (;;) {
      const shown = await storage.readWriteCheckpoint(key)
      // Read after the number, so it is that checkpoint or a later one.
      const head = await storage.readHead()
      if (shown !== undefined && shown >= number && head !== undefined) return head.checkpoint.opId
      if (isTooLate) throw behind()
      await wake.sleep()
      subscription.take()
    }
  } finally {
    over.abort()
    subscription.close()
  }
}

function behind(): HeadwaterError {
  return new HeadwaterError(
    'replication-behind',
    `Cannot name a checkpoint: what was written before the call did not come through replication within ${WAIT_MS / 1000} s.`,
  )
}
