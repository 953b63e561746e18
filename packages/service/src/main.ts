/** The file that knows every room, with `serving.ts`: it opens them in the order in which data flows, and closes them in reverse. */
import { hash } from 'node:crypto'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { HeadwaterError } from '@headwater/protocol'
import { type Diagnostic, loadPlan, type Plan } from '@headwater/sync-config'
import { Registry } from 'prom-client'
import { parseServiceOptions, type ServiceOptions, type ServiceSettings } from './config/options.ts'
import { judgeHealth, watchHealth } from './health.ts'
import { keepHeapRoom } from './heap-growth.ts'
import type { Health } from './http/probes.ts'
import { boundLog } from './observe/bounded-log.ts'
import { createLog, type Log, standardOutput } from './observe/log.ts'
import { createMetrics, type Metrics } from './observe/metrics.ts'
import { createOperator } from './operator.ts'
import { checkSource } from './postgres/check-source.ts'
import { createBackendNumbers } from './replication/backend-numbers.ts'
import { isMadeByBackend, madeByBackend } from './replication/checkpoint-rows.ts'
import { checkOrThrow, type Compiled, compileOrThrow, deploy, type Deployment } from './replication/deploy.ts'
import { startReplicator } from './replication/replicator.ts'
import type { ReplicationStatus } from './replication/status.ts'
import { followRevocationTable, openRevocations } from './revoking.ts'
import { type Replicating, type Serving, startServing } from './serving.ts'
import type { CompactionRun } from './storage/sqlite/compactor.ts'
import type { DefragmentationRun } from './storage/sqlite/defragmenter.ts'
import { openSqliteStorage } from './storage/sqlite/sqlite-storage.ts'
import type { BucketStorage, StorageFigures } from './storage/storage.ts'
import { systemClock } from './clock.ts'
import { startWorkers } from './workers/workers.ts'

/** A running service. After a kill the next one goes on where the storage stands. */
export type Service = {
  /** Where it listens, without a slash at the end. */
  readonly url: string
  /** Where it listens for operators: there too, unless they have a port of their own. */
  readonly operatorUrl: string
  /** Settles after `stop`; rejects when a room failed for good. */
  readonly ended: Promise<void>
  readonly stop: () => Promise<void>
  readonly readStatus: () => Promise<ServiceStatus>
  /** Serves another sync config from now on; one that cannot be used changes nothing. */
  readonly replaceSyncConfig: (content: string) => Promise<ReplaceOutcome>
}

export type ServiceStatus = { readonly replication: ReplicationStatus; readonly storage: StorageFigures }

export type ReplaceOutcome =
  | { readonly kind: 'unchanged' | 'replaced'; readonly diagnostics: readonly Diagnostic[] }
  | { readonly kind: 'refused'; readonly message: string }

type Parts = {
  readonly settings: ServiceSettings
  readonly storage: BucketStorage
  readonly log: Log
  readonly metrics: Metrics
}

