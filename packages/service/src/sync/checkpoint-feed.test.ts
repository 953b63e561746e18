import { OP_ID_ZERO, toBucketName, toOpId } from '@headwater/protocol'
import { createManualClock } from '@headwater/testkit'
import { expect, test } from 'vitest'
import { toLsn } from '../postgres/lsn.ts'
import type { Commit, SyncStorage } from '../storage/storage.ts'
import { createCheckpointFeed } from './checkpoint-feed.ts'
import { shortTurn, shortTurns } from './turns.test-parts.ts'

const TODOS = toBucketName('todos')

test('when everything is built anew, streams end some at a time, whatever is committed meanwhile', async () => {
  await using playing = startFeed()
  const { feed, clock, commit } = playing
  let ended = 0
  for (let index = 0; index < 250; index++) {
    const session = feed.subscribe(`user-${index}`)
    session.onTouched = () => {
      ended += 1
      expect(session.end).toMatchObject({ reason: 'config-changed', streams: 250 })
      session.close()
    }
  }
  await commit({ generation: 2 })
  expect(ended).toBe(100)
  await commit({ generation: 2 })
  expect(ended).toBe(100)
  await clock.advance(100)
  expect(ended).toBe(200)

  await playing[Symbol.asyncDispose]()
  expect(ended).toBe(250)
})

test('a session that has left is not touched any more, even if its buckets are found after that', async () => {
  await using playing = startFeed()
  const session = playing.feed.subscribe('ann')
  await session.follow({ buckets: [TODOS], lookupKeys: [] }, OP_ID_ZERO, shortTurn())
  await playing.commit({ checkpoint: checkpointAt(1), buckets: new Set([TODOS]) })
  expect(session.take()?.buckets).toEqual(new Set([TODOS]))

  session.close()
  await session.follow({ buckets: [TODOS], lookupKeys: [] }, OP_ID_ZERO, shortTurn())
  await playing.commit({ checkpoint: checkpointAt(2), buckets: new Set([TODOS]) })
  expect(session.isTouched).toBe(false)
})

function startFeed() {
  const clock = createManualClock()
  const stop = new AbortController()
  let hand: (one: Commit) => void = () => {}
  const storage: Pick<SyncStorage, 'readHead' | 'watchCommits'> = {
    readHead: async () => undefined,
    watchCommits: async function* () {
      while (!stop.signal.aborted) {
        yield await new Promise<Commit>((resolve) => {
          hand = resolve
        })
      }
    },
  }
  const loadPlan = (): never => {
    throw new Error('nobody should ask for this')
  }
  const feed = createCheckpointFeed({ storage, clock, turns: shortTurns, loadPlan, bucketsMax: 1 }, stop.signal)
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const commit = async (parts: Partial<Commit>): Promise<void> => {
    await turn()
    hand({ ...NOTHING, ...parts })
    await turn()
  }
  return {
    feed,
    clock,
    /** Resolves when the feed has handed it out. */
    commit,
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      hand(NOTHING)
      await feed.ended
    },
  }
}

const NOTHING: Commit = {
  generation: 1,
  checkpoint: undefined,
  buckets: new Set(),
  lookups: new Set(),
  writeCheckpoints: new Map(),
  touchesAll: false,
}

function checkpointAt(opId: number): NonNullable<Commit['checkpoint']> {
  return { opId: toOpId(BigInt(opId)), lsn: toLsn(BigInt(opId)) }
}
