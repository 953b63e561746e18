import { OP_ID_ZERO, toBucketName, toOpId } from '@headwater/protocol'
import { expect, test } from 'vitest'
import { key } from '../storage/example-data.contract.ts'
import { RecentCommits } from './recent-commits.ts'
import { SubscriberMap } from './subscriber-map.ts'
import { Subscription, type Subscriptions } from './subscription.ts'
import { shortTurn, shortTurns } from './turns.test-parts.ts'

const MANY = Array.from({ length: 20 }, (_, n) => toBucketName(`list${n}`))
const MEMBERS = key('members')
const INTEREST = { buckets: MANY, lookupKeys: [MEMBERS] }

test('what is committed while very many buckets are entered is not missed, and nothing else is looked at', async () => {
  for (let pause = 1; pause <= 22; pause++) {
    const { all, session } = subscribed()
    using _kept = session.keepCommits()
    const following = session.follow(INTEREST, OP_ID_ZERO, shortTurn())
    await rounds(pause)
    commit(all, 1, ['list3', 'list17', 'other'])
    await following
    expect(session.take()).toMatchObject({
      checkpoint: 1n,
      buckets: new Set([toBucketName('list3'), toBucketName('list17')]),
      mustResolve: false,
      touchesAll: false,
    })
  }
})

test('a lookup that changes while very many buckets are entered is not missed', async () => {
  const { all, session } = subscribed()
  using _kept = session.keepCommits()
  const following = session.follow(INTEREST, OP_ID_ZERO, shortTurn())
  await rounds(2)
  commit(all, 1, [], [MEMBERS])
  await following
  expect(session.take()).toMatchObject({ mustResolve: true, touchesAll: false })
})

test('when commits since what the client knows were not kept, everything is looked at', async () => {
  const { all, session } = subscribed()
  commit(all, 5, ['list3'])
  using _kept = session.keepCommits()
  await session.follow(INTEREST, toOpId(4n), shortTurn())
  expect(session.take()).toMatchObject({ checkpoint: 5n, touchesAll: true })
  await session.follow(INTEREST, toOpId(5n), shortTurn())
  expect(session.isTouched).toBe(false)
})

test('a session follows only what it followed last', async () => {
  const { all, session } = subscribed()
  await session.follow(INTEREST, OP_ID_ZERO, shortTurn())
  await session.follow({ buckets: MANY.slice(5), lookupKeys: [] }, OP_ID_ZERO, shortTurn())
  expect([all.byBucket.size, all.byLookup.size]).toEqual([15, 0])
})

test('a session that leaves at any moment while it is entered leaves nothing behind', async () => {
  for (let pause = 0; pause <= 60; pause++) {
    const { all, session } = subscribed()
    await session.follow({ buckets: MANY.slice(10), lookupKeys: [MEMBERS] }, OP_ID_ZERO, shortTurn())
    const following = session.follow({ buckets: MANY.slice(0, 15), lookupKeys: [] }, OP_ID_ZERO, shortTurn())
    await rounds(pause)
    session.close()
    await following
    await Promise.all(all.leaving)
    expect([all.byBucket.size, all.byLookup.size, all.byWriteCheckpoint.size]).toEqual([0, 0, 0])
  }
})

test('commits are kept while someone needs them, and only so many', () => {
  const recent = new RecentCommits()
  const add = (checkpoint: number, names: number) =>
    recent.add({
      checkpoint: toOpId(BigInt(checkpoint)),
      buckets: new Set(Array.from({ length: names }, (_, n) => toBucketName(`${n}`))),
      lookups: new Set(),
    })
  const after = (seen: bigint) => recent.after(toOpId(seen))?.map(({ checkpoint }) => Number(checkpoint))
  add(1, 1)
  const first = recent.keep(toOpId(1n))
  add(2, 60_000)
  const second = recent.keep(toOpId(2n))
  expect([after(0n), after(1n), after(2n)]).toEqual([undefined, [2], []])
  add(3, 60_000)
  expect([after(1n), after(2n)]).toEqual([undefined, [3]])
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  expect(after(2n)).toEqual([3])
  second[Symbol.dispose]()
  expect(after(3n)).toEqual([])
})

function subscribed(): { readonly all: Subscriptions; readonly session: Subscription } {
  const all: Subscriptions = {
    byBucket: new SubscriberMap(),
    byLookup: new SubscriberMap(),
    byWriteCheckpoint: new SubscriberMap(),
    newest: OP_ID_ZERO,
    recent: new RecentCommits(),
    turns: shortTurns,
    leaving: new Set(),
  }
  return { all, session: new Subscription(all, 'ann/phone') }
}

/** As the feed hands it out. */
function commit(all: Subscriptions, at: number, names: readonly string[], keys: (typeof MEMBERS)[] = []): void {
  const checkpoint = toOpId(BigInt(at))
  const [buckets, lookups] = [new Set(names.map(toBucketName)), new Set(keys)]
  all.newest = checkpoint
  all.recent.add({ checkpoint, buckets, lookups })
  all.byBucket.visit(buckets, (bucket, session) => session.touch(checkpoint).buckets.add(bucket))
  all.byLookup.visit(lookups, (_key, session) => {
    session.touch(checkpoint).mustResolve = true
  })
}

async function rounds(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await new Promise(setImmediate)
}