/**
 * Starts everything, and resolves when clients can connect; the first copy may still run. Throws when settings or
 * sync config are wrong, when the port or the storage is in use, and, while nothing is stored yet, when the source
 * cannot be replicated. Later a source that is away is waited for, and clients are served what is stored.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const settings = parseServiceOptions(options)
  const { level, pretty } = settings.log
  const log = boundLog(createLog({ level, pretty, output: standardOutput() }), level, Date.now)
  const registry = new Registry()
  const metrics = createMetrics(registry)
  warnOfAudience(settings, log)
  const path = settings.syncConfig.path ?? 'sync config'
  const compiled = compileOrThrow(settings.syncConfig.content, path)

  await using opened = new AsyncDisposableStack()
  opened.defer(keepHeapRoom())
  const onCompacted = (run: CompactionRun): void => {
    metrics.add('headwater_storage_compacted_operations_total', run.moved, { into: 'move' })
    metrics.add('headwater_storage_compacted_operations_total', run.cleared, { into: 'clear' })
    metrics.add('headwater_storage_freed_bytes_total', run.bytesFreed)
    log.info('storage-compacted', run)
  }
  const onDefragmented = (run: DefragmentationRun): void => {
    metrics.add('headwater_storage_reappended_operations_total', run.reappended)
    metrics.add('headwater_storage_reappended_bytes_total', run.bytes)
    log.info('storage-defragmented', run)
  }
  const storage = opened.use(await openSqliteStorage({ ...settings.storage, log, onCompacted, onDefragmented }))
  const parts: Parts = { settings, storage, log, metrics }
  const isFirstStart = (await storage.readResume()) === undefined
  const { diagnostics: known } = isFirstStart ? await checkAgainstSource(settings, compiled) : compiled
  warnOfConfig(log, path, known)

  const revocations = await openRevocations(parts, (added) => workers?.tellRevoked(added))
  let served = { content: settings.syncConfig.content, plan: compiled.plan }
  const replace = async (content: string): Promise<Exclude<ReplaceOutcome, { kind: 'refused' }>> => {
    const { plan, diagnostics } = await checkAgainstSource(settings, compileOrThrow(content, path))
    if (plan.hash === served.plan.hash) return { kind: 'unchanged', diagnostics }
    served = { content, plan }
    log.info('sync-config-replaced', { plan: plan.hash })
    warnOfConfig(log, path, diagnostics)
    await deployment.replace(plan)
    return { kind: 'replaced', diagnostics }
  }
  const readHealth = (): Health => judgeHealth(deployment.current().readStatus(), Date.now())
  const readBackendNumber = createBackendNumbers({
    storage,
    request: (key) => deployment.current().requestWriteCheckpoint(key),
    clock: systemClock,
  })
  const replicating: Replicating = {
    requestWriteCheckpoint: (key) =>
      isMadeByBackend(served.plan) ? readBackendNumber(key) : deployment.current().requestWriteCheckpoint(key),
    requestCheckpointNumber: async (key, number) => {
      if (isMadeByBackend(served.plan)) throw madeByBackend()
      return deployment.current().requestCheckpointNumber(key, number)
    },
    // No other process serves streams, unless there are workers, which ask each other by way of this one.
    takePlaceAmongAll: () => ({ granted: Promise.resolve(), giveBack: () => {} }),
    readHealth: async () => readHealth(),
    readMetrics: async () => {
      const { bytes, compaction, writeCheckpointsPending } = await storage.readStatus()
      const { count, oldestMs = Date.now() } = deployment.current().readStatus().writeCheckpoints
      metrics.set('headwater_write_checkpoints_pending_count', count + writeCheckpointsPending)
      metrics.set('headwater_write_checkpoints_pending_age_seconds', Math.max(0, Date.now() - oldestMs) / 1000)
      metrics.set('headwater_storage_size_bytes', bytes)
      metrics.set('headwater_storage_compactions_count', compaction.isRunning ? 1 : 0)
      metrics.set('headwater_canary_age_seconds', canaryAgeSeconds(deployment))
      const body = await (workers === undefined ? registry.metrics() : workers.readMetrics())
      return { contentType: registry.contentType, body }
    },
    operator: createOperator({
      settings,
      storage,
      log,
      readReplication: () => deployment.current().readStatus(),
      readConfig: () => served,
      replace: async (content) => void (await replace(content)),
      reprocess: () => deployment.replace(served.plan, true),
      revocations,
      nowMs: Date.now,
    }),
  }
  const workers =
    settings.http.workers === 0
      ? undefined
      : startWorkers({ ...parts, registry, revocations, replicating, clock: systemClock })
  const serving = workers ?? startServing({ ...parts, revocations, replicating })
  opened.defer(serving.stop)
  // A port in use is found out before anything is begun at the source. No request is read before the next line has run.
  const { url, operatorUrl } = await serving.listen()
  const deployment = startReplication(parts, compiled.plan, serving.untilShown)
  opened.defer(async () => {
    await serving.stop()
    await deployment.stop()
  })
  opened.defer(followRevocationTable(parts, revocations))
  opened.defer(startHealthWatch(parts, readHealth))
  await workers?.ready()
  log.info('service-started', { url, operatorUrl })

  const rooms = opened.move()
  const stopOnce = once(async () => {
    await rooms.disposeAsync()
    log.info('service-stopped')
  })
  return {
    url,
    operatorUrl,
    ended: waitForBoth(deployment.ended, serving.ended),
    stop: stopOnce,
    readStatus: async () => ({
      replication: deployment.current().readStatus(),
      storage: await storage.readStatus(),
    }),
    replaceSyncConfig: async (content) => {
      try {
        return await replace(content)
      } catch (error) {
        if (error instanceof HeadwaterError) return { kind: 'refused', message: error.message }
        throw error
      }
    },
  }
}

/** Tokens that were signed with the same key for another service are good here then. */
function warnOfAudience({ auth }: ServiceSettings, log: Log): void {
  const hasOwnKeys = auth.secret !== undefined || auth.keys.length > 0
  if (hasOwnKeys && auth.audience.length === 0) log.warn('audience-not-checked', { setting: 'auth.audience' })
}

function warnOfConfig(log: Log, path: string, diagnostics: readonly Diagnostic[]): void {
  for (const { line, column, message } of diagnostics) {
    log.warn('sync-config-warning', { place: `${path}:${line}:${column}`, message })
  }
}

async function checkAgainstSource({ source }: ServiceSettings, compiled: Compiled): Promise<Compiled> {
  const { publication, slot } = source
  const report = await checkSource(source.url, { publication, slot, tables: compiled.plan.tables })
  return checkOrThrow(compiled, report)
}

function startReplication(
  { settings, storage, log, metrics }: Parts,
  plan: Plan,
  untilShown: Serving['untilShown'],
): Deployment {
  const { bucketsMax, rowCharactersMax } = settings.limits
  return deploy(plan, (next, isAnew, signal) =>
    startReplicator(
      {
        source: { ...settings.source, instance: nameInstance(settings.storage.path) },
        storage,
        plan: next,
        isAnew,
        load: (generation) => loadPlan(next, { generation, bucketsMax, rowCharactersMax }),
        log,
        metrics,
        clock: systemClock,
        random: Math.random,
        canaryMs: settings.source.canarySeconds * 1000,
        untilShown,
      },
      signal,
    ),
  )
}

/** Only one process at a time uses a storage, so what reads the slot under this name is a leftover of our own. */
function nameInstance(storagePath: string): string {
  return hash('sha256', `${hostname()}:${resolve(storagePath)}`).slice(0, 12)
}

/** Gives what ends it. */
function startHealthWatch({ log }: Parts, readHealth: () => Health): () => Promise<void> {
  const stopping = new AbortController()
  const ended = watchHealth(readHealth, { clock: systemClock, log }, stopping.signal)
  return () => {
    stopping.abort()
    return ended
  }
}

function canaryAgeSeconds(deployment: Deployment): number {
  const { passedAtMs } = deployment.current().readStatus().canary
  return passedAtMs === undefined ? 0 : (Date.now() - passedAtMs) / 1000
}

async function waitForBoth(first: Promise<void>, second: Promise<void>): Promise<void> {
  await Promise.all([first, second])
}

function once(action: () => Promise<void>): () => Promise<void> {
  let result: Promise<void> | undefined
  return () => (result ??= action())
}
