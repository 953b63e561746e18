import { toBucketName, toChecksum, toOpId } from '@headwater/protocol'
import type { Line, UnknownLine } from '@headwater/protocol'
import { describe, expect, test } from 'vitest'
import { OFF, step } from './machine.ts'
import type { SyncEffect, SyncEvent, SyncState } from './machine.ts'
import { RefusedError } from './refused-error.ts'
import { toTarget } from './target.ts'

const checkpoint = {
  lastOpId: toOpId(7n),
  writeCheckpoint: 3n,
  buckets: [
    {
      bucket: toBucketName('b'),
      checksum: toChecksum(1),
      count: 1,
      priority: 1,
      subscriptions: [{ kind: 'default' as const, stream: 0 }],
    },
  ],
  streams: [{ name: 'all', isDefault: true, errors: [] }],
}
const target = toTarget(checkpoint, [])
const published = { kind: 'published', tables: [], indexMissing: false } as const
const failure = new Error('no route')
const shared = { iteration: 4, failures: 2, error: failure, requested: [] }

const STATES = {
  off: { at: 'off', iteration: 4 },
  opening: { at: 'opening', iteration: 4, failures: 2, error: failure, hidden: false },
  replacing: { at: 'opening', iteration: 4, failures: 2, error: failure, hidden: true },
  waiting: { at: 'waiting', iteration: 4, failures: 2, error: failure },
  fresh: { at: 'listening', ...shared, progress: { kind: 'none' } },
  downloading: { at: 'listening', ...shared, progress: { kind: 'downloading', target } },
  current: { at: 'listening', ...shared, progress: { kind: 'current', target } },
  held: { at: 'listening', ...shared, progress: { kind: 'held', target } },
} as const satisfies Record<string, SyncState>

const line = (line: Line | UnknownLine): SyncEvent => ({ kind: 'line', iteration: 4, line })

const EVENTS = {
  start: { kind: 'start' },
  stop: { kind: 'stop' },
  opened: { kind: 'opened', iteration: 4, requested: [] },
  data: { kind: 'data', iteration: 4, lines: [] },
  checkpoint: line({ kind: 'checkpoint', checkpoint }),
  diff: line({
    kind: 'checkpoint-diff',
    diff: { lastOpId: toOpId(8n), writeCheckpoint: undefined, updatedBuckets: [], removedBuckets: [] },
  }),
  complete: line({ kind: 'checkpoint-complete', lastOpId: toOpId(7n) }),
  partial: line({ kind: 'partial-checkpoint-complete', lastOpId: toOpId(7n), priority: 1 }),
  token60: line({ kind: 'token-expires-in', seconds: 60 }),
  token30: line({ kind: 'token-expires-in', seconds: 30 }),
  token0: line({ kind: 'token-expires-in', seconds: 0 }),
  refused: line({ kind: 'stream-error', code: 'PSYNC_S2305', message: 'too many', retryAfterMs: 9000 }),
  badToken: line({ kind: 'stream-error', code: 'PSYNC_S2103', message: 'expired' }),
  shutdown: line({ kind: 'stream-end', reason: 'shutdown', retryAfterMs: 2000 }),
  expired: line({ kind: 'stream-end', reason: 'token-expired' }),
  unknown: line({ kind: 'unknown', wireKind: 'later' }),
  ended: { kind: 'ended', iteration: 4 },
  broken: { kind: 'ended', iteration: 4, error: failure },
  published: { kind: 'completed', priority: undefined, outcome: published },
  publishedFirst: { kind: 'completed', priority: undefined, outcome: { ...published, indexMissing: true } },
  partlyPublished: { kind: 'completed', priority: 1, outcome: published },
  kept: { kind: 'completed', priority: undefined, outcome: { kind: 'held' } },
  wrong: {
    kind: 'completed',
    priority: undefined,
    outcome: { kind: 'mismatch', buckets: [{ bucket: 'b', expected: 1, actual: 2 }] },
  },
  uploaded: { kind: 'uploads-completed' },
  restart: { kind: 'restart' },
  retryDue: { kind: 'retry-due' },
  woken: { kind: 'woken' },
  answered: { kind: 'service-answered' },
} as const satisfies Record<string, SyncEvent>

