import { createManualClock } from '@headwater/testkit'
import { expect, test } from 'vitest'
import type { Commit, SyncStorage } from '../storage/storage.ts'
import { createCheckpointFeed } from './checkpoint-feed.ts'

const NOTHING = { buckets: new Set<never>(), lookups: new Set<never>(), writeCheckpoints: new Map(), touchesAll: true }

test('when everything is built anew, streams end some at a time, whatever is committed meanwhile', async () => {
  const clock = createManualClock()
  const stop = new AbortController()
  let commit: (one: Commit) => void = () => {}
  const storage: Pick<SyncStorage, 'readHead' | 'watchCommits'> = {
    readHead: async () => undefined,
    watchCommits: async function* () {
      while (!stop.signal.aborted) {
        yield await new Promise<Commit>((resolve) => {
          commit = resolve
        })
      }
    },
  }
  const loadPlan = (): never => {
    throw new Error('nobody should ask for this')
  }
  const feed = createCheckpointFeed({ storage, clock, loadPlan, bucketsMax: 1 }, stop.signal)
  let ended = 0
  for (let index = 0; index < 250; index++) {
    const session = feed.subscribe(`user-${index}`)
    session.onTouched = () => {
      ended += 1
      expect(session.isOver).toBe(true)
      session.close()
    }
  }
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  await turn()
  commit({ ...NOTHING, generation: 2, checkpoint: undefined })
  await turn()
  expect(ended).toBe(100)
  commit({ ...NOTHING, generation: 2, checkpoint: undefined })
  await turn()
  expect(ended).toBe(100)
  await clock.advance(100)
  expect(ended).toBe(200)

  stop.abort()
  commit({ ...NOTHING, generation: 2, checkpoint: undefined })
  await feed.ended
  expect(ended).toBe(250)
})
