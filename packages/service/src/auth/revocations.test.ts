import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { createMetrics } from '../observe/metrics.ts'
import type { Revocation, TokenHolder } from './revocation.ts'
import { createRevocations, type RevocationChange, type Revocations } from './revocations.ts'

const NOW_MS = 1_800_000_000_000
const LIFETIME_SECONDS = 3_600

describe('a revocation', () => {
  test.each<[what: string, revocation: Partial<Revocation>, holder: Partial<TokenHolder>, isRevoked: boolean]>([
    ['covers a token of the user that was issued before', {}, {}, true],
    ['leaves a token that was issued at this very moment', {}, { issuedAtMs: NOW_MS }, false],
    ['leaves other users', {}, { userId: 'bob' }, false],
    ['of a client covers that client', { clientId: 'phone' }, { clientId: 'phone' }, true],
    ['of a client leaves the others', { clientId: 'phone' }, { clientId: 'tablet' }, false],
    ['of a client leaves who has not said which client it is', { clientId: 'phone' }, {}, false],
    ['of a token covers that token', { tokenId: 't1' }, { tokenId: 't1' }, true],
    ['of a token leaves tokens without an id', { tokenId: 't1' }, {}, false],
    ['of a token on a client needs both', { tokenId: 't1', clientId: 'phone' }, { tokenId: 't1' }, false],
    ['with an earlier time leaves tokens from in between', { issuedBeforeMs: NOW_MS - 60_000 }, {}, false],
  ])('%s', async (_what, revocation, holder, isRevoked) => {
    const { revocations } = open()
    await revocations.add([revoke(revocation)], 'operator')
    expect(revocations.isRevoked(hold(holder))).toBe(isRevoked)
  })

  test('tells whoever uses such a token, once, and nobody who has stopped', async () => {
    const { revocations } = open()
    const told: string[] = []
    const watch = (name: string, holder: Partial<TokenHolder> = {}) => {
      const watched = revocations.watch(hold(holder))
      watched.listen(() => told.push(name))
      return watched
    }
    watch('a stream')
    watch('another stream')
    watch('of another user', { userId: 'bob' })
    watch('with a newer token', { issuedAtMs: NOW_MS })
    watch('stopped').close()
    await revocations.add([revoke()], 'table')
    await revocations.add([revoke({ issuedBeforeMs: NOW_MS + 1 })], 'table')
    expect(told).toEqual(['a stream', 'another stream', 'with a newer token'])
    watch('too late')
    expect(told.at(-1)).toBe('too late')
  })

  test('is in force before it is stored, and is told as failed when it cannot be', async () => {
    const { revocations } = open({ store: () => Promise.reject(new Error('the disk is full')) })
    const stored = revocations.add([revoke()], 'operator')
    expect(revocations.isRevoked(hold())).toBe(true)
    await expect(stored).rejects.toThrow('the disk is full')
    expect(revocations.isRevoked(hold())).toBe(true)
  })

  test('that could not be stored is stored with the next call, also when that says nothing new', async () => {
    let failures = 1
    const { revocations, changes } = open({
      store: async () => {
        if (failures-- > 0) throw new Error('the disk is full')
      },
    })
    await expect(revocations.add([revoke()], 'operator')).rejects.toThrow('the disk is full')
    await revocations.add([revoke()], 'operator')
    expect(changes.map(({ put }) => put)).toEqual([[revoke()], [revoke()]])
    await revocations.add([revoke()], 'operator')
    expect(changes).toHaveLength(2)
  })

  test('of everybody, as another process of the service tells it, ends what each user has open', async () => {
    const { revocations } = open()
    const [old, newer] = [hold({ userId: 'bob' }), hold({ userId: 'carl', issuedAtMs: NOW_MS })].map(revocations.watch)
    await revocations.add([revoke({ userId: '' })], 'main-process')
    expect([old?.isRevoked, newer?.isRevoked]).toEqual([true, false])
  })

  test('is kept until the last token that it concerns has expired, and then forgotten', async () => {
    const { revocations, changes, clock } = open()
    await revocations.add([revoke()], 'operator')
    expect(revocations.expiryMs(revoke())).toBe(NOW_MS + (LIFETIME_SECONDS + 60) * 1000)
    clock.nowMs = revocations.expiryMs(revoke())
    await revocations.add([revoke({ userId: 'bob', issuedBeforeMs: clock.nowMs })], 'operator')
    expect(changes.at(-1)).toEqual({
      put: [revoke({ userId: 'bob', issuedBeforeMs: clock.nowMs })],
      drop: [revoke()],
    })
  })

  test('that says nothing new, or whose tokens have all expired, is not stored', async () => {
    const { revocations, changes } = open()
    await revocations.add([revoke()], 'table')
    await revocations.add([revoke(), revoke({ issuedBeforeMs: NOW_MS - 1 })], 'table')
    await revocations.add([revoke({ userId: 'bob', issuedBeforeMs: NOW_MS - 3_661_000 })], 'table')
    expect(changes).toHaveLength(1)
  })

  test('that was stored by an earlier process is in force', () => {
    const { revocations } = open({ stored: [revoke()] })
    expect(revocations.isRevoked(hold())).toBe(true)
    expect(revocations.watch(hold()).isRevoked).toBe(true)
  })

  test('beyond the bound widens the oldest to everybody, and forgets none', async () => {
    const { revocations, changes } = open({ max: 3 })
    const other = revocations.watch(hold({ userId: 'other', issuedAtMs: NOW_MS - 30_001 }))
    const newer = revocations.watch(hold({ userId: 'other', issuedAtMs: NOW_MS - 30_000 }))
    const users = ['a', 'b', 'c', 'd'].map((userId, index) =>
      revoke({ userId, issuedBeforeMs: NOW_MS - 40_000 + index * 10_000 }),
    )
    for (const one of users) await revocations.add([one], 'table')
    for (const { userId, issuedBeforeMs } of users) {
      expect(revocations.isRevoked(hold({ userId, issuedAtMs: issuedBeforeMs - 1 }))).toBe(true)
    }
    expect([other.isRevoked, newer.isRevoked]).toEqual([true, false])
    expect(changes.at(-1)?.drop.map(({ userId }) => userId)).toEqual(['a', 'b'])
    await revocations.add([revoke({ userId: 'e' })], 'table')
    expect(changes.at(-1)?.put).toHaveLength(2)
    expect(revocations.isRevoked(hold({ userId: 'c', issuedAtMs: NOW_MS - 20_001 }))).toBe(true)
  })
})

type Options = { readonly stored?: readonly Revocation[]; readonly max?: number; readonly store?: () => Promise<void> }

function open({ stored = [], store = async () => {}, ...options }: Options = {}): {
  readonly revocations: Revocations
  readonly changes: RevocationChange[]
  readonly clock: { nowMs: number }
} {
  const changes: RevocationChange[] = []
  const clock = { nowMs: NOW_MS }
  const revocations = createRevocations({
    ...options,
    stored,
    store: (change) => {
      changes.push(change)
      return store()
    },
    lifetimeMaxSeconds: LIFETIME_SECONDS,
    log: { info: () => {}, warn: () => {} },
    metrics: createMetrics(new Registry()),
    nowMs: () => clock.nowMs,
  })
  return { revocations, changes, clock }
}

function revoke(revocation: Partial<Revocation> = {}): Revocation {
  return { userId: 'ann', clientId: undefined, tokenId: undefined, issuedBeforeMs: NOW_MS, ...revocation }
}

/** Of a token that was issued a second before. */
function hold(holder: Partial<TokenHolder> = {}): TokenHolder {
  return { userId: 'ann', clientId: undefined, tokenId: undefined, issuedAtMs: NOW_MS - 1_000, ...holder }
}