type StateName = keyof typeof STATES
type EventName = keyof typeof EVENTS

/** `state after: effects`; a dot stands for "nothing happens". */
const TABLE: Record<EventName, Record<StateName, string>> = {
  start: every('opening: open-stream'),
  stop: { ...every('off: close-stream'), off: '.' },
  opened: { ...every('.'), opening: 'listening none: tell-connected', replacing: 'listening none: tell-connected' },
  data: whenListening('same: store-data'),
  checkpoint: whenListening('listening downloading: announce-all'),
  diff: { ...whenListening('listening downloading: announce-changed'), fresh: 'waiting: close-stream pause' },
  complete: { ...whenListening('same: complete'), fresh: 'waiting: close-stream pause' },
  partial: { ...whenListening('same: complete'), fresh: 'waiting: close-stream pause' },
  token60: whenListening('same: renew-subscriptions'),
  token30: whenListening('same: prefetch-credentials'),
  token0: whenListening('waiting: discard-credentials close-stream pause'),
  refused: whenListening('waiting: log close-stream pause'),
  badToken: whenListening('waiting: log discard-credentials close-stream pause'),
  shutdown: whenListening('waiting: log close-stream pause'),
  expired: whenListening('waiting: log discard-credentials close-stream pause'),
  unknown: whenListening('same: log'),
  ended: whenOpen('waiting: close-stream pause'),
  broken: whenOpen('waiting: close-stream pause'),
  published: { ...whenListening('listening current:'), fresh: '.' },
  publishedFirst: { ...whenListening('listening current: build-index'), fresh: '.' },
  partlyPublished: every('.'),
  kept: { ...whenListening('listening held:'), fresh: '.' },
  wrong: { ...whenListening('waiting: log close-stream pause'), fresh: '.' },
  uploaded: { ...every('.'), held: 'same: complete' },
  restart: {
    ...whenListening('replacing: close-stream open-stream'),
    off: '.',
    opening: 'opening: close-stream open-stream',
    replacing: 'replacing: close-stream open-stream',
    waiting: 'same: cut-pause',
  },
  retryDue: { ...every('.'), waiting: 'opening: open-stream' },
  woken: {
    off: '.',
    opening: 'opening:',
    replacing: 'replacing:',
    waiting: 'waiting: cut-pause',
    fresh: 'listening none:',
    downloading: 'listening downloading:',
    current: 'listening current:',
    held: 'listening held:',
  },
  answered: { ...every('.'), waiting: 'same: cut-pause' },
}

describe('every state meets every event', () => {
  for (const [eventName, row] of Object.entries(TABLE)) {
    for (const [stateName, expected] of Object.entries(row)) {
      test(`${stateName} + ${eventName} → ${expected}`, () => {
        const state: SyncState = STATES[stateName as StateName]
        expect(describeStep(state, step(state, EVENTS[eventName as EventName]))).toBe(expected)
      })
    }
  }
})

test('what a dead connection still says is not heard', () => {
  const { opened, data, checkpoint, ended, broken } = EVENTS
  const late = [opened, data, checkpoint, ended, broken].map((event) => ({ ...event, iteration: 3 }))
  for (const event of late) {
    for (const state of Object.values(STATES)) {
      expect(step(state, event)).toEqual([state, []])
    }
  }
})

test('failures are forgotten when a complete checkpoint is held, and when the service ends a stream in good order', () => {
  const [held] = step(STATES.downloading, { kind: 'completed', priority: undefined, outcome: { kind: 'held' } })
  const [, effects] = step(STATES.downloading, EVENTS.ended)

  expect(held).toMatchObject({ failures: 0 })
  expect(effects).toContainEqual({ kind: 'pause', failures: 1, retryAfterMs: undefined })
})

