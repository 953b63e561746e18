/** What serves clients, whichever process does: feed, tokens, sync streams and the HTTP servers. */
import type { Socket } from 'node:net'
import { loadPlan } from '@headwater/sync-config'
import type { Revocations } from './auth/revocations.ts'
import { supabaseJwksUrl } from './auth/supabase.ts'
import { createTokenVerifier } from './auth/token.ts'
import { systemClock } from './clock.ts'
import type { ServiceSettings } from './config/options.ts'
import type { HttpParts } from './http/http-parts.ts'
import { RequestRates } from './http/request-rates.ts'
import { createHttpServer, type HttpServer } from './http/server.ts'
import { createLimitWatch } from './observe/limit-watch.ts'
import type { Log } from './observe/log.ts'
import type { Metrics } from './observe/metrics.ts'
import type { SyncStorage } from './storage/storage.ts'
import { awaitCheckpoint } from './sync/await-checkpoint.ts'
import { type CheckpointFeed, createCheckpointFeed } from './sync/checkpoint-feed.ts'
import type { NoteResolved } from './sync/prepare.ts'
import { Alarms } from './sync/alarms.ts'
import { openSyncStream } from './sync/session.ts'
import { SharedRounds } from './sync/shared-rounds.ts'
import { chooseRetryAfterMs } from './sync/stream-end.ts'
import { Turns } from './sync/turns.ts'

/** Opening a stream costs its user as many requests as it has so many buckets: the time that it takes grows with them. */
const BUCKETS_PER_REQUEST = 100
const OPENING_REQUESTS_MAX = 100

/** How long open streams may take to end when the service stops. */
const STOP_GRACE_MS = 2_000

/** What only the process that replicates can answer. */
export type Replicating = Pick<
  HttpParts,
  'requestWriteCheckpoint' | 'requestCheckpointNumber' | 'readHealth' | 'readMetrics' | 'operator' | 'takePlaceAmongAll'
>

export type ServingParts = {
  readonly settings: ServiceSettings
  readonly storage: SyncStorage
  readonly revocations: Pick<Revocations, 'isRevoked' | 'watch'>
  readonly log: Log
  readonly metrics: Metrics
  readonly replicating: Replicating
}

/** By which address a connection came; operators have one of their own where the settings say so. */
export type Listener = 'clients' | 'operators'

export type Addresses = { readonly url: string; readonly operatorUrl: string }

export type Serving = {
  /** Throws `port-in-use`, `bad-settings`. */
  readonly listen: () => Promise<Addresses>
  /** Serves a connection that another process has taken. */
  readonly accept: (listener: Listener, socket: Socket) => void
  /** Resolves when clients are shown everything of the source up to a place, or when `signal` aborts. */
  readonly untilShown: CheckpointFeed['untilShown']
  /** Settles after `stop`; rejects when storage fails. */
  readonly ended: Promise<void>
  /** Ends streams at a line, lets other requests finish, and cuts off what is left after a while. */
  readonly stop: () => Promise<void>
}

export function startServing(serving: ServingParts): Serving {
  const { settings, storage, revocations, log, metrics, replicating } = serving
  const { auth, api, http, limits, source } = settings
  const { bucketsMax, parameterResultsMax: resultsMax } = limits
  const stopping = new AbortController()
  const turns = new Turns()
  const feed = createCheckpointFeed(
    { storage, clock: systemClock, turns, loadPlan, bucketsMax, resultsMax },
    stopping.signal,
  )
  const supabase =
    auth.supabase || auth.supabaseJwtSecret !== undefined
      ? { jwksUrl: auth.supabase ? supabaseJwksUrl(source.url) : undefined, secret: auth.supabaseJwtSecret }
      : undefined
  const verifier = createTokenVerifier({ ...auth, supabase, nowMs: Date.now, log, signal: stopping.signal })
  const rounds = new SharedRounds(storage)
  const limitWatch = createLimitWatch({ log, metrics, nowMs: Date.now })
  const rates = new RequestRates(limits.userRequestsPerSecond, Date.now)
  const noteResolved: NoteResolved = ({ userId, resolution: { buckets, exceeded }, isFirst }) => {
    if (isFirst) rates.spend(userId, Math.min(Math.floor(buckets.length / BUCKETS_PER_REQUEST), OPENING_REQUESTS_MAX))
    limitWatch.noteUse('buckets', { used: buckets.length, max: bucketsMax, userId })
    for (const problem of exceeded) limitWatch.reached('buckets', { userId, problem })
  }
  const clock = systemClock
  const alarms = new Alarms(clock)
  // What ends streams here ends them in the other workers too, which have about as many.
  const ofAll = (streams: number): number => streams * Math.max(1, http.workers)
  const together = {
    random: Math.random,
    chooseRetryAfterMs: (streams: number) => chooseRetryAfterMs(ofAll(streams), Math.random),
    log,
    metrics,
  }
  const syncParts = {
    noteResolved,
    turns,
    storage,
    feed,
    rounds,
    alarms,
    clock,
    ...together,
  }
  const { requestWriteCheckpoint } = replicating
  const parts: HttpParts = {
    ...replicating,
    ...together,
    verify: verifier.verify,
    revocations,
    openStream: (open, signal) => openSyncStream(syncParts, open, signal),
    awaitCheckpoint: (key, signal) => awaitCheckpoint({ storage, feed, requestWriteCheckpoint, clock }, key, signal),
    limits,
    limitWatch,
    rates,
    turns,
    nowMs: Date.now,
  }
  const hasOwnPort = api.port !== undefined
  const forClients = createHttpServer(parts, hasOwnPort ? 'clients' : 'everybody')
  const forOperators = hasOwnPort ? createHttpServer(parts, 'operators') : undefined

  let stopped: Promise<void> | undefined
  const stopServers = async (graceMs: number): Promise<void> => {
    await Promise.all([forClients.stop(graceMs), forOperators?.stop(graceMs)])
  }
  const stop = async (): Promise<void> => {
    await stopServers(STOP_GRACE_MS)
    stopping.abort()
    await feed.ended
  }
  return {
    listen: async () => {
      const { url } = await forClients.listen(http.host, http.port)
      if (forOperators === undefined || api.port === undefined) return { url, operatorUrl: url }
      try {
        const { url: operatorUrl } = await forOperators.listen(api.host ?? http.host, api.port)
        return { url, operatorUrl }
      } catch (error) {
        await stopServers(0)
        throw error
      }
    },
    accept: (listener, socket) => {
      serverOf(listener, forClients, forOperators).accept(socket)
    },
    untilShown: feed.untilShown,
    ended: feed.ended,
    stop: () => (stopped ??= stop()),
  }
}

function serverOf(listener: Listener, forClients: HttpServer, forOperators: HttpServer | undefined): HttpServer {
  return listener === 'operators' && forOperators !== undefined ? forOperators : forClients
}
