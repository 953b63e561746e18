import type { ErrorCode } from '@headwater/protocol'
import { createManualClock } from '@headwater/testkit'
import { describe, expect, test } from 'vitest'
import { judgeHealth, STUCK_MS, watchHealth } from './health.ts'
import type { Health } from './http/probes.ts'
import { zeroCounts } from './replication/counts.ts'
import type { AwaitedStatus, ReplicationStatus, ReplicatorPhase, TableCopyStatus } from './replication/status.ts'

const NOW_MS = 1_800_000_000_000

describe('the service is ready', () => {
  test('between two canaries', () => {
    expect(judgeHealth(status({ awaited: undefined }), NOW_MS)).toEqual({
      started: true,
      ready: true,
      touchedAtMs: NOW_MS,
      problem: undefined,
    })
  })

  test.each(['source', 'wal', 'storage', 'checkpoint'] as const)(
    'while a canary waits for %s, as long as that is short',
    (next) => {
      expect(judgeHealth(status({ awaited: waitsFor(next, STUCK_MS) }), NOW_MS)).toMatchObject({
        ready: true,
        problem: undefined,
      })
    },
  )

  test('behind a large transaction that gets on, however long it takes', () => {
    const awaited: AwaitedStatus = { sinceMs: NOW_MS - 3_600_000, movedAtMs: NOW_MS - 1_000, next: 'storage' }
    expect(judgeHealth(status({ awaited }), NOW_MS)).toMatchObject({ ready: true, problem: undefined })
  })

  test('while it connects again after a short interruption', () => {
    const phase = waiting('source-unreachable')
    expect(judgeHealth(status({ phase, awaited: waitsFor('source', 2_000) }), NOW_MS).ready).toBe(true)
  })
})

describe('the service is not ready, and says why,', () => {
  test.each<[what: string, changes: Parameters<typeof status>[0], problem: object]>([
    ['before it has connected', { phase: { kind: 'connecting' }, passedAtMs: undefined }, { stage: 'start' }],
    ['before the first canary is through', { passedAtMs: undefined, awaited: waitsFor('wal', 5) }, { stage: 'wal' }],
    [
      'when the source does not take markers',
      {},
      { stage: 'source', reason: expect.stringContaining('does not answer') },
    ],
    [
      'when the log does not arrive',
      { awaited: waitsFor('wal') },
      { stage: 'wal', remedy: expect.stringContaining('pg_stat_replication') },
    ],
    [
      'when nothing is stored',
      { awaited: waitsFor('storage') },
      { stage: 'storage', remedy: expect.stringContaining('storage.path') },
    ],
    ['when nothing is shown', { awaited: waitsFor('checkpoint') }, { stage: 'checkpoint' }],
    [
      'while the first copy runs',
      { passedAtMs: undefined, awaited: waitsFor('checkpoint', 5), copies: [copy('a'), copy('b', true)] },
      { stage: 'copy', reason: 'The first copy runs: public.a' },
    ],
    [
      'when the source is away',
      { phase: waiting('source-unreachable') },
      { stage: 'source', code: 'source-unreachable', remedy: expect.stringContaining('keeps trying') },
    ],
    ['when another reads the slot', { phase: waiting('slot-in-use') }, { stage: 'slot', code: 'slot-in-use' }],
    ['when the disk is full', { phase: waiting('storage-full') }, { stage: 'storage', code: 'storage-full' }],
  ])('%s', (_what, changes, problem) => {
    const health = judgeHealth(status({ awaited: waitsFor('source'), ...changes }), NOW_MS)
    expect(health).toMatchObject({
      ready: false,
      touchedAtMs: NOW_MS,
      problem: { sinceMs: expect.any(Number), ...problem },
    })
    expect(JSON.stringify(health)).not.toContain('secret-host')
  })

  test('with not more than a few tables by name', () => {
    const copies = Array.from({ length: 200 }, (_, n) => copy(`table${n}`))
    const { problem } = judgeHealth(
      status({ passedAtMs: undefined, awaited: waitsFor('checkpoint', 5), copies }),
      NOW_MS,
    )
    expect(problem?.reason).toMatch(/public\.table4 and 195 more$/)
  })
})

test('only a replicator that can never work again makes the process look dead', () => {
  const failed: ReplicatorPhase = { kind: 'failed', code: 'source-not-ready', message: 'secret-host' }
  expect(judgeHealth(status({ phase: failed, awaited: waitsFor('source', 20_000) }), NOW_MS)).toMatchObject({
    started: false,
    ready: false,
    touchedAtMs: NOW_MS - 20_000,
  })
})

test('the log is told when the service gets ready, and each time that something else is in the way', async () => {
  const clock = createManualClock(NOW_MS)
  const events: (readonly [event: string, stage: unknown])[] = []
  const note = (event: string, fields: { readonly [name: string]: unknown } = {}): void => {
    events.push([event, fields['stage']])
  }
  const seen: Health[] = [
    { awaited: waitsFor('source', 5), passedAtMs: undefined },
    { awaited: undefined },
    { awaited: undefined },
    { awaited: waitsFor('wal') },
    { awaited: waitsFor('wal') },
    { awaited: waitsFor('storage') },
    { awaited: undefined },
  ].map((changes) => judgeHealth(status(changes), NOW_MS))
  const over = new AbortController()
  const read = (): Health => {
    const health = seen.shift()
    if (seen.length === 0) over.abort()
    if (health === undefined) throw new Error('read once too often')
    return health
  }
  const watching = watchHealth(
    read,
    { clock: { ...clock, wait: async () => {} }, log: { info: note, warn: note } },
    over.signal,
  )
  await watching
  expect(events).toEqual([
    ['service-ready', undefined],
    ['service-not-ready', 'wal'],
    ['service-not-ready', 'storage'],
    ['service-ready', undefined],
  ])
})

function status({
  phase = { kind: 'running' },
  awaited,
  copies = [],
  ...rest
}: {
  readonly phase?: ReplicatorPhase
  readonly awaited?: AwaitedStatus | undefined
  readonly passedAtMs?: number | undefined
  readonly copies?: readonly TableCopyStatus[]
}): ReplicationStatus {
  const connection = {
    generation: 1,
    serverEnd: '0/0',
    acknowledged: '0/0',
    lagBytes: 0,
    bytesReceived: 0,
    lastHeardAtMs: 0,
    copies,
  }
  const passedAtMs = 'passedAtMs' in rest ? rest.passedAtMs : NOW_MS - 20_000
  return {
    phase,
    counts: zeroCounts(),
    connection: phase.kind === 'running' ? connection : undefined,
    canary: { passedAtMs, awaited },
    writeCheckpoints: { count: 0, oldestMs: undefined },
  }
}

function waitsFor(next: AwaitedStatus['next'], forMs = STUCK_MS + 1): AwaitedStatus {
  return { sinceMs: NOW_MS - forMs, movedAtMs: NOW_MS - forMs, next }
}

function waiting(code: ErrorCode): ReplicatorPhase {
  return { kind: 'waiting', code, message: 'Cannot reach secret-host' }
}

function copy(name: string, isDone = false): TableCopyStatus {
  return { table: `public.${name}`, mode: 'first', isDone, rowsCopied: 1, rowsEstimated: 2 }
}