test('failures count up, keep their error, and are forgotten at a completed checkpoint', () => {
  const [waiting, effects] = step(STATES.downloading, EVENTS.broken)
  expect(waiting).toMatchObject({ at: 'waiting', failures: 3 })
  expect(step(STATES.downloading, EVENTS.ended)[0]).toMatchObject({ error: failure })
  expect(effects).toContainEqual({ kind: 'pause', failures: 3, retryAfterMs: undefined })
  const [current] = step(STATES.downloading, EVENTS.published)
  expect(current).toMatchObject({ failures: 0, error: undefined })
})

test('[protocol 91] a diff replaces the write checkpoint, and a completion uses what the last line said', () => {
  const [afterDiff] = step(STATES.current, EVENTS.diff)
  const [, effects] = step(afterDiff, EVENTS.complete)
  expect(effects).toEqual([
    {
      kind: 'complete',
      completion: { lastOpId: 8n, writeCheckpoint: undefined, priority: undefined },
      streams: undefined,
    },
  ])
})

test('an error within the stream is shown, and its pause kept, as those of an HTTP answer are', () => {
  const [waiting, effects] = step(STATES.downloading, EVENTS.refused)
  expect(waiting).toMatchObject({ failures: 3, error: { code: 'sync-refused', wireCode: 'PSYNC_S2305' } })
  expect(waiting).toMatchObject({ error: { message: expect.stringContaining('PSYNC_S2305 too many') } })
  expect(effects).toContainEqual({ kind: 'pause', failures: 3, retryAfterMs: 9000 })
})

test('the service may say when to come back as it ends a stream, which is no failure', () => {
  const [waiting, effects] = step({ ...STATES.current, error: undefined }, EVENTS.shutdown)
  expect(waiting).toMatchObject({ at: 'waiting', failures: 1, error: undefined })
  expect(effects).toContainEqual({ kind: 'pause', failures: 1, retryAfterMs: 2000 })
})

test('[protocol 102] what failed before counts no more once there is reason to hope', () => {
  const [woken] = step(STATES.opening, EVENTS.woken)
  expect(step(woken, EVENTS.broken)[1]).toContainEqual({ kind: 'pause', failures: 1, retryAfterMs: undefined })
})

test('an answer to another call is no news for a stream that the service sent away', () => {
  const refused = { ...STATES.waiting, error: new RefusedError('sync-refused', 'busy', { status: 429 }) }
  expect(step(refused, EVENTS.answered)).toEqual([refused, []])
})

test('a partial completion names the streams that are complete with it', () => {
  const [, effects] = step(STATES.downloading, EVENTS.partial)
  expect(effects).toMatchObject([{ completion: { priority: 1 }, streams: [{ name: 'all', parameters: 'null' }] }])
})

test('connecting begins from nothing', () => {
  expect(step(OFF, { kind: 'start' })).toEqual([
    { at: 'opening', iteration: 1, failures: 0, error: undefined, hidden: false },
    [{ kind: 'open-stream', iteration: 1 }],
  ])
})

function every(expected: string): Record<StateName, string> {
  const names: StateName[] = ['off', 'opening', 'replacing', 'waiting', 'fresh', 'downloading', 'current', 'held']
  const entries = names.map((name) => [name, expected] as const)
  return Object.fromEntries(entries) as Record<StateName, string>
}

function whenListening(expected: string): Record<StateName, string> {
  return { ...every('.'), fresh: expected, downloading: expected, current: expected, held: expected }
}

function whenOpen(expected: string): Record<StateName, string> {
  return { ...whenListening(expected), opening: expected, replacing: expected }
}

function describeStep(before: SyncState, [after, effects]: readonly [SyncState, readonly SyncEffect[]]): string {
  if (after === before && effects.length === 0) return '.'
  return `${after === before ? 'same' : describeState(after)}: ${effects.map(({ kind }) => kind).join(' ')}`.trim()
}

function describeState(state: SyncState): string {
  if (state.at === 'listening') return `listening ${state.progress.kind}`
  return state.at === 'opening' && state.hidden ? 'replacing' : state.at
}
