import { createServer, type Server, type Socket } from 'node:net'
import type { Registry } from 'prom-client'
import type { Revocation } from '../auth/revocation.ts'
import type { Revocations } from '../auth/revocations.ts'
import type { Clock } from '../clock.ts'
import type { ServiceSettings } from '../config/options.ts'
import { CONNECTION_OPTIONS, listen } from '../http/listen.ts'
import { createLimitWatch } from '../observe/limit-watch.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { Addresses, Listener, Replicating } from '../serving.ts'
import { GatheredMetrics } from './gathered-metrics.ts'
import { HandOver } from './hand-over.ts'
import { UserStreams } from './user-streams.ts'
import { type ServedStorage, WorkerProcess } from './worker-process.ts'

const TICK_MS = 1_000

/** Metrics of a worker that does not answer in time are those it told last. */
const METRICS_MS = 2_000

const RESTART_FIRST_MS = 100
const RESTART_MAX_MS = 10_000
/** A worker that has lived for so long had no trouble from its start. */
const STEADY_MS = 30_000

export type WorkersParts = {
  readonly settings: ServiceSettings
  readonly storage: ServedStorage
  readonly revocations: Pick<Revocations, 'list'>
  readonly replicating: Replicating
  readonly registry: Registry
  readonly metrics: Metrics
  readonly log: Log
  readonly clock: Clock
}

/** Processes that serve clients beside the one that replicates, at the same addresses. */
export type Workers = {
  /** Throws `port-in-use`, `bad-settings`. */
  readonly listen: () => Promise<Addresses>
  /** When every worker serves; rejects with `worker-failed`. */
  readonly ready: () => Promise<void>
  /** Resolves when every worker shows its clients everything of the source up to a place, or when `signal` aborts. */
  readonly untilShown: (place: Lsn, signal: AbortSignal) => Promise<void>
  /** Refuses these tokens from now on, and ends the streams of them. */
  readonly tellRevoked: (revocations: readonly Revocation[]) => void
  /** Of all processes together. */
  readonly readMetrics: () => Promise<string>
  /** Settles after `stop`. */
  readonly ended: Promise<void>
  readonly stop: () => Promise<void>
}

/**
 * Starts the workers. This process owns the ports and hands each connection to the worker with the fewest; a worker that
 * ends is started again.
 */
export function startWorkers(parts: WorkersParts): Workers {
  const { settings, metrics, log, clock } = parts
  const gathered = new GatheredMetrics(parts.registry)
  const limitWatch = createLimitWatch({ log, metrics, nowMs: clock.nowMs })
  const userStreams = new UserStreams(limitWatch, settings.limits.userConnectionsMax)
  const running = new Set<WorkerProcess>()
  const handOver = new HandOver(running)
  const stopping = new AbortController()
  const forWorker = shareLimits(settings)

  const startOne = (worker: number): WorkerProcess => {
    const started = new WorkerProcess({
      ...parts,
      worker,
      settings: forWorker,
      streams: userStreams.ofWorker(),
      metrics: gathered,
      onFree: () => handOver.flush(),
    })
    running.add(started)
    metrics.change('headwater_workers_count', 1)
    return started
  }
  const keepRunning = async (worker: number, first: WorkerProcess): Promise<void> => {
    let current = first
    for (let failures = 0; ;) {
      const startedAtMs = clock.nowMs()
      const end = await current.ended
      running.delete(current)
      metrics.change('headwater_workers_count', -1)
      if (stopping.signal.aborted) return
      failures = clock.nowMs() - startedAtMs >= STEADY_MS ? 1 : failures + 1
      const restartMs = Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** (failures - 1))
      log.warn('worker-ended', { worker, ...end, restartMs })
      await clock.wait(restartMs, stopping.signal)
      if (stopping.signal.aborted) return
      metrics.add('headwater_worker_restarts_total', 1)
      current = startOne(worker)
    }
  }

  const first = Array.from({ length: settings.http.workers }, (_, n) => startOne(n + 1))
  const ended = Promise.all(first.map((worker, n) => keepRunning(n + 1, worker))).then(() => undefined)
  const ticks = setInterval(() => {
    for (const worker of running) worker.tick()
  }, TICK_MS)
  const fronts: Server[] = []
  let stopped: Promise<void> | undefined
  const stop = async (): Promise<void> => {
    stopping.abort()
    clearInterval(ticks)
    for (const front of fronts) front.close()
    handOver.close()
    await Promise.all([...running].map((worker) => worker.stop()))
    await ended
  }
  return {
    listen: () => openFronts(parts, fronts, (listener, socket) => handOver.offer(listener, socket)),
    ready: async () => void (await Promise.all(first.map((worker) => worker.ready))),
    untilShown: async (place, signal) => {
      while (!signal.aborted) {
        const isShown = await Promise.all([...running].map((worker) => worker.untilShown(place, signal)))
        // Of those that are there; while none is, nobody is shown anything.
        if (isShown.includes(true)) return
        await clock.wait(TICK_MS, signal)
      }
    },
    tellRevoked: (revocations) => {
      for (const worker of running) worker.tellRevoked(revocations)
    },
    readMetrics: async () => {
      const told = Promise.all([...running].map((worker) => worker.readMetrics()))
      await Promise.race([told, clock.wait(METRICS_MS, stopping.signal)])
      return gathered.format()
    },
    ended,
    stop: () => (stopped ??= stop()),
  }
}

/** What all workers may have together, each has its part of; streams of a user are counted here for all of them. */
function shareLimits(settings: ServiceSettings): ServiceSettings {
  const { limits, http } = settings
  const shareOf = (max: number): number => Math.ceil(max / http.workers)
  return {
    ...settings,
    limits: {
      ...limits,
      connectionsMax: shareOf(limits.connectionsMax),
      userConnectionsMax: Number.POSITIVE_INFINITY,
      newcomersMax: shareOf(limits.newcomersMax),
      requestMemoryBytesMax: Math.max(limits.requestBytesMax, shareOf(limits.requestMemoryBytesMax)),
      waitingBytesMax: shareOf(limits.waitingBytesMax),
      writeCheckpointsMax: shareOf(limits.writeCheckpointsMax),
    },
  }
}

/** Takes connections at the addresses of the settings. */
async function openFronts(
  { settings: { http, api }, log }: WorkersParts,
  fronts: Server[],
  take: (listener: Listener, socket: Socket) => void,
): Promise<Addresses> {
  const open = async (listener: Listener, host: string, port: number): Promise<string> => {
    const front = createServer({ ...CONNECTION_OPTIONS, pauseOnConnect: true }, (socket) => take(listener, socket))
    const { url } = await listen(front, host, port)
    // Such as no free file descriptors for one more connection: those that are open go on.
    front.on('error', (error) => {
      log.error('connection-not-accepted', { error })
    })
    fronts.push(front)
    return url
  }
  const url = await open('clients', http.host, http.port)
  if (api.port === undefined) return { url, operatorUrl: url }
  return { url, operatorUrl: await open('operators', api.host ?? http.host, api.port) }
}
