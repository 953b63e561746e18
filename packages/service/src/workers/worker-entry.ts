/** The program of a worker: serves clients from the storage that the main process writes. */
import { Socket } from 'node:net'
import { Registry } from 'prom-client'
import { longestLifeSeconds } from '../auth/longest-life.ts'
import { createRevocations, type Revocations } from '../auth/revocations.ts'
import { judgeSilence } from '../health.ts'
import { keepHeapRoom } from '../heap-growth.ts'
import type { Health } from '../http/probes.ts'
import { boundLog } from '../observe/bounded-log.ts'
import { createLog, standardOutput } from '../observe/log.ts'
import { createMetrics } from '../observe/metrics.ts'
import { describeConfig } from '../operator-config.ts'
import { type Replicating, startServing, type Serving } from '../serving.ts'
import { unnamedCommit } from '../storage/sqlite/commit-watch.ts'
import { openSqliteReader, type SqliteReader } from '../storage/sqlite/sqlite-reader.ts'
import { Caller } from './calls.ts'
import { type FromWorker, readToWorker, type ToWorker } from './messages.ts'
import { askForPlaces } from './user-streams.ts'

/** How often the worker says that it lives, and looks for commits that it was not told of. */
const ALIVE_MS = 1_000

/** Probes are asked every few seconds, and want an answer before they are asked again. */
const HEALTH_MS = 2_000

/** To compact a large storage takes its time. */
const COMPACT_MS = 3_600_000

const caller = new Caller({ send })
let commitsTold = 0
let revocations: Revocations | undefined
let running: { readonly serving: Serving; readonly reader: SqliteReader; readonly registry: Registry } | undefined

// Without the main process nobody replicates or hands connections over; the next one starts its own workers.
process.once('disconnect', () => process.exit(0))
// A terminal, or whoever stops a service, may send these to all processes of it. The main process says when to stop.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
keepHeapRoom()
process.on('message', (message, handle) => {
  receive(readToWorker(message), handle)
})

function send(message: FromWorker): void {
  // The main process is gone when it cannot be sent: `disconnect` comes next.
  if (process.connected) process.send?.(message, undefined, undefined, () => {})
}

function receive(message: ToWorker, handle: unknown): void {
  switch (message.kind) {
    case 'begin':
      void begin(message)
      return
    case 'connection':
      accept(message, handle)
      return
    case 'commit':
      noteCommit(message)
      return
    case 'revoked':
      void revocations?.add(message.revocations, 'main-process')
      return
    case 'result':
      caller.settle(message.id, message.result)
      return
    case 'show':
      void show(message)
      return
    case 'read-metrics':
      void tellMetrics()
      return
    case 'stop':
      void stop()
  }
}

async function begin({ worker, settings, ...known }: Extract<ToWorker, { kind: 'begin' }>): Promise<void> {
  const { level, pretty } = settings.log
  const log = boundLog(createLog({ level, pretty, output: standardOutput(), fields: { worker } }), level, Date.now)
  const registry = new Registry()
  const parts = { settings, log, metrics: createMetrics(registry) }
  // Before anything is waited for: what is revoked from now on is told from now on.
  revocations = createRevocations({
    stored: known.revocations,
    // The main process does.
    store: async () => {},
    lifetimeMaxSeconds: longestLifeSeconds(settings.auth),
    log,
    metrics: parts.metrics,
    nowMs: Date.now,
  })
  const reader = await openSqliteReader(settings.storage.path)
  const replicating = askMain(settings.api.tokens)
  const serving = startServing({ ...parts, storage: reader, revocations, replicating })
  running = { serving, reader, registry }
  setInterval(() => {
    send({ kind: 'alive', oldestPinned: reader.oldestPinned() })
    reader.findMissed()
  }, ALIVE_MS)
  send({ kind: 'ready' })
  await serving.ended
}

/** What the main process answers, asked from here. */
function askMain(tokens: readonly string[]): Replicating {
  const readHealth = caller.forward('readHealth', HEALTH_MS)
  let heardAtMs = Date.now()
  return {
    takePlaceAmongAll: askForPlaces({
      take: caller.forward('takeStreamPlace'),
      giveBack: (place) => send({ kind: 'stream-place-left', place }),
    }),
    requestWriteCheckpoint: caller.forward('requestWriteCheckpoint'),
    requestCheckpointNumber: caller.forward('requestCheckpointNumber'),
    readMetrics: caller.forward('readMetrics'),
    readHealth: async (): Promise<Health> => {
      try {
        const health = await readHealth()
        heardAtMs = Date.now()
        return health
      } catch {
        return judgeSilence(heardAtMs)
      }
    },
    operator: {
      tokens,
      describe: describeConfig,
      readDiagnostics: caller.forward('readDiagnostics'),
      readSchema: caller.forward('readSchema'),
      validate: caller.forward('validate'),
      readCurrent: caller.forward('readCurrent'),
      deploy: caller.forward('deploy'),
      reprocess: caller.forward('reprocess'),
      revoke: caller.forward('revoke'),
      compact: caller.forward('compact', COMPACT_MS),
      readCompaction: caller.forward('readCompaction'),
    },
  }
}

function accept({ listener }: Extract<ToWorker, { kind: 'connection' }>, handle: unknown): void {
  send({ kind: 'accepted' })
  if (running === undefined || !(handle instanceof Socket)) {
    send({ kind: 'closed' })
    return
  }
  handle.once('close', () => send({ kind: 'closed' }))
  running.serving.accept(listener, handle)
}

function noteCommit({ count, commit }: Extract<ToWorker, { kind: 'commit' }>): void {
  const isNext = count === commitsTold + 1
  commitsTold = count
  running?.reader.noteCommit(isNext ? commit : unnamedCommit(commit.generation, commit.checkpoint))
}

async function show({ place }: Extract<ToWorker, { kind: 'show' }>): Promise<void> {
  await running?.serving.untilShown(place, new AbortController().signal)
  send({ kind: 'shown', place })
}

async function tellMetrics(): Promise<void> {
  if (running !== undefined) send({ kind: 'metrics', metrics: await running.registry.getMetricsAsJSON() })
}

async function stop(): Promise<void> {
  await running?.serving.stop()
  running?.reader[Symbol.dispose]()
  process.exit(0)
}
